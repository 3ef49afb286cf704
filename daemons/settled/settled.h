/* What the parts of settled share: the loop, the books' database, the way to gatewayd. Made in
 * main.c, borrowed everywhere else. */
#ifndef SETTLED_SETTLED_H
#define SETTLED_SETTLED_H

#include <stdint.h>

#include "ipc/client.h"
#include "ipc/server.h"
#include "lib/daemon.h"
#include "lib/database.h"

struct settled {
    struct daemon *daemon;
    struct loop *loop;
    struct database *db;
    struct ipc_client *gatewayd;
    struct ipc_server *server;
    struct close_job *closes; /* the closes under way */
    int64_t started_boot_ms;
};

#define LIST_LIMIT_DEFAULT 100 /* rows of a page when the question doesn't say */

#endif
