/* What every daemon does to start and end: arguments, settings, secret memory, log, listening
 * sockets (from systemd's activation or made here), READY=1, watchdog fed by the loop's own turns,
 * SIGTERM drains. */
#ifndef LIB_DAEMON_H
#define LIB_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"
#include "lib/loop.h"
#include "lib/setting.h"

struct daemon_options {
    const char *name;    /* "gatewayd" */
    const char *purpose; /* one line for --help */
    struct setting *settings;
    size_t secret_bytes; /* of locked memory for secrets, a power of two; 0 = 1 MiB */
    /* Called when SIGTERM came: stop accepting, finish or park what runs, then daemon_done(). */
    void (*drain)(void *context);
};

struct daemon;
/* Does all of the above up to the loop; exits with a message on bad arguments or settings. The
 * options are borrowed until daemon_run returns. */
struct daemon *daemon_start(const struct daemon_options *options, int argc, char **argv);
struct loop *daemon_loop(struct daemon *daemon);
void daemon_context(struct daemon *daemon, void *context); /* for drain */
/* A listening UNIX socket: the activated one of that FileDescriptorName, else made at `path` with
 * `mode`. Returns the descriptor; aborts the start with a message when it can't. */
int daemon_listen_unix(struct daemon *daemon, const char *fd_name, const char *path, unsigned mode);
/* The same for TCP "address:port". -1 when `address` is "". */
int daemon_listen_tcp(struct daemon *daemon, const char *fd_name, const char *address);
/* READY=1 / a STATUS line that means something. */
void daemon_ready(struct daemon *daemon);
void daemon_status(struct daemon *daemon, const char *format, ...) PRINTF_LIKE(2, 3);
bool daemon_draining(const struct daemon *daemon);
void daemon_done(struct daemon *daemon);
/* Runs the loop until daemon_done; returns the exit code. Frees the daemon. */
int daemon_run(struct daemon *daemon);

#endif
