/* Two ends of one stream: what waits, who stops reading, and who is given up for it. */
#include "tests/unit/ipc_parts.h"

#include <errno.h>
#include <fcntl.h>

#include "ipc/connection.h"

#define LINES_BYTES 50000u
#define SMALL_BUFFER_BYTES 4096
#define FRAMES 40u

struct end {
    struct connection *connection;
    unsigned frames;
    char broken[64];
};

static void on_frame(void *context, const struct frame_header *header, const char *payload,
                     int64_t received_boot_ms)
{
    struct end *end = context;
    (void)payload;
    (void)received_boot_ms;
    assert_true(header->length > LINES_BYTES);
    end->frames++;
}

static void on_bad_frame(void *context, const struct frame_header *header, const struct error *e)
{
    (void)context;
    (void)header;
    fail_msg("%s", e->code);
}

static void on_broken(void *context, const char *reason)
{
    struct end *end = context;
    snprintf(end->broken, sizeof(end->broken), "%s", reason);
}

static const struct connection_events EVENTS = {
    .frame = on_frame, .bad_frame = on_bad_frame, .broken = on_broken};

static void small_pair(int fds[2])
{
    int bytes = SMALL_BUFFER_BYTES;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
    }
}

/* Many large frames at once, more than any buffer between the two ends takes. */
static void send_frames(struct end *end, unsigned count)
{
    char *lines = malloc(LINES_BYTES + 1);
    assert_non_null(lines);
    memset(lines, 'x', LINES_BYTES);
    lines[LINES_BYTES] = '\0';
    struct msg_invoice_import import = {
        .format = INVOICE_IMPORT_FORMAT_CSV, .first_line = 1, .lines = lines};
    for (unsigned i = 0; i < count; i++) {
        struct frame_header header = {.type = MESSAGE_INVOICE_IMPORT, .correlation = i};
        assert_null(connection_send(end->connection, header, &import));
    }
    free(lines);
}

static bool both_have_all(void *context)
{
    const struct end *ends = context;
    return ends[0].frames == FRAMES && ends[1].frames == FRAMES;
}

static bool is_broken(void *context)
{
    return ((const struct end *)context)->broken[0] != '\0';
}

static void two_ends_that_both_have_much_to_say_do_not_wait_for_each_other(void **state)
{
    (void)state;
    static const struct connection_options SERVES = {.side = CONNECTION_SERVES,
                                                     .frame_timeout_ms = 10000};
    static const struct connection_options CALLS = {.side = CONNECTION_CALLS};
    struct loop *loop = loop_new();
    struct end ends[2] = {0};
    int fds[2];
    small_pair(fds);
    ends[0].connection = connection_new(loop, fds[0], &SERVES, &EVENTS, &ends[0]);
    ends[1].connection = connection_new(loop, fds[1], &CALLS, &EVENTS, &ends[1]);
    send_frames(&ends[0], FRAMES);
    send_frames(&ends[1], FRAMES);
    wait_until(loop, both_have_all, ends);
    assert_false(is_broken(&ends[0]));
    assert_false(is_broken(&ends[1]));
    connection_free(ends[0].connection);
    connection_free(ends[1].connection);
    loop_free(loop);
}

/* -- Large frames wait for their turn -----------------------------------------------------------
 */

struct line {
    struct end end;
    int fd; /* the caller's, who speaks bytes */
};

static void line_new(struct line *line, struct loop *loop, struct frame_room *room)
{
    const struct connection_options options = {
        .side = CONNECTION_SERVES, .frame_timeout_ms = 10000, .room = room};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *line = (struct line){.fd = fds[1]};
    line->end.connection = connection_new(loop, fds[0], &options, &EVENTS, &line->end);
}

static void line_free(struct line *line)
{
    connection_free(line->end.connection);
    close(line->fd);
}

/* A frame's header and so many bytes of its payload. */
static void say(struct line *line, size_t payload, size_t now)
{
    char *bytes = calloc(1, FRAME_HEADER_BYTES + now);
    assert_non_null(bytes);
    const struct frame_header header = {
        .version = FRAME_VERSION, .type = MESSAGE_INVOICE_IMPORT, .length = (uint32_t)payload};
    frame_write(&header, (uint8_t *)bytes);
    ssize_t n = (ssize_t)(FRAME_HEADER_BYTES + now);
    assert_int_equal(send(line->fd, bytes, (size_t)n, 0), n);
    free(bytes);
}

static void say_more(struct line *line, size_t n)
{
    char *bytes = calloc(1, n);
    assert_non_null(bytes);
    assert_int_equal(send(line->fd, bytes, n, 0), n);
    free(bytes);
}

static bool has_frame(void *context)
{
    return ((const struct line *)context)->end.frames > 0;
}

