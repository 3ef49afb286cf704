/* What one peer takes up of a server: its connections and its requests in flight, over all its
 * connections; private to ipc/. A peer is a user on this host, or a certificate's location and
 * POS. */
#ifndef IPC_PEER_SHARE_H
#define IPC_PEER_SHARE_H

#include <stdbool.h>
#include <sys/queue.h>

struct peer_share {
    char location[21];
    char pos[41];
    unsigned connections;
    unsigned in_flight;
    LIST_ENTRY(peer_share) link;
};

LIST_HEAD(peer_shares, peer_share);

/* The peer's share with one connection more. */
struct peer_share *peer_share_join(struct peer_shares *shares, const char *location,
                                   const char *pos);
/* One connection less. The share goes with the last connection and the last request. */
void peer_share_leave(struct peer_share *share);
void peer_share_begin(struct peer_share *share); /* one request more */
void peer_share_end(struct peer_share *share);   /* one request less */

#endif
