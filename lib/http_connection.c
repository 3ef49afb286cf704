/* A connection that is opened before its request is known: curl makes it, TLS and all
 * (CONNECT_ONLY), and a relay joins it to the curl handle that later speaks HTTP, which connects to
 * a socket of this process. Must never carry more than one request, a byte of anybody else, or a
 * byte that the exchange did not give it. */
#include "lib/http_connection.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/http_client.h"
#include "lib/memory.h"

/* Older ones the other side may be about to close. */
#define CONNECTION_MAX_AGE_MS 2000
#define PIECE_BYTES 16384u /* as much as a TLS record holds */
#define LISTENER_QUEUE 16  /* room beside others of this host, who are turned away */

enum connection_state {
    CONNECTION_OPENING,
    CONNECTION_STANDING,
    CONNECTION_BROKEN, /* by `code`; CURLE_OK: the other side closed it */
};

struct http_connection {
    struct http_transfer transfer; /* first: see http_client.h */
    struct http_client *client;
    enum connection_state state;
    CURLcode code;
    struct http_multi *multi; /* its own */
    CURL *easy;
    struct tls_pocket *pocket;
    char *origin;          /* "https://host:port" */
    bool stood;            /* it came up */
    int64_t since_boot_ms; /* it came up, or didn't; 0: it is being opened */
    void (*ready)(void *context, CURLcode code);
    void *context;
    struct event *telling; /* calls `ready` */
    struct event *wire_in; /* the processor's side ... */
    struct event *wire_out;
    int listener; /* where the exchange connects; -1: it has, or never will */
    struct event *listener_in;
    char listener_name[16];
    int plain; /* ... and ours, with the exchange at the other end; -1: none yet */
    struct event *plain_in;
    struct event *plain_out;
    unsigned char *held; /* of the answer: what the exchange has not taken yet */
    size_t held_from, held_to;
    char error[CURL_ERROR_SIZE];
};

static struct event *watch(struct http_connection *connection, int fd, short what,
                           event_callback_fn happened)
{
    struct event *event =
        event_new(loop_base(connection->client->loop), fd, what, happened, connection);

    http_must(event != NULL);
    return event;
}

static void unwatch(struct event **event)
{
    if (*event != NULL) {
        event_free(*event);
        *event = NULL;
    }
}

static void listener_shut(struct http_connection *connection)
{
    unwatch(&connection->listener_in);
    if (connection->listener >= 0) {
        close(connection->listener);
        connection->listener = -1;
    }
}

static void connection_break(struct http_connection *connection, CURLcode code)
{
    connection->state = CONNECTION_BROKEN;
    connection->code = code;
    unwatch(&connection->wire_in);
    unwatch(&connection->wire_out);
    unwatch(&connection->plain_in);
    unwatch(&connection->plain_out);
    listener_shut(connection);
    if (connection->plain >= 0) {
        close(connection->plain); /* the exchange reads to here and sees the end */
        connection->plain = -1;
    }
}

/* -- The answer: from the processor to the exchange ------------------------------------------- */

/* False when the exchange must take some first, or it is broken. */
static bool pass_held(struct http_connection *connection)
{
    while (connection->held_from < connection->held_to) {
        ssize_t n = send(connection->plain, connection->held + connection->held_from,
                         connection->held_to - connection->held_from, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            event_add(connection->plain_out, NULL);
            event_del(connection->wire_in);
            return false;
        }
        if (n <= 0) {
            connection_break(connection, CURLE_OK); /* nobody reads any more */
            return false;
        }
        connection->held_from += (size_t)n;
    }
    return true;
}

static void pass_answer(struct http_connection *connection)
{
    while (pass_held(connection)) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(connection->easy, connection->held, PIECE_BYTES, &n);
        if (code == CURLE_AGAIN) {
            return; /* perhaps a TLS ticket was read: not a byte for us */
        }
        /* Bytes before a request was sent are no answer to it. */
        if (code != CURLE_OK || n == 0 || connection->plain < 0) {
            connection_break(connection, code);
            return;
        }
        connection->held_from = 0;
        connection->held_to = n;
    }
}

