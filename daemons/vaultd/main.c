/* vaultd: keeps cards. Stored ones sealed in PostgreSQL, typed ones and CVVs in locked memory for
 * two minutes. Must never give a number to anyone but gatewayd, write a CVV anywhere, or reach a
 * network.
 *
 *   terminald --- vaultd.sock ---> card_hold, card_release
 *   gatewayd  --- vaultd.sock ---> card_reveal (once an attempt), card_release
 *   vaultd --- PostgreSQL (schema vault); credential vault-kek-1
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemons/vaultd/card_hold.h"
#include "daemons/vaultd/card_store.h"
#include "daemons/vaultd/reveal.h"
#include "daemons/vaultd/vaultd.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/version.h"

static struct setting SETTINGS[] = {
    {.name = "KOMETPAY_RUN_DIR",
     .type = SETTING_TEXT,
     .fallback = "/run/kometpay",
     .sentence = "Folder of the suite's sockets."},
    {.name = "KOMETPAY_HOLDS_MAX",
     .type = SETTING_INTEGER,
     .fallback = "4096",
     .minimum = 1,
     .maximum = 4096,
     .sentence = "Typed cards held at once; above it card_hold is answered busy."},
    {.name = "KOMETPAY_HOLD_MS",
     .type = SETTING_INTEGER,
     .fallback = "120000",
     .minimum = 100,
     .maximum = 120000,
     .sentence = "A typed card is forgotten after this, never divided by KOMETPAY_FAST_TIME."},
    {.name = "KOMETPAY_SEALS_PER_KEY",
     .type = SETTING_INTEGER,
     .fallback = "268435456",
     .minimum = 1,
     .maximum = KEY_SEALS_MAX,
     .sentence = "Cards sealed under one data key before the next is made."},
    {.name = "KOMETPAY_DATABASE_LANES",
     .type = SETTING_INTEGER,
     .fallback = "2",
     .minimum = 1,
     .maximum = 8,
     .sentence = "Connections to PostgreSQL."},
    {.name = NULL},
};

static void status_requested(void *context, struct ipc_request *request, const void *message);

static const struct ipc_service SERVICES[] = {
    {MESSAGE_CARD_HOLD, card_hold_requested},
    {MESSAGE_CARD_REVEAL, card_reveal_requested},
    {MESSAGE_CARD_RELEASE, card_release_requested},
    {MESSAGE_DAEMON_STATUS, status_requested},
    {0, NULL},
};

#define SOCKET_MODE 0660u
#define SOCKET_PATH_MAX_BYTES 108
#define CONNECTIONS_MAX 64
#define IN_FLIGHT_MAX 512
#define BUSY_MAX 1024
#define FRAME_TIMEOUT_MS 10000
#define CALL_TIMEOUT_MS 5000
#define QUEUE_MAX 2048
#define KEYS_RETRY_MS 1000
#define DRAIN_MAX_MS 25000

/* The loop's own timers, besides what is shared. */
struct upkeep {
    struct vaultd v;
    struct timer *keys_again;
};

static void status_requested(void *context, struct ipc_request *request, const void *message)
{
    (void)message;
    const struct vaultd *v = context;
    struct msg_daemon_state state = {
        .daemon = "vaultd",
        .version = KOMETPAY_VERSION,
        .pid = getpid(),
        .up_ms = clock_boot_ms() - v->started_boot_ms,
        .ready = v->keys_ready && database_ready(v->db) && !daemon_draining(v->daemon),
        .in_flight = ipc_server_in_flight(v->server),
        .connections = ipc_server_connections(v->server),
    };
    (void)snprintf(state.sentence, sizeof state.sentence, "%zu typed cards held%s",
                   holds_count(v->holds),
                   v->keys_ready ? "" : "; keys not loaded: the database isn't ready");
    ipc_answer(request, MESSAGE_DAEMON_STATE, &state);
}

/* -- Keys ------------------------------------------------------------------------------------- */

/* A credential that doesn't fit the stored keys is not a thing that waiting heals. */
static bool is_wrong_key(const struct error *e)
{
    return error_is(e, "kek_wrong") || error_is(e, "kek_unknown") ||
           error_is(e, "key_check_failed");
}

