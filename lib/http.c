/* HTTPS exchanges on a libcurl multi handle under the loop.
 * Must never send a money request twice, follow a redirect, or go through a proxy: each would
 * spoil the proof of what was sent. */
#include "lib/http.h"

#include <assert.h>
#include <curl/curl.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/memory.h"
#include "lib/mutant.h"
#include "lib/tls_pocket.h"

#define HEADER_BYTES_MAX (64u * 1024u)
#define TCP_PATIENCE_MS 20000u

struct exchange {
    struct exchange *next;
    struct exchange **link; /* what points to us */
    struct http_client *client;
    struct http_request *request;
    http_done *done;
    void *context;
    CURL *easy;
    struct tls_pocket *pocket;
    struct curl_slist *headers;
    unsigned sendings; /* how often curl set out to send the request */
    char *body;
    size_t body_size;
    size_t body_room;
    size_t header_bytes;
    bool body_too_large;
    char request_id[96];
    char error[CURL_ERROR_SIZE];
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

static void must(bool ok)
{
    assert(ok);
    if (!ok) {
        abort();
    }
}

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

/* Linger 0: what is still queued when we give up is thrown away, not sent later. */
static int prepare_socket(void *context, curl_socket_t fd, curlsocktype purpose)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    const unsigned patience = TCP_PATIENCE_MS;

    (void)context;
    (void)purpose;
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience) != 0) {
        return CURL_SOCKOPT_ERROR;
    }
    return CURL_SOCKOPT_OK;
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

#define SET(x, option, value) must(curl_easy_setopt((x)->easy, option, value) == CURLE_OK)