static void on_wire_in(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    pass_answer(context);
}

static void on_plain_out(evutil_socket_t fd, short what, void *context)
{
    struct http_connection *connection = context;

    (void)fd;
    (void)what;
    event_add(connection->wire_in, NULL);
    pass_answer(connection);
}

/* -- The request: from the exchange to the processor ------------------------------------------ */

/* One piece is looked at, sent, and only then taken, so that none is kept here. */
static bool pass_piece(struct http_connection *connection)
{
    unsigned char piece[PIECE_BYTES];
    ssize_t n = recv(connection->plain, piece, sizeof piece, MSG_PEEK | MSG_DONTWAIT);

    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            event_del(connection->plain_in); /* the exchange has ended */
        }
        return false;
    }
    size_t sent = 0;
    CURLcode code = curl_easy_send(connection->easy, piece, (size_t)n, &sent);
    if (code == CURLE_OK) {
        ssize_t taken = recv(connection->plain, piece, sent, MSG_DONTWAIT);
        http_must(taken == (ssize_t)sent);
    } else if (code == CURLE_AGAIN) {
        event_del(connection->plain_in);
        event_add(connection->wire_out, NULL);
    } else {
        connection_break(connection, code);
    }
    secret_wipe(piece, (size_t)n);
    return code == CURLE_OK;
}

static void pass_request(struct http_connection *connection)
{
    while (pass_piece(connection)) {
    }
}

static void on_plain_in(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    pass_request(context);
}

static void on_wire_out(evutil_socket_t fd, short what, void *context)
{
    struct http_connection *connection = context;

    (void)fd;
    (void)what;
    event_add(connection->plain_in, NULL);
    pass_request(connection);
}

/* -- The exchange comes ------------------------------------------------------------------------ */

static void on_listener_in(evutil_socket_t fd, short what, void *context)
{
    struct http_connection *connection = context;
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    int end = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)what;
    if (end < 0) {
        return; /* gone again */
    }
    if (getsockopt(end, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid != getpid()) {
        close(end); /* all can see the name; only we may come */
        return;
    }
    listener_shut(connection);
    connection->plain = end;
    connection->plain_in = watch(connection, end, EV_READ | EV_PERSIST, on_plain_in);
    connection->plain_out = watch(connection, end, EV_WRITE, on_plain_out);
    event_add(connection->plain_in, NULL);
    pass_request(connection);
}

/* The kernel finds a free name. False when the system has no socket left. */
static bool listener_open(struct http_connection *connection)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t size = sizeof name;

    connection->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->listener < 0 ||
        bind(connection->listener, (struct sockaddr *)&name, sizeof name.sun_family) != 0 ||
        getsockname(connection->listener, (struct sockaddr *)&name, &size) != 0 ||
        listen(connection->listener, LISTENER_QUEUE) != 0) {
        return false;
    }
    size_t n = size - offsetof(struct sockaddr_un, sun_path) - 1; /* a NUL comes first */
    http_must(n < sizeof connection->listener_name);
    memcpy(connection->listener_name, name.sun_path + 1, n);
    connection->listener_in =
        watch(connection, connection->listener, EV_READ | EV_PERSIST, on_listener_in);
    event_add(connection->listener_in, NULL);
    return true;
}

/* -- Opening ----------------------------------------------------------------------------------- */

static void tell_ready(evutil_socket_t fd, short what, void *context)
{
    struct http_connection *connection = context;
    void (*ready)(void *, CURLcode) = connection->ready;

    (void)fd;
    (void)what;
    connection->ready = NULL;
    CURLcode code = connection->state == CONNECTION_STANDING ? CURLE_OK
                    : connection->code == CURLE_OK           ? CURLE_COULDNT_CONNECT
                                                             : connection->code;
    ready(connection->context, code);
}

