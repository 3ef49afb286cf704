/* settled: the books. Customers, invoices, what was paid on them, and the day's close against the
 * processor's own list. Must never call a day balanced that isn't.
 *
 *   kometpay, POS through terminald --- settled.sock ---> the messages below
 *   settled --- gatewayd.sock (batch_close, batch_find, processor_items) --- PostgreSQL (schema
 * books)
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemons/settled/audit.h"
#include "daemons/settled/book_store.h"
#include "daemons/settled/close.h"
#include "daemons/settled/customer.h"
#include "daemons/settled/invoice.h"
#include "daemons/settled/location.h"
#include "daemons/settled/story.h"
#include "daemons/settled/transaction_log.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text_copy.h"
#include "lib/version.h"

static struct setting SETTINGS[] = {
    {.name = "KOMETPAY_RUN_DIR",
     .type = SETTING_TEXT,
     .fallback = "/run/kometpay",
     .sentence = "where the daemons' sockets are"},
    {.name = "KOMETPAY_DATABASE_LANES",
     .type = SETTING_INTEGER,
     .fallback = "2",
     .minimum = 1,
     .maximum = 8,
     .sentence = "connections to PostgreSQL"},
    {.name = NULL},
};

static void status_requested(void *context, struct ipc_request *request, const void *message);

static const struct ipc_service SERVICES[] = {
    {MESSAGE_LOCATION_PUT, location_put_requested},
    {MESSAGE_LOCATION_LIST, location_list_requested},
    {MESSAGE_CUSTOMER_PUT, customer_put_requested},
    {MESSAGE_CUSTOMER_LIST, customer_list_requested},
    {MESSAGE_INVOICE_PUT, invoice_put_requested},
    {MESSAGE_INVOICE_LIST, invoice_list_requested},
    {MESSAGE_INVOICE_IMPORT, invoice_import_requested},
    {MESSAGE_INVOICE_IMPORT_END, invoice_import_end_requested},
    {MESSAGE_LOG, log_requested},
    {MESSAGE_PAYMENT_STORY, story_requested},
    {MESSAGE_DAY_CLOSE, day_close_requested},
    {MESSAGE_CLOSE_DAYS, close_days_requested},
    {MESSAGE_AUDIT_VERIFY, audit_verify_requested},
    {MESSAGE_DAEMON_STATUS, status_requested},
    {0, NULL},
};

#define SOCKET_MODE 0660u
#define SOCKET_PATH_MAX_BYTES 108
#define CONNECTIONS_MAX 128
#define IN_FLIGHT_MAX 64
#define BUSY_MAX 256
#define FRAME_TIMEOUT_MS 10000
#define CALL_TIMEOUT_MS 20000
#define QUEUE_MAX 1024
#define DRAIN_MAX_MS 25000

static void status_requested(void *context, struct ipc_request *request, const void *message)
{
    (void)message;
    const struct settled *s = context;
    bool database = database_ready(s->db);
    struct msg_daemon_state state = {
        .pid = getpid(),
        .up_ms = clock_boot_ms() - s->started_boot_ms,
        .ready = database && !daemon_draining(s->daemon),
        .in_flight = ipc_server_in_flight(s->server),
        .connections = ipc_server_connections(s->server),
    };
    TEXT_COPY(state.daemon, "settled");
    TEXT_COPY(state.version, KOMETPAY_VERSION);
    TEXT_COPY(state.sentence, database ? "serving" : "waiting for the database");
    ipc_answer(request, MESSAGE_DAEMON_STATE, &state);
}

static void database_changed(void *context, bool ready)
{
    struct settled *s = context;
    daemon_status(s->daemon, ready ? "serving" : "waiting for the database");
}

/* A close that runs is finished if it can be; cut off, it leaves nothing but its copies, and is run
 * again. */
static void drained(void *context)
{
    daemon_done(context);
}

static void drain(void *context)
{
    struct settled *s = context;
    ipc_server_drain(s->server, DRAIN_MAX_MS, drained, s->daemon);
}

static void socket_path(char out[SOCKET_PATH_MAX_BYTES], const char *daemon)
{
    const char *folder = setting_text(SETTINGS, "KOMETPAY_RUN_DIR");
    int n = snprintf(out, SOCKET_PATH_MAX_BYTES, "%s/%s.sock", folder, daemon);
    if (n < 0 || n >= SOCKET_PATH_MAX_BYTES) {
        (void)fprintf(stderr, "settled: KOMETPAY_RUN_DIR is too long\n");
        exit(EXIT_FAILURE);
    }
}

static void open_database(struct settled *s)
{
    const struct database_options options = {
        .statements = BOOK_STATEMENTS,
        .count = BOOK_STATEMENT_COUNT,
        .lanes = (unsigned)setting_integer(SETTINGS, "KOMETPAY_DATABASE_LANES"),
        .call_timeout_ms = CALL_TIMEOUT_MS,
        .queue_max = QUEUE_MAX,
        .application_name = "settled",
        .on_ready = database_changed,
        .context = s,
    };
    s->db = database_new(s->loop, &options);
}

static void serve(struct settled *s)
{
    const struct ipc_server_options options = {
        .daemon = "settled",
        .services = SERVICES,
        .context = s,
        .connections_max = CONNECTIONS_MAX,
        .in_flight_max = IN_FLIGHT_MAX,
        .busy_max = BUSY_MAX,
        .frame_timeout_ms = FRAME_TIMEOUT_MS,
    };
    char path[SOCKET_PATH_MAX_BYTES];
    socket_path(path, "settled");
    s->server = ipc_server_new(s->loop, &options);
    ipc_server_listen(s->server, daemon_listen_unix(s->daemon, "settled", path, SOCKET_MODE));
}

int main(int argc, char **argv)
{
    const struct daemon_options options = {
        .name = "settled",
        .purpose = "keeps the books and closes the day",
        .settings = SETTINGS,
        .drain = drain,
    };
    static struct settled s; /* lives as long as the requests that point into it: to the exit */
    s.daemon = daemon_start(&options, argc, argv);
    daemon_context(s.daemon, &s);
    s.loop = daemon_loop(s.daemon);
    s.started_boot_ms = clock_boot_ms();
    struct error *e = peers_start();
    if (e != NULL) {
        (void)fprintf(stderr, "settled: %s (%s)\n", e->sentence, e->code);
        error_free(e);
        return EXIT_FAILURE;
    }
    char gatewayd[SOCKET_PATH_MAX_BYTES];
    socket_path(gatewayd, "gatewayd");
    s.gatewayd = ipc_client_new(s.loop, gatewayd);
    open_database(&s);
    serve(&s);
    daemon_ready(s.daemon);
    return daemon_run(s.daemon);
}