static void a_large_frame_waits_while_another_fills_the_room(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct frame_room room;
    frame_room_start(&room, 100000);
    struct line first;
    struct line second;
    struct line gone;
    line_new(&first, loop, &room);
    line_new(&gone, loop, &room);
    line_new(&second, loop, &room);
    say(&first, 60000, 30000);
    wait_ms(loop, 20);
    say(&gone, 60000, 60000);
    wait_ms(loop, 20);
    say(&second, 60000, 60000);
    wait_ms(loop, 50);
    assert_int_equal(gone.end.frames + second.end.frames, 0); /* not read on */
    line_free(&gone);                                         /* one who waits may go */
    say_more(&first, 30000);
    wait_until(loop, has_frame, &first);
    wait_until(loop, has_frame, &second);
    assert_int_equal(room.left, 100000);
    say(&second, 60000, 0); /* who goes in the middle gives its room back */
    wait_ms(loop, 20);
    assert_true(room.left < 100000);
    line_free(&second);
    assert_int_equal(room.left, 100000);
    line_free(&first);
    loop_free(loop);
}

/* -- Slow and stopped readers ----------------------------------------------------------------- */

struct reader {
    struct end end;
    struct loop *loop;
    int fd;
    size_t taken, a_turn;
    struct timer *turn;
};

static void take_some(void *context)
{
    struct reader *reader = context;
    char bytes[65536];
    ssize_t n = recv(reader->fd, bytes, reader->a_turn, MSG_DONTWAIT);
    reader->taken += n > 0 ? (size_t)n : 0;
    timer_arm(reader->turn, 5);
}

static void reader_new(struct reader *reader, size_t a_turn, int64_t timeout_ms)
{
    *reader = (struct reader){.loop = loop_new(), .a_turn = a_turn};
    int fds[2];
    small_pair(fds);
    reader->fd = fds[1];
    const struct connection_options options = {.side = CONNECTION_SERVES,
                                               .frame_timeout_ms = timeout_ms};
    reader->end.connection = connection_new(reader->loop, fds[0], &options, &EVENTS, &reader->end);
    reader->turn = timer_new(reader->loop, take_some, reader);
    if (a_turn > 0) {
        timer_arm(reader->turn, 0);
    }
}

static void reader_free(struct reader *reader)
{
    connection_free(reader->end.connection);
    timer_free(reader->turn);
    close(reader->fd);
    loop_free(reader->loop);
}

static bool has_all(void *context)
{
    const struct reader *reader = context;
    return reader->taken == connection_queued(reader->end.connection);
}

static void many_answers_at_once_do_not_break_a_reader_who_reads(void **state)
{
    (void)state;
    struct reader reader;
    reader_new(&reader, 65536, 10000);
    send_frames(&reader.end, FRAMES); /* 2 MB in one turn */
    wait_until(reader.loop, has_all, &reader);
    assert_false(is_broken(&reader.end));
    reader_free(&reader);
}

static void a_slow_reader_is_kept_while_it_takes_something(void **state)
{
    (void)state;
    struct reader reader;
    reader_new(&reader, 512, 1000);
    send_frames(&reader.end, FRAMES);
    wait_ms(reader.loop, 2500);
    assert_false(is_broken(&reader.end));
    assert_true(connection_waiting(reader.end.connection) > 0); /* slow it was */
    reader_free(&reader);
}

static void who_takes_nothing_is_given_up(void **state)
{
    (void)state;
    struct reader reader;
    reader_new(&reader, 0, 100);
    send_frames(&reader.end, FRAMES);
    wait_until(reader.loop, is_broken, &reader.end);
    assert_string_equal(reader.end.broken, "doesn't read its answers");
    reader_free(&reader);
}

static void what_never_fits_memory_is_given_up_at_once(void **state)
{
    (void)state;
    struct reader reader;
    reader_new(&reader, 0, 10000);
    send_frames(&reader.end, CONNECTION_OUTPUT_MAX_BYTES / LINES_BYTES + 1);
    wait_until(reader.loop, is_broken, &reader.end);
    assert_string_equal(reader.end.broken, "too many answers wait for it");
    reader_free(&reader);
}

static void an_ending_connection_says_its_last_words_first(void **state)
{
    (void)state;
    struct reader reader;
    reader_new(&reader, 65536, 10000);
    send_frames(&reader.end, FRAMES);
    uint64_t all = connection_queued(reader.end.connection);
    connection_end(reader.end.connection, "done");
    assert_true(connection_over(reader.end.connection));
    wait_until(reader.loop, is_broken, &reader.end);
    assert_string_equal(reader.end.broken, "done");
    wait_until(reader.loop, has_all, &reader);
    assert_true(reader.taken == all);
    reader_free(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ends_that_both_have_much_to_say_do_not_wait_for_each_other),
        cmocka_unit_test(a_large_frame_waits_while_another_fills_the_room),
        cmocka_unit_test(many_answers_at_once_do_not_break_a_reader_who_reads),
        cmocka_unit_test(a_slow_reader_is_kept_while_it_takes_something),
        cmocka_unit_test(who_takes_nothing_is_given_up),
        cmocka_unit_test(what_never_fits_memory_is_given_up_at_once),
        cmocka_unit_test(an_ending_connection_says_its_last_words_first),
    };
    return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
