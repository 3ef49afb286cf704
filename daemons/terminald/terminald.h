/* What the parts of terminald share: the loop, the server and the connections to the daemons that
 * do the work. Made in main.c, borrowed everywhere else. */
#ifndef TERMINALD_TERMINALD_H
#define TERMINALD_TERMINALD_H

#include <stdint.h>

#include "ipc/client.h"
#include "ipc/server.h"
#include "lib/daemon.h"

struct pos_tls;

struct terminald {
    struct daemon *daemon;
    struct loop *loop;
    struct ipc_server *server;
    struct ipc_client *gatewayd;
    struct ipc_client *vaultd;
    struct ipc_client *settled;
    struct pos_tls *tls; /* NULL while no TLS listener is wanted */
    int64_t patience_ms; /* how long a POS waits that said nothing about it */
    int64_t started_boot_ms;
};

#endif
