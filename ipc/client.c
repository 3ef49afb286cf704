/* Calls another daemon over its UNIX socket. Must never tell a caller 'not executed' when a whole
 * request may have reached the callee, and never call back from inside ipc_call. */
#include "ipc/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/callee.h"
#include "ipc/connection.h"
#include "ipc/message_table.h"
#include "lib/clock.h"

#define NONE UINT32_MAX
/* Requests that the callee hasn't taken; above it a call ends as unreachable. */
#define WAITING_MAX_BYTES (1024u * 1024u)

/* A call's correlation id is its generation and its slot: an answer that comes after the deadline
 * finds the slot's generation changed, and is dropped. */
struct call {
    uint32_t generation;
    uint32_t next_free;
    bool running;
    enum message_type type;
    ipc_done *done;
    void *context;
    int64_t deadline_boot_ms; /* 0 = none */
    uint64_t end;             /* connection_queued after this call's frame */
    uint64_t connection_number;
    struct error *e; /* decided; told on the next turn */
};

struct ipc_client {
    struct loop *loop;
    char *path;
    struct connection *connection; /* NULL: made by the next call */
    uint64_t connection_number;
    struct call *calls;
    uint32_t call_count, free_first;
    struct timer *timer; /* the earliest deadline, or one that was */
    int64_t timer_boot_ms;
    struct event *wake;
    bool inside; /* in a callback: free must wait */
    bool freed;
};

static void client_destroy(struct ipc_client *client)
{
    connection_free(client->connection);
    timer_free(client->timer);
    event_free(client->wake);
    free(client->calls);
    free(client->path);
    free(client);
}

/* False when the owner freed the client meanwhile. */
static bool leave(struct ipc_client *client)
{
    client->inside = false;
    if (client->freed) {
        client_destroy(client);
        return false;
    }
    return true;
}

static uint32_t call_take(struct ipc_client *client)
{
    if (client->free_first == NONE) {
        uint32_t before = client->call_count;
        uint32_t count = before ? before * 2 : 16;
        if (count > IPC_CALLS_MAX) {
            return NONE;
        }
        struct call *calls = realloc(client->calls, count * sizeof(*calls));
        if (!calls) {
            abort();
        }
        memset(calls + before, 0, (count - before) * sizeof(*calls));
        for (uint32_t i = before; i < count; i++) {
            calls[i].next_free = i + 1 < count ? i + 1 : NONE;
        }
        client->calls = calls;
        client->call_count = count;
        client->free_first = before;
    }
    uint32_t slot = client->free_first;
    client->free_first = client->calls[slot].next_free;
    return slot;
}

/* Ends a call and tells its owner. The slot is free before, since `done` may call again. */
static void call_end(struct ipc_client *client, uint32_t slot, const struct error *e,
                     enum message_type type, const void *answer)
{
    struct call call = client->calls[slot];
    assert(call.running);
    client->calls[slot] =
        (struct call){.generation = call.generation + 1, .next_free = client->free_first};
    client->free_first = slot;
    call.done(call.context, e, type, answer);
    error_free(call.e);
}

static void decide(struct ipc_client *client, uint32_t slot, struct error *e)
{
    assert(!client->calls[slot].e);
    client->calls[slot].e = e;
    event_active(client->wake, EV_TIMEOUT, 0);
}

static void tell_decided(struct ipc_client *client)
{
    for (uint32_t slot = 0; slot < client->call_count; slot++) {
        if (client->calls[slot].e) {
            call_end(client, slot, client->calls[slot].e, (enum message_type)0, NULL);
        }
    }
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct ipc_client *client = context;
    client->inside = true;
    tell_decided(client);
    leave(client);
}

static void arm(struct ipc_client *client, int64_t deadline_boot_ms)
{
    if (deadline_boot_ms && (!client->timer_boot_ms || deadline_boot_ms < client->timer_boot_ms)) {
        client->timer_boot_ms = deadline_boot_ms;
        timer_arm(client->timer, deadline_boot_ms - clock_boot_ms());
    }
}

/* The timer stands at a deadline that may belong to a call long answered; most calls never move
 * it. */
static void on_timer(void *context)
{
    struct ipc_client *client = context;
    int64_t now = clock_boot_ms();
    int64_t earliest = 0;
    client->timer_boot_ms = 0;
    for (uint32_t slot = 0; slot < client->call_count; slot++) {
        struct call *call = &client->calls[slot];
        if (!call->running || call->e || !call->deadline_boot_ms) {
            continue;
        }
        if (call->deadline_boot_ms <= now) {
            decide(client, slot, callee_late());
        } else if (!earliest || call->deadline_boot_ms < earliest) {
            earliest = call->deadline_boot_ms;
        }
    }
    arm(client, earliest);
}

/* What had left wholly may have been executed; of the rest the callee can't have seen the end. */
static void drop_connection(struct ipc_client *client, const char *reason)
{
    uint64_t written = connection_written(client->connection);
    for (uint32_t slot = 0; slot < client->call_count; slot++) {
        struct call *call = &client->calls[slot];
        if (call->running && !call->e && call->connection_number == client->connection_number) {
            decide(client, slot,
                   call->end <= written ? callee_lost(reason)
                                        : callee_unreachable(client->path, reason));
        }
    }
    connection_free(client->connection);
    client->connection = NULL;
}

static void on_broken(void *context, const char *reason)
{
    drop_connection(context, reason);
}

static void on_bad_frame(void *context, const struct frame_header *header, const struct error *e)
{
    (void)context; /* the connection ends by itself, then on_broken settles the calls */
    (void)header;
    (void)e;
}

