/* Listening sockets: those that systemd's activation passed, by name, else made here. */
#ifndef LIB_LISTENER_H
#define LIB_LISTENER_H

#include "lib/error.h"

struct listeners; /* what was passed and what was made */

/* Takes over the descriptors of the activation. Errors: listen_failed. */
struct error *listeners_new(struct listeners **out) MUST_CHECK;
/* Removes the socket files that were made here; closes descriptors that nobody asked for. */
void listeners_free(struct listeners *listeners);

/* A non-blocking listening UNIX stream socket: the passed one of that name, else made at `path`
 * with `mode`, replacing the file of a listener that is gone. The caller owns the descriptor.
 * Errors: listen_failed (also when somebody listens there already). */
struct error *listeners_unix(struct listeners *listeners, const char *fd_name, const char *path,
                             unsigned mode, int *out) MUST_CHECK;
/* The same for TCP "address:port" or "[address]:port", numbers only. *out is -1 when `address` is
 * "" and none was passed. Errors: listen_failed. */
struct error *listeners_tcp(struct listeners *listeners, const char *fd_name, const char *address,
                            int *out) MUST_CHECK;

#endif
