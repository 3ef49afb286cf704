/* Calls another daemon over its UNIX socket: reconnects by itself, many calls in flight. A call
 * whose connection breaks after it was written ends with code "ipc_lost", and one that had no
 * answer in time with "ipc_timeout": it may have been executed. What can't be written, or not in
 * time, ends with "ipc_unreachable": it was not. */
#ifndef IPC_CLIENT_H
#define IPC_CLIENT_H

#include "ipc/message.h"
#include "lib/loop.h"

/* Calls in flight of one client; more are a bug of the caller, who must bound what it admits. */
#define IPC_CALLS_MAX 65536u

struct ipc_client;
/* `answer` is not NULL only without error; borrowed. An answer of type error arrives as `e`
 * (kind, code, field, sentence of the callee; busy has code "busy"). `e` is borrowed. */
typedef void ipc_done(void *context, const struct error *e, enum message_type type,
                      const void *answer);

struct ipc_client *ipc_client_new(struct loop *loop, const char *path);
/* Ends what still runs, calling each `done` ("ipc_lost", "ipc_unreachable"), which must not call
 * again. Allowed from inside a `done`. */
void ipc_client_free(struct ipc_client *client);
/* `message` is borrowed (encoded at once; a bad one ends with its refusal). deadline_boot_ms: when
 * the caller stops waiting (0 = never).
 * An answer that can't be read is "ipc_lost". `done` is called exactly once, never from inside
 * ipc_call. */
void ipc_call(struct ipc_client *client, enum message_type type, const void *message,
              int64_t deadline_boot_ms, ipc_done *done, void *context);

/* Blocking use, for the command and tests: one call on its own connection. Errors as above, and an
 * answer of type error is returned as the error.
 * *answer is owned by the caller (message_free with *answer_type). */
struct error *ipc_call_once(const char *path, enum message_type type, const void *message,
                            int64_t timeout_ms, enum message_type *answer_type,
                            void **answer) MUST_CHECK;

#endif
