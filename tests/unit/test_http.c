/* lib/http.c against a server that breaks: each row of the transport table, and that a money
 * request is never sent twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <signal.h>

#include "lib/clock.h"
#include "lib/http.h"
#include "tests/unit/tls_server.h"

struct answer {
    int called;
    struct http_result result;
    char body[64];
};

static struct tls_server server;
static char certificate[] = "/tmp/kometpay-http.XXXXXX";
static struct loop *loop;
static struct http_client *client;

static void on_done(void *context, const struct http_result *result)
{
    struct answer *answer = context;

    answer->called++;
    answer->result = *result;
    assert_int_equal(result->body[result->body_size], '\0');
    snprintf(answer->body, sizeof answer->body, "%.63s", result->body);
}

static struct http_request *request_to(unsigned port, bool money, int64_t timeout_ms)
{
    static const char body[] = "{\"amount\":\"10.00\",\"card\":\"4111111111111111\"}";
    struct http_request *request = http_request_new("POST");

    snprintf(request->url, sizeof request->url, "https://127.0.0.1:%u/sale", port);
    request->headers[0] = "Content-Type: application/json";
    request->headers[1] = "Accept: application/json";
    request->secret_header = secret_new("api-key: top", 12);
    request->body = secret_new(body, sizeof body - 1);
    request->money = money;
    request->timeout_ms = timeout_ms;
    return request;
}

static void wait_for(const struct answer *answer)
{
    int64_t end = clock_boot_ms() + 8000;

    while (answer->called == 0 && clock_boot_ms() < end) {
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
        usleep(500);
    }
    assert_int_equal(answer->called, 1);
}

static void exchange(struct answer *answer, struct http_request *request)
{
    *answer = (struct answer){0};
    http_send(client, request, on_done, answer);
    assert_int_equal(answer->called, 0); /* never from inside */
    wait_for(answer);
}

static void money_to(struct answer *answer, enum server_mode mode, int64_t timeout_ms)
{
    atomic_store(&server.mode, (int)mode);
    atomic_store(&server.executed, 0);
    exchange(answer, request_to(server.port, true, timeout_ms));
    assert_true(answer->result.sent_once);
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    client = http_client_new(loop, certificate);
    atomic_store(&server.mode, SERVER_OK);
    atomic_store(&server.executed, 0);
    atomic_store(&server.connections, 0);
    atomic_store(&server.resumed, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_client_free(client);
    loop_free(loop);
    return 0;
}

static void success(void **state)
{
    struct answer a;

    (void)state;
    money_to(&a, SERVER_OK, 5000);
    assert_int_equal(a.result.curl_code, 0);
    assert_int_equal(a.result.status, 200);
    assert_string_equal(a.body, "{}");
    assert_string_equal(a.result.content_type, "application/json");
    assert_string_equal(a.result.request_id, "ID-abc-1");
    assert_false(a.result.nothing_sent);
    assert_string_equal(a.result.error_text, "");
    assert_memory_equal(server.last, "POST /sale HTTP/1.1\r\n", 21);
    assert_non_null(strstr(server.last, "\r\napi-key: top\r\n"));
    assert_non_null(strstr(server.last, "\"card\":\"4111111111111111\"}"));
    assert_null(strcasestr(server.last, "expect:"));
    assert_null(strcasestr(server.last, "accept-encoding:"));
}

static void nothing_sent(void **state)
{
    struct answer a;

    (void)state;
    exchange(&a, request_to(1, true, 5000));
    assert_int_equal(a.result.curl_code, CURLE_COULDNT_CONNECT);
    assert_true(a.result.nothing_sent);

    money_to(&a, SERVER_CLOSE_BEFORE_TLS, 5000);
    assert_int_equal(a.result.curl_code, CURLE_SSL_CONNECT_ERROR);
    assert_true(a.result.nothing_sent);

    money_to(&a, SERVER_SILENT_BEFORE_TLS, 300);
    assert_int_equal(a.result.curl_code, CURLE_OPERATION_TIMEDOUT);
    assert_true(a.result.nothing_sent);

    struct http_client *stranger = http_client_new(loop, NULL); /* trusts only the system's */
    a = (struct answer){0};
    atomic_store(&server.mode, SERVER_OK);
    http_send(stranger, request_to(server.port, true, 5000), on_done, &a);
    wait_for(&a);
    http_client_free(stranger);
    assert_int_equal(a.result.curl_code, CURLE_PEER_FAILED_VERIFICATION);
    assert_true(a.result.nothing_sent);
    assert_int_equal(atomic_load(&server.executed), 0);
}

static void only_https(void **state)
{
    struct answer a;
    struct http_request *request = request_to(server.port, true, 1000);

    (void)state;
    snprintf(request->url, sizeof request->url, "http://127.0.0.1:%u/sale", server.port);
    exchange(&a, request);
    assert_int_equal(a.result.curl_code, CURLE_UNSUPPORTED_PROTOCOL);
    assert_true(a.result.nothing_sent);
}

static void anything_may_have_been_sent(void **state)
{
    static const struct {
        enum server_mode mode;
        int code;
        int executed;
        long status;
    } row[] = {
        {SERVER_CLOSE_AFTER_TLS, CURLE_RECV_ERROR, 0, 0},
        {SERVER_RESET_AFTER_REQUEST, CURLE_RECV_ERROR, 1, 0},
        {SERVER_CLOSE_AFTER_REQUEST, CURLE_GOT_NOTHING, 1, 0},
        {SERVER_SILENT, CURLE_OPERATION_TIMEDOUT, 1, 0},
        {SERVER_SHORT_BODY, CURLE_PARTIAL_FILE, 1, 200},
        {SERVER_BAD_CHUNK, CURLE_RECV_ERROR, 1, 200},
        {SERVER_NOT_HTTP, CURLE_UNSUPPORTED_PROTOCOL, 1, 0},
        {SERVER_BIG_BODY, CURLE_WRITE_ERROR, 1, 200},
    };
    struct answer a;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        money_to(&a, row[i].mode, row[i].mode == SERVER_SILENT ? 300 : 5000);
        if (row[i].mode != SERVER_CLOSE_AFTER_TLS || a.result.curl_code != CURLE_GOT_NOTHING) {
            /* (An early close is seen as an end or as a reset, whichever comes first.) */
            assert_int_equal(a.result.curl_code, row[i].code);
        }
        assert_int_equal(atomic_load(&server.executed), row[i].executed);
        assert_int_equal(a.result.status, row[i].status);
        assert_false(a.result.nothing_sent);
        assert_string_not_equal(a.result.error_text, "");
        assert_int_equal(a.result.body_too_large, row[i].mode == SERVER_BIG_BODY);
        assert_null(strstr(a.result.error_text, "4111"));
    }
}

