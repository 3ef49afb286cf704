/* What an inquiry knows and will record; private to inquiry.c and inquiry_void.c. */
#ifndef GATEWAYD_INQUIRY_STATE_H
#define GATEWAYD_INQUIRY_STATE_H

#include <sys/queue.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/inquiry.h"

#define LOOKUP_CONNECT_TIMEOUT_MS 10000

struct inquiry {
    struct gatewayd *g;
    const struct connector *connector;
    char ref[ID_MAX], payment[ID_MAX], kind[10], state[21], processor[21], account[41];
    char currency[4], last_four[5], follows[41], parent[ID_MAX], processor_id[41];
    char cursor[CONNECTOR_ID_SIZE];
    int64_t epoch, amount_minor, tries, age_ms, closed_ms, absent_for_ms;
    bool past_horizon, alarm;
    int step;
    unsigned pages;
    size_t surplus; /* which of the found ids is being taken back; 0 = none is surplus */
    struct lookup_outcome found;
    struct money_request money; /* of a void that is repeated */
    /* what will be recorded */
    const char *to_state;
    const char *actor;
    struct money_outcome outcome;
    int64_t next_try_ms;
    struct timer *retry;
    struct timer *hanging; /* runs while a look-up is on its way */
    bool hangs, given_up;
    LIST_ENTRY(inquiry) link;
};

/* Nothing new is known. What is unclear for a whole day is a person's matter, and watched on. */
void inquiry_later(struct inquiry *q, int64_t business_ms);
/* The attempt's new state, with the outcome that is filled in. */
void inquiry_record(struct inquiry *q, const char *state);
/* For a void: what became of the transaction that it voids. */
void inquiry_ask_original(struct inquiry *q);

#endif
