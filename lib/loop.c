/* The event loop: libevent's, with timers.
 * Must never run a handler from inside the call that asked for it. */
#include "lib/loop.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/memory.h"

struct loop {
    struct event_base *base;
    bool stopped;
};

struct timer {
    struct event *event;
    timer_fired *fired;
    void *context;
};

/* Precise timers: with libevent's usual coarse clock a deadline's timer can fire some milliseconds
 * before clock_boot_ms() has reached the deadline. */
static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    if (config == NULL || event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) != 0) {
        abort();
    }
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == NULL) {
        abort();
    }
    return base;
}

struct loop *loop_new(void)
{
    struct loop *loop = memory_new(sizeof *loop);
    loop->base = base_new();
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    event_base_free(loop->base);
    free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

void loop_run(struct loop *loop)
{
    while (!loop->stopped) {
        if (event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0) {
            abort(); /* the kernel refuses to wait: nothing here would ever happen again */
        }
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
    (void)event_base_loopbreak(loop->base);
}

static void timer_run(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct timer *timer = context;
    timer->fired(timer->context); /* may free the timer: nothing of it is touched after this */
}

struct timer *timer_new(struct loop *loop, timer_fired *fired, void *context)
{
    assert(fired != NULL);
    struct timer *timer = memory_new(sizeof *timer);
    timer->fired = fired;
    timer->context = context;
    timer->event = evtimer_new(loop->base, timer_run, timer);
    if (timer->event == NULL) {
        abort();
    }
    return timer;
}

void timer_arm(struct timer *timer, int64_t after_ms)
{
    int64_t ms = after_ms < 0 ? 0 : after_ms;
    struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (ms % 1000) * 1000};
    if (evtimer_add(timer->event, &after) != 0) {
        abort();
    }
}

void timer_disarm(struct timer *timer)
{
    (void)evtimer_del(timer->event);
}

void timer_free(struct timer *timer)
{
    if (timer != NULL) {
        event_free(timer->event);
        free(timer);
    }
}
