/* lib/http_connection.c: a connection that is opened before its request, and all that can become of
 * it, carries that one request or none. */
#include "tests/unit/http_exchange.h"

#include <fcntl.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/http_connection.h"

static struct http_connection *connection_to(unsigned port, int64_t connect_timeout_ms)
{
    char origin[64];

    snprintf(origin, sizeof origin, "https://127.0.0.1:%u", port);
    return http_connection_open(client, origin, connect_timeout_ms);
}

static void turn_for(int64_t ms)
{
    for (int64_t end = clock_boot_ms() + ms; clock_boot_ms() < end; usleep(500)) {
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    }
}

/* Over a connection that has had `early_ms` to come up. */
static void early_money_to(struct answer *answer, enum server_mode mode, int64_t early_ms,
                           int64_t timeout_ms)
{
    struct http_request *request = request_to(server.port, true, timeout_ms);

    atomic_store(&server.mode, (int)mode);
    atomic_store(&server.executed, 0);
    atomic_store(&server.connections, 0);
    request->connection = connection_to(server.port, timeout_ms);
    turn_for(early_ms);
    exchange(answer, request);
    assert_true(answer->result.sent_once);
}

static void an_early_connection_carries_one_request(void **state)
{
    struct answer a;

    (void)state;
    for (int early_ms = 0; early_ms <= 50; early_ms += 50) {
        early_money_to(&a, SERVER_OK, early_ms, 5000);
        assert_int_equal(a.result.curl_code, 0);
        assert_int_equal(a.result.status, 200);
        assert_string_equal(a.body, "{}");
        assert_string_equal(a.result.request_id, "ID-abc-1");
        assert_string_equal(a.result.error_text, "");
        assert_false(a.result.nothing_sent);
        assert_memory_equal(server.last, "POST /sale HTTP/1.1\r\n", 21);
        assert_non_null(strstr(server.last, "\r\napi-key: top\r\n"));
        assert_non_null(strstr(server.last, "\"card\":\"4111111111111111\"}"));
        assert_null(strcasestr(server.last, "expect:"));
        char host[64];
        snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%u\r\n", server.port);
        assert_non_null(strstr(server.last, host));
        assert_int_equal(atomic_load(&server.connections), 1);
        assert_int_equal(atomic_load(&server.executed), 1);
    }
    assert_int_equal(atomic_load(&server.resumed), 1);
}

/* What never came up is told as it is; nothing is tried again. */
static void an_early_connection_that_fails(void **state)
{
    struct answer a;

    (void)state;
    for (int early_ms = 0; early_ms <= 50; early_ms += 50) {
        struct http_request *request = request_to(1, true, 5000);
        request->connection = connection_to(1, 5000);
        turn_for(early_ms);
        exchange(&a, request);
        assert_int_equal(a.result.curl_code, CURLE_COULDNT_CONNECT);
        assert_true(a.result.nothing_sent);
        assert_string_not_equal(a.result.error_text, "");

        early_money_to(&a, SERVER_CLOSE_BEFORE_TLS, early_ms, 5000);
        assert_int_equal(a.result.curl_code, CURLE_SSL_CONNECT_ERROR);
        assert_true(a.result.nothing_sent);
        assert_int_equal(atomic_load(&server.connections), 1);

        early_money_to(&a, SERVER_SILENT_BEFORE_TLS, early_ms, 300);
        assert_int_equal(a.result.curl_code, CURLE_OPERATION_TIMEDOUT);
        assert_true(a.result.nothing_sent);
    }
}

static void an_early_connection_that_breaks(void **state)
{
    static const struct {
        enum server_mode mode;
        int code, other_code; /* (an early close is seen as an end or as a reset) */
        long status;
    } row[] = {
        {SERVER_RESET_AFTER_REQUEST, CURLE_GOT_NOTHING, CURLE_RECV_ERROR, 0},
        {SERVER_CLOSE_AFTER_REQUEST, CURLE_GOT_NOTHING, CURLE_GOT_NOTHING, 0},
        {SERVER_SILENT, CURLE_OPERATION_TIMEDOUT, CURLE_OPERATION_TIMEDOUT, 0},
        {SERVER_SHORT_BODY, CURLE_PARTIAL_FILE, CURLE_PARTIAL_FILE, 200},
        {SERVER_BAD_CHUNK, CURLE_RECV_ERROR, CURLE_RECV_ERROR, 200},
        {SERVER_NOT_HTTP, CURLE_UNSUPPORTED_PROTOCOL, CURLE_UNSUPPORTED_PROTOCOL, 0},
        {SERVER_BIG_BODY, CURLE_WRITE_ERROR, CURLE_WRITE_ERROR, 200},
    };
    struct answer a;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        early_money_to(&a, row[i].mode, 20, row[i].mode == SERVER_SILENT ? 300 : 5000);
        if (a.result.curl_code != row[i].other_code) {
            assert_int_equal(a.result.curl_code, row[i].code);
        }
        assert_int_equal(atomic_load(&server.executed), 1);
        assert_int_equal(atomic_load(&server.connections), 1);
        assert_int_equal(a.result.status, row[i].status);
        assert_false(a.result.nothing_sent);
        assert_string_not_equal(a.result.error_text, "");
        assert_int_equal(a.result.body_too_large, row[i].mode == SERVER_BIG_BODY);
        assert_null(strstr(a.result.error_text, "4111"));
    }
}

