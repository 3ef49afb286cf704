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

/* A multi handle under the loop. */
struct http_multi {
    struct http_multi *next;
    CURLM *curl;
    struct event *timer;
    struct loop *loop; /* borrowed */
};

struct http_client {
    struct loop *loop;
    char *ca_file;
    struct http_multi *main;  /* of all exchanges */
    struct http_multi *spare; /* for connections that are opened early, see http_multi_take */
    struct tls_pockets *pockets;
    struct exchange *running;
    struct exchange *told; /* complete and told; to be cleared up */
    struct event *clearing;
};

/* Aborts unless `ok`: for what only fails by a mistake of ours or without memory. */
void http_must(bool ok);

#define HTTP_SET(easy, option, value)                                                              \
    http_must(curl_easy_setopt((easy), (option), (value)) == CURLE_OK)

/* A multi handle for one connection that is opened early. It must have none beside it: whenever a
 * transfer begins, curl closes those of the same multi handle that look dead to it, though they are
 * CONNECT_ONLY, and whoever reads from them is not told. Kept and lent again, as it holds the
 * authority's certificates. */
struct http_multi *http_multi_take(struct http_client *client);
void http_multi_give_back(struct http_client *client, struct http_multi *multi);

/* HTTPS to no one but whom the client's authority vouches for, no proxy, no redirect. */
void http_set_connection(struct http_client *client, CURL *easy, const struct tls_pocket *pocket);
/* A connection of its own that carries nothing else, and throws away what it has queued when we
 * give up. */
void http_set_money(CURL *easy);

/* http.c: ends all exchanges, clears up. */
void http_abort_all(struct http_client *client);
void http_clear_up(struct http_client *client);

#endif
