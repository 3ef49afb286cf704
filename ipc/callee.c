/* The way to the callee's socket, and what is said of a call that brought no answer. Must never say
 * 'unreachable' of a call that may have been executed. */
#include "ipc/callee.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"

#define BACKLOG_RETRY_MS 10

struct error *callee_unreachable(const char *path, const char *reason)
{
    struct error *e = error_failed("ipc_unreachable", "The daemon can't be reached: %s.", reason);
    return error_wrap(e, "%s", path);
}

struct error *callee_lost(const char *reason)
{
    struct error *e = error_failed("ipc_lost", "The connection broke while the request ran.");
    return error_wrap(e, "%s", reason);
}

struct error *callee_late(void)
{
    return error_failed("ipc_timeout", "No answer came in time.");
}

/* answer_invalid: the callee did the work and could not write what came of it. */
struct error *callee_told(const struct msg_error *told)
{
    if (strcmp(told->code, "answer_invalid") == 0) {
        return callee_lost("the callee could not write its answer");
    }
    return told->failed ? error_failed(told->code, "%s", told->sentence)
                        : error_refused(told->code, told->field, "%s", told->sentence);
}

struct error *callee_connect(const char *path, int64_t deadline_boot_ms, int *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof(address.sun_path)) {
        return callee_unreachable(path, "the socket's path is too long");
    }
    memcpy(address.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return callee_unreachable(path, strerror(errno));
    }
    /* UNIX sockets connect at once or fail; a full backlog fails too (EAGAIN), without an event to
     * wait for. */
    while (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int reason = errno;
        if ((reason != EAGAIN && reason != EINTR) || clock_boot_ms() >= deadline_boot_ms) {
            close(fd);
            return callee_unreachable(path, strerror(reason));
        }
        poll(NULL, 0, BACKLOG_RETRY_MS);
    }
    *out = fd;
    return NULL;
}
