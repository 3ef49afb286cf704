/* Fuzzes the frame's header and the server that takes frames in arbitrary pieces. First line: SEED
 * of the pieces, how many requests are held back before they are answered (last one first), 1 for a
 * peer that reads slowly, and how it ends (enum ending). Then a frame a line (see add_line). Every
 * whole frame must get exactly one answer, readable and with its own correlation id. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>

#include "ipc/connection.h"
#include "ipc/frame.h"
#include "ipc/message_table.h"
#include "ipc/server.h"
#include "lib/clock.h"
#include "lib/loop.h"
#include "tests/fuzz/fuzz.h"

#define STREAM_MAX_BYTES (512u * 1024u)
#define FRAMES_MAX 128
#define IN_FLIGHT_MAX 4
#define HELD_MAX (IN_FLIGHT_MAX + 2)
#define DRAIN_MS 1000
#define IDLE_TURNS 4 /* a turn of the loop may only activate what the next one runs */

enum ending {
    ENDING_CALM,
    ENDING_HANGUP,       /* the peer goes while requests are held */
    ENDING_SERVER_FIRST, /* the server is freed while requests are held */
    ENDING_DRAIN,        /* the daemon stops before it begins: all are told to come back */
    ENDINGS_COUNT,
};

struct conversation {
    bool drained; /* told once */
    struct ipc_server *server;
    struct bufferevent *peer;
    struct ipc_request *held[HELD_MAX];
    size_t held_count, hold_max;
    struct evbuffer *stream;       /* what the peer sends */
    uint64_t expected[FRAMES_MAX]; /* correlation ids, in the order of the frames */
    bool answered[FRAMES_MAX];
    size_t expected_count, answer_count;
    bool
        partial; /* the last one isn't whole: it may be refused by its header, or not be answered */
    bool bad_frame; /* the stream ends in one: what is held then has nobody to be told to */
};

static struct loop *loop;
static int64_t now_ms;

static int64_t stepping_clock(void)
{
    return ++now_ms; /* so that short deadlines pass by themselves */
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_secret_memory();
    clock_set_source(stepping_clock, NULL);
    loop = loop_new();
    return 0;
}

/* -- The header alone ---------------------------------------------------------------------------
 */

static void check_header(const uint8_t bytes[FRAME_HEADER_BYTES])
{
    struct frame_header read;
    struct frame_header again;
    uint8_t written[FRAME_HEADER_BYTES];
    struct error *e = frame_parse(bytes, &read);
    bool good = e == NULL;
    error_free(e);
    if (good) {
        frame_write(&read, written);
        MUST(memcmp(written, bytes, sizeof written) == 0);
    }
    read.version = FRAME_VERSION;
    read.flags &= FRAME_ANSWER | FRAME_SENT_AT;
    read.sent_ms = read.flags & FRAME_SENT_AT ? read.sent_ms : 0;
    read.length %= FRAME_PAYLOAD_MAX_BYTES + 1;
    frame_write(&read, written);
    e = frame_parse(written, &again);
    MUST(e == NULL && again.version == read.version && again.flags == read.flags);
    MUST(again.type == read.type && again.length == read.length);
    MUST(again.left_ms == read.left_ms && again.correlation == read.correlation);
    MUST(again.sent_ms == read.sent_ms);
}

/* -- The stream ---------------------------------------------------------------------------------
 */

static void put_number(uint8_t *out, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    }
}

static uint64_t word_number(struct fuzz_text *line, uint64_t most)
{
    return fuzz_number(fuzz_take(line, ' '), most);
}

static void add_frame(struct conversation *c, const uint8_t header[FRAME_HEADER_BYTES],
                      struct fuzz_text payload)
{
    if (evbuffer_get_length(c->stream) + FRAME_HEADER_BYTES + payload.n <= STREAM_MAX_BYTES) {
        MUST(evbuffer_add(c->stream, header, FRAME_HEADER_BYTES) == 0);
        MUST(evbuffer_add(c->stream, payload.p, payload.n) == 0);
    }
}