static void a_redirect_is_not_followed(void **state)
{
    struct answer a;

    (void)state;
    money_to(&a, SERVER_REDIRECT, 5000);
    assert_int_equal(a.result.curl_code, 0);
    assert_int_equal(a.result.status, 307);
    assert_int_equal(atomic_load(&server.executed), 1);
}

/* libcurl sends a POST again when a connection that it reuses dies without an answer. The first
 * half shows that it does (a query may), the second that money never meets it. */
static void a_dying_connection(void **state)
{
    struct answer a;

    (void)state;
    atomic_store(&server.mode, SERVER_DIE_ON_REUSE);
    exchange(&a, request_to(server.port, false, 5000));
    assert_int_equal(a.result.curl_code, 0);
    exchange(&a, request_to(server.port, false, 5000));
    assert_int_equal(a.result.curl_code, 0);
    assert_int_equal(atomic_load(&server.executed), 3); /* two asked for, three executed */
    assert_false(a.result.sent_once);

    http_client_free(client);
    client = http_client_new(loop, certificate);
    atomic_store(&server.mode, SERVER_OK);
    exchange(&a, request_to(server.port, true, 5000));
    assert_int_equal(a.result.curl_code, 0);
    money_to(&a, SERVER_CLOSE_AFTER_REQUEST, 5000);
    assert_int_equal(a.result.curl_code, CURLE_GOT_NOTHING);
    assert_int_equal(atomic_load(&server.executed), 1);
}

static void money_connects_anew_and_resumes_tls(void **state)
{
    struct answer a;

    (void)state;
    for (int i = 0; i < 3; i++) {
        money_to(&a, SERVER_OK, 5000);
        assert_int_equal(a.result.curl_code, 0);
    }
    assert_int_equal(atomic_load(&server.connections), 3);
    assert_int_equal(atomic_load(&server.resumed), 2);
}

/* Turns the loop until the server has read a request whole. */
static void until_executed(void)
{
    int64_t end = clock_boot_ms() + 5000;
    while (atomic_load(&server.executed) == 0 && clock_boot_ms() < end) {
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
    }
}

static void a_client_that_ends_answers_what_runs(void **state)
{
    struct answer a = {0};

    (void)state;
    atomic_store(&server.mode, SERVER_SILENT);
    http_send(client, request_to(server.port, true, 5000), on_done, &a);
    until_executed();
    http_client_free(client);
    client = NULL;
    assert_int_equal(a.called, 1);
    assert_int_equal(a.result.curl_code, CURLE_ABORTED_BY_CALLBACK);
    assert_false(a.result.nothing_sent);
}

static int group_start(void **state)
{
    struct error *e = secret_memory_start(1 << 20);

    (void)state;
    if (e != NULL) {
        return -1;
    }
    signal(SIGPIPE, SIG_IGN);
    int fd = mkstemp(certificate);
    if (fd < 0 || close(fd) != 0) {
        return -1;
    }
    server_start(&server, certificate);
    return 0;
}

static void a_question_is_given_up(void **state)
{
    struct answer a = {0}, other = {0};

    (void)state;
    atomic_store(&server.mode, SERVER_SILENT);
    http_send(client, request_to(server.port, false, 5000), on_done, &other);
    http_send(client, request_to(server.port, false, 5000), on_done, &a);
    until_executed(); /* so that none is counted in the next test */
    http_cancel(client, on_done, &a);
    assert_int_equal(a.called, 1);
    assert_int_equal(a.result.curl_code, CURLE_ABORTED_BY_CALLBACK);
    assert_int_equal(other.called, 0);
    http_cancel(client, on_done, &a); /* there is none such any more */
    assert_int_equal(a.called, 1);
    http_cancel(client, on_done, &other);
    assert_int_equal(other.called, 1);
}

static int group_end(void **state)
{
    (void)state;
    server_stop(&server);
    return unlink(certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(success, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_https, set_up, tear_down),
        cmocka_unit_test_setup_teardown(anything_may_have_been_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_redirect_is_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_dying_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(money_connects_anew_and_resumes_tls, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_question_is_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_that_ends_answers_what_runs, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, group_start, group_end);
}
