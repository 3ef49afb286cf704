/* What an inquiry knows and will record, and its steps; private to inquiry*.c. A step starts one
 * asynchronous thing and returns, or decides and moves on; inquiry_go is the only way to move. */
#ifndef GATEWAYD_INQUIRY_STATE_H
#define GATEWAYD_INQUIRY_STATE_H

#include <sys/queue.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/inquiry.h"

#define LOOKUP_CONNECT_TIMEOUT_MS 10000

enum inquiry_step {
    INQUIRY_ASK,      /* the processor, by our reference */
    INQUIRY_DECIDE,   /* by the table in resolution.c */
    INQUIRY_REVERSE,  /* take back what must not stand, one transaction after the other */
    INQUIRY_ORIGINAL, /* of a void: what became of the transaction it voids? */
    INQUIRY_REPEAT,   /* the void, sent once more */
    INQUIRY_UNLESS,   /* to_state, unless it is found: after the horizon, and asked twice */
    INQUIRY_RECORD,   /* to_state, which may be the state it has */
    INQUIRY_END,
    INQUIRY_STEPS,
};

struct inquiry {
    struct gatewayd *g;
    LIST_ENTRY(inquiry) link;
    const struct connector *connector;
    enum inquiry_step step;

    /* as claimed */
    char ref[ID_MAX], payment[ID_MAX], kind[10], state[21], processor[21], account[41];
    char currency[4], last_four[5], follows[41], processor_id[41], reason[41];
    int64_t epoch, amount_minor, tries, age_ms, closed_ms, state_ms;
    bool past_horizon, must_not_stand;

    /* the question and its answer */
    int question; /* a step of the connector's look-up */
    char cursor[CONNECTOR_ID_SIZE];
    unsigned pages;
    struct timer *hanging; /* runs while a look-up is on its way */
    bool hangs, given_up;
    bool reached; /* the processor answered, clearly or not */
    struct lookup_outcome found;

    /* what is being taken back: standing[place ...] */
    struct standing standing[CONNECTOR_SEVERAL_MAX];
    size_t standing_count, place;
    bool keep_first; /* one of several stands */
    bool by_id;      /* the look-up doesn't show it; we know its id */
    bool fresh;      /* something was taken back just now: look again before concluding */

    /* what will be recorded */
    const char *to_state;
    struct money_outcome outcome;
    int64_t next_try_ms;
    unsigned record_refused;
    struct timer *retry;
};

/* The timer of a look-up that hangs, and giving one up. */
struct timer *inquiry_hanging_timer(struct inquiry *q);
void inquiry_give_up(struct inquiry *q);

/* Asks about the transaction with the processor's id, and reads the answer. */
void inquiry_original_ask(struct inquiry *q, const char *id, http_done *done);
struct original_outcome inquiry_original_read(const struct inquiry *q, const char *id,
                                              const struct http_result *result);

/* The steps. */
void inquiry_ask(struct inquiry *q);
void inquiry_decide(struct inquiry *q);
void inquiry_reverse(struct inquiry *q);
void inquiry_ask_original(struct inquiry *q);
void inquiry_repeat(struct inquiry *q);
void inquiry_unless_found(struct inquiry *q);
void inquiry_record(struct inquiry *q);

void inquiry_go(struct inquiry *q, enum inquiry_step step);
/* From the first question on. */
void inquiry_ask_anew(struct inquiry *q);
/* On to recording that nothing new is known: asked again by the schedule. What is unclear for a
 * whole day is a person's matter, and watched on. */
void inquiry_later(struct inquiry *q);
void inquiry_later_in(struct inquiry *q, int64_t business_ms);
/* ... but for these facts. */
void inquiry_later_with(struct inquiry *q, const struct money_outcome *outcome);
/* On to recording the new state, with the outcome that is filled in. */
void inquiry_conclude(struct inquiry *q, const char *state);
/* On to the state once it was not found for long enough. */
void inquiry_conclude_unless_found(struct inquiry *q, const char *state);
/* Of mutants: moves money that nobody has committed to. */
void inquiry_move_unasked(const struct inquiry *q, enum connector_operation operation,
                          const char *ref, const char *follows);
/* A request could not be built: logs and frees `e`, and asks again later. */
void inquiry_unable(struct inquiry *q, struct error *e);

#endif
