/* What both kinds of caller (client.c, call_once.c) share: the way to the callee's socket, and what
 * is said of a call that brought no answer; private to ipc/. */
#ifndef IPC_CALLEE_H
#define IPC_CALLEE_H

#include <stdint.h>

#include "ipc/messages.h"
#include "lib/error.h"

/* A connected non-blocking socket that the caller owns. While the callee's backlog is full it tries
 * again until the deadline, blocking; with 0 it tries once. Errors: ipc_unreachable. */
struct error *callee_connect(const char *path, int64_t deadline_boot_ms, int *out) MUST_CHECK;

/* Certainly not executed. */
struct error *callee_unreachable(const char *path, const char *reason) MUST_CHECK NEVER_NULL;
/* Written whole, and the connection broke or the answer can't be read: it may be executed. */
struct error *callee_lost(const char *reason) MUST_CHECK NEVER_NULL;
/* Written, and no answer came in time: it may still be executed. */
struct error *callee_late(void) MUST_CHECK NEVER_NULL;
/* What the callee itself said, with the kind that it had there. */
struct error *callee_told(const struct msg_error *told) MUST_CHECK NEVER_NULL;

#endif
