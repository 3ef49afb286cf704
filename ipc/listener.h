/* Accepts connections on a listening socket without ever spinning: pauses while the server is full
 * or the process is out of descriptors; private to ipc/. */
#ifndef IPC_LISTENER_H
#define IPC_LISTENER_H

#include <stdbool.h>

#include "lib/loop.h"

struct listener;

/* `accepted` takes the non-blocking socket and returns true while more may be accepted; after
 * false the listener waits for listener_resume. Takes listen_fd. */
typedef bool listener_accepted(void *context, int fd);
struct listener *listener_new(struct loop *loop, int listen_fd, listener_accepted *accepted,
                              void *context);
void listener_resume(struct listener *listener);
void listener_free(struct listener *listener);

#endif
