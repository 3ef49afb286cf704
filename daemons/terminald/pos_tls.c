/* Accepts TLS clients, waits for their handshake and hands them to the IPC server with location
 * and POS name of their certificate. Must never hand over a stream before its certificate is
 * verified, keep one after its certificate has ended, nor let one address take the handshakes of
 * the others. */
#include "daemons/terminald/pos_tls.h"

#include <assert.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemons/terminald/pos_address.h"
#include "daemons/terminald/pos_certificate.h"
#include "daemons/terminald/pos_tls_context.h"
#include "ipc/acceptor.h"
#include "lib/clock.h"
#include "lib/log.h"

#define HANDSHAKES_MAX 256u
/* Many POS may share one address behind a router: a restart brings them all at once. */
#define HANDSHAKES_PER_ADDRESS_MAX 64u
/* Of refusals and waits, so that nobody outside can flood the journal. */
#define LOG_INTERVAL_MS 1000
#define LOG_LINES_AN_INTERVAL_MAX 10u
/* The wall clock may be set: a certificate's end is looked at again at least so often. */
#define EXPIRY_TURN_MS INT64_C(3600000)

/* From the accept to the close: first its handshake, then, owned by the server, its service. */
struct pos_client {
    struct pos_tls *tls;
    struct bufferevent *stream; /* NULL once the server owns it */
    int fd;
    struct timer *limit; /* of the handshake; then of the certificate */
    struct pos_address address;
    struct pos_identity who;
    int64_t ends_wall_ms;        /* of the certificate */
    LIST_ENTRY(pos_client) link; /* while in its handshake */
};

struct pos_tls {
    struct loop *loop;
    struct ipc_server *server;
    int64_t handshake_ms; /* from the accept to the verified certificate */
    SSL_CTX *context;
    struct acceptor *acceptor; /* NULL once stopped */
    LIST_HEAD(, pos_client) handshakes;
    unsigned handshake_count;
    int64_t interval_boot_ms; /* when the present interval of journal lines began */
    unsigned logged, unlogged;
};

/* Where an SSL keeps its pos_client: whoever frees the SSL ends the client with it. */
static int client_index = -1;

static void log_client(struct pos_tls *tls, enum log_kind kind, const struct pos_address *address,
                       const char *reason)
{
    int64_t now = clock_boot_ms();
    if (now - tls->interval_boot_ms >= LOG_INTERVAL_MS) {
        tls->interval_boot_ms = now;
        tls->logged = 0;
    }
    if (tls->logged == LOG_LINES_AN_INTERVAL_MAX) {
        tls->unlogged++;
        return;
    }
    char told[160];
    if (tls->unlogged > 0) {
        snprintf(told, sizeof told, "%s; %u lines before it were left out", reason, tls->unlogged);
    } else {
        snprintf(told, sizeof told, "%s", reason);
    }
    log_event(kind, {"KOMETPAY_PEER", address->text}, {"KOMETPAY_REASON", told});
    tls->logged++;
    tls->unlogged = 0;
}

/* -- The end of a client ---------------------------------------------------------------------- */

/* Its place is free for the next one. */
static void handshake_ended(struct pos_client *c)
{
    struct pos_tls *tls = c->tls;
    assert(tls->handshake_count > 0);
    tls->handshake_count--;
    LIST_REMOVE(c, link);
    c->stream = NULL;
    if (tls->acceptor != NULL) {
        acceptor_resume(tls->acceptor);
    }
}

/* Called by SSL_free. */
static void client_ended(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number,
                         void *argument)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    struct pos_client *c = pointer;
    if (c == NULL) {
        return;
    }
    if (c->stream != NULL) {
        handshake_ended(c);
    }
    timer_free(c->limit);
    free(c);
}

static void handshake_drop(struct pos_client *c, const char *reason)
{
    log_client(c->tls, LOG_TLS_REFUSED, &c->address, reason);
    timer_disarm(c->limit);
    bufferevent_setcb(c->stream, NULL, NULL, NULL, NULL);
    bufferevent_free(c->stream);
}

/* The server has the stream; it sees the end of it and closes. */
static void service_check(struct pos_client *c)
{
    int64_t left_ms = c->ends_wall_ms - clock_wall_us() / 1000;
    if (left_ms > 0) {
        timer_arm(c->limit, left_ms < EXPIRY_TURN_MS ? left_ms : EXPIRY_TURN_MS);
        return;
    }
    log_client(c->tls, LOG_TLS_ENDED, &c->address, "the certificate has ended");
    (void)shutdown(c->fd, SHUT_RDWR);
}

