/* Claims what is due, a few at a time, and lets an inquiry look into each. Must never act on what
 * it has not claimed. */
#include "daemons/gatewayd/resolver.h"

#include <assert.h>
#include <stdlib.h>

#include "daemons/gatewayd/inquiry.h"
#include "daemons/gatewayd/payment_store.h"
#include "lib/clock.h"

#define INQUIRIES_MAX 16

struct resolver {
    struct gatewayd *g;
    struct timer *turn;
    unsigned running, asked;
    bool started, stopped, claiming, expected;
    bool more;   /* the last claim was filled: more may be due */
    bool doubt;  /* rows may be claimed for us that we don't know of */
    bool asleep; /* what was unclear at the start has still to be woken */
};

static void turn(void *context);

struct resolver *resolver_new(struct gatewayd *g)
{
    struct resolver *r = calloc(1, sizeof *r);
    assert(r);
    r->g = g;
    r->turn = timer_new(g->loop, turn, r);
    return r;
}

/* A claim for one place at a time would cost a commit each. */
static bool wants_more(const struct resolver *r)
{
    return r->more && r->running <= INQUIRIES_MAX / 2;
}

static void claimed(void *context, enum database_outcome outcome, const struct rows *rows,
                    const struct error *e)
{
    struct resolver *r = context;
    (void)e;
    r->claiming = false;
    r->doubt = outcome == DATABASE_UNKNOWN;
    size_t count = outcome == DATABASE_DONE ? rows_count(rows) : 0;
    for (size_t i = 0; i < count; i++) {
        r->running++;
        inquiry_start(r->g, rows, i);
    }
    if (r->stopped) {
        return;
    }
    r->more = count > 0 && count == r->asked;
    int64_t wait_ms = wants_more(r) ? 1 : r->expected ? 10 : r->g->resolver_period_ms;
    r->expected = false;
    timer_arm(r->turn, wait_ms);
}

static void dropped(void *context, enum database_outcome outcome, const struct rows *rows,
                    const struct error *e)
{
    struct resolver *r = context;
    (void)rows, (void)e;
    r->claiming = false;
    r->doubt = outcome != DATABASE_DONE;
    if (!r->stopped) {
        timer_arm(r->turn, r->g->resolver_period_ms);
    }
}

static void woken(void *context, enum database_outcome outcome, const struct rows *rows,
                  const struct error *e)
{
    struct resolver *r = context;
    (void)rows, (void)e;
    if (outcome == DATABASE_DONE) {
        resolver_expect(r);
    } else {
        r->asleep = true; /* with the next turn */
    }
}

static void turn(void *context)
{
    struct resolver *r = context;
    if (r->stopped || r->claiming) {
        return;
    }
    if (r->asleep) {
        r->asleep = false;
        payment_store_wake(r->g->db, NULL, NULL, woken, r);
    }
    if (r->doubt && r->running == 0) {
        r->claiming = true;
        payment_store_claims_drop(r->g->db, r->g->instance, dropped, r);
        return;
    }
    if (r->doubt || r->running >= INQUIRIES_MAX) {
        timer_arm(r->turn, r->g->resolver_period_ms);
        return;
    }
    r->claiming = true;
    r->asked = INQUIRIES_MAX - r->running;
    payment_store_due(r->g->db, r->g->instance, r->asked, r->g->horizon_ms, claimed, r);
}

/* Nobody remembers which processors failed before the start, and the next try may be an hour off:
 * all that is unclear is due once. */
void resolver_start(struct resolver *r)
{
    r->started = true;
    timer_arm(r->turn, 1);
    payment_store_wake(r->g->db, NULL, NULL, woken, r);
}

void resolver_expect(struct resolver *r)
{
    r->expected = true;
    if (r->started && !r->stopped && !r->claiming && r->running < INQUIRIES_MAX) {
        timer_arm(r->turn, r->g->resolver_period_ms < 10 ? r->g->resolver_period_ms : 10);
    }
}

void resolver_inquiry_ended(struct resolver *r)
{
    assert(r->running > 0);
    r->running--;
    if (r->started && !r->stopped && !r->claiming && wants_more(r)) {
        timer_arm(r->turn, 1);
    }
}

unsigned resolver_running(const struct resolver *r)
{
    return r->running + (r->claiming ? 1 : 0);
}

void resolver_stop(struct resolver *r)
{
    r->stopped = true;
    timer_disarm(r->turn);
}
