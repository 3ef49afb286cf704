/* HTTPS to processors: libcurl multi under the loop.
 * Money requests: FRESH_CONNECT, FORBID_REUSE, HTTP/1.1 only, no redirect, no Expect, linger 0 on
 * the socket, TCP_USER_TIMEOUT 20 s, and the request size proves whether anything was sent: only
 * size 0 is 'not sent'. TLS sessions are shared so that fresh connections resume. */
#ifndef LIB_HTTP_H
#define LIB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/loop.h"
#include "lib/secret.h"

#define HTTP_BODY_MAX_BYTES (1024u * 1024u)
#define HTTP_HEADERS_MAX 8

struct http_request {
    const char *method; /* GET, POST, PUT, DELETE; borrowed */
    char url[2048];
    const char *headers[HTTP_HEADERS_MAX]; /* "Accept: application/json"; NULL ends; borrowed */
    struct secret *secret_header;          /* a whole header line such as "api-key: ..."; owned */
    struct secret *body;                   /* owned, may be NULL */
    bool money;                            /* the rules above */
    int64_t connect_timeout_ms;
    int64_t timeout_ms; /* whole exchange */
};

struct http_result {
    int curl_code; /* CURLcode, 0 = a complete answer */
    /* REQUEST_SIZE == 0, and curl had not yet set out to send (a write that TLS holds back
     * half-done does not count in REQUEST_SIZE). The only proof of 'not sent'. */
    bool nothing_sent;
    /* curl set out to send at most once (fact 1). A money request is stopped at the second time. */
    bool sent_once;
    long status;      /* 0 without an answer */
    const char *body; /* what arrived, NUL after it; valid during the callback */
    size_t body_size;
    bool body_too_large; /* cut at HTTP_BODY_MAX_BYTES: curl_code is not 0 then */
    char content_type[64];
    char request_id[96];  /* exchange-id or request-id header, or "" */
    char error_text[160]; /* curl's own words, without secrets */
};

struct http_client;
typedef void http_done(void *context, const struct http_result *result);
/* ca_file NULL = the system's. SIGPIPE must be ignored by the program: TLS writes raise it. */
struct http_client *http_client_new(struct loop *loop, const char *ca_file);
/* Aborts what runs, answered with CURLE_ABORTED_BY_CALLBACK (42). Not from inside a `done`. */
void http_client_free(struct http_client *client);
/* Takes `request` (its secrets are wiped when done). `done` is called exactly once, not from
 * inside this call. */
void http_send(struct http_client *client, struct http_request *request, http_done *done,
               void *context);
/* Gives up the question that was sent with `done` and `context`: it is answered now, with
 * CURLE_ABORTED_BY_CALLBACK (42). Not for money requests. */
void http_cancel(struct http_client *client, http_done *done, void *context);
struct http_request *http_request_new(const char *method);
void http_request_free(struct http_request *request);

#endif
