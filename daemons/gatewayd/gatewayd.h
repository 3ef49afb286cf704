/* What the parts of gatewayd share: the loop, the database, the processors' client, vaultd, and
 * who we are. Made in main.c, borrowed everywhere else. */
#ifndef GATEWAYD_GATEWAYD_H
#define GATEWAYD_GATEWAYD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "daemons/gatewayd/connector.h"
#include "ipc/client.h"
#include "ipc/server.h"
#include "lib/clock.h"
#include "lib/daemon.h"
#include "lib/database.h"
#include "lib/http.h"
#include "lib/id.h"

struct attempt_job;
struct resolver;

#define DATABASE_MOMENT_MS 2000 /* a restart of the server; who asks meanwhile may wait */

struct gatewayd {
    struct daemon *daemon;
    struct loop *loop;
    struct database *db;
    struct http_client *processors;
    struct ipc_client *vaultd;
    struct ipc_server *server;
    struct resolver *resolver;
    struct attempt_job *jobs; /* those that run now */
    unsigned job_count;
    struct timer *drain_turn; /* NULL until it drains */
    int64_t drain_until_boot_ms;
    char instance[ID_MAX]; /* the holder of what we have begun */
    const char *clearent_url;
    int64_t patience_ms;     /* an attended POS hears PENDING after this */
    int64_t send_timeout_ms; /* a money request, whole exchange */
    int64_t lookup_timeout_ms;
    int64_t horizon_ms; /* after it 'not found' is believed */
    int64_t resolver_period_ms;
    int64_t started_boot_ms;
    int64_t database_lost_boot_ms; /* 0 while it is there */
    bool serving;                  /* database ready and the dead instances' work taken over */
};

/* The address of a processor's API: a setting, so that a simulator can stand in. */
static inline const char *gatewayd_base_url(const struct gatewayd *g, const char *processor)
{
    return strcmp(processor, "clearent") == 0 ? g->clearent_url : "";
}

/* The database has been away for longer than a moment: new work is refused at once. */
static inline bool gatewayd_database_away(const struct gatewayd *g)
{
    return g->database_lost_boot_ms != 0 &&
           clock_boot_ms() - g->database_lost_boot_ms > DATABASE_MOMENT_MS;
}

#endif
