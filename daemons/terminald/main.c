/* terminald: where POS programs connect. Listens on $KOMETPAY_RUN_DIR/terminald.sock and, when
 * wanted, on TLS over TCP; passes requests on to gatewayd, vaultd and settled. Must never know
 * anything of money, reach the internet, or keep a card longer than passing it on. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/terminald/pos_pay.h"
#include "daemons/terminald/pos_request.h"
#include "daemons/terminald/pos_tls.h"
#include "daemons/terminald/terminald.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SOCKET_PATH_MAX_BYTES 108
#define SOCKET_MODE 0660u
#define FRAME_TIMEOUT_MS 10000
/* Requests that run are let finish before we go; systemd waits 30 s. */
#define DRAIN_MAX_MS 25000
#define STATUS_TURN_MS 5000

static struct setting settings[] = {
    {.name = "KOMETPAY_RUN_DIR",
     .type = SETTING_TEXT,
     .fallback = "/run/kometpay",
     .sentence = "Folder of the suite's sockets."},
    {.name = "KOMETPAY_POS_LISTEN",
     .type = SETTING_TEXT,
     .fallback = "",
     .sentence = "address:port for POS clients over TLS; empty = off."},
    {.name = "KOMETPAY_POS_HANDSHAKE_MS",
     .type = SETTING_INTEGER,
     .fallback = "10000",
     .minimum = 100,
     .maximum = 60000,
     .sentence = "A TLS client that hasn't shown its certificate after this is dropped."},
    {.name = "KOMETPAY_POS_PATIENCE_MS",
     .type = SETTING_INTEGER,
     .fallback = "45000",
     .minimum = 1000,
     .maximum = 300000,
     .sentence = "A POS that says no deadline hears PENDING after this."},
    {.name = "KOMETPAY_POS_CONNECTIONS_MAX",
     .type = SETTING_INTEGER,
     .fallback = "4096",
     .minimum = 1,
     .maximum = 60000,
     .sentence = "Connections at once."},
    {.name = "KOMETPAY_POS_PEER_CONNECTIONS_MAX",
     .type = SETTING_INTEGER,
     .fallback = "1024",
     .minimum = 1,
     .maximum = 60000,
     .sentence = "Connections at once of one user of this host, or of one certificate."},
    {.name = "KOMETPAY_POS_IN_FLIGHT_MAX",
     .type = SETTING_INTEGER,
     .fallback = "64",
     .minimum = 1,
     .maximum = 1000,
     .sentence = "Requests at once on one connection."},
    {.name = "KOMETPAY_POS_BUSY_MAX",
     .type = SETTING_INTEGER,
     .fallback = "2000",
     .minimum = 1,
     .maximum = IPC_CALLS_MAX / 2, /* a request may leave a card to be released behind it */
     .sentence = "Requests at once in all; above it a request is answered busy."},
    {.name = "KOMETPAY_POS_PEER_BUSY_MAX",
     .type = SETTING_INTEGER,
     .fallback = "1000",
     .minimum = 1,
     .maximum = 100000,
     .sentence = "Requests at once of one user or certificate; above it, busy."},
    {.name = NULL},
};

static const struct ipc_service services[] = {
    {MESSAGE_PAY, pos_pay},
    {MESSAGE_CAPTURE, pos_request_capture},
    {MESSAGE_VOID, pos_request_void},
    {MESSAGE_REFUND, pos_request_refund},
    {MESSAGE_CANCEL, pos_request_cancel},
    {MESSAGE_PAYMENT_STATUS, pos_request_status},
    {MESSAGE_LOG, pos_request_log},
    {MESSAGE_LOCATION_LIST, pos_request_locations},
    {MESSAGE_DAEMON_STATUS, pos_request_daemon_status},
    {0, NULL},
};

/* The loop's own timers, besides what is shared. */
struct upkeep {
    struct terminald t;
    struct timer *status;
};

static void drained(void *context)
{
    daemon_done(context);
}

