/* Serves messages: who may ask, when it is too much or too late, and the way of each answer back.
 * Must never run a handler for a peer without the right, nor decode before the right is known. */
#include "ipc/server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/message_table.h"
#include "ipc/server_state.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SHED_LOG_INTERVAL_MS 1000
#define DRAIN_TURN_MS 20

static void log_client(enum log_kind kind, const struct client_peer *client, const char *what)
{
    char origin[80];
    snprintf(origin, sizeof(origin), "%s%s%s", client->share->location,
             client->share->location[0] ? "/" : "", client->share->pos);
    log_event(kind, {"KOMETPAY_PEER", origin}, {"KOMETPAY_REASON", what});
}

static void log_shed(struct ipc_server *server, const struct client_peer *client,
                     const char *message)
{
    int64_t now = clock_boot_ms();
    if (now - server->shed_logged_boot_ms >= SHED_LOG_INTERVAL_MS) {
        server->shed_logged_boot_ms = now;
        log_client(LOG_REQUEST_SHED, client, message);
    }
}

static void request_start(struct client_peer *client, ipc_handler *handle, enum message_type type,
                          uint64_t correlation, void *message, int64_t deadline_boot_ms)
{
    struct ipc_server *server = client->server;
    struct ipc_request *request = calloc(1, sizeof(*request));
    if (!request) {
        abort();
    }
    request->server = server;
    request->client = client;
    request->share = client->share;
    request->type = type;
    request->message = message;
    request->correlation = correlation;
    request->deadline_boot_ms = deadline_boot_ms;
    request->peers = client->peers;
    memcpy(request->location, client->share->location, sizeof(request->location));
    memcpy(request->pos, client->share->pos, sizeof(request->pos));
    peer_share_begin(client->share);
    LIST_INSERT_HEAD(&client->requests, request, link);
    server->in_flight++;
    client->in_flight++;
    peer_update_hold(client);
    handle(server->options.context, request, message);
}

/* The server's limit over all, or this peer's part of it: one greedy peer leaves room for others.
 */
static bool too_busy(const struct client_peer *client)
{
    const struct ipc_server *server = client->server;
    unsigned part = server->options.peer_busy_max;
    return server->draining || server->in_flight >= server->options.busy_max ||
           (part > 0 && client->share->in_flight >= part);
}

/* Why this request is refused before its payload is looked at; NULL if it isn't. */
static const char *refuse_early(struct client_peer *client, const struct frame_header *header,
                                const struct message_row *row, const char **sentence)
{
    struct ipc_server *server = client->server;
    *sentence = "";
    if (!row || !row->answer) {
        *sentence = "No request has this number.";
        return "message_unknown";
    }
    if (!peer_may_send(client->peers, row->type, server->options.daemon)) {
        if (!client->right_logged) {
            client->right_logged = true;
            log_client(LOG_RIGHT_REFUSED, client, row->record->name);
        }
        *sentence = "This peer may not send this request here.";
        return "right_refused";
    }
    if (!server->handlers[row - MESSAGE_ROWS]) {
        *sentence = "This daemon doesn't serve this request.";
        return "message_unknown";
    }
    if (header->flags & FRAME_ANSWER) {
        *sentence = "A request may not be marked as an answer.";
        return "frame_flags";
    }
    if ((header->flags & FRAME_SENT_AT) && client->share->location[0]) {
        *sentence = "Another machine's clock says nothing here.";
        return "frame_flags";
    }
    if (header->length > row->payload_max) {
        *sentence = "This request can't be that long.";
        return "frame_too_long";
    }
    if (too_busy(client)) {
        log_shed(server, client, row->record->name);
        *sentence = "Too busy just now; send the same request again later.";
        return "busy";
    }
    return NULL;
}

/* Refused by its header, a frame costs neither memory nor the time until the rest is here. */
static bool on_begun(void *context, const struct frame_header *header)
{
    struct client_peer *client = context;
    const char *sentence;
    const char *code = refuse_early(client, header, message_row(header->type), &sentence);
    if (code) {
        peer_send_refusal(client, header->correlation, code, sentence);
    }
    return code == NULL;
}

/* When the caller's time began to run. */
static int64_t sent_at(const struct frame_header *header, int64_t received_boot_ms)
{
    uint32_t waited_ms = (uint32_t)received_boot_ms - header->sent_ms;
    bool told = (header->flags & FRAME_SENT_AT) && waited_ms <= INT32_MAX; /* not in the future */
    return told ? received_boot_ms - waited_ms : received_boot_ms;
}

