/* One connection that carries frames: framing, flow control both ways, and the ways it can end. */
#include "ipc/connection.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/buffer.h"
#include "ipc/message_table.h"
#include "lib/clock.h"

#define ENDING_MAX_MS 5000
#define CHOKED_TAKEN_MIN_BYTES 4096u /* in each header timeout, by a peer that lets much wait */

static const char UNREAD[] = "doesn't read its answers";

struct connection {
    struct loop *loop;
    struct bufferevent *stream;
    int fd; /* for writing past the bufferevent; -1 with TLS */
    const struct connection_events *events;
    void *context;
    int64_t header_timeout_ms;
    int64_t received_boot_ms;
    struct timer *timer; /* what has begun must end: a frame, a choked or an ending connection */
    struct event *wake;  /* continues on the next turn of the loop */
    struct buffer out;   /* one frame at a time, wiped after each */
    uint64_t queued;
    uint64_t choked_written; /* how much had left when the timer began */
    const char *failed;      /* why; `broken` is due */
    const char *ending;      /* why; waits until the output has left */
    bool begun;              /* part of a frame is here and the timer runs */
    bool hold;               /* the owner's wish */
    bool choked;             /* the peer doesn't read its answers; the timer runs */
    bool inside;             /* delivering: free must wait */
    bool freed;
};

static void connection_destroy(struct connection *connection)
{
    timer_free(connection->timer);
    event_free(connection->wake);
    bufferevent_free(connection->stream);
    buffer_free(&connection->out);
    free(connection);
}

static void connection_fail(struct connection *connection, const char *reason)
{
    if (connection->failed) {
        return;
    }
    connection->failed = reason;
    bufferevent_disable(connection->stream, EV_READ | EV_WRITE);
    event_active(connection->wake, EV_TIMEOUT, 0);
}

static struct evbuffer *input_of(const struct connection *connection)
{
    return bufferevent_get_input(connection->stream);
}

static size_t output_bytes(const struct connection *connection)
{
    return evbuffer_get_length(bufferevent_get_output(connection->stream));
}

static bool may_deliver(const struct connection *connection)
{
    return !connection->failed && !connection->ending && !connection->hold && !connection->choked &&
           !connection->freed;
}

/* Delivers the next frame if it is whole. False when there is nothing more to do now. */
static bool deliver_one(struct connection *connection)
{
    struct evbuffer *input = input_of(connection);
    uint8_t head[FRAME_HEADER_BYTES];
    if (evbuffer_get_length(input) < sizeof(head)) {
        return false;
    }
    evbuffer_copyout(input, head, sizeof(head));
    struct frame_header header;
    struct error *e = frame_parse(head, &header);
    if (e) {
        connection->events->bad_frame(connection->context, &header, e);
        error_free(e);
        connection_end(connection, "bad frame");
        return false;
    }
    size_t whole = sizeof(head) + header.length;
    if (evbuffer_get_length(input) < whole) {
        return false;
    }
    const unsigned char *frame = evbuffer_pullup(input, (ev_ssize_t)whole);
    assert(frame);
    if (connection->begun) {
        connection->begun = false;
        timer_disarm(connection->timer);
    }
    connection->events->frame(connection->context, &header, (const char *)frame + sizeof(head),
                              connection->received_boot_ms);
    evbuffer_drain(input, whole);
    return true;
}

static void deliver(struct connection *connection)
{
    if (connection->inside) {
        return;
    }
    connection->inside = true;
    while (may_deliver(connection) && deliver_one(connection)) {
    }
    connection->inside = false;
    if (connection->freed) {
        connection_destroy(connection);
        return;
    }
    bool part = may_deliver(connection) && evbuffer_get_length(input_of(connection)) > 0;
    if (part && !connection->begun && connection->header_timeout_ms > 0) {
        connection->begun = true;
        timer_arm(connection->timer, connection->header_timeout_ms);
    }
}

/* Reading stops at the bufferevent too, so that the kernel's buffer pushes back on the peer. */
static void update_reading(struct connection *connection)
{
    if (connection->failed) {
        return;
    }
    if (connection->begun && !may_deliver(connection)) {
        connection->begun = false;
        timer_disarm(connection->timer);
    }
    if (may_deliver(connection)) {
        bufferevent_enable(connection->stream, EV_READ);
        event_active(connection->wake, EV_TIMEOUT, 0);
    } else {
        bufferevent_disable(connection->stream, EV_READ);
    }
}

static void on_read(struct bufferevent *stream, void *context)
{
    (void)stream;
    struct connection *connection = context;
    connection->received_boot_ms = clock_boot_ms();
    deliver(connection);
}

static void on_written(struct bufferevent *stream, void *context)
{
    (void)stream;
    struct connection *connection = context;
    if (connection->ending) {
        connection_fail(connection, connection->ending);
    } else if (connection->choked) {
        connection->choked = false;
        timer_disarm(connection->timer);
        update_reading(connection);
    }
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    (void)stream;
    struct connection *connection = context;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) {
        connection_fail(connection, what & BEV_EVENT_EOF ? "closed by the peer" : "stream error");
    }
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    if (connection->failed) {
        connection->inside = true;
        connection->events->broken(connection->context, connection->failed);
        connection->inside = false;
        if (connection->freed) {
            connection_destroy(connection);
        }
        return;
    }
    deliver(connection);
}

