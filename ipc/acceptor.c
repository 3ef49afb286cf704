/* Accepts connections without ever spinning. A descriptor is held in reserve: when the process has
 * none left, it is given up to accept and close one waiting peer, who then knows, instead of
 * leaving the listening socket ready for ever. */
#include "ipc/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/memory.h"

#define ACCEPT_MAX_A_TURN 16
#define EXHAUSTED_PAUSE_MS 100
#define EXHAUSTED_LOG_INTERVAL_MS 1000

struct acceptor {
    int fd, reserve_fd;
    struct event *ready;
    struct timer *pause; /* after the process ran out of descriptors */
    acceptor_taken *accepted;
    void *context;
    int64_t logged_boot_ms;
    bool full;
};

static int reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void log_exhausted(struct acceptor *acceptor)
{
    int64_t now = clock_boot_ms();
    if (now - acceptor->logged_boot_ms >= EXHAUSTED_LOG_INTERVAL_MS) {
        acceptor->logged_boot_ms = now;
        log_event(LOG_PEER_REFUSED, {"KOMETPAY_REASON", "out of descriptors"});
    }
}

static void exhausted(struct acceptor *acceptor)
{
    if (acceptor->reserve_fd >= 0) {
        close(acceptor->reserve_fd);
        int fd = accept4(acceptor->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            log_exhausted(acceptor);
        }
    }
    acceptor->reserve_fd = reserve();
    event_del(acceptor->ready);
    timer_arm(acceptor->pause, EXHAUSTED_PAUSE_MS);
}

static void on_ready(evutil_socket_t listen_fd, short what, void *context)
{
    (void)what;
    struct acceptor *acceptor = context;
    for (int i = 0; i < ACCEPT_MAX_A_TURN; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                exhausted(acceptor);
            }
            return; /* EAGAIN, or a peer that gave up: the event comes again */
        }
        if (!acceptor->accepted(acceptor->context, fd)) {
            acceptor->full = true;
            event_del(acceptor->ready);
            return;
        }
    }
}

static void on_pause_over(void *context)
{
    struct acceptor *acceptor = context;
    if (acceptor->reserve_fd < 0) {
        acceptor->reserve_fd = reserve();
    }
    if (!acceptor->full) {
        event_add(acceptor->ready, NULL);
    }
}

struct acceptor *acceptor_new(struct loop *loop, int listen_fd, acceptor_taken *accepted,
                              void *context)
{
    struct acceptor *acceptor = memory_new(sizeof(*acceptor));
    if (evutil_make_socket_nonblocking(listen_fd) != 0) {
        abort();
    }
    acceptor->fd = listen_fd;
    acceptor->reserve_fd = reserve();
    acceptor->accepted = accepted;
    acceptor->context = context;
    acceptor->pause = timer_new(loop, on_pause_over, acceptor);
    acceptor->ready =
        event_new(loop_base(loop), listen_fd, EV_READ | EV_PERSIST, on_ready, acceptor);
    if (!acceptor->ready || event_add(acceptor->ready, NULL) != 0) {
        abort();
    }
    return acceptor;
}

void acceptor_resume(struct acceptor *acceptor)
{
    if (acceptor->full) {
        acceptor->full = false;
        event_add(acceptor->ready, NULL);
    }
}

void acceptor_free(struct acceptor *acceptor)
{
    if (!acceptor) {
        return;
    }
    event_free(acceptor->ready);
    timer_free(acceptor->pause);
    close(acceptor->fd);
    if (acceptor->reserve_fd >= 0) {
        close(acceptor->reserve_fd);
    }
    free(acceptor);
}
