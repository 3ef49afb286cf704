/* clearent-sim: a strict simulator of the Clearent processor's wire, for tests and benches.
 * It must never be reachable from another host: it listens on loopback addresses only. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <getopt.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "account.h"
#include "batch_call.h"
#include "clock.h"
#include "control.h"
#include "http_exchange.h"
#include "late.h"
#include "ledger.h"
#include "stats.h"

enum { BACKLOG = 4096 };

struct stats stats;

struct options {
    const char *listen, *control, *cert, *key, *ledger, *accounts, *sync;
};

struct server {
    struct event_base *base;
    SSL_CTX *tls;
    struct event *due; /* the next late execution or auto-close */
    bool stop;
};

static int usage(void)
{
    fputs("usage: clearent-sim --listen 127.0.0.1:PORT --cert FILE --key FILE --ledger FILE\n"
          "                    --accounts FILE [--control 127.0.0.1:PORT]\n"
          "                    [--ledger-sync group|off]\n",
          stderr);
    return 2;
}

static bool options_read(int count, char **words, struct options *options)
{
    static const struct option NAMES[] = {
        {"listen", required_argument, NULL, 'l'},      {"control", required_argument, NULL, 'c'},
        {"cert", required_argument, NULL, 't'},        {"key", required_argument, NULL, 'k'},
        {"ledger", required_argument, NULL, 'f'},      {"accounts", required_argument, NULL, 'a'},
        {"ledger-sync", required_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    const char **const places[] = {&options->listen, &options->control, &options->cert,
                                   &options->key,    &options->ledger,  &options->accounts,
                                   &options->sync};
    int found;

    while ((found = getopt_long(count, words, "", NAMES, NULL)) != -1) {
        for (size_t i = 0; i < 7; i++) {
            if (NAMES[i].val == found) {
                *places[i] = optarg;
            }
        }
        if (found == '?') {
            return false;
        }
    }
    return optind == count && options->listen != NULL && options->cert != NULL &&
           options->key != NULL && options->ledger != NULL && options->accounts != NULL &&
           (strcmp(options->sync, "group") == 0 || strcmp(options->sync, "off") == 0);
}

/* Only 127.x.x.x:PORT. */
static bool address_read(const char *text, struct sockaddr_in *address)
{
    char host[INET_ADDRSTRLEN + 1];
    const char *colon = strrchr(text, ':');
    unsigned long port;
    char *end;

    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    snprintf(host, sizeof host, "%.*s", colon == NULL ? 0 : (int)(colon - text), text);
    port = colon == NULL ? ULONG_MAX : strtoul(colon + 1, &end, 10);
    if (colon == NULL || end == colon + 1 || *end != '\0' || port > 65535 ||
        inet_pton(AF_INET, host, &address->sin_addr) != 1 ||
        ntohl(address->sin_addr.s_addr) >> 24 != 127) {
        fprintf(stderr, "clearent-sim: %s is not a loopback address and port\n", text);
        return false;
    }
    address->sin_port = htons((uint16_t)port);
    return true;
}

static SSL_CTX *tls_new(const char *cert, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    /* The suite with SHA-256 first: its key schedule is the cheapest. */
    static const char CIPHERS[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                  "TLS_CHACHA20_POLY1305_SHA256";
    static const unsigned char NAME[] = "clearent-sim";

    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls) != 1 || SSL_CTX_set1_groups_list(tls, "X25519:P-256") != 1 ||
        SSL_CTX_set_ciphersuites(tls, CIPHERS) != 1 ||
        SSL_CTX_set_session_id_context(tls, NAME, sizeof NAME - 1) != 1) {
        ERR_print_errors_fp(stderr);
        fprintf(stderr, "clearent-sim: cannot use the certificate %s with its key\n", cert);
        return NULL;
    }
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Sessions live in tickets alone; one ticket a handshake keeps it cheap. */
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(tls, 1);
    return tls;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t socket,
                      struct sockaddr *peer, int size, void *context)
{
    struct server *server = context;

    (void)listener;
    (void)peer;
    (void)size;
    exchange_accept(server->base, server->tls, socket);
}

static void on_signal(evutil_socket_t signal, short what, void *context)
{
    struct server *server = context;

    (void)signal;
    (void)what;
    server->stop = true;
}

static void on_due(evutil_socket_t socket, short what, void *context)
{
    (void)socket;
    (void)what;
    (void)context; /* waking the loop is all it is for */
}

static bool listen_start(struct server *server, const char *text)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    struct evconnlistener *listener;

    if (!address_read(text, &address)) {
        return false;
    }
    listener =
        evconnlistener_new_bind(server->base, on_accept, server,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                BACKLOG, (struct sockaddr *)(void *)&address, sizeof address);
    if (listener == NULL || getsockname(evconnlistener_get_fd(listener),
                                        (struct sockaddr *)(void *)&address, &size) != 0) {
        fprintf(stderr, "clearent-sim: cannot listen on %s\n", text);
        return false;
    }
    printf("listening %u\n", ntohs(address.sin_port));
    return true;
}

static bool control_listen(struct server *server, const char *text)
{
    struct sockaddr_in address;
    char host[INET_ADDRSTRLEN];
    unsigned short port;

    if (text == NULL) {
        return true;
    }
    if (!address_read(text, &address)) {
        return false;
    }
    inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    if (!control_start(server->base, host, ntohs(address.sin_port), &port)) {
        fprintf(stderr, "clearent-sim: cannot listen on %s\n", text);
        return false;
    }
    printf("control %u\n", port);
    return true;
}

static void files_allow(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Does what is due on the simulated clock and sets the alarm for the next. */
static void do_due(struct server *server)
{
    int64_t next_us, wait_us;
    struct timeval wait;

    late_execute();
    batch_auto_close(&next_us);
    next_us = late_next_us() < next_us ? late_next_us() : next_us;
    if (next_us == INT64_MAX) {
        return;
    }
    wait_us = clock_wait_us(next_us);
    if (wait_us >= 0) {
        wait = (struct timeval){.tv_sec = wait_us / SECOND_US, .tv_usec = wait_us % SECOND_US};
        event_add(server->due, &wait);
    }
}

/* One turn: whatever is ready, then one write and sync of the ledger for all of it, then the
 * answers that waited for that. */
static void run(struct server *server)
{
    while (!server->stop && event_base_loop(server->base, EVLOOP_ONCE) == 0) {
        do_due(server);
        ledger_save();
        exchange_release();
    }
    ledger_save();
}

/* The change list saves most epoll_ctl calls of short connections; no watched file is dup'ed. */
static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base;

    event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK);
    base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

int main(int count, char **words)
{
    struct options options = {.sync = "group"};
    static struct server server;

    if (!options_read(count, words, &options)) {
        return usage();
    }
    signal(SIGPIPE, SIG_IGN);
    files_allow();
    server.tls = tls_new(options.cert, options.key);
    if (server.tls == NULL || !account_load(options.accounts) ||
        !ledger_open(options.ledger, strcmp(options.sync, "group") == 0)) {
        return 1;
    }
    server.base = base_new();
    server.due = evtimer_new(server.base, on_due, &server);
    event_add(evsignal_new(server.base, SIGTERM, on_signal, &server), NULL);
    event_add(evsignal_new(server.base, SIGINT, on_signal, &server), NULL);
    if (!listen_start(&server, options.listen) || !control_listen(&server, options.control)) {
        return 1;
    }
    fflush(stdout);
    run(&server);
    return 0;
}
