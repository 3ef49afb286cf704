/* Accepts connections without ever spinning. A descriptor is held in reserve: when the process has
 * none left, it is given up to accept and close one waiting peer, who then knows, instead of
 * leaving the listening socket ready for ever. */
#include "ipc/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_MAX_A_TURN 16
#define EXHAUSTED_PAUSE_MS 100

struct listener {
    int fd, reserve_fd;
    struct event *ready;
    struct timer *pause; /* after the process ran out of descriptors */
    listener_accepted *accepted;
    void *context;
    bool full;
};

static int reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void exhausted(struct listener *listener)
{
    if (listener->reserve_fd >= 0) {
        close(listener->reserve_fd);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
        }
    }
    listener->reserve_fd = reserve();
    event_del(listener->ready);
    timer_arm(listener->pause, EXHAUSTED_PAUSE_MS);
}

static void on_ready(evutil_socket_t listen_fd, short what, void *context)
{
    (void)what;
    struct listener *listener = context;
    for (int i = 0; i < ACCEPT_MAX_A_TURN; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                exhausted(listener);
            }
            return; /* EAGAIN, or a peer that gave up: the event comes again */
        }
        if (!listener->accepted(listener->context, fd)) {
            listener->full = true;
            event_del(listener->ready);
            return;
        }
    }
}

static void on_pause_over(void *context)
{
    struct listener *listener = context;
    if (listener->reserve_fd < 0) {
        listener->reserve_fd = reserve();
    }
    if (!listener->full) {
        event_add(listener->ready, NULL);
    }
}

struct listener *listener_new(struct loop *loop, int listen_fd, listener_accepted *accepted,
                              void *context)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener || evutil_make_socket_nonblocking(listen_fd) != 0) {
        abort();
    }
    listener->fd = listen_fd;
    listener->reserve_fd = reserve();
    listener->accepted = accepted;
    listener->context = context;
    listener->pause = timer_new(loop, on_pause_over, listener);
    listener->ready =
        event_new(loop_base(loop), listen_fd, EV_READ | EV_PERSIST, on_ready, listener);
    if (!listener->ready || event_add(listener->ready, NULL) != 0) {
        abort();
    }
    return listener;
}

void listener_resume(struct listener *listener)
{
    if (listener->full) {
        listener->full = false;
        event_add(listener->ready, NULL);
    }
}

void listener_free(struct listener *listener)
{
    if (!listener) {
        return;
    }
    event_free(listener->ready);
    timer_free(listener->pause);
    close(listener->fd);
    if (listener->reserve_fd >= 0) {
        close(listener->reserve_fd);
    }
    free(listener);
}
