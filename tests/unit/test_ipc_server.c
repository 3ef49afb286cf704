/* A daemon's server as its callers meet it: frames that are refused or late, and the end. */
#include "tests/unit/ipc_callee.h"

#include "ipc/frame.h"

/* -- Frames by hand ----------------------------------------------------------------------- */

/* A till that terminald knows by its certificate, with little room on the way to it. */
static int adopted_caller(struct callee *callee)
{
    int fds[2];
    int small = 4096;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    struct bufferevent *stream =
        bufferevent_socket_new(loop_base(callee->loop), fds[0], BEV_OPT_CLOSE_ON_FREE);
    assert_non_null(stream);
    ipc_server_adopt(callee->server, stream, PEER_OPERATOR, "MIA", "till-1");
    return fds[1];
}

static void send_slowly(struct loop *loop, int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n < 5000 ? n : 5000, MSG_DONTWAIT);
        if (sent > 0) {
            bytes += sent;
            n -= (size_t)sent;
        }
        wait_ms(loop, 0);
    }
}

/* The next frame is the error with this code. */
static void read_error(struct loop *loop, int fd, const char *code)
{
    char bytes[1024];
    ssize_t n = 0;
    int64_t end = clock_boot_ms() + WAIT_MAX_MS;
    while (n <= 0) {
        wait_ms(loop, 1);
        n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        assert_true(clock_boot_ms() < end);
    }
    struct frame_header header;
    assert_true(n > (ssize_t)FRAME_HEADER_BYTES);
    assert_null(frame_parse((const uint8_t *)bytes, &header));
    assert_int_equal(header.type, MESSAGE_ERROR);
    assert_int_equal(header.correlation, 3);
    assert_int_equal(n, FRAME_HEADER_BYTES + header.length);
    void *message;
    assert_null(message_decode(MESSAGE_ERROR, bytes + FRAME_HEADER_BYTES, header.length, &message));
    assert_string_equal(((const struct msg_error *)message)->code, code);
    message_free(MESSAGE_ERROR, message);
}

/* -- Draining --------------------------------------------------------------------------------- */

static void note_drained(void *context)
{
    *(bool *)context = true;
}

static bool is_true(void *context)
{
    return *(const bool *)context;
}

static void fill_rows(struct msg_invoice_rows *rows)
{
    for (unsigned i = 0; i < 200; i++) {
        struct msg_invoice_row *row = message_list_add(MESSAGE_INVOICE_ROWS, rows, "rows");
        assert_non_null(row);
        snprintf(row->invoice, sizeof(row->invoice), "INVOICE-NUMBER-WITH-MANY-LETTERS-%u", i);
        snprintf(row->customer, sizeof(row->customer), "CUSTOMER-NUMBER-WITH-MANY-LETTERS-%u", i);
        snprintf(row->location, sizeof(row->location), "MIA");
        snprintf(row->invoice_date, sizeof(row->invoice_date), "2026-01-31");
        snprintf(row->due_date, sizeof(row->due_date), "2026-03-31");
        snprintf(row->currency, sizeof(row->currency), "USD");
        row->state = INVOICE_ROW_STATE_OPEN;
    }
}

/* The bytes of the next frame, all of which come. */
static size_t read_frame(struct loop *loop, int fd)
{
    uint8_t bytes[FRAME_HEADER_BYTES];
    struct frame_header header = {0};
    size_t have = 0;
    size_t whole = sizeof(bytes);
    int64_t end = clock_boot_ms() + WAIT_MAX_MS;
    while (have < whole) {
        char more[4096];
        bool head = have < sizeof(bytes);
        size_t wish = whole - have < sizeof(more) ? whole - have : sizeof(more);
        ssize_t n = recv(fd, head ? (char *)bytes + have : more, wish, MSG_DONTWAIT);
        have += n > 0 ? (size_t)n : 0;
        if (head && have == sizeof(bytes)) {
            assert_null(frame_parse(bytes, &header));
            whole += header.length;
        }
        assert_true(clock_boot_ms() < end);
        wait_ms(loop, 0);
    }
    return have;
}

/* The answer is written down at once; it leaves when the caller takes it. */
static void a_drain_waits_until_the_last_answer_has_left(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    int fd = adopted_caller(&callee);
    struct frame_header header = {
        .version = FRAME_VERSION, .type = MESSAGE_INVOICE_LIST, .length = 2, .correlation = 7};
    uint8_t frame[FRAME_HEADER_BYTES + 2] = {0};
    frame_write(&header, frame);
    frame[FRAME_HEADER_BYTES] = '{';
    frame[FRAME_HEADER_BYTES + 1] = '}';
    assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
    wait_until(callee.loop, has_asked, &callee);
    assert_string_equal(ipc_request_location(callee.held[0]), "MIA");
    assert_string_equal(ipc_request_pos(callee.held[0]), "till-1");

    bool drained = false;
    ipc_server_drain(callee.server, 10000, note_drained, &drained);
    struct told refused = {0};
    struct ipc_client *client = ipc_client_new(callee.loop, callee.place.path);
    ask(client, 0, &refused);
    wait_until(callee.loop, is_told, &refused);
    assert_failed(&refused, "ipc_unreachable"); /* nobody listens any more */
    assert_false(drained);

    struct msg_invoice_rows *rows = message_new(MESSAGE_INVOICE_ROWS);
    fill_rows(rows);
    ipc_answer(callee.held[0], MESSAGE_INVOICE_ROWS, rows); /* more than the socket takes */
    message_free(MESSAGE_INVOICE_ROWS, rows);
    assert_int_equal(ipc_server_in_flight(callee.server), 0);
    wait_ms(callee.loop, 100);
    assert_false(drained);
    assert_true(read_frame(callee.loop, fd) > 20000);
    wait_until(callee.loop, is_true, &drained);
    close(fd);
    ipc_client_free(client);
    callee_free(&callee);
}

