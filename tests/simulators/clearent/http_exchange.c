/* One connection: TLS, HTTP/1.1 requests in order, answers delivered well or, by a fault, badly.
 * It must never send an answer before the ledger holds what was executed for it. */
#include "http_exchange.h"

#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "http_head.h"
#include "ledger.h"
#include "result_code.h"
#include "stats.h"

enum { HEAD_BYTES_MAX = 4096, BODY_BYTES_MAX = 65536, MISSING_BYTES = 64, PLAIN_CHUNK_BYTES = 16 };

enum exchange_state { READING_HEAD, READING_BODY, HELD, ANSWERING, CLOSING };

struct exchange {
    struct event_base *base;
    struct bufferevent *wire;
    struct event *timer; /* made when a fault first needs it */
    enum exchange_state state;
    bool close_after_handshake;
    bool reset_in_body;
    struct http_head head;
    struct answer answer;
    struct text bytes; /* the answer as it goes on the wire */
    size_t headers_size;
    size_t sent; /* of a drip or a paused answer */
    TAILQ_ENTRY(exchange) held;
    char head_bytes[HEAD_BYTES_MAX + 1];
};

static TAILQ_HEAD(, exchange) held_exchanges = TAILQ_HEAD_INITIALIZER(held_exchanges);

static bool exchange_advance(struct exchange *exchange);

static void exchange_free(struct exchange *exchange)
{
    if (exchange->state == HELD) {
        TAILQ_REMOVE(&held_exchanges, exchange, held);
    }
    if (exchange->timer != NULL) {
        event_free(exchange->timer);
    }
    bufferevent_free(exchange->wire);
    text_free(&exchange->answer.body);
    text_free(&exchange->bytes);
    free(exchange);
}

static void exchange_close(struct exchange *exchange)
{
    SSL *tls = bufferevent_openssl_get_ssl(exchange->wire);

    /* One close_notify out, none awaited: the orderly end a server gives. */
    SSL_set_shutdown(tls, SSL_RECEIVED_SHUTDOWN);
    SSL_shutdown(tls);
    exchange_free(exchange);
}

static void exchange_reset(struct exchange *exchange)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(bufferevent_getfd(exchange->wire), SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    exchange_free(exchange);
}