static void call_answered(struct ipc_client *client, uint32_t slot,
                          const struct frame_header *header, const char *payload)
{
    const struct message_row *row = message_row(client->calls[slot].type);
    enum message_type type = (enum message_type)header->type;
    void *answer = NULL;
    struct error *e = NULL;
    if (!(header->flags & FRAME_ANSWER) || (type != row->answer && type != MESSAGE_ERROR)) {
        e = callee_lost("the answer is of another type");
    } else {
        e = message_decode(type, payload, header->length, &answer);
        if (e) {
            struct error *unread = callee_lost("the answer can't be read");
            unread = error_wrap(unread, "%s %s", e->code, e->field);
            error_free(e);
            e = unread;
        } else if (type == MESSAGE_ERROR) {
            e = callee_told(answer);
        }
    }
    call_end(client, slot, e, type, e ? NULL : answer);
    error_free(e);
    message_free(type, answer);
}

static void on_frame(void *context, const struct frame_header *header, const char *payload,
                     int64_t received_boot_ms)
{
    (void)received_boot_ms;
    struct ipc_client *client = context;
    uint32_t slot = (uint32_t)header->correlation;
    uint32_t generation = (uint32_t)(header->correlation >> 32);
    if (client->freed || slot >= client->call_count) {
        return;
    }
    struct call *call = &client->calls[slot];
    if (!call->running || call->e || call->generation != generation ||
        call->connection_number != client->connection_number) {
        return; /* its caller has stopped waiting */
    }
    client->inside = true;
    call_answered(client, slot, header, payload);
    leave(client);
}

static const struct connection_options CALL_OPTIONS = {.side = CONNECTION_CALLS};
static const struct connection_events CALL_EVENTS = {
    .frame = on_frame,
    .bad_frame = on_bad_frame,
    .broken = on_broken,
};

static struct error *client_connect(struct ipc_client *client)
{
    int fd;
    struct error *e = callee_connect(client->path, 0, &fd);
    if (!e) {
        client->connection_number++;
        client->connection = connection_new(client->loop, fd, &CALL_OPTIONS, &CALL_EVENTS, client);
    }
    return e;
}

/* Sends on the present connection, or on a new one. A refusal, too, means that nothing left. */
static struct error *client_send(struct ipc_client *client, struct frame_header header,
                                 const void *message)
{
    if (client->connection && connection_over(client->connection)) {
        drop_connection(client, "closed by the callee");
    }
    if (!client->connection) {
        struct error *e = client_connect(client);
        if (e) {
            return e;
        }
    }
    /* The callee takes no more just now. Those in flight are its business; this one isn't yet. */
    if (connection_waiting(client->connection) > WAITING_MAX_BYTES) {
        return callee_unreachable(client->path, "it doesn't read its requests");
    }
    return connection_send(client->connection, header, message);
}

/* One try. True when the frame is on its way or refused for good; false when the callee had closed
 * the connection before all of the frame left. */
static bool call_try(struct ipc_client *client, uint32_t slot, struct frame_header header,
                     const void *message)
{
    struct call *call = &client->calls[slot];
    struct error *e = client_send(client, header, message);
    if (e) {
        decide(client, slot, e);
        return true;
    }
    call->end = connection_queued(client->connection);
    call->connection_number = client->connection_number;
    return !connection_over(client->connection) ||
           connection_written(client->connection) >= call->end;
}

void ipc_call(struct ipc_client *client, enum message_type type, const void *message,
              int64_t deadline_boot_ms, ipc_done *done, void *context)
{
    const struct message_row *row = message_row(type);
    assert(row && row->answer && !client->freed);
    uint32_t slot = call_take(client);
    assert(slot != NONE);
    struct call *call = &client->calls[slot];
    call->running = true;
    call->type = type;
    call->done = done;
    call->context = context;
    call->deadline_boot_ms = deadline_boot_ms;
    struct frame_header header = {.type = (uint16_t)type,
                                  .correlation = (uint64_t)call->generation << 32 | slot};
    if (deadline_boot_ms) {
        int64_t now = clock_boot_ms();
        int64_t left_ms = deadline_boot_ms - now;
        if (left_ms <= 0) {
            decide(client, slot,
                   callee_unreachable(client->path, "the time was over before it was sent"));
            return;
        }
        header.flags = FRAME_SENT_AT;
        header.sent_ms = (uint32_t)now;
        header.left_ms = left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX;
        arm(client, deadline_boot_ms);
    }
    if (!call_try(client, slot, header, message)) {
        /* The callee was restarted while we were idle. Nothing of this call left: try anew. */
        call->connection_number = 0;
        drop_connection(client, "closed by the callee");
        if (!call_try(client, slot, header, message)) {
            drop_connection(client, "closed by the callee");
        }
    }
}

struct ipc_client *ipc_client_new(struct loop *loop, const char *path)
{
    struct ipc_client *client = calloc(1, sizeof(*client));
    if (!client) {
        abort();
    }
    client->loop = loop;
    client->path = strdup(path);
    client->free_first = NONE;
    client->timer = timer_new(loop, on_timer, client);
    client->wake = event_new(loop_base(loop), -1, 0, on_wake, client);
    if (!client->path || !client->wake) {
        abort();
    }
    return client;
}

void ipc_client_free(struct ipc_client *client)
{
    if (!client) {
        return;
    }
    assert(!client->freed);
    client->freed = true; /* a call made by one of the callbacks below is a bug */
    if (client->connection) {
        drop_connection(client, "the caller is stopping");
    }
    tell_decided(client);
    if (!client->inside) {
        client_destroy(client);
    }
}
