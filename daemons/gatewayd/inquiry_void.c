/* An unclear void: asked for its original, and repeated while the original lives. Must never repeat
 * anything but a void, which by the original's id is harmless. */
#include <string.h>

#include "daemons/gatewayd/inquiry_state.h"
#include "lib/text_copy.h"

/* ---- the void, sent once more ---- */

static bool is_one_of(const char *reason, const char *const *reasons)
{
    while (*reasons && strcmp(reason, *reasons) != 0) {
        reasons++;
    }
    return *reasons != NULL;
}

/* The original's state forbids it, perhaps because of the very void that we look for. */
static bool is_state_refusal(const char *reason)
{
    return is_one_of(reason, (const char *const[]){"ALREADY_REVERSED", "ABOVE_REFUNDABLE",
                                                   "ORIGINAL_UNKNOWN", "NO_BATCH", NULL});
}

/* The request itself was not taken, which says nothing about a void that may still arrive. */
static bool is_request_refusal(const char *reason)
{
    return is_one_of(reason, (const char *const[]){"KEY", "SETUP", "FIELD", NULL});
}

static void repeat_refused(struct inquiry *q)
{
    if (is_state_refusal(q->outcome.reason)) {
        struct money_outcome refused = {.outcome = OUTCOME_UNKNOWN};
        TEXT_COPY(refused.reason, q->outcome.reason);
        TEXT_COPY(refused.raw_code, q->outcome.raw_code);
        inquiry_later_with(q, &refused); /* not repeated again: see original_answered */
    } else if (is_request_refusal(q->outcome.reason) && !q->past_horizon) {
        inquiry_later(q);
    } else {
        inquiry_conclude(q, "DECLINED");
    }
}

static void repeat_ended(void *context, const struct attempt_job *job)
{
    struct inquiry *q = context;
    q->outcome = job->outcome;
    switch (q->outcome.outcome) {
    case OUTCOME_APPROVED:
        inquiry_conclude(q, "APPROVED");
        return;
    case OUTCOME_DECLINED:
    case OUTCOME_REFUSED:
        repeat_refused(q);
        return;
    case OUTCOME_ACCEPTED:
    case OUTCOME_NOT_SENT:
    case OUTCOME_UNKNOWN:
        inquiry_later(q);
        return;
    }
}

void inquiry_repeat(struct inquiry *q)
{
    struct attempt_job *job = attempt_new_repeat(q->g, q->ref, q->epoch);
    TEXT_COPY(job->payment, q->payment);
    TEXT_COPY(job->processor, q->processor);
    TEXT_COPY(job->account, q->account);
    TEXT_COPY(job->follow_up.currency, q->currency);
    TEXT_COPY(job->follow_up.last_four, q->last_four);
    TEXT_COPY(job->follow_up.follows, q->follows);
    job->follow_up.amount_minor = q->amount_minor;
    job->on_end = (struct attempt_end){repeat_ended, q};
    attempt_start(job, NULL);
}

/* ---- its original ---- */

static void original_answered(void *context, const struct http_result *result)
{
    struct inquiry *q = context;
    struct original_outcome original = inquiry_original_read(q, q->follows, result);
    memset(&q->outcome, 0, sizeof q->outcome);
    switch (original.original) {
    case ORIGINAL_VOIDED:
        /* by whomever; the id is ours only if it carries our reference */
        if (strcmp(original.void_ref, q->ref) == 0) {
            TEXT_COPY(q->outcome.processor_id, original.void_id);
        }
        inquiry_conclude(q, "APPROVED");
        return;
    case ORIGINAL_SETTLED:
        TEXT_COPY(q->outcome.reason, "BATCH_CLOSED");
        inquiry_conclude_unless_found(q, "DECLINED");
        return;
    case ORIGINAL_LIVE:
        if (is_state_refusal(q->reason)) {
            TEXT_COPY(q->outcome.reason, q->reason);
            inquiry_conclude_unless_found(q, "DECLINED");
        } else {
            inquiry_go(q, INQUIRY_REPEAT);
        }
        return;
    case ORIGINAL_ABSENT:
    case ORIGINAL_UNCLEAR:
        inquiry_later(q);
        return;
    }
}

void inquiry_ask_original(struct inquiry *q)
{
    inquiry_original_ask(q, q->follows, original_answered);
}