static void on_frame(void *context, const struct frame_header *header, const char *payload,
                     int64_t received_boot_ms)
{
    struct client_peer *client = context;
    TAILQ_REMOVE(&client->server->clients, client, link);
    TAILQ_INSERT_TAIL(&client->server->clients, client, link);
    const struct message_row *row = message_row(header->type);
    const char *sentence;
    const char *code = refuse_early(client, header, row, &sentence);
    if (code) {
        peer_send_refusal(client, header->correlation, code, sentence);
        return;
    }
    int64_t deadline = header->left_ms ? sent_at(header, received_boot_ms) + header->left_ms : 0;
    if (deadline && clock_boot_ms() >= deadline) {
        peer_send_refusal(client, header->correlation, "deadline_passed",
                          "The caller's time was over before the work began; nothing was done.");
        return;
    }
    void *message;
    struct error *e = message_decode(row->type, payload, header->length, &message);
    if (e) {
        peer_send_error(client, header->correlation, e);
        error_free(e);
        return;
    }
    request_start(client, client->server->handlers[row - MESSAGE_ROWS], row->type,
                  header->correlation, message, deadline);
}

static void on_bad_frame(void *context, const struct frame_header *header, const struct error *e)
{
    struct client_peer *client = context;
    log_client(LOG_FRAME_REFUSED, client, e->code);
    peer_send_error(client, header->correlation, e);
}

static struct client_peer *longest_idle(const struct ipc_server *server)
{
    struct client_peer *client = TAILQ_FIRST(&server->clients);
    while (client && client->in_flight > 0) {
        client = TAILQ_NEXT(client, link);
    }
    return client;
}

static bool has_room(const struct ipc_server *server)
{
    return server->connections < server->options.connections_max || longest_idle(server);
}

void server_resume_acceptors(struct ipc_server *server)
{
    if (!server->draining && has_room(server)) {
        for (unsigned i = 0; i < server->acceptor_count; i++) {
            acceptor_resume(server->acceptors[i]);
        }
    }
}

static void client_close(struct client_peer *client)
{
    struct ipc_server *server = client->server;
    while (!LIST_EMPTY(&client->requests)) {
        struct ipc_request *request = LIST_FIRST(&client->requests);
        LIST_REMOVE(request, link);
        request->client = NULL;
        LIST_INSERT_HEAD(&server->orphans, request, link);
    }
    TAILQ_REMOVE(&server->clients, client, link);
    connection_free(client->connection);
    peer_share_leave(client->share);
    free(client);
    server->connections--;
}

static void on_broken(void *context, const char *reason)
{
    struct client_peer *client = context;
    struct ipc_server *server = client->server;
    log_client(LOG_PEER_DISCONNECTED, client, reason);
    client_close(client);
    server_resume_acceptors(server);
}

static const struct connection_events CLIENT_EVENTS = {
    .begun = on_begun,
    .frame = on_frame,
    .bad_frame = on_bad_frame,
    .broken = on_broken,
};

static struct connection_options client_options(struct ipc_server *server)
{
    return (struct connection_options){
        .side = CONNECTION_SERVES,
        .frame_timeout_ms = server->options.frame_timeout_ms,
        .room = &server->room,
    };
}

static struct client_peer *client_new(struct ipc_server *server, unsigned peers,
                                      const char *location, const char *pos)
{
    struct client_peer *client = calloc(1, sizeof(*client));
    if (!client) {
        abort();
    }
    client->server = server;
    client->peers = peers;
    client->share = peer_share_join(&server->shares, location, pos);
    LIST_INIT(&client->requests);
    TAILQ_INSERT_TAIL(&server->clients, client, link);
    server->connections++;
    return client;
}

/* A full server gives up the connection that has been idle for longest: its peer connects again
 * when it has something to ask. */
static void make_room(struct ipc_server *server)
{
    struct client_peer *client = longest_idle(server);
    if (client && server->connections >= server->options.connections_max) {
        log_client(LOG_PEER_DISCONNECTED, client, "idle, and others want to connect");
        client_close(client);
    }
}

/* A peer that has its part of the connections is told so, and goes. */
static void limit_peer(struct client_peer *client)
{
    unsigned part = client->server->options.peer_connections_max;
    if (part > 0 && client->share->connections > part) {
        log_shed(client->server, client, "connection above this peer's limit");
        peer_send_refusal(client, 0, "busy", "Too many connections of this peer; close some.");
        connection_end(client->connection, "too many connections of this peer");
    }
}

