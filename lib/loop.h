/* The event loop: one libevent base a daemon. Timers, and signals. */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <event2/event.h>
#include <stdint.h>

struct loop; /* opaque */
struct timer;

struct loop *loop_new(void);
void loop_free(struct loop *loop);
struct event_base *loop_base(struct loop *loop);
void loop_run(struct loop *loop);  /* until loop_stop */
void loop_stop(struct loop *loop); /* may be called from a handler */

typedef void timer_fired(void *context);
/* A one-shot timer, not armed. The caller owns it. */
struct timer *timer_new(struct loop *loop, timer_fired *fired, void *context);
void timer_arm(struct timer *timer, int64_t after_ms); /* re-arms if armed */
void timer_disarm(struct timer *timer);
void timer_free(struct timer *timer);

#endif