static void send_question(int fd, const struct frame_header *wanted)
{
    uint8_t frame[FRAME_HEADER_BYTES + 2];
    struct frame_header header = *wanted;
    header.version = FRAME_VERSION;
    header.type = MESSAGE_DAEMON_STATUS;
    header.length = 2;
    header.correlation = 3;
    frame_write(&header, frame);
    frame[FRAME_HEADER_BYTES] = '{';
    frame[FRAME_HEADER_BYTES + 1] = '}';
    assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
}

/* A busy daemon reads late; the caller has stopped waiting by then. */
static void the_time_a_frame_waits_unread_counts(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    int fd = dial(callee.place.path);
    int64_t now = clock_boot_ms();
    struct frame_header header = {
        .flags = FRAME_SENT_AT, .left_ms = 5000, .sent_ms = (uint32_t)(now - 6000)};
    send_question(fd, &header);
    read_error(callee.loop, fd, "deadline_passed");
    assert_int_equal(callee.asked, 0);
    header.sent_ms = (uint32_t)(now - 1000);
    send_question(fd, &header);
    wait_until(callee.loop, has_asked, &callee);
    assert_int_equal(ipc_request_deadline_boot_ms(callee.held[0]), now + 4000);
    answer_pid(callee.held[0], 1);
    close(fd);

    int till = adopted_caller(&callee); /* on another machine, with another clock */
    send_question(till, &header);
    read_error(callee.loop, till, "frame_flags");
    close(till);
    callee_free(&callee);
}

/* Its bytes need not come before it hears so, and the connection goes on. */
static void a_refused_frame_is_refused_by_its_header(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        uint32_t length;
        const char *code;
    } ROWS[] = {
        {MESSAGE_SALE, 100000, "right_refused"},          /* an operator's pay is not a sale */
        {MESSAGE_INVOICE_LIST, 100000, "frame_too_long"}, /* it can't be so long */
        {MESSAGE_LOCATION_LIST, 50, "message_unknown"},   /* not served here */
        {(enum message_type)999, 500000, "message_unknown"},
    };
    struct callee callee;
    callee_new(&callee);
    everybody_is("operator=*");
    for (unsigned i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        int fd = dial(callee.place.path);
        char bytes[FRAME_HEADER_BYTES + 10] = {0};
        struct frame_header header = {.version = FRAME_VERSION,
                                      .type = (uint16_t)ROWS[i].type,
                                      .length = ROWS[i].length,
                                      .correlation = 3};
        frame_write(&header, (uint8_t *)bytes);
        assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        read_error(callee.loop, fd, ROWS[i].code);
        char *rest = calloc(1, ROWS[i].length);
        assert_non_null(rest);
        send_slowly(callee.loop, fd, rest, ROWS[i].length - 10);
        free(rest);
        unsigned asked = callee.asked;
        header = (struct frame_header){
            .version = FRAME_VERSION, .type = MESSAGE_DAEMON_STATUS, .length = 2};
        frame_write(&header, (uint8_t *)bytes);
        bytes[FRAME_HEADER_BYTES] = '{';
        bytes[FRAME_HEADER_BYTES + 1] = '}';
        assert_int_equal(send(fd, bytes, FRAME_HEADER_BYTES + 2, 0), FRAME_HEADER_BYTES + 2);
        while (callee.asked == asked) {
            wait_ms(callee.loop, 1);
        }
        answer_pid(callee.held[asked], 1);
        close(fd);
    }
    callee_free(&callee);
}

static void a_drain_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    struct ipc_client *client = ipc_client_new(callee.loop, callee.place.path);
    struct told told = {0};
    struct told busy = {0};
    bool drained = false;
    ask(client, 0, &told);
    wait_until(callee.loop, has_asked, &callee);
    ipc_server_drain(callee.server, 100, note_drained, &drained);
    ask(client, 0, &busy); /* on the connection it has */
    wait_until(callee.loop, is_told, &busy);
    assert_string_equal(busy.code, "busy");
    wait_until(callee.loop, is_true, &drained);
    assert_int_equal(told.times, 0);
    ipc_server_free(callee.server);
    wait_until(callee.loop, is_told, &told);
    assert_failed(&told, "ipc_lost");
    answer_pid(callee.held[0], 1);
    serve(&callee);
    ipc_client_free(client);
    callee_free(&callee);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_a_frame_waits_unread_counts),
        cmocka_unit_test(a_refused_frame_is_refused_by_its_header),
        cmocka_unit_test(a_drain_waits_until_the_last_answer_has_left),
        cmocka_unit_test(a_drain_does_not_wait_for_ever),
    };
    return cmocka_run_group_tests_name("ipc_server", tests, NULL, NULL);
}
