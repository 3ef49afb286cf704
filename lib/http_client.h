/* What the parts of the HTTPS client share; for lib/http*.c only. */
#ifndef LIB_HTTP_CLIENT_H
#define LIB_HTTP_CLIENT_H

#include <curl/curl.h>
#include <event2/event.h>
#include <stdbool.h>

#include "lib/http.h"
#include "lib/tls_pocket.h"

struct exchange;

/* What an easy handle's CURLINFO_PRIVATE points to: the first member of an exchange or of a
 * connection. */
struct http_transfer {
    /* curl has done with it. The handle is still in the multi handle. */
    void (*ended)(struct http_transfer *transfer, CURLcode code);
};

struct http_client {
    struct loop *loop;
    char *ca_file;
    CURLM *multi;
    struct tls_pockets *pockets;
    struct event *timer;
    struct exchange *running;
    struct exchange *told; /* complete and told; to be cleared up */
    struct event *clearing;
};

/* Aborts unless `ok`: for what only fails by a mistake of ours or without memory. */
void http_must(bool ok);

#define HTTP_SET(easy, option, value)                                                              \
    http_must(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

/* HTTPS to no one but whom the client's authority vouches for, no proxy, no redirect. */
void http_set_connection(struct http_client *client, CURL *easy, const struct tls_pocket *pocket);
/* A connection of its own that carries nothing else, and throws away what it has queued when we
 * give up. */
void http_set_money(CURL *easy);

/* http.c: ends all exchanges, clears up. */
void http_abort_all(struct http_client *client);
void http_clear_up(struct http_client *client);

#endif