static void drain(void *context)
{
    struct upkeep *u = context;
    pos_tls_stop(u->t.tls);
    ipc_server_drain(u->t.server, DRAIN_MAX_MS, drained, u->t.daemon);
}

static void status_turn(void *context)
{
    struct upkeep *u = context;
    daemon_status(u->t.daemon, "%u POS connections, %u requests in flight",
                  ipc_server_connections(u->t.server), ipc_server_in_flight(u->t.server));
    timer_arm(u->status, STATUS_TURN_MS);
}

static const char *socket_path(const char *name, char out[SOCKET_PATH_MAX_BYTES])
{
    int n = snprintf(out, SOCKET_PATH_MAX_BYTES, "%s/%s.sock",
                     setting_text(settings, "KOMETPAY_RUN_DIR"), name);
    if (n < 0 || n >= SOCKET_PATH_MAX_BYTES) {
        fprintf(stderr, "terminald: KOMETPAY_RUN_DIR is too long\n");
        exit(EXIT_FAILURE);
    }
    return out;
}

static void serve(struct terminald *t)
{
    const struct ipc_server_options options = {
        .daemon = "terminald",
        .services = services,
        .context = t,
        .connections_max = (unsigned)setting_integer(settings, "KOMETPAY_POS_CONNECTIONS_MAX"),
        .peer_connections_max =
            (unsigned)setting_integer(settings, "KOMETPAY_POS_PEER_CONNECTIONS_MAX"),
        .in_flight_max = (unsigned)setting_integer(settings, "KOMETPAY_POS_IN_FLIGHT_MAX"),
        .busy_max = (unsigned)setting_integer(settings, "KOMETPAY_POS_BUSY_MAX"),
        .peer_busy_max = (unsigned)setting_integer(settings, "KOMETPAY_POS_PEER_BUSY_MAX"),
        .frame_timeout_ms = FRAME_TIMEOUT_MS,
    };
    char path[SOCKET_PATH_MAX_BYTES];
    t->gatewayd = ipc_client_new(t->loop, socket_path("gatewayd", path));
    t->vaultd = ipc_client_new(t->loop, socket_path("vaultd", path));
    t->settled = ipc_client_new(t->loop, socket_path("settled", path));
    t->server = ipc_server_new(t->loop, &options);
    int tls_fd =
        daemon_listen_tcp(t->daemon, "pos-tls", setting_text(settings, "KOMETPAY_POS_LISTEN"));
    if (tls_fd >= 0) {
        struct error *e =
            pos_tls_new(t->loop, t->server, tls_fd,
                        setting_integer(settings, "KOMETPAY_POS_HANDSHAKE_MS"), &t->tls);
        if (e != NULL) {
            fprintf(stderr, "terminald: TLS for POS clients: %s (%s)\n", e->sentence, e->code);
            error_free(e);
            exit(EXIT_FAILURE);
        }
    }
    ipc_server_listen(t->server, daemon_listen_unix(t->daemon, "terminald",
                                                    socket_path("terminald", path), SOCKET_MODE));
}

int main(int argc, char **argv)
{
    const struct daemon_options options = {
        .name = "terminald",
        .purpose = "takes requests of POS programs and passes them on",
        .settings = settings,
        .drain = drain,
    };
    static struct upkeep u; /* lives as long as the requests that point into it: to the exit */
    struct terminald *t = &u.t;
    t->daemon = daemon_start(&options, argc, argv);
    t->loop = daemon_loop(t->daemon);
    t->started_boot_ms = clock_boot_ms();
    t->patience_ms = clock_interval_ms(setting_integer(settings, "KOMETPAY_POS_PATIENCE_MS"));
    daemon_context(t->daemon, &u);
    struct error *e = peers_start();
    if (e != NULL) {
        fprintf(stderr, "terminald: %s (%s)\n", e->sentence, e->code);
        error_free(e);
        return EXIT_FAILURE;
    }
    serve(t);
    u.status = timer_new(t->loop, status_turn, &u);
    timer_arm(u.status, 0);
    daemon_ready(t->daemon);
    return daemon_run(t->daemon);
}
