/* Shares of peers, found by their names. Must never outlive what is counted in it, nor end before:
 * a request whose caller has gone still counts. */
#include "ipc/peer_share.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peer_share *peer_share_join(struct peer_shares *shares, const char *location,
                                   const char *pos)
{
    struct peer_share *share;
    LIST_FOREACH(share, shares, link)
    {
        if (strcmp(share->location, location) == 0 && strcmp(share->pos, pos) == 0) {
            share->connections++;
            return share;
        }
    }
    share = calloc(1, sizeof *share);
    if (!share) {
        abort();
    }
    snprintf(share->location, sizeof share->location, "%s", location);
    snprintf(share->pos, sizeof share->pos, "%s", pos);
    share->connections = 1;
    LIST_INSERT_HEAD(shares, share, link);
    return share;
}

static void free_if_empty(struct peer_share *share)
{
    if (share->connections == 0 && share->in_flight == 0) {
        LIST_REMOVE(share, link);
        free(share);
    }
}

void peer_share_leave(struct peer_share *share)
{
    assert(share->connections > 0);
    share->connections--;
    free_if_empty(share);
}

void peer_share_begin(struct peer_share *share)
{
    share->in_flight++;
}

void peer_share_end(struct peer_share *share)
{
    assert(share->in_flight > 0);
    share->in_flight--;
    free_if_empty(share);
}
