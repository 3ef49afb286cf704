/* Serves messages: who may ask, when it is too much or too late, and the way of each answer back.
 * Must never run a handler for a peer without the right, nor decode before the right is known. */
#include "ipc/server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/acceptor.h"
#include "ipc/connection.h"
#include "ipc/message_table.h"
#include "ipc/peer_share.h"
#include "ipc/text.h"
#include "lib/clock.h"
#include "lib/log.h"

#define ACCEPTORS_MAX 4
#define SHED_LOG_INTERVAL_MS 1000

struct client_peer { /* one connected peer */
    struct ipc_server *server;
    struct connection *connection;
    struct peer_share *share; /* who it is, and all that it takes up */
    unsigned peers;
    unsigned in_flight;
    bool right_logged; /* once a connection, or a peer could flood the journal */
    LIST_HEAD(, ipc_request) requests;
    TAILQ_ENTRY(client_peer) link;
};

struct ipc_request {
    struct ipc_server *server;  /* NULL after ipc_server_free */
    struct client_peer *client; /* NULL after the peer has gone */
    struct peer_share *share;
    enum message_type type;
    void *message;
    uint64_t correlation;
    int64_t deadline_boot_ms;
    unsigned peers;
    char location[21];
    char pos[41];
    LIST_ENTRY(ipc_request) link;
};

struct ipc_server {
    struct loop *loop;
    struct ipc_server_options options;
    ipc_handler *handlers[MESSAGE_TYPE_COUNT]; /* by row of the table */
    struct acceptor *acceptors[ACCEPTORS_MAX];
    unsigned acceptor_count;
    unsigned connections;
    unsigned in_flight;
    bool draining;
    int64_t shed_logged_boot_ms;
    TAILQ_HEAD(client_peers, client_peer) clients; /* the longest idle first */
    struct peer_shares shares;
    LIST_HEAD(, ipc_request) orphans;
};

static void send_error(struct client_peer *client, uint64_t correlation, const struct error *e)
{
    struct msg_error answer = {0};
    text_copy_valid(answer.code, sizeof(answer.code), e->code[0] ? e->code : "failed");
    text_copy_valid(answer.field, sizeof(answer.field), e->field);
    text_copy_valid(answer.sentence, sizeof(answer.sentence), e->sentence);
    answer.busy = error_is(e, "busy");
    struct frame_header header = {
        .flags = FRAME_ANSWER, .type = MESSAGE_ERROR, .correlation = correlation};
    struct error *fault = connection_send(client->connection, header, &answer);
    assert(!fault); /* every text was made to fit */
}

static void send_refusal(struct client_peer *client, uint64_t correlation, const char *code,
                         const char *sentence)
{
    struct error *e = error_refused(code, "", "%s", sentence);
    send_error(client, correlation, e);
    error_free(e);
}

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

static void update_hold(struct client_peer *client)
{
    connection_hold(client->connection, client->in_flight >= client->server->options.in_flight_max);
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
    update_hold(client);
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
    if (!row || !row->senders) {
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
    if (too_busy(client)) {
        log_shed(server, client, row->record->name);
        *sentence = "Too busy just now; send the same request again later.";
        return "busy";
    }
    return NULL;
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
        send_refusal(client, header->correlation, code, sentence);
        return;
    }
    int64_t deadline = header->left_ms ? received_boot_ms + header->left_ms : 0;
    if (deadline && clock_boot_ms() >= deadline) {
        send_refusal(client, header->correlation, "deadline_passed",
                     "The caller's time was over before the work began; nothing was done.");
        return;
    }
    void *message;
    struct error *e = message_decode(row->type, payload, header->length, &message);
    if (e) {
        send_error(client, header->correlation, e);
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
    send_error(client, header->correlation, e);
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

static void resume_acceptors(struct ipc_server *server)
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
    resume_acceptors(server);
}

static const struct connection_events CLIENT_EVENTS = {
    .frame = on_frame,
    .bad_frame = on_bad_frame,
    .broken = on_broken,
};

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
        send_refusal(client, 0, "busy", "Too many connections of this peer; close some.");
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
    client->connection =
        connection_new(server->loop, fd, server->options.header_timeout_ms, &CLIENT_EVENTS, client);
    log_client(LOG_PEER_CONNECTED, client, "accepted");
    limit_peer(client);
    return has_room(server);
}

void ipc_server_adopt(struct ipc_server *server, struct bufferevent *stream, unsigned peers,
                      const char *location, const char *pos)
{
    make_room(server);
    if (server->draining || server->connections >= server->options.connections_max) {
        bufferevent_free(stream);
        return;
    }
    struct client_peer *client = client_new(server, peers, location, pos);
    client->connection = connection_adopt(server->loop, stream, server->options.header_timeout_ms,
                                          &CLIENT_EVENTS, client);
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
        assert(row && row->senders && !server->handlers[row - MESSAGE_ROWS]);
        server->handlers[row - MESSAGE_ROWS] = service->handle;
    }
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

void ipc_server_drain(struct ipc_server *server)
{
    server->draining = true;
    stop_listening(server);
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
        request->server = NULL;
    }
    free(server);
}

const void *ipc_request_message(const struct ipc_request *request)
{
    return request->message;
}

enum message_type ipc_request_type(const struct ipc_request *request)
{
    return request->type;
}

unsigned ipc_request_peers(const struct ipc_request *request)
{
    return request->peers;
}

const char *ipc_request_location(const struct ipc_request *request)
{
    return request->location;
}

const char *ipc_request_pos(const struct ipc_request *request)
{
    return request->pos;
}

int64_t ipc_request_deadline_boot_ms(const struct ipc_request *request)
{
    return request->deadline_boot_ms;
}

static void request_end(struct ipc_request *request)
{
    if (request->server) {
        LIST_REMOVE(request, link);
        request->server->in_flight--;
    }
    peer_share_end(request->share);
    if (request->client) {
        request->client->in_flight--;
        update_hold(request->client);
        if (request->client->in_flight == 0) {
            resume_acceptors(request->client->server);
        }
    }
    message_free(request->type, request->message);
    free(request);
}

void ipc_answer(struct ipc_request *request, enum message_type type, const void *message)
{
    const struct message_row *row = message_row(request->type);
    assert(type == row->answer || type == MESSAGE_ERROR);
    if (request->client) {
        struct frame_header header = {
            .flags = FRAME_ANSWER, .type = (uint16_t)type, .correlation = request->correlation};
        struct error *e = connection_send(request->client->connection, header, message);
        if (e) {
            /* Our own answer breaks the contract. The caller must not take this for a refusal:
             * the work may have been done. */
            e = error_wrap(e, "answer to %s", row->record->name);
            log_error(LOG_REQUEST_FAILED, e, NULL);
            error_free(e);
            send_refusal(request->client, request->correlation, "answer_invalid",
                         "The answer couldn't be written; ask what became of the request.");
        }
    }
    request_end(request);
}

void ipc_refuse(struct ipc_request *request, struct error *e)
{
    assert(e);
    if (request->client) {
        send_error(request->client, request->correlation, e);
    }
    error_free(e);
    request_end(request);
}

void ipc_busy(struct ipc_request *request)
{
    ipc_refuse(request,
               error_refused("busy", "", "Too busy just now; send the same request again later."));
}