/* "TYPE LEFT PAYLOAD" is a good frame; "xTIMES TYPE LEFT PAYLOAD" the same many times; "=VERSION
 * FLAGS TYPE LENGTH LEFT CORRELATION RESERVED PAYLOAD" any header; other lines go as they are. */
static void add_line(struct conversation *c, struct fuzz_text line, uint64_t number)
{
    uint8_t header[FRAME_HEADER_BYTES] = {'K', 'P', 'A', 'Y', FRAME_VERSION};
    if (line.n > 0 && line.p[0] == '=') {
        line.p++;
        line.n--;
        put_number(header + 4, 1, word_number(&line, UINT8_MAX));
        put_number(header + 5, 1, word_number(&line, UINT8_MAX));
        put_number(header + 6, 2, word_number(&line, UINT16_MAX));
        put_number(header + 8, 4, word_number(&line, UINT32_MAX));
        put_number(header + 12, 4, word_number(&line, UINT32_MAX));
        put_number(header + 16, 8, word_number(&line, UINT64_MAX));
        put_number(header + 24, 4, word_number(&line, UINT32_MAX));
        add_frame(c, header, line);
        return;
    }
    uint64_t times = 1;
    if (line.n > 0 && line.p[0] == 'x') {
        line.p++;
        line.n--;
        times = word_number(&line, FRAMES_MAX);
    } else if (line.n == 0 || line.p[0] < '0' || line.p[0] > '9') {
        MUST(evbuffer_add(c->stream, line.p, line.n) == 0);
        return;
    }
    put_number(header + 6, 2, word_number(&line, UINT16_MAX));
    put_number(header + 12, 4, word_number(&line, UINT32_MAX));
    put_number(header + 8, 4, line.n);
    for (uint64_t i = 0; i < times; i++) {
        put_number(header + 16, 8, number << 32 | i);
        add_frame(c, header, line);
    }
}

/* Which answers are due, told by a reader of its own that has the whole stream before it. */
static void expect_answers(struct conversation *c)
{
    size_t n = evbuffer_get_length(c->stream);
    const uint8_t *at = evbuffer_pullup(c->stream, -1);
    while (n >= FRAME_HEADER_BYTES && c->expected_count < FRAMES_MAX && !c->bad_frame &&
           !c->partial) {
        bool ours = memcmp(at, "KPAY", 4) == 0;
        uint64_t length = 0;
        uint64_t correlation = 0;
        check_header(at);
        for (size_t i = 0; i < 8 && ours; i++) {
            length = i < 4 ? length << 8 | at[8 + i] : length;
            correlation = correlation << 8 | at[16 + i];
        }
        bool sent_at = (at[5] & FRAME_SENT_AT) != 0;
        c->bad_frame = !ours || at[4] != FRAME_VERSION || at[5] > (FRAME_ANSWER | FRAME_SENT_AT) ||
                       (!sent_at && (at[24] | at[25] | at[26] | at[27]) != 0) ||
                       length > FRAME_PAYLOAD_MAX_BYTES;
        c->partial = !c->bad_frame && n - FRAME_HEADER_BYTES < length;
        c->expected[c->expected_count++] = correlation;
        size_t taken = c->bad_frame ? 0 : c->partial ? n - FRAME_HEADER_BYTES : (size_t)length;
        at += FRAME_HEADER_BYTES + taken;
        n -= FRAME_HEADER_BYTES + taken;
    }
    if (c->expected_count == FRAMES_MAX) { /* the rest is not sent */
        struct evbuffer *head = evbuffer_new();
        evbuffer_remove_buffer(c->stream, head, evbuffer_get_length(c->stream) - n);
        evbuffer_free(c->stream);
        c->stream = head;
    }
}

/* -- The daemon's side --------------------------------------------------------------------------
 */

