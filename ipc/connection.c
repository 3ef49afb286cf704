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
#define CHOKED_TAKEN_MIN_BYTES 4096u /* in each frame timeout, by a caller that lets much wait */

struct connection {
    struct loop *loop;
    struct bufferevent *stream;
    int fd; /* for writing past the bufferevent; -1 with TLS */
    struct connection_options options;
    const struct connection_events *events;
    void *context;
    int64_t received_boot_ms;
    struct timer *timer; /* a frame that has begun must end; so must an ending connection */
    struct timer *stall; /* armed while answers wait: some must have left when it fires */
    struct event *wake;  /* continues on the next turn of the loop */
    struct buffer out;   /* one frame at a time, wiped after each */
    uint64_t queued;
    uint64_t left_before; /* connection_written when the stall timer was armed */
    const char *failed;   /* why; `broken` is due */
    const char *ending;   /* why; waits until the output has left */
    struct frame_turn turn;
    size_t skip;  /* bytes of a refused frame that are still to come */
    bool seen;    /* the owner knows the header of the frame that comes */
    bool begun;   /* part of a frame is here and the timer runs */
    bool hold;    /* the owner's wish */
    bool choked;  /* the caller doesn't read its answers */
    bool watched; /* the stall timer is armed */
    bool inside;  /* delivering: free must wait */
    bool freed;
};

static void connection_destroy(struct connection *connection)
{
    if (connection->options.room) {
        frame_room_leave(connection->options.room, &connection->turn);
    }
    timer_free(connection->timer);
    timer_free(connection->stall);
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

static void read_at_most(const struct connection *connection, size_t bytes)
{
    bufferevent_setwatermark(connection->stream, EV_READ, 0, bytes);
}

static void frame_ends(struct connection *connection)
{
    connection->seen = false;
    if (connection->begun) {
        connection->begun = false;
        timer_disarm(connection->timer);
    }
    if (connection->turn.bytes > 0) {
        frame_room_leave(connection->options.room, &connection->turn);
        read_at_most(connection, FRAME_SMALL_BYTES);
    }
}

/* Nobody has to wait for a frame that was refused, nor keep its bytes. */
static void skip_frame(struct connection *connection)
{
    size_t here = evbuffer_get_length(input_of(connection));
    size_t n = here < connection->skip ? here : connection->skip;
    evbuffer_drain(input_of(connection), n);
    connection->skip -= n;
    if (connection->skip == 0) {
        frame_ends(connection);
    }
}

/* Of this frame only the beginning is here. */
static void frame_begins(struct connection *connection, const struct frame_header *header)
{
    size_t whole = FRAME_HEADER_BYTES + header->length;
    if (!connection->seen) {
        connection->seen = true;
        if (connection->events->begun && !connection->events->begun(connection->context, header)) {
            connection->skip = whole;
            skip_frame(connection);
            return;
        }
    }
    if (connection->options.room && whole > FRAME_SMALL_BYTES && connection->turn.bytes == 0 &&
        frame_room_take(connection->options.room, &connection->turn, connection->wake, whole)) {
        read_at_most(connection, whole);
    }
}

/* Delivers the next frame if it is whole. False when there is nothing more to do now. */
static bool deliver_one(struct connection *connection)
{
    struct evbuffer *input = input_of(connection);
    uint8_t head[FRAME_HEADER_BYTES];
    if (connection->skip > 0) {
        skip_frame(connection);
    }
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
        frame_begins(connection, &header);
        return false;
    }
    const unsigned char *frame = evbuffer_pullup(input, (ev_ssize_t)whole);
    assert(frame);
    frame_ends(connection);
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
    bool part = may_deliver(connection) &&
                (connection->skip > 0 || evbuffer_get_length(input_of(connection)) > 0);
    if (part && !connection->begun && connection->options.frame_timeout_ms > 0) {
        connection->begun = true;
        timer_arm(connection->timer, connection->options.frame_timeout_ms);
    }
}

/* Reading stops at the bufferevent too, so that the kernel's buffer pushes back on the peer. */
static void update_reading(struct connection *connection)
{
    if (connection->failed) {
        return;
    }
    if (may_deliver(connection)) {
        bufferevent_enable(connection->stream, EV_READ);
        event_active(connection->wake, EV_TIMEOUT, 0);
    } else {
        bufferevent_disable(connection->stream, EV_READ);
        if (connection->begun && !connection->ending) {
            connection->begun = false;
            timer_disarm(connection->timer);
        }
    }
}

static void watch_output(struct connection *connection)
{
    connection->watched = true;
    connection->left_before = connection_written(connection);
    timer_arm(connection->stall, connection->options.frame_timeout_ms);
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

static void on_timer(void *context)
{
    struct connection *connection = context;
    connection_fail(connection, connection->ending ? connection->ending : "frame took too long");
}

/* Slow is allowed, stopped is not. The timer runs on when the output is empty meanwhile: arming it
 * once in a while is cheaper than disarming it with every answer. */
static void on_stall(void *context)
{
    struct connection *connection = context;
    uint64_t left = connection_written(connection);
    connection->watched = false;
    if (connection->failed || output_bytes(connection) == 0) {
        return;
    }
    uint64_t taken = left - connection->left_before;
    if (taken == 0 || (connection->choked && taken < CHOKED_TAKEN_MIN_BYTES)) {
        connection_fail(connection, "doesn't read its answers");
        return;
    }
    watch_output(connection);
}

struct connection *connection_adopt(struct loop *loop, struct bufferevent *stream,
                                    const struct connection_options *options,
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
        .options = *options,
        .events = events,
        .context = context,
        .received_boot_ms = clock_boot_ms(),
    };
    connection->timer = timer_new(loop, on_timer, connection);
    connection->stall = timer_new(loop, on_stall, connection);
    connection->wake = event_new(loop_base(loop), -1, 0, on_wake, connection);
    if (!connection->wake) {
        abort();
    }
    bufferevent_setcb(stream, on_read, on_written, on_event, connection);
    read_at_most(connection,
                 options->room ? FRAME_SMALL_BYTES : FRAME_HEADER_BYTES + FRAME_PAYLOAD_MAX_BYTES);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
    if (evbuffer_get_length(bufferevent_get_input(stream)) > 0) {
        event_active(connection->wake, EV_TIMEOUT, 0);
    }
    return connection;
}

struct connection *connection_new(struct loop *loop, int fd,
                                  const struct connection_options *options,
                                  const struct connection_events *events, void *context)
{
    struct bufferevent *stream = bufferevent_socket_new(loop_base(loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!stream) {
        abort();
    }
    struct connection *connection = connection_adopt(loop, stream, options, events, context);
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
    if (rest == 0 || connection->options.side == CONNECTION_CALLS) {
        return;
    }
    if (!connection->watched && connection->options.frame_timeout_ms > 0) {
        watch_output(connection);
    }
    size_t waiting = output_bytes(connection);
    if (waiting > CONNECTION_OUTPUT_MAX_BYTES) {
        connection_fail(connection, "too many answers wait for it");
    } else if (waiting > CONNECTION_OUTPUT_PAUSE_BYTES && !connection->choked) {
        connection->choked = true;
        update_reading(connection);
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

size_t connection_waiting(const struct connection *connection)
{
    return output_bytes(connection);
}

bool connection_over(const struct connection *connection)
{
    return connection->failed != NULL || connection->ending != NULL;
}