static void connection_ended(struct http_transfer *transfer, CURLcode code)
{
    struct http_connection *connection = (struct http_connection *)transfer;
    curl_socket_t fd = CURL_SOCKET_BAD;

    connection->since_boot_ms = clock_boot_ms();
    if (code == CURLE_OK) {
        http_must(curl_easy_getinfo(connection->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK);
        if (fd == CURL_SOCKET_BAD || !listener_open(connection)) {
            code = CURLE_COULDNT_CONNECT;
        }
    }
    if (code == CURLE_OK) {
        connection->state = CONNECTION_STANDING;
        connection->stood = true;
        connection->wire_in = watch(connection, fd, EV_READ | EV_PERSIST, on_wire_in);
        connection->wire_out = watch(connection, fd, EV_WRITE, on_wire_out);
        event_add(connection->wire_in, NULL);
    } else {
        connection_break(connection, code);
    }
    if (connection->ready != NULL) {
        tell_ready(-1, 0, connection);
    }
}

struct http_connection *http_connection_open(struct http_client *client, const char *origin,
                                             int64_t connect_timeout_ms)
{
    struct http_connection *connection = memory_new(sizeof *connection);

    *connection = (struct http_connection){
        .transfer = {connection_ended}, .client = client, .listener = -1, .plain = -1};
    connection->easy = curl_easy_init();
    connection->origin = strdup(origin);
    connection->held = memory_malloc(PIECE_BYTES);
    http_must(connection->easy != NULL && connection->origin != NULL && connection->held != NULL);
    connection->pocket = tls_pocket_take(client->pockets);
    connection->telling = watch(connection, -1, 0, tell_ready);
    http_set_connection(client, connection->easy, connection->pocket);
    http_set_money(connection->easy);
    HTTP_SET(connection->easy, CURLOPT_URL, origin);
    /* Forbids reuse too: curl lends such a connection to nobody, and closes it with its handle. */
    HTTP_SET(connection->easy, CURLOPT_CONNECT_ONLY, 1L);
    HTTP_SET(connection->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_timeout_ms);
    HTTP_SET(connection->easy, CURLOPT_PRIVATE, &connection->transfer);
    HTTP_SET(connection->easy, CURLOPT_ERRORBUFFER, connection->error);
    connection->multi = http_multi_take(client);
    http_must(curl_multi_add_handle(connection->multi->curl, connection->easy) == CURLM_OK);
    return connection;
}

void http_connection_close(struct http_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    connection_break(connection, CURLE_ABORTED_BY_CALLBACK);
    unwatch(&connection->telling);
    http_must(curl_multi_remove_handle(connection->multi->curl, connection->easy) == CURLM_OK);
    curl_easy_cleanup(connection->easy);
    http_multi_give_back(connection->client, connection->multi);
    tls_pocket_give_back(connection->client->pockets, connection->pocket);
    memory_free(connection->held);
    free(connection->origin);
    free(connection);
}

/* -- Taking over ------------------------------------------------------------------------------- */

bool http_connection_serves(const struct http_connection *connection, const char *url)
{
    size_t n = strlen(connection->origin);

    if (strncmp(connection->origin, url, n) != 0 || url[n] != '/') {
        return false;
    }
    if (connection->state == CONNECTION_OPENING) {
        return true;
    }
    /* One that never came up is told as it is, like a connection opened now that does not. */
    bool as_new = connection->state == CONNECTION_STANDING || !connection->stood;
    return as_new && clock_boot_ms() - connection->since_boot_ms < CONNECTION_MAX_AGE_MS;
}

void http_connection_await(struct http_connection *connection,
                           void (*ready)(void *context, CURLcode code), void *context)
{
    assert(connection->ready == NULL);
    connection->ready = ready;
    connection->context = context;
    if (connection->state != CONNECTION_OPENING) {
        event_active(connection->telling, 0, 0);
    }
}

const char *http_connection_socket(const struct http_connection *connection)
{
    assert(connection->state == CONNECTION_STANDING && connection->listener >= 0);
    return connection->listener_name;
}

const char *http_connection_error(const struct http_connection *connection)
{
    if (connection->error[0] != '\0') {
        return connection->error;
    }
    return connection->state == CONNECTION_BROKEN && connection->code != CURLE_OK
               ? curl_easy_strerror(connection->code)
               : "";
}
