/* What server.c and request.c share: a connected peer and its requests; private to the two. */
#ifndef IPC_SERVER_STATE_H
#define IPC_SERVER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "ipc/acceptor.h"
#include "ipc/connection.h"
#include "ipc/peer_share.h"
#include "ipc/server.h"

#define ACCEPTORS_MAX 4

struct client_peer { /* one connected peer */
    struct ipc_server *server;
    struct connection *connection;
    struct peer_share *share; /* who it is, and all that it takes up */
    unsigned peers;
    unsigned in_flight;
    bool right_logged; /* once a connection, or a peer could flood the journal */
    LIST_HEAD(, ipc_request) requests;
    TAILQ_ENTRY(client_peer) link;
};

struct ipc_request {
    struct ipc_server *server;  /* NULL after ipc_server_free */
    struct client_peer *client; /* NULL after the peer has gone */
    struct peer_share *share;   /* NULL after ipc_server_free */
    enum message_type type;
    void *message;
    uint64_t correlation;
    int64_t deadline_boot_ms;
    unsigned peers;
    char location[21];
    char pos[41];
    LIST_ENTRY(ipc_request) link;
};

struct ipc_server {
    struct loop *loop;
    struct frame_room room;
    struct ipc_server_options options;
    ipc_handler *handlers[MESSAGE_TYPE_COUNT]; /* by row of the table */
    struct acceptor *acceptors[ACCEPTORS_MAX];
    unsigned acceptor_count;
    unsigned connections;
    unsigned in_flight;
    bool draining;
    struct timer *drain_turn; /* NULL until it drains */
    int64_t drain_until_boot_ms;
    ipc_drained *drained;
    void *drained_context;
    int64_t shed_logged_boot_ms;
    int64_t refused_logged_boot_ms;
    TAILQ_HEAD(client_peers, client_peer) clients; /* the longest idle first */
    struct peer_shares shares;
    LIST_HEAD(, ipc_request) orphans;
};

/* Answers without a request. */
void peer_send_error(struct client_peer *client, uint64_t correlation, const struct error *e);
void peer_send_refusal(struct client_peer *client, uint64_t correlation, const char *code,
                       const char *sentence);
/* Accepts again, if there is room. */
void server_resume_acceptors(struct ipc_server *server);
/* Reads on, or not, by how many of its requests are in flight. */
void peer_update_hold(struct client_peer *client);

#endif