static void add_header(struct exchange *x, const char *line)
{
    x->headers = curl_slist_append(x->headers, line);
    must(x->headers != NULL);
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

static void set_transport(struct exchange *x)
{
    const struct http_request *request = x->request;

    SET(x, CURLOPT_URL, request->url);
    SET(x, CURLOPT_PROTOCOLS_STR, "https");
    SET(x, CURLOPT_PROXY, "");
    SET(x, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(x, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(x, CURLOPT_FOLLOWLOCATION, 0L);
    SET(x, CURLOPT_NOSIGNAL, 1L);
    SET(x, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
    SET(x, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    SET(x, CURLOPT_SHARE, tls_pocket_tickets(x->pocket));
    if (x->client->ca_file != NULL) {
        SET(x, CURLOPT_CAINFO, x->client->ca_file);
    }
    /* One file is all: curl's own folder would be trusted besides ours, and with a folder curl
     * reads all certificates anew for each connection. */
    SET(x, CURLOPT_CAPATH, NULL);
    if (request->money && !MUTANT("auto_resend")) {
        SET(x, CURLOPT_FRESH_CONNECT, 1L);
        SET(x, CURLOPT_FORBID_REUSE, 1L);
        SET(x, CURLOPT_SOCKOPTFUNCTION, prepare_socket);
    }
}

static void set_callbacks(struct exchange *x)
{
    SET(x, CURLOPT_PRIVATE, x);
    SET(x, CURLOPT_ERRORBUFFER, x->error);
    SET(x, CURLOPT_PREREQFUNCTION, before_sending);
    SET(x, CURLOPT_PREREQDATA, x);
    SET(x, CURLOPT_WRITEFUNCTION, take_body);
    SET(x, CURLOPT_WRITEDATA, x);
    SET(x, CURLOPT_HEADERFUNCTION, take_header);
    SET(x, CURLOPT_HEADERDATA, x);
}

void http_send(struct http_client *client, struct http_request *request, http_done *done,
               void *context)
{
    struct exchange *x = memory_new(sizeof *x);

    assert(request->connect_timeout_ms > 0 && request->timeout_ms > 0);
    *x = (struct exchange){.client = client, .request = request, .done = done, .context = context};
    x->easy = curl_easy_init();
    must(x->easy != NULL);
    x->pocket = tls_pocket_take(client->pockets);
    set_transport(x);
    set_method(x);
    set_headers(x);
    set_callbacks(x);
    x->next = client->running;
    x->link = &client->running;
    if (x->next != NULL) {
        x->next->link = &x->next;
    }
    client->running = x;
    /* Only arms curl's timer, so nothing is answered from inside this call. */
    must(curl_multi_add_handle(client->multi, x->easy) == CURLM_OK);
}

/* -- The end of an exchange ------------------------------------------------------------------ */

static void fill_result(struct exchange *x, CURLcode code, struct http_result *result)
{
    long size = 0;
    const char *type = NULL;

    must(curl_easy_getinfo(x->easy, CURLINFO_REQUEST_SIZE, &size) == CURLE_OK);
    must(curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &result->status) == CURLE_OK);
    must(curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK);
    result->curl_code = (int)code;
    /* Stricter than the size alone: a write that TLS holds back half-done counts as sent. */
    result->nothing_sent = size == 0 && x->sendings == 0;
    result->sent_once = x->sendings <= 1;
    result->body = x->body == NULL ? "" : x->body;
    result->body_size = x->body_size;
    result->body_too_large = x->body_too_large;
    snprintf(result->content_type, sizeof result->content_type, "%s", type == NULL ? "" : type);
    snprintf(result->request_id, sizeof result->request_id, "%s", x->request_id);
    if (code != CURLE_OK) {
        snprintf(result->error_text, sizeof result->error_text, "%.*s",
                 (int)sizeof result->error_text - 1,
                 x->error[0] != '\0' ? x->error : curl_easy_strerror(code));
    }
}

/* The socket, the secrets and what curl holds. Takes the exchange. */
static void close_exchange(struct exchange *x)
{
    must(curl_multi_remove_handle(x->client->multi, x->easy) == CURLM_OK);
    curl_easy_cleanup(x->easy);
    tls_pocket_give_back(x->client->pockets, x->pocket);
    curl_slist_free_all(x->headers);
    http_request_free(x->request);
    memory_free(x->body);
    memory_free(x);
}

static void clear_up(evutil_socket_t fd, short what, void *context)
{
    struct http_client *client = context;

    (void)fd;
    (void)what;
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

static void finish_all_done(struct http_client *client)
{
    int left = 0;

    for (CURLMsg *m = curl_multi_info_read(client->multi, &left); m != NULL;
         m = curl_multi_info_read(client->multi, &left)) {
        if (m->msg == CURLMSG_DONE) {
            struct exchange *x = NULL;
            CURLcode code = m->data.result;
            must(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x) == CURLE_OK);
            finish(x, code);
        }
    }
}

/* -- curl under the loop --------------------------------------------------------------------- */

static void on_socket(evutil_socket_t fd, short what, void *context)
{
    struct http_client *client = context;
    int flags = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running = 0;

    must(curl_multi_socket_action(client->multi, fd, flags, &running) == CURLM_OK);
    finish_all_done(client);
}

static void on_timeout(evutil_socket_t fd, short what, void *context)
{
    struct http_client *client = context;
    int running = 0;

    (void)fd;
    (void)what;
    must(curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running) == CURLM_OK);
    finish_all_done(client);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    struct http_client *client = context;
    struct event *event = socket_context;

    (void)easy;
    if (event != NULL) {
        event_free(event);
    }
    if (what == CURL_POLL_REMOVE) {
        return 0;
    }
    short kind = (short)((what & CURL_POLL_IN ? EV_READ : 0) |
                         (what & CURL_POLL_OUT ? EV_WRITE : 0) | EV_PERSIST);
    event = event_new(loop_base(client->loop), fd, kind, on_socket, client);
    must(event != NULL && event_add(event, NULL) == 0);
    must(curl_multi_assign(client->multi, fd, event) == CURLM_OK);
    return 0;
}

static int watch_time(CURLM *multi, long ms, void *context)
{
    struct http_client *client = context;

    (void)multi;
    if (ms < 0) {
        evtimer_del(client->timer);
    } else {
        struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
        must(evtimer_add(client->timer, &tv) == 0);
    }
    return 0;
}

struct http_client *http_client_new(struct loop *loop, const char *ca_file)
{
    struct http_client *client = memory_new(sizeof *client);

    must(curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_malloc, memory_free, memory_realloc,
                              memory_strdup, memory_calloc) == CURLE_OK);
    client->loop = loop;
    client->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
    must(ca_file == NULL || client->ca_file != NULL); /* without it we would trust others */
    client->pockets = tls_pockets_new();
    client->multi = curl_multi_init();
    client->timer = evtimer_new(loop_base(loop), on_timeout, client);
    client->clearing = event_new(loop_base(loop), -1, 0, clear_up, client);
    must(client->multi != NULL && client->timer != NULL && client->clearing != NULL);
    must(curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK);
    must(curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) == CURLM_OK);
    must(curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, watch_time) == CURLM_OK);
    must(curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) == CURLM_OK);
    must(curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    while (client->running != NULL) {
        finish(client->running, CURLE_ABORTED_BY_CALLBACK);
    }
    clear_up(-1, 0, client);
    event_free(client->clearing);
    curl_multi_cleanup(client->multi);
    tls_pockets_free(client->pockets);
    event_free(client->timer);
    curl_global_cleanup();
    free(client->ca_file);
    free(client);
}
