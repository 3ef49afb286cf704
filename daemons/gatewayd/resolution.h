/* What the resolver does about an attempt, from its kind, its state and what the look-up found:
 * one table and no I/O, so that a test can walk through every cell. */
#ifndef GATEWAYD_RESOLUTION_H
#define GATEWAYD_RESOLUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "daemons/gatewayd/connector.h"

enum resolution {
    RESOLVE_TO,       /* record the state given beside it */
    RESOLVE_LATER,    /* nothing is known yet: ask again by the schedule */
    RESOLVE_ABSENT,   /* not found: believed only after the horizon, and twice */
    RESOLVE_REVERSE,  /* approved and must not stand: void it, or refund once it is settled */
    RESOLVE_SURPLUS,  /* approved more than once: all but the earliest are taken back */
    RESOLVE_ORIGINAL, /* a void that isn't found: what became of the transaction it acts on? */
    RESOLVE_WATCH,    /* final, but looked at again and again */
};

struct resolution_rule {
    enum resolution action;
    const char *state; /* with RESOLVE_TO */
};

/* What is known of a sale or authorisation besides its state. */
struct resolution_known {
    bool id;             /* the processor's id of its transaction */
    bool must_not_stand; /* it was being taken back before */
};

/* kind "SALE" ..., state "UNKNOWN" ...; asserts on a state that has no look-ups. */
struct resolution_rule resolution_of(const char *kind, const char *state,
                                     struct resolution_known known, enum lookup found);

/* When to ask again after `asked` look-ups: 2, 5, 15, 60 s, then every 5 min for an hour, then
 * hourly, never ending. Business milliseconds (see clock_interval_ms). */
int64_t resolution_delay_ms(int64_t asked);
/* When to look again at an attempt that was not charged: 1 h, 6 h, 24 h, then daily until the
 * processor's 90 days of history are over; -1 then. */
int64_t resolution_watch_ms(int64_t age_ms);

#define RESOLUTION_TWICE_MS 60000             /* between the two not-founds that are believed */
#define RESOLUTION_REVIEW_MS (24 * 3600000LL) /* unclear for longer: a person is asked */

#endif
