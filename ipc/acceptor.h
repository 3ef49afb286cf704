/* Accepts connections on a listening socket without ever spinning: pauses while the server is full
 * or the process is out of descriptors. For a server's own sockets, and for a door that knows its
 * peers by other means before it hands them to ipc_server_adopt (TLS). */
#ifndef IPC_ACCEPTOR_H
#define IPC_ACCEPTOR_H

#include <stdbool.h>

#include "lib/loop.h"

struct acceptor;

/* `accepted` takes the non-blocking socket and returns true while more may be accepted; after
 * false the acceptor waits for acceptor_resume. Takes listen_fd. */
typedef bool acceptor_taken(void *context, int fd);
struct acceptor *acceptor_new(struct loop *loop, int listen_fd, acceptor_taken *accepted,
                              void *context);
void acceptor_resume(struct acceptor *acceptor);
void acceptor_free(struct acceptor *acceptor);

#endif
