/* What the parts of vaultd share: the database, the keys, the holds. Made in main.c, borrowed
 * everywhere else. */
#ifndef VAULTD_VAULTD_H
#define VAULTD_VAULTD_H

#include <stdbool.h>
#include <stdint.h>

#include "daemons/vaultd/hold.h"
#include "daemons/vaultd/key_ring.h"
#include "daemons/vaultd/key_store.h"
#include "ipc/server.h"
#include "lib/daemon.h"
#include "lib/database.h"

struct vaultd {
    struct daemon *daemon;
    struct loop *loop;
    struct database *db;
    struct key_ring *ring;
    struct key_store *keys;
    struct holds *holds;
    struct ipc_server *server;
    int64_t started_boot_ms;
    bool keys_ready; /* the stored keys are on the ring */
};

#endif