static bool on_accepted(void *context, int fd)
{
    struct ipc_server *server = context;
    char pos[sizeof(((struct peer_share *)NULL)->pos)] = "";
    struct ucred who;
    socklen_t size = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0) {
        snprintf(pos, sizeof(pos), "uid:%u", (unsigned)who.uid);
    }
    make_room(server);
    struct client_peer *client = client_new(server, peers_of_socket(fd), "", pos);
    struct connection_options options = client_options(server);
    client->connection = connection_new(server->loop, fd, &options, &CLIENT_EVENTS, client);
    log_client(LOG_PEER_CONNECTED, client, "accepted");
    limit_peer(client);
    return has_room(server);
}

void ipc_server_adopt(struct ipc_server *server, struct bufferevent *stream, unsigned peers,
                      const char *location, const char *pos)
{
    make_room(server);
    if (server->draining || server->connections >= server->options.connections_max) {
        int64_t now = clock_boot_ms();
        if (now - server->refused_logged_boot_ms >= SHED_LOG_INTERVAL_MS) {
            server->refused_logged_boot_ms = now;
            log_event(LOG_PEER_REFUSED,
                      {"KOMETPAY_REASON", server->draining ? "stopping" : "connections_max"},
                      {"KOMETPAY_LOCATION", location}, {"KOMETPAY_PEER", pos});
        }
        bufferevent_free(stream);
        return;
    }
    struct client_peer *client = client_new(server, peers, location, pos);
    struct connection_options options = client_options(server);
    client->connection = connection_adopt(server->loop, stream, &options, &CLIENT_EVENTS, client);
    log_client(LOG_PEER_CONNECTED, client, "adopted");
    limit_peer(client);
}

struct ipc_server *ipc_server_new(struct loop *loop, const struct ipc_server_options *options)
{
    assert(options->connections_max > 0 && options->in_flight_max > 0 && options->busy_max > 0);
    struct ipc_server *server = calloc(1, sizeof(*server));
    if (!server) {
        abort();
    }
    server->loop = loop;
    server->options = *options;
    for (const struct ipc_service *service = options->services; service->handle; service++) {
        const struct message_row *row = message_row(service->type);
        assert(row && row->answer && !server->handlers[row - MESSAGE_ROWS]);
        server->handlers[row - MESSAGE_ROWS] = service->handle;
    }
    frame_room_start(&server->room, FRAME_ROOM_BYTES);
    TAILQ_INIT(&server->clients);
    LIST_INIT(&server->shares);
    LIST_INIT(&server->orphans);
    return server;
}

void ipc_server_listen(struct ipc_server *server, int listen_fd)
{
    assert(server->acceptor_count < ACCEPTORS_MAX);
    server->acceptors[server->acceptor_count++] =
        acceptor_new(server->loop, listen_fd, on_accepted, server);
}

static void stop_listening(struct ipc_server *server)
{
    while (server->acceptor_count > 0) {
        acceptor_free(server->acceptors[--server->acceptor_count]);
    }
}

/* A request is off our hands when its answer has left us, not when it was written down. */
static bool all_has_left(const struct ipc_server *server)
{
    if (server->in_flight > 0) {
        return false;
    }
    const struct client_peer *client;
    TAILQ_FOREACH(client, &server->clients, link)
    {
        if (connection_waiting(client->connection) > 0) {
            return false;
        }
    }
    return true;
}

static void drain_turn(void *context)
{
    struct ipc_server *server = context;
    if (all_has_left(server) || clock_boot_ms() >= server->drain_until_boot_ms) {
        server->drained(server->drained_context);
        return;
    }
    timer_arm(server->drain_turn, DRAIN_TURN_MS);
}

void ipc_server_drain(struct ipc_server *server, int64_t max_ms, ipc_drained *done, void *context)
{
    assert(!server->draining);
    server->draining = true;
    server->drained = done;
    server->drained_context = context;
    server->drain_until_boot_ms = clock_boot_ms() + max_ms;
    stop_listening(server);
    server->drain_turn = timer_new(server->loop, drain_turn, server);
    timer_arm(server->drain_turn, 0);
}

unsigned ipc_server_in_flight(const struct ipc_server *server)
{
    return server->in_flight;
}

unsigned ipc_server_connections(const struct ipc_server *server)
{
    return server->connections;
}

void ipc_server_free(struct ipc_server *server)
{
    if (!server) {
        return;
    }
    stop_listening(server);
    for (struct client_peer *client = TAILQ_FIRST(&server->clients), *next; client; client = next) {
        next = TAILQ_NEXT(client, link);
        client_close(client);
    }
    while (!LIST_EMPTY(&server->orphans)) {
        struct ipc_request *request = LIST_FIRST(&server->orphans);
        LIST_REMOVE(request, link);
        peer_share_end(request->share); /* the list of shares goes with us */
        request->share = NULL;
        request->server = NULL;
    }
    timer_free(server->drain_turn);
    free(server);
}
