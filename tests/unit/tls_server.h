/* A processor in one thread that breaks in the way it is told. Loopback only. Included once. */
#ifndef TESTS_UNIT_TLS_SERVER_H
#define TESTS_UNIT_TLS_SERVER_H

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum server_mode {
    SERVER_OK,
    SERVER_CLOSE_BEFORE_TLS,
    SERVER_SILENT_BEFORE_TLS,
    SERVER_CLOSE_AFTER_TLS,
    SERVER_RESET_AFTER_REQUEST,
    SERVER_CLOSE_AFTER_REQUEST,
    SERVER_SILENT,
    SERVER_SHORT_BODY,
    SERVER_BAD_CHUNK,
    SERVER_BIG_BODY,
    SERVER_REDIRECT,
    SERVER_NOT_HTTP,
    SERVER_DIE_ON_REUSE, /* answers the first request of a connection, closes at the next */
};

struct tls_server {
    int listener;
    unsigned short port;
    SSL_CTX *tls;
    pthread_t thread;
    atomic_int mode;
    atomic_int connections;
    atomic_int executed; /* requests read whole: a charge each */
    atomic_int resumed;
    atomic_bool stop;
    char last[8192]; /* the last request; read it when the server rests */
};

/* A certificate for 127.0.0.1 that signs itself, written to `path` for the client to trust. */
static void server_certificate(SSL_CTX *tls, const char *path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509V3_CTX context;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    assert(X509_sign(cert, key, EVP_sha256()) > 0);
    assert(SSL_CTX_use_certificate(tls, cert) == 1 && SSL_CTX_use_PrivateKey(tls, key) == 1);
    FILE *file = fopen(path, "w");
    assert(file != NULL && PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* Reads one request whole. False at the end of the connection. */
static bool server_read(struct tls_server *server, SSL *ssl)
{
    size_t n = 0;

    for (;;) {
        int got = SSL_read(ssl, server->last + n, (int)(sizeof server->last - 1 - n));
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
        server->last[n] = '\0';
        const char *end = strstr(server->last, "\r\n\r\n");
        const char *length = strcasestr(server->last, "\r\ncontent-length:");
        size_t body = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
        if (end != NULL && n >= (size_t)(end - server->last) + 4 + body) {
            atomic_fetch_add(&server->executed, 1);
            return true;
        }
    }
}

static void server_write(SSL *ssl, const char *text)
{
    (void)SSL_write(ssl, text, (int)strlen(text));
}

static void server_big(SSL *ssl)
{
    static char block[16384];

    memset(block, 'x', sizeof block);
    server_write(ssl, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        server_write(ssl, "4000\r\n");
        if (SSL_write(ssl, block, sizeof block) <= 0) {
            return;
        }
        server_write(ssl, "\r\n");
    }
    server_write(ssl, "0\r\n\r\n");
}

/* True if the connection stays for another request. */
static bool server_answer(struct tls_server *server, SSL *ssl, int nth)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "exchange-id: ID-abc-1\r\nContent-Length: 2\r\n\r\n{}";
    char byte;

    switch ((enum server_mode)atomic_load(&server->mode)) {
    case SERVER_DIE_ON_REUSE:
        if (nth > 0) {
            atomic_store(&server->mode, SERVER_OK);
            return false;
        }
        server_write(ssl, ok);
        return true;
    case SERVER_SILENT:
        (void)SSL_read(ssl, &byte, 1);
        return false;
    case SERVER_SHORT_BODY:
        server_write(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":");
        return false;
    case SERVER_BAD_CHUNK:
        server_write(ssl, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
        return false;
    case SERVER_BIG_BODY:
        server_big(ssl);
        return false;
    case SERVER_REDIRECT:
        server_write(ssl, "HTTP/1.1 307 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
        return true;
    case SERVER_NOT_HTTP:
        server_write(ssl, "SSH-2.0-OpenSSH_9.2\r\n");
        return false;
    case SERVER_OK:
        server_write(ssl, ok);
        return true;
    case SERVER_CLOSE_BEFORE_TLS:
    case SERVER_SILENT_BEFORE_TLS:
    case SERVER_CLOSE_AFTER_TLS:
    case SERVER_RESET_AFTER_REQUEST:
    case SERVER_CLOSE_AFTER_REQUEST:
        return false;
    }
    return false;
}

static void server_serve(struct tls_server *server, int fd)
{
    int mode = atomic_load(&server->mode);
    char byte;

    if (mode == SERVER_SILENT_BEFORE_TLS) {
        while (read(fd, &byte, 1) > 0) {
        }
    }
    if (mode == SERVER_CLOSE_BEFORE_TLS || mode == SERVER_SILENT_BEFORE_TLS) {
        close(fd);
        return;
    }
    SSL *ssl = SSL_new(server->tls);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1 && mode != SERVER_CLOSE_AFTER_TLS) {
        atomic_fetch_add(&server->resumed, SSL_session_reused(ssl));
        for (int nth = 0; server_read(server, ssl) && server_answer(server, ssl, nth); nth++) {
        }
    }
    if (mode == SERVER_RESET_AFTER_REQUEST) {
        const struct linger linger = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    } else if (mode != SERVER_CLOSE_AFTER_TLS) {
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
}

static void *server_run(void *context)
{
    struct tls_server *server = context;

    while (!atomic_load(&server->stop)) {
        struct pollfd poller = {.fd = server->listener, .events = POLLIN};
        if (poll(&poller, 1, 20) > 0) {
            int fd = accept(server->listener, NULL, NULL);
            atomic_fetch_add(&server->connections, 1);
            server_serve(server, fd);
        }
    }
    return NULL;
}

static void server_start(struct tls_server *server, const char *certificate_path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    memset(server, 0, sizeof *server);
    server->tls = SSL_CTX_new(TLS_server_method());
    server_certificate(server->tls, certificate_path);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(bind(server->listener, (struct sockaddr *)&address, sizeof address) == 0);
    assert(listen(server->listener, 16) == 0);
    assert(getsockname(server->listener, (struct sockaddr *)&address, &size) == 0);
    server->port = ntohs(address.sin_port);
    assert(pthread_create(&server->thread, NULL, server_run, server) == 0);
}

static void server_stop(struct tls_server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->tls);
}

#endif