/* Closed by the server, grown old, or to somebody else: the request takes a new connection. */
static void an_early_connection_that_is_replaced(void **state)
{
    struct answer a;

    (void)state;
    atomic_store(&server.mode, SERVER_CLOSE_AFTER_TLS);
    atomic_store(&server.connections, 0);
    struct http_request *request = request_to(server.port, true, 5000);
    request->connection = connection_to(server.port, 5000);
    for (int64_t end = clock_boot_ms() + 5000;
         http_connection_serves(request->connection, request->url) && clock_boot_ms() < end;) {
        turn_for(1);
    }
    atomic_store(&server.mode, SERVER_OK);
    exchange(&a, request);
    assert_int_equal(a.result.curl_code, 0);
    assert_int_equal(atomic_load(&server.connections), 2);
    assert_int_equal(atomic_load(&server.executed), 1);

    early_money_to(&a, SERVER_OK, 2100, 5000);
    assert_int_equal(a.result.curl_code, 0);
    assert_int_equal(atomic_load(&server.connections), 2);
    assert_int_equal(atomic_load(&server.executed), 1);

    request = request_to(server.port, true, 5000);
    request->connection = connection_to(1, 5000);
    exchange(&a, request);
    assert_int_equal(a.result.curl_code, 0);
}

/* Given up, with or without its request: nothing was sent. */
static void an_early_connection_that_is_not_used(void **state)
{
    (void)state;
    http_connection_close(NULL);
    atomic_store(&server.mode, SERVER_OK);
    atomic_store(&server.connections, 0);
    atomic_store(&server.executed, 0);
    for (int early_ms = 0; early_ms <= 50; early_ms += 50) {
        struct http_connection *connection = connection_to(server.port, 5000);
        turn_for(early_ms);
        http_connection_close(connection);
        struct http_request *request = request_to(server.port, true, 5000);
        request->connection = connection_to(server.port, 5000);
        turn_for(early_ms);
        http_request_free(request);
    }
    turn_for(50);
    assert_int_equal(atomic_load(&server.executed), 0);
}

/* The relay's socket has a name that all can see; only this process may use it. */
static void a_stranger_at_the_relay(void **state)
{
    struct answer a = {0};
    struct http_request *request = request_to(server.port, true, 5000);
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    (void)state;
    atomic_store(&server.mode, SERVER_OK);
    atomic_store(&server.executed, 0);
    request->connection = connection_to(server.port, 5000);
    turn_for(300);
    const char *socket_name = http_connection_socket(request->connection);
    memcpy(name.sun_path + 1, socket_name, strlen(socket_name));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(socket_name));
    int heard[2];
    assert_int_equal(pipe2(heard, O_NONBLOCK), 0);
    pid_t stranger = fork();
    if (stranger == 0) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        char byte = 'n'; /* not even connected */
        if (connect(fd, (struct sockaddr *)&name, size) == 0 &&
            write(fd, "GET / HTTP/1.1\r\n\r\n", 18) == 18) {
            byte = read(fd, &byte, 1) > 0 ? 'y' : 'c'; /* answered, or closed */
        }
        (void)!write(heard[1], &byte, 1);
        _exit(0);
    }
    char byte = '\0';
    for (int64_t end = clock_boot_ms() + 5000;
         read(heard[0], &byte, 1) != 1 && clock_boot_ms() < end;) {
        turn_for(1);
    }
    assert_int_equal(waitpid(stranger, NULL, 0), stranger);
    close(heard[0]);
    close(heard[1]);
    exchange(&a, request);
    assert_int_equal(a.result.curl_code, 0);
    assert_int_equal(atomic_load(&server.executed), 1);
    assert_memory_equal(server.last, "POST /sale HTTP/1.1\r\n", 21);
    assert_int_equal(byte, 'c'); /* turned away unheard */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_early_connection_carries_one_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_early_connection_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_early_connection_that_breaks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_early_connection_that_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_early_connection_that_is_not_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stranger_at_the_relay, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, group_start, group_end);
}
