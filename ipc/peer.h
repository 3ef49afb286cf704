/* Who speaks: peers by SO_PEERCRED (or by TLS certificate, decided by terminald), and which message
 * each may send (the table is in messages.txt). */
#ifndef IPC_PEER_H
#define IPC_PEER_H

#include <stdbool.h>

#include "ipc/messages.h"
#include "lib/error.h"

enum peer {
    PEER_NONE = 0,
    PEER_POS = 1 << 0,
    PEER_OPERATOR = 1 << 1,
    PEER_TERMINALD = 1 << 2,
    PEER_GATEWAYD = 1 << 3,
    PEER_VAULTD = 1 << 4,
    PEER_SETTLED = 1 << 5,
    PEER_NIGHT = 1 << 6,
};

/* The table of uids: system users kometpay-gatewayd ... by name; root and members of group
 * kometpay-operator are operators; members of group kometpay-pos are POS; kometpay-night only
 * closes days. KOMETPAY_PEERS="gatewayd=64002,terminald=64001,pos=*" (numbers, or * for any)
 * replaces names (tests, demo); lib/daemon.c
 * names it in --help. Errors: setting_invalid. */
struct error *peers_start(void) MUST_CHECK;
/* Bit set of `enum peer` for a connected UNIX socket. */
unsigned peers_of_socket(int fd);
/* May any of these peers send this request to this daemon ("gatewayd")? */
bool peer_may_send(unsigned peers, enum message_type type, const char *daemon);

#endif
