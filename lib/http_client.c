/* libcurl's multi handle under the loop: its sockets, its timer, and who is told when a transfer
 * ends; and the settings that every connection has. Must never let a connection go through a proxy
 * or trust another authority than the one given. */
#include "lib/http_client.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/memory.h"

#define TCP_PATIENCE_MS 20000u

void http_must(bool ok)
{
    assert(ok);
    if (!ok) {
        abort();
    }
}

/* -- Settings -------------------------------------------------------------------------------- */

void http_set_connection(struct http_client *client, CURL *easy, const struct tls_pocket *pocket)
{
    HTTP_SET(easy, CURLOPT_PROTOCOLS_STR, "https");
    HTTP_SET(easy, CURLOPT_PROXY, "");
    HTTP_SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    HTTP_SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    HTTP_SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    HTTP_SET(easy, CURLOPT_NOSIGNAL, 1L);
    HTTP_SET(easy, CURLOPT_SHARE, tls_pocket_tickets(pocket));
    if (client->ca_file != NULL) {
        HTTP_SET(easy, CURLOPT_CAINFO, client->ca_file);
    }
    /* One file is all: curl's own folder would be trusted besides ours, and with a folder curl
     * reads all certificates anew for each connection. */
    HTTP_SET(easy, CURLOPT_CAPATH, NULL);
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

void http_set_money(CURL *easy)
{
    HTTP_SET(easy, CURLOPT_FRESH_CONNECT, 1L);
    HTTP_SET(easy, CURLOPT_SOCKOPTFUNCTION, prepare_socket);
}

/* -- curl under the loop --------------------------------------------------------------------- */

static void tell_ended(struct http_multi *multi)
{
    int left = 0;

    for (CURLMsg *m = curl_multi_info_read(multi->curl, &left); m != NULL;
         m = curl_multi_info_read(multi->curl, &left)) {
        if (m->msg == CURLMSG_DONE) {
            struct http_transfer *transfer = NULL;
            CURLcode code = m->data.result;
            http_must(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &transfer) == CURLE_OK);
            transfer->ended(transfer, code);
        }
    }
}

static void on_socket(evutil_socket_t fd, short what, void *context)
{
    struct http_multi *multi = context;
    int flags = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
    int running = 0;

    http_must(curl_multi_socket_action(multi->curl, fd, flags, &running) == CURLM_OK);
    tell_ended(multi);
}

static void on_timeout(evutil_socket_t fd, short what, void *context)
{
    struct http_multi *multi = context;
    int running = 0;

    (void)fd;
    (void)what;
    http_must(curl_multi_socket_action(multi->curl, CURL_SOCKET_TIMEOUT, 0, &running) == CURLM_OK);
    tell_ended(multi);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    struct http_multi *multi = context;
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
    event = event_new(loop_base(multi->loop), fd, kind, on_socket, multi);
    http_must(event != NULL && event_add(event, NULL) == 0);
    http_must(curl_multi_assign(multi->curl, fd, event) == CURLM_OK);
    return 0;
}

static int watch_time(CURLM *curl, long ms, void *context)
{
    struct http_multi *multi = context;

    (void)curl;
    if (ms < 0) {
        evtimer_del(multi->timer);
    } else {
        struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
        http_must(evtimer_add(multi->timer, &tv) == 0);
    }
    return 0;
}

static struct http_multi *multi_new(struct loop *loop)
{
    struct http_multi *multi = memory_new(sizeof *multi);
    CURLM *curl = curl_multi_init();

    multi->loop = loop;
    multi->curl = curl;
    multi->timer = evtimer_new(loop_base(loop), on_timeout, multi);
    http_must(curl != NULL && multi->timer != NULL);
    http_must(curl_multi_setopt(curl, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK &&
              curl_multi_setopt(curl, CURLMOPT_SOCKETDATA, multi) == CURLM_OK &&
              curl_multi_setopt(curl, CURLMOPT_TIMERFUNCTION, watch_time) == CURLM_OK &&
              curl_multi_setopt(curl, CURLMOPT_TIMERDATA, multi) == CURLM_OK &&
              curl_multi_setopt(curl, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING) == CURLM_OK);
    return multi;
}

static void multi_free(struct http_multi *multi)
{
    curl_multi_cleanup(multi->curl);
    event_free(multi->timer);
    free(multi);
}

struct http_multi *http_multi_take(struct http_client *client)
{
    struct http_multi *multi = client->spare;

    if (multi == NULL) {
        return multi_new(client->loop);
    }
    client->spare = multi->next;
    multi->next = NULL;
    return multi;
}

void http_multi_give_back(struct http_client *client, struct http_multi *multi)
{
    multi->next = client->spare;
    client->spare = multi;
}

/* -- The client -------------------------------------------------------------------------------- */

static void on_clearing(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    http_clear_up(context);
}

struct http_client *http_client_new(struct loop *loop, const char *ca_file)
{
    struct http_client *client = memory_new(sizeof *client);

    http_must(curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_malloc, memory_free, memory_realloc,
                                   memory_strdup, memory_calloc) == CURLE_OK);
    client->loop = loop;
    client->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
    http_must(ca_file == NULL || client->ca_file != NULL); /* without it we would trust others */
    client->pockets = tls_pockets_new();
    client->main = multi_new(loop);
    client->clearing = event_new(loop_base(loop), -1, 0, on_clearing, client);
    http_must(client->clearing != NULL);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    http_abort_all(client);
    event_free(client->clearing);
    multi_free(client->main);
    while (client->spare != NULL) {
        multi_free(http_multi_take(client));
    }
    tls_pockets_free(client->pockets);
    curl_global_cleanup();
    free(client->ca_file);
    free(client);
}
