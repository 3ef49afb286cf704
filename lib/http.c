/* HTTPS exchanges: one request, its answer, and what is proved of its sending. Must never send a
 * money request twice, follow a redirect, or go through a proxy: each would spoil that proof. */
#include "lib/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/http_client.h"
#include "lib/http_connection.h"
#include "lib/memory.h"
#include "lib/mutant.h"

#define HEADER_BYTES_MAX (64u * 1024u)
#define SCHEME_SECURE "https:"
#define SCHEME_CLEAR "http:"

struct exchange {
    struct http_transfer transfer; /* first: see http_client.h */
    struct exchange *next;
    struct exchange **link; /* what points to us */
    struct http_client *client;
    struct http_request *request;
    http_done *done;
    void *context;
    CURL *easy;
    struct tls_pocket *pocket;          /* NULL: it goes over `connection` */
    struct http_connection *connection; /* owned; NULL: a connection of its own */
    struct curl_slist *headers;
    int64_t begun_boot_ms;
    unsigned sendings; /* how often curl set out to send the request */
    char *body;
    size_t body_size;
    size_t body_room;
    size_t header_bytes;
    bool body_too_large;
    char request_id[96];
    char error[CURL_ERROR_SIZE];
};

/* -- The request ----------------------------------------------------------------------------- */

struct http_request *http_request_new(const char *method)
{
    struct http_request *request = memory_new(sizeof *request);

    request->method = method;
    request->connect_timeout_ms = 5000;
    request->timeout_ms = 30000;
    return request;
}

void http_request_free(struct http_request *request)
{
    if (request == NULL) {
        return;
    }
    secret_free(request->secret_header);
    secret_free(request->body);
    http_connection_close(request->connection);
    memory_free(request);
}

/* -- Callbacks of one transfer --------------------------------------------------------------- */

/* Called when the connection and its TLS stand and the request is about to go: once again when
 * curl by itself opens a second connection for it, which for money must not happen. */
static int before_sending(void *context, char *remote_ip, char *local_ip, int remote_port,
                          int local_port)
{
    struct exchange *x = context;

    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;
    if (x->request->money && x->sendings > 0 && !MUTANT("auto_resend")) {
        return CURL_PREREQFUNC_ABORT;
    }
    x->sendings++;
    return CURL_PREREQFUNC_OK;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t n = size * count;

    if (n > HTTP_BODY_MAX_BYTES - x->body_size) {
        x->body_too_large = true;
        return 0; /* not n: curl ends the transfer */
    }
    if (x->body_size + n + 1 > x->body_room) {
        size_t room = (x->body_size + n + 1) * 2;
        char *grown = memory_realloc(x->body, room);
        if (grown == NULL) {
            return 0;
        }
        x->body = grown;
        x->body_room = room;
    }
    memcpy(x->body + x->body_size, bytes, n);
    x->body_size += n;
    x->body[x->body_size] = '\0';
    return n;
}

/* Copies the value if the header has this name; only printable ASCII. */
static void keep_header(const char *line, size_t n, const char *name, char *out, size_t room)
{
    size_t length = strlen(name);

    if (n <= length || strncasecmp(line, name, length) != 0) {
        return;
    }
    size_t used = 0;
    for (size_t i = length; i < n && used + 1 < room; i++) {
        if (line[i] > ' ' && line[i] < 127) {
            out[used++] = line[i];
        }
    }
    out[used] = '\0';
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t n = size * count;

    x->header_bytes += n;
    if (x->header_bytes > HEADER_BYTES_MAX) {
        return 0;
    }
    keep_header(line, n, "exchange-id:", x->request_id, sizeof x->request_id);
    keep_header(line, n, "request-id:", x->request_id, sizeof x->request_id);
    return n;
}

/* -- Set-up ---------------------------------------------------------------------------------- */

#define SET(x, option, value) HTTP_SET((x)->easy, option, value)

static void add_header(struct exchange *x, const char *line)
{
    x->headers = curl_slist_append(x->headers, line);
    http_must(x->headers != NULL);
}

