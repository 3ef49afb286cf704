/* A daemon's server and its callers on one loop, for the tests of ipc/. */
#ifndef TESTS_UNIT_IPC_PARTS_H
#define TESTS_UNIT_IPC_PARTS_H

#include "tests/unit/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/client.h"
#include "ipc/peer.h"
#include "ipc/server.h"
#include "lib/clock.h"
#include "lib/loop.h"

#define WAIT_MAX_MS 20000

static inline void wait_over(void *context)
{
    loop_stop(context);
}

/* Turns the loop until `what` is true; fails the test after WAIT_MAX_MS. */
static inline void wait_until(struct loop *loop, bool (*what)(void *), void *context)
{
    int64_t end = clock_boot_ms() + WAIT_MAX_MS;
    struct timer *timer = timer_new(loop, wait_over, loop);
    while (!what(context)) {
        assert_true(clock_boot_ms() < end);
        timer_arm(timer, 2);
        loop_run(loop);
    }
    timer_free(timer);
}

static inline void wait_ms(struct loop *loop, int64_t ms)
{
    struct timer *timer = timer_new(loop, wait_over, loop);
    timer_arm(timer, ms);
    loop_run(loop);
    timer_free(timer);
}

/* Every user may be everybody named in `peers`: "terminald=*". */
static inline void everybody_is(const char *peers)
{
    assert_int_equal(setenv("KOMETPAY_PEERS", peers, 1), 0);
    assert_null(peers_start());
}

struct place {
    char folder[32];
    char path[64];
};

static inline void place_new(struct place *place)
{
    snprintf(place->folder, sizeof(place->folder), "/tmp/komet-ipc-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof(place->path), "%s/served.sock", place->folder);
}

static inline void place_free(struct place *place)
{
    unlink(place->path);
    assert_int_equal(rmdir(place->folder), 0);
}

static inline int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    return fd;
}

/* A caller that speaks bytes, as a POS in any language does. */
static inline int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* What became of one call. */
struct told {
    unsigned times;
    bool good;
    enum error_kind kind;
    char code[48];
    char field[64];
    char sentence[256];
    int64_t pid; /* of a daemon_state */
    unsigned order;
};

static unsigned told_count;

static inline void note_told(void *context, const struct error *e, enum message_type type,
                             const void *answer)
{
    struct told *told = context;
    told->times++;
    told->order = ++told_count;
    told->good = e == NULL;
    if (e) {
        told->kind = e->kind;
        snprintf(told->code, sizeof(told->code), "%s", e->code);
        snprintf(told->field, sizeof(told->field), "%s", e->field);
        snprintf(told->sentence, sizeof(told->sentence), "%s", e->sentence);
    } else if (type == MESSAGE_DAEMON_STATE) {
        told->pid = ((const struct msg_daemon_state *)answer)->pid;
    }
}

static inline bool is_told(void *context)
{
    return ((const struct told *)context)->times > 0;
}

#endif
