/* gatewayd: takes payments to the processors and finds out what became of them.
 * Owns payments and attempts. Must never send a money request before its intent is committed, nor
 * answer before the result is.
 *
 *   terminald, settled --- gatewayd.sock ---> sale, capture, void, refund, cancel, payment_status,
 *                                             batch_close, batch_find, processor_items,
 * daemon_status gatewayd --- vaultd.sock (card_reveal) --- HTTPS (processors) --- PostgreSQL
 * (schema payment)
 */
#include <stdio.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/batch.h"
#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/instance.h"
#include "daemons/gatewayd/question.h"
#include "daemons/gatewayd/resolver.h"
#include "daemons/gatewayd/sale.h"
#include "lib/log.h"

static struct setting SETTINGS[] = {
    {.name = "KOMETPAY_RUN_DIR",
     .type = SETTING_TEXT,
     .fallback = "/run/kometpay",
     .sentence = "where the daemons' sockets are"},
    {.name = "KOMETPAY_STATE_DIR",
     .type = SETTING_TEXT,
     .fallback = "/var/lib/kometpay/gatewayd",
     .sentence = "where the lock of this instance is; must outlive a restart"},
    {.name = "KOMETPAY_CLEARENT_URL",
     .type = SETTING_TEXT,
     .fallback = "https://gateway.clearent.net",
     .sentence = "address of Clearent's payment API"},
    {.name = "KOMETPAY_CA_FILE",
     .type = SETTING_TEXT,
     .fallback = "",
     .sentence = "certificates that processors are checked against; empty = the system's"},
    {.name = "KOMETPAY_PATIENCE_MS",
     .type = SETTING_INTEGER,
     .fallback = "45000",
     .minimum = 100,
     .maximum = 300000,
     .sentence = "an attended POS hears PENDING after this"},
    {.name = "KOMETPAY_SEND_TIMEOUT_MS",
     .type = SETTING_INTEGER,
     .fallback = "75000",
     .minimum = 100,
     .maximum = 300000,
     .sentence = "the longest a money request may take"},
    {.name = "KOMETPAY_LOOKUP_TIMEOUT_MS",
     .type = SETTING_INTEGER,
     .fallback = "30000",
     .minimum = 100,
     .maximum = 300000,
     .sentence = "the longest a look-up may take"},
    {.name = "KOMETPAY_HORIZON_MS",
     .type = SETTING_INTEGER,
     .fallback = "600000",
     .minimum = 60000,
     .maximum = 86400000,
     .sentence = "after it a processor's 'not found' is believed"},
    {.name = "KOMETPAY_DRAIN_MAX_MS",
     .type = SETTING_INTEGER,
     .fallback = "25000",
     .minimum = 100,
     .maximum = 300000,
     .sentence = "when stopping, the longest wait for what runs; less than systemd's limit"},
    {.name = "KOMETPAY_DATABASE_LANES",
     .type = SETTING_INTEGER,
     .fallback = "2",
     .minimum = 1,
     .maximum = 8,
     .sentence = "connections to PostgreSQL"},
    {0},
};

static const struct ipc_service SERVICES[] = {
    {MESSAGE_SALE, sale_requested},
    {MESSAGE_CAPTURE, capture_requested},
    {MESSAGE_VOID, void_requested},
    {MESSAGE_REFUND, refund_requested},
    {MESSAGE_CANCEL, cancel_requested},
    {MESSAGE_PAYMENT_STATUS, status_requested},
    {MESSAGE_BATCH_CLOSE, batch_close_requested},
    {MESSAGE_BATCH_FIND, batch_find_requested},
    {MESSAGE_PROCESSOR_ITEMS, items_requested},
    {MESSAGE_DAEMON_STATUS, daemon_requested},
    {0},
};

/* Some 1,300 payments at the processor at once; above it a POS hears busy. */
#define SECRET_BYTES (8u * 1024u * 1024u)
#define CONNECTIONS_MAX 256
#define IN_FLIGHT_MAX 4096
#define CALL_TIMEOUT_MS 10000
#define QUEUE_MAX 8192
#define RESOLVER_PERIOD_MS 1000
#define RESOLVER_PERIOD_MIN_MS 25
#define DRAIN_CHECK_MS 20
#define FRAME_TIMEOUT_MS 10000

static void serve(struct gatewayd *g)
{
    g->serving = true;
    resolver_start(g->resolver);
    daemon_status(g->daemon, "serving as %s", g->instance);
}

