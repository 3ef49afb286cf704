/* Telling those who wait: the committed result, or PENDING when patience ends first. Must never say
 * what isn't committed. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/outcome.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define ANSWER_MARGIN_MS 500 /* and never more than a quarter of the time left */

int64_t attempt_wait_until(const struct attempt_job *job, const struct ipc_request *request)
{
    int64_t now = clock_boot_ms();
    int64_t patience = now + job->g->patience_ms;
    int64_t deadline = ipc_request_deadline_boot_ms(request);
    if (!deadline) {
        return patience;
    }
    int64_t quarter = deadline > now ? (deadline - now) / 4 : 0;
    deadline -= quarter < ANSWER_MARGIN_MS ? quarter : ANSWER_MARGIN_MS;
    return deadline < patience ? deadline : patience;
}

void attempt_wait(struct attempt_job *job, struct ipc_request *request)
{
    assert(job->waiter_count < ATTEMPT_WAITERS_MAX);
    job->waiters[job->waiter_count++] = (struct waiter){request, attempt_wait_until(job, request)};
    attempt_patience_over(job); /* arms the timer for the earliest */
}

void attempt_waiters_move(struct attempt_job *from, struct attempt_job *to)
{
    for (unsigned i = 0; i < from->waiter_count; i++) {
        assert(to->waiter_count < ATTEMPT_WAITERS_MAX);
        to->waiters[to->waiter_count++] = from->waiters[i];
    }
    from->waiter_count = 0;
    attempt_patience_over(to);
}

static void answer_facts(const struct attempt_job *job, struct msg_payment_answer *a)
{
    TEXT_COPY(a->payment, job->payment);
    TEXT_COPY(a->attempt, job->ref);
    a->kind = payment_answer_kind_from_text(operation_text(job->operation));
    if (job->sale) {
        a->amount_minor = job->sale->amount_minor;
        TEXT_COPY(a->currency, job->sale->currency);
        TEXT_COPY(a->brand, job->sale->brand);
        TEXT_COPY(a->last_four, job->sale->last_four);
        TEXT_COPY(a->token, job->sale->token);
    } else {
        a->amount_minor = job->follow_up.amount_minor;
        TEXT_COPY(a->currency, job->follow_up.currency);
        TEXT_COPY(a->last_four, job->follow_up.last_four);
    }
}

static void answer_pending(const struct attempt_job *job, struct ipc_request *request)
{
    struct msg_payment_answer *a = message_new(MESSAGE_PAYMENT_ANSWER);
    answer_facts(job, a);
    a->outcome = PAYMENT_ANSWER_OUTCOME_PENDING;
    a->retry_after_ms = PENDING_RETRY_AFTER_MS;
    ipc_answer(request, MESSAGE_PAYMENT_ANSWER, a);
    message_free(MESSAGE_PAYMENT_ANSWER, a);
}

void attempt_patience_over(void *context)
{
    struct attempt_job *job = context;
    int64_t now = clock_boot_ms(), earliest = INT64_MAX;
    unsigned kept = 0;
    for (unsigned i = 0; i < job->waiter_count; i++) {
        if (job->waiters[i].deadline_boot_ms <= now) {
            answer_pending(job, job->waiters[i].request);
            continue;
        }
        if (job->waiters[i].deadline_boot_ms < earliest) {
            earliest = job->waiters[i].deadline_boot_ms;
        }
        job->waiters[kept++] = job->waiters[i];
    }
    job->waiter_count = kept;
    if (kept) {
        timer_arm(job->patience, earliest - now);
    } else {
        timer_disarm(job->patience);
    }
}

void attempt_answer_all(struct attempt_job *job, const struct msg_payment_answer *answer)
{
    for (unsigned i = 0; i < job->waiter_count; i++) {
        ipc_answer(job->waiters[i].request, MESSAGE_PAYMENT_ANSWER, answer);
    }
    job->waiter_count = 0;
    timer_disarm(job->patience);
}

void attempt_refuse_all(struct attempt_job *job, const struct error *e)
{
    for (unsigned i = 0; i < job->waiter_count; i++) {
        ipc_refuse(job->waiters[i].request, error_copy(e));
    }
    job->waiter_count = 0;
    timer_disarm(job->patience);
}

/* The request was made before: by another job here that has no room for us, or elsewhere. */
static void told_by_store(void *context, enum database_outcome outcome, const struct rows *rows,
                          const struct error *e)
{
    struct attempt_job *job = context;
    struct msg_payment_answer *a = message_new(MESSAGE_PAYMENT_ANSWER);
    if (outcome == DATABASE_DONE && rows_count(rows) == 1) {
        payment_answer_read(rows, a);
    } else {
        if (e) {
            log_error(LOG_REQUEST_FAILED, e, job->payment);
        }
        answer_facts(job, a);
        a->outcome = PAYMENT_ANSWER_OUTCOME_PENDING;
        a->retry_after_ms = PENDING_RETRY_AFTER_MS;
    }
    attempt_answer_all(job, a);
    message_free(MESSAGE_PAYMENT_ANSWER, a);
    attempt_resume(job, true);
}

/* A committed result. The journal hears of it after those who wait. */
static void tell_result(struct attempt_job *job)
{
    const bool awaited = job->waiter_count > 0;
    attempt_answer_all(job, job->answer);
    log_event(state_is_final(job->state) ? LOG_PAYMENT_OUTCOME : LOG_PAYMENT_UNKNOWN,
              {"KOMETPAY_PAYMENT", job->payment}, {"KOMETPAY_ATTEMPT", job->ref},
              {"KOMETPAY_STATE", job->state}, {"KOMETPAY_REASON", job->outcome.reason},
              {"KOMETPAY_REQUEST_ID", job->outcome.request_id});
    if (awaited) {
        log_event(LOG_PAYMENT_ANSWERED, {"KOMETPAY_PAYMENT", job->payment},
                  {"KOMETPAY_ATTEMPT", job->ref}, {"KOMETPAY_STATE", job->state});
    }
    attempt_resume(job, true);
}

void attempt_tell(struct attempt_job *job)
{
    if (job->answer) {
        tell_result(job);
        return;
    }
    if (job->waiter_count == 0) {
        attempt_resume(job, true);
        return;
    }
    if (job->refusal) {
        attempt_refuse_all(job, job->refusal);
        attempt_resume(job, true);
        return;
    }
    payment_store_answer_of(job->g->db, job->ref, told_by_store, job);
}