static void keys_loaded(void *context, const struct error *e)
{
    struct upkeep *u = context;
    if (e == NULL) {
        u->v.keys_ready = true;
        daemon_status(u->v.daemon, "serving");
        return;
    }
    log_error(LOG_REQUEST_FAILED, e, NULL);
    daemon_status(u->v.daemon, "keys not loaded: %s", e->sentence);
    if (is_wrong_key(e)) {
        (void)fprintf(stderr, "vaultd: %s (%s)\n", e->sentence, e->code);
        exit(EXIT_FAILURE);
    }
    timer_arm(u->keys_again, KEYS_RETRY_MS);
}

static void load_keys(void *context)
{
    struct upkeep *u = context;
    if (!u->v.keys_ready && database_ready(u->v.db)) {
        key_store_refresh(u->v.keys, keys_loaded, u);
    }
}

static void database_changed(void *context, bool ready)
{
    struct upkeep *u = context;
    if (ready && !u->v.keys_ready) {
        timer_arm(u->keys_again, 0);
    } else {
        daemon_status(u->v.daemon, ready ? "serving" : "waiting for the database");
    }
}

/* -- Start and end ---------------------------------------------------------------------------- */

static void drained(void *context)
{
    struct upkeep *u = context;
    holds_free(u->v.holds); /* nothing asks for them any more; keys go with the locked memory */
    u->v.holds = NULL;
    daemon_done(u->v.daemon);
}

static void drain(void *context)
{
    struct upkeep *u = context;
    ipc_server_drain(u->v.server, DRAIN_MAX_MS, drained, u);
}

static void refuse_start(struct error *e)
{
    if (e != NULL) {
        (void)fprintf(stderr, "vaultd: %s (%s)\n", e->sentence, e->code);
        error_free(e);
        exit(EXIT_FAILURE);
    }
}

static void read_kek(struct vaultd *v)
{
    struct secret *kek = NULL;
    refuse_start(secret_credential(KEY_KEK_NAME, &kek));
    refuse_start(key_ring_new(kek, &v->ring));
    secret_free(kek);
}

static void open_database(struct upkeep *u)
{
    const struct database_options options = {
        .statements = VAULT_STATEMENTS,
        .count = VAULT_STATEMENT_COUNT,
        .lanes = (unsigned)setting_integer(SETTINGS, "KOMETPAY_DATABASE_LANES"),
        .call_timeout_ms = CALL_TIMEOUT_MS,
        .queue_max = QUEUE_MAX,
        .application_name = "vaultd",
        .on_ready = database_changed,
        .context = u,
    };
    u->v.db = database_new(u->v.loop, &options);
    u->v.keys =
        key_store_new(u->v.db, u->v.ring, setting_integer(SETTINGS, "KOMETPAY_SEALS_PER_KEY"));
}

static void serve(struct vaultd *v)
{
    const struct ipc_server_options options = {
        .daemon = "vaultd",
        .services = SERVICES,
        .context = v,
        .connections_max = CONNECTIONS_MAX,
        .in_flight_max = IN_FLIGHT_MAX,
        .busy_max = BUSY_MAX,
        .frame_timeout_ms = FRAME_TIMEOUT_MS,
    };
    char path[SOCKET_PATH_MAX_BYTES];
    const int n =
        snprintf(path, sizeof path, "%s/vaultd.sock", setting_text(SETTINGS, "KOMETPAY_RUN_DIR"));
    if (n < 0 || (size_t)n >= sizeof path) {
        refuse_start(error_failed("setting_invalid", "KOMETPAY_RUN_DIR is too long"));
    }
    v->server = ipc_server_new(v->loop, &options);
    ipc_server_listen(v->server, daemon_listen_unix(v->daemon, "vaultd", path, SOCKET_MODE));
}

int main(int argc, char **argv)
{
    const struct daemon_options options = {
        .name = "vaultd",
        .purpose = "keeps cards: typed ones for two minutes, stored ones sealed",
        .settings = SETTINGS,
        .drain = drain,
    };
    static struct upkeep u; /* lives as long as the requests that point into it: to the exit */
    struct vaultd *v = &u.v;
    v->daemon = daemon_start(&options, argc, argv);
    daemon_context(v->daemon, &u);
    v->loop = daemon_loop(v->daemon);
    v->started_boot_ms = clock_boot_ms();
    refuse_start(peers_start());
    read_kek(v);
    v->holds = holds_new(v->loop, (size_t)setting_integer(SETTINGS, "KOMETPAY_HOLDS_MAX"),
                         setting_integer(SETTINGS, "KOMETPAY_HOLD_MS"));
    u.keys_again = timer_new(v->loop, load_keys, &u);
    open_database(&u);
    serve(v);
    daemon_ready(v->daemon);
    return daemon_run(v->daemon);
}