static void database_changed(void *context, bool ready)
{
    struct gatewayd *g = context;
    g->database_lost_boot_ms = ready ? 0 : clock_boot_ms();
    daemon_status(g->daemon, ready ? "database ready" : "waiting for the database");
    if (ready) {
        instance_database_ready();
    }
}

/* A payment outlives its request: the POS may have heard PENDING while the processor still works.
 * What is left after the longest wait is found by the next instance. */
static void drain_jobs(void *context)
{
    struct gatewayd *g = context;
    if ((g->job_count == 0 && resolver_running(g->resolver) == 0) ||
        clock_boot_ms() >= g->drain_until_boot_ms) {
        credentials_forget();
        daemon_done(g->daemon);
        return;
    }
    timer_arm(g->drain_turn, DRAIN_CHECK_MS);
}

static void drain(void *context)
{
    struct gatewayd *g = context;
    int64_t max_ms = setting_integer(SETTINGS, "KOMETPAY_DRAIN_MAX_MS");
    g->drain_until_boot_ms = clock_boot_ms() + max_ms;
    g->drain_turn = timer_new(g->loop, drain_jobs, g);
    resolver_stop(g->resolver);
    ipc_server_drain(g->server, max_ms, drain_jobs, g);
}

static void intervals(struct gatewayd *g)
{
    g->patience_ms = setting_integer(SETTINGS, "KOMETPAY_PATIENCE_MS");
    g->send_timeout_ms = setting_integer(SETTINGS, "KOMETPAY_SEND_TIMEOUT_MS");
    g->lookup_timeout_ms = setting_integer(SETTINGS, "KOMETPAY_LOOKUP_TIMEOUT_MS");
    g->horizon_ms = clock_interval_ms(setting_integer(SETTINGS, "KOMETPAY_HORIZON_MS"));
    int64_t period = clock_interval_ms(RESOLVER_PERIOD_MS);
    g->resolver_period_ms = period < RESOLVER_PERIOD_MIN_MS ? RESOLVER_PERIOD_MIN_MS : period;
}

int main(int argc, char **argv)
{
    static struct gatewayd g;
    g.daemon = daemon_start(&(struct daemon_options){.name = "gatewayd",
                                                     .purpose = "takes payments to the processors",
                                                     .settings = SETTINGS,
                                                     .secret_bytes = SECRET_BYTES,
                                                     .drain = drain},
                            argc, argv);
    daemon_context(g.daemon, &g);
    g.loop = daemon_loop(g.daemon);
    g.started_boot_ms = clock_boot_ms();
    g.clearent_url = setting_text(SETTINGS, "KOMETPAY_CLEARENT_URL");
    intervals(&g);

    struct error *e = peers_start();
    if (!e) {
        e = instance_lock(&g, setting_text(SETTINGS, "KOMETPAY_STATE_DIR"));
    }
    if (e) {
        fprintf(stderr, "gatewayd: %s\n", e->sentence);
        error_free(e);
        return 1;
    }
    const char *ca = setting_text(SETTINGS, "KOMETPAY_CA_FILE");
    const char *run = setting_text(SETTINGS, "KOMETPAY_RUN_DIR");
    char path[256];
    snprintf(path, sizeof path, "%s/vaultd.sock", run);
    g.vaultd = ipc_client_new(g.loop, path);
    g.processors = http_client_new(g.loop, *ca ? ca : NULL);
    g.db = database_new(g.loop, &(struct database_options){.statements = PAYMENT_STATEMENTS,
                                                           .count = PAYMENT_STATEMENTS_COUNT,
                                                           .lanes = (unsigned)setting_integer(
                                                               SETTINGS, "KOMETPAY_DATABASE_LANES"),
                                                           .call_timeout_ms = CALL_TIMEOUT_MS,
                                                           .queue_max = QUEUE_MAX,
                                                           .application_name = "gatewayd",
                                                           .on_ready = database_changed,
                                                           .context = &g});
    g.resolver = resolver_new(&g);
    g.server =
        ipc_server_new(g.loop, &(struct ipc_server_options){.daemon = "gatewayd",
                                                            .services = SERVICES,
                                                            .context = &g,
                                                            .connections_max = CONNECTIONS_MAX,
                                                            .in_flight_max = IN_FLIGHT_MAX,
                                                            .busy_max = IN_FLIGHT_MAX,
                                                            .frame_timeout_ms = FRAME_TIMEOUT_MS});
    snprintf(path, sizeof path, "%s/gatewayd.sock", run);
    ipc_server_listen(g.server, daemon_listen_unix(g.daemon, "gatewayd", path, 0660));
    instance_register(&g, serve);
    daemon_ready(g.daemon);
    return daemon_run(g.daemon);
}