static void watch_choked(struct connection *connection)
{
    if (connection->header_timeout_ms > 0) {
        connection->choked_written = connection_written(connection);
        timer_arm(connection->timer, connection->header_timeout_ms);
    }
}

static void on_timer(void *context)
{
    struct connection *connection = context;
    uint64_t taken = connection_written(connection) - connection->choked_written;
    if (connection->choked && !connection->ending && taken >= CHOKED_TAKEN_MIN_BYTES) {
        watch_choked(connection); /* a slow line, but somebody reads */
        return;
    }
    connection_fail(connection, connection->ending   ? connection->ending
                                : connection->choked ? UNREAD
                                                     : "frame took too long");
}

struct connection *connection_adopt(struct loop *loop, struct bufferevent *stream,
                                    int64_t header_timeout_ms,
                                    const struct connection_events *events, void *context)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    if (!connection) {
        abort();
    }
    *connection = (struct connection){
        .loop = loop,
        .stream = stream,
        .fd = -1,
        .events = events,
        .context = context,
        .header_timeout_ms = header_timeout_ms,
        .received_boot_ms = clock_boot_ms(),
    };
    connection->timer = timer_new(loop, on_timer, connection);
    connection->wake = event_new(loop_base(loop), -1, 0, on_wake, connection);
    if (!connection->wake) {
        abort();
    }
    bufferevent_setcb(stream, on_read, on_written, on_event, connection);
    bufferevent_setwatermark(stream, EV_READ, 0, FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX_BYTES);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
    if (evbuffer_get_length(bufferevent_get_input(stream)) > 0) {
        event_active(connection->wake, EV_TIMEOUT, 0);
    }
    return connection;
}

struct connection *connection_new(struct loop *loop, int fd, int64_t header_timeout_ms,
                                  const struct connection_events *events, void *context)
{
    struct bufferevent *stream = bufferevent_socket_new(loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!stream) {
        abort();
    }
    struct connection *connection =
        connection_adopt(loop, stream, header_timeout_ms, events, context);
    connection->fd = fd;
    return connection;
}

void connection_free(struct connection *connection)
{
    if (!connection) {
        return;
    }
    if (connection->inside) {
        connection->freed = true;
    } else {
        connection_destroy(connection);
    }
}

/* How much the kernel took at once; what it did not waits in the bufferevent. */
static size_t write_now(struct connection *connection)
{
    if (connection->fd < 0 || output_bytes(connection) > 0) {
        return 0;
    }
    ssize_t n = send(connection->fd, connection->out.bytes, connection->out.used,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        connection_fail(connection, "closed by the peer");
    }
    return n < 0 ? 0 : (size_t)n;
}

static void write_out(struct connection *connection)
{
    size_t n = write_now(connection);
    connection->queued += connection->out.used;
    size_t rest = connection->out.used - n;
    if (rest > 0) {
        evbuffer_add(bufferevent_get_output(connection->stream), connection->out.bytes + n, rest);
    }
    if (output_bytes(connection) > CONNECTION_OUTPUT_MAX_BYTES) {
        connection_fail(connection, UNREAD);
    } else if (output_bytes(connection) > CONNECTION_OUTPUT_PAUSE_BYTES && !connection->choked) {
        connection->choked = true;
        update_reading(connection);
        watch_choked(connection);
    }
}

struct error *connection_send(struct connection *connection, struct frame_header header,
                              const void *message)
{
    static const char ROOM[FRAME_HEADER_BYTES];
    struct buffer *out = &connection->out;
    if (connection->failed || connection->ending) {
        return NULL;
    }
    buffer_add(out, ROOM, sizeof(ROOM));
    struct error *e = message_write((enum message_type)header.type, message, out);
    if (!e) {
        header.version = FRAME_VERSION;
        header.length = (uint32_t)(out->used - sizeof(ROOM));
        frame_write(&header, (uint8_t *)out->bytes);
        write_out(connection);
    }
    buffer_empty(out);
    return e;
}

void connection_hold(struct connection *connection, bool hold)
{
    if (connection->hold != hold) {
        connection->hold = hold;
        update_reading(connection);
    }
}

void connection_end(struct connection *connection, const char *reason)
{
    if (connection->failed || connection->ending) {
        return;
    }
    if (output_bytes(connection) == 0) {
        connection_fail(connection, reason);
        return;
    }
    connection->ending = reason;
    connection->begun = false;
    update_reading(connection);
    timer_arm(connection->timer, ENDING_MAX_MS);
}

uint64_t connection_queued(const struct connection *connection)
{
    return connection->queued;
}

uint64_t connection_written(const struct connection *connection)
{
    return connection->queued - output_bytes(connection);
}

bool connection_failed(const struct connection *connection)
{
    return connection->failed != NULL;
}