static void set_headers(struct exchange *x)
{
    const struct http_request *request = x->request;

    add_header(x, "Expect:"); /* never wait for 100-continue */
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++) {
        add_header(x, request->headers[i]);
    }
    if (request->secret_header != NULL) {
        add_header(x, secret_expose(request->secret_header));
    }
    SET(x, CURLOPT_HTTPHEADER, x->headers);
}

static void set_method(struct exchange *x)
{
    const struct http_request *request = x->request;

    if (request->body != NULL || strcmp(request->method, "POST") == 0) {
        const char *bytes = request->body == NULL ? "" : secret_expose(request->body);
        size_t n = request->body == NULL ? 0 : secret_size(request->body);
        SET(x, CURLOPT_POST, 1L);
        SET(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
        SET(x, CURLOPT_POSTFIELDS, bytes); /* not copied */
    } else {
        SET(x, CURLOPT_HTTPGET, 1L);
    }
    SET(x, CURLOPT_CUSTOMREQUEST, request->method);
}

/* HTTP in clear to the relay, which carries it on under TLS. */
static void set_connection(struct exchange *x)
{
    char url[sizeof x->request->url];

    /* The Host header comes from it. */
    snprintf(url, sizeof url, SCHEME_CLEAR "%s", x->request->url + strlen(SCHEME_SECURE));
    SET(x, CURLOPT_URL, url);
    SET(x, CURLOPT_PROTOCOLS_STR, "http");
    SET(x, CURLOPT_PROXY, "");
    SET(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(x, CURLOPT_FOLLOWLOCATION, 0L);
    SET(x, CURLOPT_NOSIGNAL, 1L);
    SET(x, CURLOPT_FRESH_CONNECT, 1L);
    SET(x, CURLOPT_FORBID_REUSE, 1L);
    SET(x, CURLOPT_ABSTRACT_UNIX_SOCKET, http_connection_socket(x->connection));
}

static void set_transport(struct exchange *x)
{
    const struct http_request *request = x->request;

    if (x->connection != NULL) {
        set_connection(x);
    } else {
        x->pocket = tls_pocket_take(x->client->pockets);
        http_set_connection(x->client, x->easy, x->pocket);
        SET(x, CURLOPT_URL, request->url);
        SET(x, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
        if (request->money && !MUTANT("auto_resend")) {
            http_set_money(x->easy);
            SET(x, CURLOPT_FORBID_REUSE, 1L);
        }
    }
    /* What the connection took to come up is of the same time. */
    int64_t left_ms = x->begun_boot_ms + request->timeout_ms - clock_boot_ms();
    SET(x, CURLOPT_TIMEOUT_MS, (long)(left_ms > 0 ? left_ms : 1));
}

static void set_callbacks(struct exchange *x)
{
    SET(x, CURLOPT_PRIVATE, &x->transfer);
    SET(x, CURLOPT_ERRORBUFFER, x->error);
    SET(x, CURLOPT_PREREQFUNCTION, before_sending);
    SET(x, CURLOPT_PREREQDATA, x);
    SET(x, CURLOPT_WRITEFUNCTION, take_body);
    SET(x, CURLOPT_WRITEDATA, x);
    SET(x, CURLOPT_HEADERFUNCTION, take_header);
    SET(x, CURLOPT_HEADERDATA, x);
}

static void finish(struct exchange *x, CURLcode code);

static void exchange_ended(struct http_transfer *transfer, CURLcode code)
{
    finish((struct exchange *)transfer, code);
}

/* Only arms curl's timer. */
static void start(struct exchange *x)
{
    set_transport(x);
    set_method(x);
    set_headers(x);
    set_callbacks(x);
    http_must(curl_multi_add_handle(x->client->main->curl, x->easy) == CURLM_OK);
}

static void connection_ready(void *context, CURLcode code)
{
    struct exchange *x = context;

    if (code == CURLE_OK) {
        start(x);
    } else {
        finish(x, code);
    }
}

/* The connection that came with the request, if it is good for it. */
static struct http_connection *take_connection(struct http_request *request)
{
    struct http_connection *connection = request->connection;

    request->connection = NULL;
    if (connection != NULL &&
        (MUTANT("auto_resend") || !http_connection_serves(connection, request->url))) {
        http_connection_close(connection);
        return NULL;
    }
    return connection;
}

void http_send(struct http_client *client, struct http_request *request, http_done *done,
               void *context)
{
    struct exchange *x = memory_new(sizeof *x);

    assert(request->connect_timeout_ms > 0 && request->timeout_ms > 0);
    assert(request->connection == NULL || request->money);
    *x = (struct exchange){.transfer = {exchange_ended},
                           .client = client,
                           .request = request,
                           .done = done,
                           .context = context,
                           .begun_boot_ms = clock_boot_ms()};
    x->easy = curl_easy_init();
    http_must(x->easy != NULL);
    x->next = client->running;
    x->link = &client->running;
    if (x->next != NULL) {
        x->next->link = &x->next;
    }
    client->running = x;
    x->connection = take_connection(request);
    if (x->connection == NULL) {
        start(x);
    } else {
        http_connection_await(x->connection, connection_ready, x);
    }
}

/* -- The end of an exchange ------------------------------------------------------------------ */

static void fill_result(struct exchange *x, CURLcode code, struct http_result *result)
{
    long size = 0;
    const char *type = NULL;

    http_must(curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &size) == CURLE_OK);
    http_must(curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &result->status) == CURLE_OK);
    http_must(curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK);
    result->curl_code = (int)code;
    /* Stricter than the size alone: a write that TLS holds back half-done counts as sent. */
    result->nothing_sent = size == 0 && x->sendings == 0;
    result->sent_once = x->sendings <= 1;
    result->body = x->body == NULL ? "" : x->body;
    result->body_size = x->body_size;
    result->body_too_large = x->body_too_large;
    snprintf(result->content_type, sizeof result->content_type, "%s", type == NULL ? "" : type);
    snprintf(result->request_id, sizeof result->request_id, "%s", x->request_id);
    const char *connection_error =
        x->connection == NULL ? "" : http_connection_error(x->connection);
    if (code != CURLE_OK) {
        snprintf(result->error_text, sizeof result->error_text, "%.*s",
                 (int)sizeof result->error_text - 1,
                 connection_error[0] != '\0' ? connection_error
                 : x->error[0] != '\0'       ? x->error
                                             : curl_easy_strerror(code));
    }
}

/* The socket, the secrets and what curl holds. Takes the exchange. */
static void close_exchange(struct exchange *x)
{
    /* Also one that never was added: nothing happens then. */
    http_must(curl_multi_remove_handle(x->client->main->curl, x->easy) == CURLM_OK);
    curl_easy_cleanup(x->easy);
    http_connection_close(x->connection);
    if (x->pocket != NULL) {
        tls_pocket_give_back(x->client->pockets, x->pocket);
    }
    curl_slist_free_all(x->headers);
    http_request_free(x->request);
    memory_free(x->body);
    memory_free(x);
}

void http_clear_up(struct http_client *client)
{
    while (client->told != NULL) {
        struct exchange *x = client->told;
        client->told = x->next;
        close_exchange(x);
    }
}

static void finish(struct exchange *x, CURLcode code)
{
    struct http_result result = {0};
    bool complete = code == CURLE_OK;

    *x->link = x->next;
    if (x->next != NULL) {
        x->next->link = x->link;
    }
    fill_result(x, code, &result);
    if (complete) {
        /* What is set off by the answer goes first; clearing up can wait for it. */
        x->done(x->context, &result);
        x->next = x->client->told;
        x->client->told = x;
        event_active(x->client->clearing, 0, 0);
        return;
    }
    /* Unclear: nothing of it may arrive any more once somebody hears of it. */
    struct exchange told = *x;
    x->body = NULL;
    close_exchange(x);
    told.done(told.context, &result);
    memory_free(told.body);
}

void http_cancel(struct http_client *client, http_done *done, void *context)
{
    for (struct exchange *x = client->running; x != NULL; x = x->next) {
        if (x->done == done && x->context == context) {
            assert(!x->request->money);
            finish(x, CURLE_ABORTED_BY_CALLBACK);
            return;
        }
    }
}

void http_abort_all(struct http_client *client)
{
    while (client->running != NULL) {
        finish(client->running, CURLE_ABORTED_BY_CALLBACK);
    }
    http_clear_up(client);
}
