/* What the table says about a look-up, and taking back what must not stand. Must never call
 * anything reversed while the look-up shows a transaction whose void or refund was not approved. */
#include <string.h>

#include "daemons/gatewayd/inquiry_state.h"
#include "daemons/gatewayd/mutant.h"
#include "daemons/gatewayd/resolution.h"
#include "lib/log.h"
#include "lib/text_copy.h"

/* ---- taking back ---- */

static void reversal_ended(void *context, const struct attempt_job *job)
{
    struct inquiry *q = context;
    bool before = job->begun == BEGIN_DONE;
    bool now = strcmp(job->state, "APPROVED") == 0;
    if (!before && !now) {
        inquiry_later(q);
        return;
    }
    q->fresh = q->fresh || now;
    q->place++;
    inquiry_go(q, INQUIRY_REVERSE);
}

/* All of it is taken back. After an act of ours, look whether anything else stands. */
static void taken_back(struct inquiry *q)
{
    if (q->fresh) {
        inquiry_ask_anew(q);
    } else if (q->found.more || (q->by_id && q->found.lookup != LOOKUP_ABSENT)) {
        inquiry_later(q);
    } else if (q->keep_first) {
        inquiry_conclude(q, "APPROVED");
    } else {
        memset(&q->outcome, 0, sizeof q->outcome);
        inquiry_conclude(q, "REVERSED");
    }
}

void inquiry_reverse(struct inquiry *q)
{
    if (q->place >= q->standing_count) {
        taken_back(q);
        return;
    }
    struct attempt_job *job = attempt_new(q->g, OPERATION_VOID);
    TEXT_COPY(job->follow_up.parent, q->ref);
    TEXT_COPY(job->follow_up.parent_processor_id, q->standing[q->place].id);
    job->follow_up.amount_minor = q->standing[q->place].amount_minor;
    job->follow_up.parent_epoch = q->epoch;
    TEXT_COPY(job->payment, q->payment);
    job->on_end = (struct attempt_end){reversal_ended, q};
    attempt_start(job, NULL);
}

static void reverse_from(struct inquiry *q, size_t place)
{
    q->place = place;
    q->fresh = false;
    memcpy(q->standing, q->found.standing, sizeof q->standing);
    q->standing_count = q->found.standing_count;
    if (q->by_id) {
        TEXT_COPY(q->standing[0].id, q->processor_id);
        q->standing[0].amount_minor = 0;
        q->standing_count = 1;
    }
    inquiry_go(q, INQUIRY_REVERSE);
}

/* Everything of ours that the look-up shows standing; else what we know by its id. */
static void reverse_all(struct inquiry *q)
{
    q->by_id = q->found.standing_count == 0;
    reverse_from(q, 0);
}

/* Charged more than once under one reference: the earliest stays, the others are taken back, and
 * only then is the payment called approved. */
static void reverse_surplus(struct inquiry *q)
{
    log_event(LOG_PROCESSOR_ALARM, {"KOMETPAY_PAYMENT", q->payment}, {"KOMETPAY_ATTEMPT", q->ref},
              {"KOMETPAY_REASON", "charged more than once"});
    q->keep_first = true;
    reverse_from(q, 1);
}

/* ---- the decision ---- */

static void watch(struct inquiry *q)
{
    inquiry_later_in(q, resolution_watch_ms(clock_business_ms(q->age_ms)));
}

void inquiry_decide(struct inquiry *q)
{
    struct resolution_known known = {.id = *q->processor_id != 0,
                                     .must_not_stand = q->must_not_stand};
    struct resolution_rule rule = resolution_of(q->kind, q->state, known, q->found.lookup);
    log_event(LOG_PAYMENT_LOOKED_UP, {"KOMETPAY_PAYMENT", q->payment}, {"KOMETPAY_ATTEMPT", q->ref},
              {"KOMETPAY_STATE", q->state}, {"KOMETPAY_LOOKUP", lookup_name(q->found.lookup)});
    if (q->found.alarm) {
        log_event(LOG_PROCESSOR_ALARM, {"KOMETPAY_PAYMENT", q->payment},
                  {"KOMETPAY_ATTEMPT", q->ref});
    }
    q->outcome = q->found.found;
    if (q->found.lookup == LOOKUP_PARTIAL) {
        TEXT_COPY(q->outcome.reason, "PARTIAL");
    }
    if (MUTANT("void_without_intent") && strcmp(q->state, "UNKNOWN") == 0 &&
        q->found.lookup == LOOKUP_APPROVED) {
        char ref[ID_MAX];
        id_new("", ref);
        inquiry_move_unasked(q, OPERATION_VOID, ref, q->found.found.processor_id);
    }
    switch (rule.action) {
    case RESOLVE_TO:
        inquiry_conclude(q, rule.state);
        return;
    case RESOLVE_LATER:
        inquiry_later(q);
        return;
    case RESOLVE_ABSENT:
        memset(&q->outcome, 0, sizeof q->outcome);
        inquiry_conclude_unless_found(q, "NOT_CHARGED");
        return;
    case RESOLVE_REVERSE:
        reverse_all(q);
        return;
    case RESOLVE_SURPLUS:
        reverse_surplus(q);
        return;
    case RESOLVE_ORIGINAL:
        inquiry_go(q, INQUIRY_ORIGINAL);
        return;
    case RESOLVE_WATCH:
        watch(q);
        return;
    }
}