static void answer_one(struct ipc_request *request)
{
    const struct message_row *row = message_row(ipc_request_type(request));
    if (row->type == MESSAGE_DAEMON_STATUS) {
        struct msg_daemon_state state = {
            .daemon = "terminald", .version = "1", .pid = 1, .up_ms = 1, .ready = true};
        ipc_answer(request, MESSAGE_DAEMON_STATE, &state);
    } else if (row->type == MESSAGE_PAYMENT_STATUS) {
        struct msg_payment_answer answer = {.outcome = PAYMENT_ANSWER_OUTCOME_PENDING,
                                            .kind = PAYMENT_ANSWER_KIND_SALE};
        ipc_answer(request, MESSAGE_PAYMENT_ANSWER, &answer);
    } else if (row->type == MESSAGE_CANCEL) {
        struct msg_payment_answer broken = {0}; /* no outcome: our own bug must be told as such */
        ipc_answer(request, MESSAGE_PAYMENT_ANSWER, &broken);
    } else {
        ipc_refuse(request, error_refused("busy", "", "%s", "Too busy just now."));
    }
}

static void answer_held(struct conversation *c)
{
    while (c->held_count > 0) {
        answer_one(c->held[--c->held_count]);
    }
}

static void requested(void *context, struct ipc_request *request, const void *message)
{
    struct conversation *c = context;
    MUST(message != NULL && message == ipc_request_message(request));
    MUST(ipc_server_in_flight(c->server) <= IN_FLIGHT_MAX);
    MUST(ipc_request_peers(request) == PEER_POS);
    MUST(strcmp(ipc_request_location(request), "MIA") == 0);
    MUST(strcmp(ipc_request_pos(request), "till-1") == 0);
    MUST(ipc_request_deadline_boot_ms(request) >= 0);
    if (c->hold_max == 0) {
        answer_one(request);
        return;
    }
    c->held[c->held_count++] = request;
    if (c->held_count == c->hold_max) {
        answer_held(c);
    }
}

static const struct ipc_service SERVICES[] = {
    {MESSAGE_PAY, requested},           {MESSAGE_VOID, requested},
    {MESSAGE_CANCEL, requested},        {MESSAGE_PAYMENT_STATUS, requested},
    {MESSAGE_DAEMON_STATUS, requested}, {0, NULL},
};

/* -- The peer's side ----------------------------------------------------------------------------
 */

static void check_answer(struct conversation *c, const uint8_t *frame, size_t n)
{
    struct frame_header header;
    void *message = NULL;
    struct error *e = frame_parse(frame, &header);
    MUST(e == NULL && header.flags == FRAME_ANSWER && n == FRAME_HEADER_BYTES + header.length);
    e = message_decode((enum message_type)header.type, (const char *)frame + FRAME_HEADER_BYTES,
                       header.length, &message);
    MUST(e == NULL);
    message_free((enum message_type)header.type, message);
    for (size_t i = 0; i < c->expected_count; i++) {
        if (!c->answered[i] && c->expected[i] == header.correlation) {
            c->answered[i] = true;
            c->answer_count++;
            return;
        }
    }
    MUST(!"an answer nobody asked for");
}

static void read_answers(struct bufferevent *stream, void *context)
{
    struct evbuffer *input = bufferevent_get_input(stream);
    while (evbuffer_get_length(input) >= FRAME_HEADER_BYTES) {
        uint8_t head[FRAME_HEADER_BYTES];
        evbuffer_copyout(input, head, sizeof head);
        size_t whole = sizeof head + ((size_t)head[9] << 16 | (size_t)head[10] << 8 | head[11]);
        MUST(head[8] == 0);
        if (evbuffer_get_length(input) < whole) {
            return;
        }
        check_answer(context, evbuffer_pullup(input, (ev_ssize_t)whole), whole);
        evbuffer_drain(input, whole);
    }
}

static void turn_loop(struct conversation *c)
{
    size_t before;
    do {
        before = c->answer_count;
        for (int i = 0; i < IDLE_TURNS; i++) {
            event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
        }
    } while (c->answer_count != before);
}

