/* The durable write before an unclear void is sent once more: its event, and a horizon that begins
 * anew. Must never let a void be sent for a resolver that was replaced. */
#include <stdio.h>

#include "daemons/gatewayd/attempt.h"

static void repeat_committed(void *context, enum database_outcome outcome, const struct rows *rows,
                             const struct error *e)
{
    struct attempt_job *job = context;
    switch (outcome) {
    case DATABASE_DONE:
        attempt_resume(job, rows_bool(rows, 0, "begun"));
        return;
    case DATABASE_UNKNOWN:
        attempt_ask_again(job, e);
        return;
    case DATABASE_ROLLED_BACK:
        attempt_resume(job, false);
        return;
    }
}

void attempt_intend_repeat(struct attempt_job *job)
{
    payment_store_void_repeat(job->g->db, job->ref, job->g->instance, job->epoch,
                              job->g->horizon_ms, repeat_committed, job);
}