static void limit_reached(void *context)
{
    struct pos_client *c = context;
    if (c->stream != NULL) {
        handshake_drop(c, "handshake not finished in time");
    } else {
        service_check(c);
    }
}

/* -- The handshake ---------------------------------------------------------------------------- */

/* The certificate is verified: from here on the server owns the stream. */
static void client_serve(struct pos_client *c)
{
    struct pos_tls *tls = c->tls;
    struct bufferevent *stream = c->stream;
    bufferevent_setcb(stream, NULL, NULL, NULL, NULL);
    handshake_ended(c);
    service_check(c);
    ipc_server_adopt(tls->server, stream, PEER_POS, c->who.location, c->who.pos); /* may end c */
}

static void handshake_finish(struct pos_client *c)
{
    SSL *ssl = bufferevent_openssl_get_ssl(c->stream);
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        X509_free(certificate);
        handshake_drop(c, "no verified certificate");
        return;
    }
    struct error *e = pos_certificate_read(certificate, &c->who);
    c->ends_wall_ms = e == NULL ? pos_certificate_ends_wall_ms(certificate) : 0;
    X509_free(certificate);
    if (e != NULL) {
        handshake_drop(c, e->sentence);
        error_free(e);
    } else {
        client_serve(c);
    }
}

static void handshake_event(struct bufferevent *stream, short what, void *context)
{
    struct pos_client *c = context;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        handshake_finish(c);
        return;
    }
    unsigned long code = bufferevent_get_openssl_error(stream);
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    handshake_drop(c, reason != NULL ? reason : "closed during the handshake");
}

static void handshake_start(struct pos_tls *tls, int fd, SSL *ssl,
                            const struct pos_address *address)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    struct pos_client *c = calloc(1, sizeof *c);
    assert(c != NULL);
    *c = (struct pos_client){.tls = tls, .fd = fd, .address = *address};
    c->limit = timer_new(tls->loop, limit_reached, c);
    int kept = SSL_set_ex_data(ssl, client_index, c);
    assert(kept == 1);
    c->stream =
        bufferevent_openssl_socket_new(loop_base(tls->loop), fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                       BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    assert(c->stream != NULL);
    LIST_INSERT_HEAD(&tls->handshakes, c, link);
    tls->handshake_count++;
    timer_arm(c->limit, tls->handshake_ms);
    bufferevent_setcb(c->stream, NULL, NULL, handshake_event, c);
    (void)bufferevent_enable(c->stream, EV_READ | EV_WRITE);
}

/* -- Accepting -------------------------------------------------------------------------------- */

static unsigned handshakes_of_address(const struct pos_tls *tls, const struct pos_address *address)
{
    unsigned count = 0;
    const struct pos_client *c;
    LIST_FOREACH(c, &tls->handshakes, link)
    {
        count += pos_address_same(&c->address, address);
    }
    return count;
}

/* Who comes while all handshakes are taken waits in the listening socket's queue. */
static bool accepted(void *context, int fd)
{
    struct pos_tls *tls = context;
    struct pos_address address;
    pos_address_of_peer(fd, &address);
    SSL *ssl = NULL;
    if (handshakes_of_address(tls, &address) >= HANDSHAKES_PER_ADDRESS_MAX) {
        log_client(tls, LOG_TLS_REFUSED, &address, "too many handshakes at once from this address");
        close(fd);
    } else if ((ssl = SSL_new(tls->context)) == NULL) {
        log_client(tls, LOG_TLS_REFUSED, &address, "out of memory");
        close(fd);
    } else {
        handshake_start(tls, fd, ssl, &address);
    }
    if (tls->handshake_count < HANDSHAKES_MAX) {
        return true;
    }
    log_client(tls, LOG_TLS_FULL, &address, "this one is the last for now");
    return false;
}

struct error *pos_tls_new(struct loop *loop, struct ipc_server *server, int listen_fd,
                          int64_t handshake_ms, struct pos_tls **out)
{
    *out = NULL;
    SSL_CTX *context = NULL;
    struct error *e = pos_tls_context_new(&context);
    if (e != NULL) {
        close(listen_fd);
        return e;
    }
    client_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, client_ended);
    assert(client_index >= 0);
    struct pos_tls *tls = calloc(1, sizeof *tls);
    assert(tls != NULL);
    *tls = (struct pos_tls){
        .loop = loop, .server = server, .handshake_ms = handshake_ms, .context = context};
    LIST_INIT(&tls->handshakes);
    tls->acceptor = acceptor_new(loop, listen_fd, accepted, tls);
    *out = tls;
    return NULL;
}

void pos_tls_stop(struct pos_tls *tls)
{
    if (tls != NULL) {
        acceptor_free(tls->acceptor);
        tls->acceptor = NULL;
    }
}