/* Pieces from one byte to some hundred, as the seed says. */
static void send_pieces(struct conversation *c, uint64_t seed)
{
    while (evbuffer_get_length(c->stream) > 0) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t most = (seed >> 60) < 4 ? 8 : (seed >> 60) < 12 ? 200 : STREAM_MAX_BYTES;
        size_t piece = 1 + (size_t)(seed >> 30) % most;
        evbuffer_remove_buffer(c->stream, bufferevent_get_output(c->peer), piece);
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    }
}

/* Nothing is lost and nothing is left when both sides take their time. */
static void finish_calmly(struct conversation *c)
{
    size_t before;
    bufferevent_enable(c->peer, EV_READ);
    do { /* what was held makes room for what waits behind it */
        before = c->answer_count;
        turn_loop(c);
        answer_held(c);
        turn_loop(c);
    } while (c->answer_count != before || c->held_count > 0);
    MUST(ipc_server_in_flight(c->server) == 0);
    MUST(c->answer_count == c->expected_count || (c->bad_frame && c->hold_max > 0) ||
         (c->partial && c->answer_count == c->expected_count - 1 &&
          !c->answered[c->expected_count - 1]));
    MUST(ipc_server_connections(c->server) == (c->bad_frame ? 0 : 1));
}

static void finish(struct conversation *c, enum ending ending)
{
    if (ending == ENDING_HANGUP) {
        bufferevent_flush(c->peer, EV_WRITE, BEV_FINISHED);
        bufferevent_free(c->peer);
        c->peer = NULL;
        turn_loop(c);
        MUST(ipc_server_connections(c->server) == 0);
        MUST(ipc_server_in_flight(c->server) == c->held_count);
        answer_held(c);
        MUST(ipc_server_in_flight(c->server) == 0);
    } else if (ending == ENDING_CALM || ending == ENDING_DRAIN) {
        finish_calmly(c);
    }
    ipc_server_free(c->server);
    answer_held(c); /* to nobody */
    if (c->peer != NULL) {
        bufferevent_free(c->peer);
    }
    event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

static void drained(void *context)
{
    struct conversation *c = context;
    MUST(!c->drained);
    c->drained = true;
}

static void start(struct conversation *c, bool slow, enum ending ending)
{
    const struct ipc_server_options options = {.daemon = "terminald",
                                               .services = SERVICES,
                                               .context = c,
                                               .connections_max = 1,
                                               .in_flight_max = IN_FLIGHT_MAX,
                                               .busy_max = HELD_MAX};
    struct bufferevent *pair[2];
    MUST(bufferevent_pair_new(loop_base(loop), 0, pair) == 0);
    c->server = ipc_server_new(loop, &options);
    c->peer = pair[1];
    bufferevent_setcb(c->peer, read_answers, NULL, NULL, c);
    bufferevent_enable(c->peer, slow ? EV_WRITE : EV_READ | EV_WRITE);
    ipc_server_adopt(c->server, pair[0], PEER_POS, "MIA", "till-1");
    if (ending == ENDING_DRAIN) {
        ipc_server_drain(c->server, DRAIN_MS, drained, c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz_text input = {(const char *)bytes, n};
    struct fuzz_text first = fuzz_take(&input, '\n');
    struct conversation c = {.stream = evbuffer_new()};
    uint64_t seed = word_number(&first, UINT64_MAX);
    c.hold_max = (size_t)word_number(&first, HELD_MAX);
    bool slow = word_number(&first, 1) == 1;
    enum ending ending = (enum ending)word_number(&first, ENDINGS_COUNT - 1);
    for (uint64_t line = 1; input.n > 0; line++) {
        add_line(&c, fuzz_take(&input, '\n'), line);
    }
    expect_answers(&c);
    start(&c, slow, ending);
    send_pieces(&c, seed);
    finish(&c, ending);
    evbuffer_free(c.stream);
    return 0;
}