static const char *reason_phrase(int http)
{
    static const struct {
        int http;
        const char *phrase;
    } PHRASES[] = {{200, "OK"},
                   {204, "No Content"},
                   {302, "Found"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {402, "Payment Required"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {429, "Too Many Requests"},
                   {500, "Internal Server Error"},
                   {502, "Bad Gateway"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"}};

    for (size_t i = 0; i < sizeof PHRASES / sizeof PHRASES[0]; i++) {
        if (PHRASES[i].http == http) {
            return PHRASES[i].phrase;
        }
    }
    return "Status";
}

static void bytes_write(struct exchange *exchange)
{
    const struct answer *answer = &exchange->answer;
    struct text *bytes = &exchange->bytes;
    size_t promised = answer->body.size + (answer->delivery == DELIVER_SHORT ? MISSING_BYTES : 0);

    text_clear(bytes);
    text_reserve(bytes, answer->body.size + 512);
    text_printf(bytes, "HTTP/1.1 %d %s\r\n", answer->http, reason_phrase(answer->http));
    text_puts(bytes, answer->headers);
    if (answer->http != 204) {
        text_printf(bytes, "Content-Type: %s\r\n",
                    answer->content_type == NULL ? "application/json" : answer->content_type);
        if (answer->delivery == DELIVER_BAD_CHUNK) {
            text_puts(bytes, "Transfer-Encoding: chunked\r\n");
        } else {
            text_printf(bytes, "Content-Length: %zu\r\n", promised);
        }
    }
    text_puts(bytes, exchange->head.keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
    exchange->headers_size = bytes->size;
    if (answer->delivery == DELIVER_BAD_CHUNK) {
        size_t good = answer->body.size < PLAIN_CHUNK_BYTES ? answer->body.size : PLAIN_CHUNK_BYTES;

        text_printf(bytes, "%zx\r\n", good);
        text_add(bytes, answer->body.bytes, good);
        text_puts(bytes, "\r\nnot-a-size\r\n");
    }
    text_add(bytes, answer->body.bytes, answer->body.size);
}

/* The answer is out; true when the exchange lives and may read the next request. */
static bool exchange_answered(struct exchange *exchange)
{
    exchange->answer.delivery = DELIVER_WHOLE;
    exchange->answer.delay_ms = 0;
    exchange->answer.headers[0] = '\0';
    exchange->state = exchange->head.keep_alive ? READING_HEAD : CLOSING;
    return exchange->head.keep_alive;
}

static void send_rest(struct exchange *exchange, size_t until)
{
    bufferevent_write(exchange->wire, exchange->bytes.bytes + exchange->sent,
                      until - exchange->sent);
    exchange->sent = until;
}

static void timer_start(struct exchange *exchange)
{
    int64_t delay_ms = exchange->answer.delay_ms > 0 ? exchange->answer.delay_ms : 1;
    struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};

    event_add(exchange->timer, &delay);
}

static void on_timer(evutil_socket_t socket, short what, void *context)
{
    struct exchange *exchange = context;
    enum delivery delivery = exchange->answer.delivery;

    (void)socket;
    (void)what;
    if (delivery == DELIVER_SILENT) {
        exchange_close(exchange);
        return;
    }
    if (delivery == DELIVER_HALF_RESET) {
        exchange_reset(exchange);
        return;
    }
    send_rest(exchange, delivery == DELIVER_DRIP ? exchange->sent + 1 : exchange->bytes.size);
    if (exchange->sent < exchange->bytes.size) {
        timer_start(exchange);
    } else if (exchange_answered(exchange)) {
        exchange_advance(exchange);
    }
}

/* The deliveries that take time. */
static void deliver_slowly(struct exchange *exchange)
{
    enum delivery delivery = exchange->answer.delivery;

    if (exchange->timer == NULL) {
        exchange->timer = evtimer_new(exchange->base, on_timer, exchange);
        assert(exchange->timer != NULL);
    }
    if (delivery == DELIVER_PAUSED) {
        send_rest(exchange, exchange->headers_size);
    } else if (delivery == DELIVER_HALF_RESET) {
        /* The half must have left before the reset throws the rest away. */
        send_rest(exchange, exchange->headers_size + exchange->answer.body.size / 2);
        exchange->answer.delay_ms = 50;
    }
    timer_start(exchange);
}

/* True when the exchange lives and may read on. */
static bool exchange_deliver(struct exchange *exchange)
{
    enum delivery delivery = exchange->answer.delivery;

    exchange->state = ANSWERING;
    if (delivery == DELIVER_CLOSE) {
        exchange_close(exchange);
        return false;
    }
    if (delivery == DELIVER_RESET) {
        exchange_reset(exchange);
        return false;
    }
    if (delivery == DELIVER_SHORT || delivery == DELIVER_BAD_CHUNK) {
        exchange->head.keep_alive = false;
    }
    bytes_write(exchange);
    exchange->sent = 0;
    if (delivery == DELIVER_WHOLE || delivery == DELIVER_SHORT || delivery == DELIVER_BAD_CHUNK) {
        send_rest(exchange, exchange->bytes.size);
        return exchange_answered(exchange);
    }
    deliver_slowly(exchange);
    return false;
}

/* Answers or, when something was executed, waits for the ledger. */
static bool exchange_finish(struct exchange *exchange)
{
    if (ledger_unsaved()) {
        exchange->state = HELD;
        TAILQ_INSERT_TAIL(&held_exchanges, exchange, held);
        return false;
    }
    return exchange_deliver(exchange);
}

void exchange_release(void)
{
    struct exchange *exchange;

    while ((exchange = TAILQ_FIRST(&held_exchanges)) != NULL) {
        TAILQ_REMOVE(&held_exchanges, exchange, held);
        exchange->state = ANSWERING;
        if (exchange_deliver(exchange)) {
            exchange_advance(exchange);
        }
    }
}

static bool exchange_refuse(struct exchange *exchange, const char *why)
{
    stats.requests[OP_OTHER]++;
    exchange->head.keep_alive = false;
    answer_error(&exchange->answer, CODE_REQUEST_FORMAT, why);
    return exchange_deliver(exchange);
}

/* True when the head is whole and good and the body may be read. */
static bool read_head(struct exchange *exchange, struct evbuffer *input)
{
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    struct fault_hit hit;
    const char *wrong;

    if (end.pos < 0 || end.pos + 4 > HEAD_BYTES_MAX) {
        if (end.pos >= 0 || evbuffer_get_length(input) > HEAD_BYTES_MAX) {
            exchange_refuse(exchange, "The head of the request is too long");
        }
        return false;
    }
    evbuffer_remove(input, exchange->head_bytes, (size_t)end.pos + 4);
    exchange->head_bytes[end.pos] = '\0';
    wrong = http_head_read(exchange->head_bytes, &exchange->head);
    if (wrong == NULL && exchange->head.body_size > BODY_BYTES_MAX) {
        wrong = "The body is too long";
    }
    if (wrong != NULL) {
        exchange_refuse(exchange, wrong);
        return false;
    }
    exchange->state = READING_BODY;
    if (service_fault_on_headers(&exchange->head.request, &hit)) {
        if (hit.effect == FAULT_RESET_AFTER_HEADERS || exchange->head.body_size == 0) {
            exchange_reset(exchange);
            return false;
        }
        exchange->reset_in_body = true;
    }
    return true;
}

/* True when the request was answered at once and another may follow. */
static bool read_body(struct exchange *exchange, struct evbuffer *input)
{
    struct request *request = &exchange->head.request;
    size_t size = exchange->head.body_size;
    size_t here = evbuffer_get_length(input);

    if (exchange->reset_in_body && here >= size / 2) {
        exchange_reset(exchange);
        return false;
    }
    if (here < size) {
        return false;
    }
    request->body_size = size;
    request->body = size == 0 ? NULL : (const char *)evbuffer_pullup(input, (ssize_t)size);
    service_answer(request, &exchange->answer);
    evbuffer_drain(input, size);
    return exchange_finish(exchange);
}

/* Goes as far as the bytes at hand allow; false when the exchange waits or is gone. */
static bool exchange_advance(struct exchange *exchange)
{
    struct evbuffer *input = bufferevent_get_input(exchange->wire);

    for (;;) {
        if (exchange->state == READING_HEAD &&
            (evbuffer_get_length(input) == 0 || !read_head(exchange, input))) {
            return false;
        }
        if (exchange->state != READING_BODY || !read_body(exchange, input)) {
            return false;
        }
    }
}

static void on_read(struct bufferevent *wire, void *context)
{
    struct exchange *exchange = context;

    (void)wire;
    if (exchange->state == READING_HEAD || exchange->state == READING_BODY) {
        exchange_advance(exchange);
    }
}

static void on_written(struct bufferevent *wire, void *context)
{
    struct exchange *exchange = context;

    (void)wire;
    if (exchange->state == CLOSING) {
        exchange_close(exchange);
    }
}

static void on_event(struct bufferevent *wire, short what, void *context)
{
    struct exchange *exchange = context;

    if ((what & BEV_EVENT_CONNECTED) != 0) {
        stats.handshakes++;
        stats.resumed += SSL_session_reused(bufferevent_openssl_get_ssl(wire)) != 0;
        if (exchange->close_after_handshake) {
            exchange_close(exchange);
        }
        return;
    }
    exchange_free(exchange);
}

static void on_unheard(struct bufferevent *wire, void *context)
{
    (void)context;
    evbuffer_drain(bufferevent_get_input(wire), evbuffer_get_length(bufferevent_get_input(wire)));
}

static void on_unheard_event(struct bufferevent *wire, short what, void *context)
{
    (void)what;
    (void)context;
    bufferevent_free(wire);
}

/* Accepted, read and never answered, until the peer goes or the time is over. */
static void hold_silent(struct event_base *base, evutil_socket_t socket, int64_t delay_ms)
{
    struct bufferevent *wire = bufferevent_socket_new(base, socket, BEV_OPT_CLOSE_ON_FREE);
    struct timeval limit = {.tv_sec = delay_ms / 1000 + 1};

    assert(wire != NULL);
    bufferevent_setcb(wire, on_unheard, NULL, on_unheard_event, NULL);
    bufferevent_set_timeouts(wire, &limit, NULL);
    bufferevent_enable(wire, EV_READ);
}

void exchange_accept(struct event_base *base, SSL_CTX *tls, evutil_socket_t socket)
{
    struct fault_subject subject = {.op = OP_OTHER, .amount_minor = -1};
    struct fault_hit hit;
    struct exchange *exchange;
    int on = 1;
    bool struck = fault_take(PHASE_CONNECT, &subject, &hit);

    stats.connections++;
    stats.faults += struck;
    if (struck && hit.effect == FAULT_TLS_CLOSE) {
        evutil_closesocket(socket);
        return;
    }
    if (struck && hit.effect == FAULT_TLS_SILENT) {
        hold_silent(base, socket, hit.delay_ms);
        return;
    }
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    exchange = malloc(sizeof *exchange);
    if (exchange == NULL) {
        abort();
    }
    memset(exchange, 0, offsetof(struct exchange, head_bytes));
    exchange->base = base;
    exchange->close_after_handshake = struck;
    exchange->wire = bufferevent_openssl_socket_new(
        base, socket, SSL_new(tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    assert(exchange->wire != NULL);
    bufferevent_openssl_set_allow_dirty_shutdown(exchange->wire, 1);
    bufferevent_setcb(exchange->wire, on_read, on_written, on_event, exchange);
    bufferevent_setwatermark(exchange->wire, EV_READ, 0, BODY_BYTES_MAX + HEAD_BYTES_MAX);
    bufferevent_enable(exchange->wire, EV_READ | EV_WRITE);
}
