/* The second durable write: what became of it. Repeats itself until the commit is known; answers
 * nobody. */
#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/outcome.h"
#include "daemons/gatewayd/resolver.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define FIRST_LOOKUP_MS 2000

static void result_committed(void *context, enum database_outcome outcome, const struct rows *rows,
                             const struct error *e)
{
    struct attempt_job *job = context;
    if (outcome != DATABASE_DONE) {
        attempt_ask_again(job, e); /* the processor has spoken: this must not be lost */
        return;
    }
    struct recorded r = recorded_read(rows);
    TEXT_COPY(job->state, r.state);
    job->answer = message_new(MESSAGE_PAYMENT_ANSWER);
    payment_answer_read(rows, job->answer);
    log_event(state_is_final(job->state) ? LOG_PAYMENT_OUTCOME : LOG_PAYMENT_UNKNOWN,
              {"KOMETPAY_PAYMENT", job->payment}, {"KOMETPAY_ATTEMPT", job->ref},
              {"KOMETPAY_STATE", job->state}, {"KOMETPAY_REASON", job->outcome.reason},
              {"KOMETPAY_REQUEST_ID", job->outcome.request_id});
    if (!state_is_final(job->state)) {
        resolver_expect(job->g->resolver);
    }
    attempt_resume(job, r.applied);
}

void attempt_record(struct attempt_job *job)
{
    const char *state = outcome_state(&job->outcome);
    bool unclear = !state_is_final(state);
    struct result_record record = {
        .ref = job->ref,
        .holder = job->g->instance,
        .state = state,
        .actor = "gatewayd",
        .epoch = job->epoch,
        .outcome = &job->outcome,
        .next_try_ms = unclear ? clock_interval_ms(FIRST_LOOKUP_MS) : -1,
        .horizon_ms = unclear ? job->g->horizon_ms : -1,
    };
    payment_store_result(job->g->db, &record, result_committed, job);
}
