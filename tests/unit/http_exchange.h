/* What the tests of lib/http share: a client of ours, a server that breaks, and one exchange
 * between them. */
#ifndef TESTS_UNIT_HTTP_EXCHANGE_H
#define TESTS_UNIT_HTTP_EXCHANGE_H

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

static int group_end(void **state)
{
    (void)state;
    server_stop(&server);
    return unlink(certificate);
}

#endif
