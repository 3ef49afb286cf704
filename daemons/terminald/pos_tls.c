/* Accepts TLS clients, waits for their handshake and hands them to the IPC server with location
 * and POS name of their certificate. Must never hand over a stream before its certificate is
 * verified, and never let handshakes pile up. */
#include "daemons/terminald/pos_tls.h"

#include <assert.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemons/terminald/pos_certificate.h"
#include "daemons/terminald/pos_tls_context.h"
#include "ipc/acceptor.h"
#include "lib/log.h"

#define HANDSHAKES_MAX 256
#define HANDSHAKES_OF_ADDRESS_MAX 64 /* one host that never finishes leaves room for others */
#define HANDSHAKE_SECONDS_MAX 10

struct handshake; /* a client whose certificate isn't seen yet */

struct pos_tls {
    struct loop *loop;
    struct ipc_server *server;
    SSL_CTX *context;
    struct acceptor *acceptor; /* NULL once stopped */
    struct handshake *first;
    unsigned handshakes;
};

struct handshake {
    struct pos_tls *tls;
    struct bufferevent *stream;
    struct in6_addr address; /* IPv4 in its mapped form */
    struct handshake *next, **link;
};

static void handshake_unlink(struct handshake *h)
{
    *h->link = h->next;
    if (h->next != NULL) {
        h->next->link = h->link;
    }
    assert(h->tls->handshakes > 0);
    h->tls->handshakes--;
    free(h);
}

static void refused(const char *reason)
{
    log_event(LOG_TLS_REFUSED, {"KOMETPAY_REASON", reason});
}

static void handshake_drop(struct handshake *h, const char *reason)
{
    refused(reason);
    bufferevent_free(h->stream);
    handshake_unlink(h);
}

/* The certificate is verified: from here on the server owns the stream. */
static void handshake_finish(struct handshake *h)
{
    SSL *ssl = bufferevent_openssl_get_ssl(h->stream);
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK) {
        X509_free(certificate);
        handshake_drop(h, "no verified certificate");
        return;
    }
    struct pos_identity who;
    struct error *e = pos_certificate_read(certificate, &who);
    X509_free(certificate);
    if (e != NULL) {
        handshake_drop(h, e->sentence);
        error_free(e);
        return;
    }
    bufferevent_setcb(h->stream, NULL, NULL, NULL, NULL);
    bufferevent_set_timeouts(h->stream, NULL, NULL);
    ipc_server_adopt(h->tls->server, h->stream, PEER_POS, who.location, who.pos);
    handshake_unlink(h);
}

static void handshake_event(struct bufferevent *stream, short what, void *context)
{
    struct handshake *h = context;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        handshake_finish(h);
        return;
    }
    if ((what & BEV_EVENT_TIMEOUT) != 0) {
        handshake_drop(h, "handshake not finished in time");
        return;
    }
    unsigned long code = bufferevent_get_openssl_error(stream);
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    handshake_drop(h, reason != NULL ? reason : "closed during the handshake");
}

static struct in6_addr address_of(int fd)
{
    struct sockaddr_storage peer = {0};
    socklen_t size = sizeof peer;
    struct in6_addr address = IN6ADDR_ANY_INIT;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0) {
        return address;
    }
    if (peer.ss_family == AF_INET6) {
        return ((const struct sockaddr_in6 *)&peer)->sin6_addr;
    }
    address.s6_addr[10] = address.s6_addr[11] = 0xff;
    memcpy(&address.s6_addr[12], &((const struct sockaddr_in *)&peer)->sin_addr, 4);
    return address;
}

static bool handshakes_full(const struct pos_tls *tls, const struct in6_addr *address)
{
    unsigned of_address = 0;
    for (const struct handshake *h = tls->first; h != NULL; h = h->next) {
        of_address += memcmp(&h->address, address, sizeof *address) == 0;
    }
    return tls->handshakes >= HANDSHAKES_MAX || of_address >= HANDSHAKES_OF_ADDRESS_MAX;
}

static bool accepted(void *context, int fd)
{
    struct pos_tls *tls = context;
    const struct in6_addr address = address_of(fd);
    SSL *ssl = handshakes_full(tls, &address) ? NULL : SSL_new(tls->context);
    if (ssl == NULL) {
        refused("too many handshakes at once");
        close(fd);
        return true;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    struct handshake *h = calloc(1, sizeof *h);
    assert(h != NULL);
    h->tls = tls;
    h->address = address;
    h->stream =
        bufferevent_openssl_socket_new(loop_base(tls->loop), fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
                                       BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (h->stream == NULL) {
        SSL_free(ssl);
        close(fd);
        free(h);
        refused("out of memory");
        return true;
    }
    h->next = tls->first;
    h->link = &tls->first;
    if (h->next != NULL) {
        h->next->link = &h->next;
    }
    tls->first = h;
    tls->handshakes++;
    const struct timeval limit = {.tv_sec = HANDSHAKE_SECONDS_MAX};
    bufferevent_set_timeouts(h->stream, &limit, &limit);
    bufferevent_setcb(h->stream, NULL, NULL, handshake_event, h);
    (void)bufferevent_enable(h->stream, EV_READ | EV_WRITE);
    return true;
}

struct error *pos_tls_new(struct loop *loop, struct ipc_server *server, int listen_fd,
                          struct pos_tls **out)
{
    *out = NULL;
    SSL_CTX *context = NULL;
    struct error *e = pos_tls_context_new(&context);
    if (e != NULL) {
        close(listen_fd);
        return e;
    }
    struct pos_tls *tls = calloc(1, sizeof *tls);
    assert(tls != NULL);
    tls->loop = loop;
    tls->server = server;
    tls->context = context;
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

void pos_tls_free(struct pos_tls *tls)
{
    if (tls == NULL) {
        return;
    }
    acceptor_free(tls->acceptor);
    for (struct handshake *h = tls->first, *next; h != NULL; h = next) {
        next = h->next;
        bufferevent_free(h->stream);
        handshake_unlink(h);
    }
    SSL_CTX_free(tls->context);
    free(tls);
}
