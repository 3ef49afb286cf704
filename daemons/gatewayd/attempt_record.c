/* The second durable write: what became of it. Repeats itself until the commit is known; answers
 * nobody. */
#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/outcome.h"
#include "daemons/gatewayd/resolution.h"
#include "daemons/gatewayd/resolver.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define REFUSED_MAX                                                                                \
    5 /* times that the database refuses a result before it is recorded as unclear */

/* Something in this answer is not what the schema allows. What is unclear the resolver finds out.
 */
static void result_unclear(struct attempt_job *job, const struct error *e)
{
    log_event(LOG_RESULT_REFUSED, {"KOMETPAY_PAYMENT", job->payment},
              {"KOMETPAY_ATTEMPT", job->ref}, {"KOMETPAY_REQUEST_ID", job->outcome.request_id},
              {"KOMETPAY_REASON", e->sentence});
    job->outcome = (struct money_outcome){.outcome = OUTCOME_UNKNOWN};
}

static void result_committed(void *context, enum database_outcome outcome, const struct rows *rows,
                             const struct error *e)
{
    struct attempt_job *job = context;
    if (outcome != DATABASE_DONE) {
        job->record_refused += payment_store_refused(outcome, e);
        if (job->record_refused == REFUSED_MAX) {
            result_unclear(job, e);
        }
        attempt_ask_again(job, e); /* the processor has spoken: this must not be lost */
        return;
    }
    struct recorded r = recorded_read(rows);
    if (r.id_taken) {
        log_event(LOG_PROCESSOR_ALARM, {"KOMETPAY_PAYMENT", job->payment},
                  {"KOMETPAY_ATTEMPT", job->ref}, {"KOMETPAY_REQUEST_ID", job->outcome.request_id},
                  {"KOMETPAY_REASON", "it named another attempt's transaction as ours"});
    }
    TEXT_COPY(job->state, r.state);
    job->answer = message_new(MESSAGE_PAYMENT_ANSWER);
    payment_answer_read(rows, job->answer);
    if (!state_is_final(job->state)) {
        resolver_expect(job->g->resolver);
    }
    attempt_resume(job, r.applied);
}

void attempt_record(struct attempt_job *job)
{
    if (job->outcome.partial) {
        TEXT_COPY(job->outcome.reason, "PARTIAL");
    }
    struct result_record record = {
        .ref = job->ref,
        .holder = job->g->instance,
        .state = outcome_state(&job->outcome),
        .actor = "gatewayd",
        .epoch = job->epoch,
        .outcome = &job->outcome,
        .next_try_ms = clock_interval_ms(resolution_delay_ms(0)),
        .horizon_ms = job->g->horizon_ms,
    };
    payment_store_result(job->g->db, &record, result_committed, job);
}
