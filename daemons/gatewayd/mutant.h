/* What mutants of gatewayd do that no other code of it can: money moved without any rule, answers
 * that no row stands behind. Empty but with -DKOMETPAY_MUTANTS. */
#ifndef GATEWAYD_MUTANT_H
#define GATEWAYD_MUTANT_H

#include "daemons/gatewayd/attempt.h"
#include "lib/mutant.h"

#ifdef KOMETPAY_MUTANTS
/* Sends this request at once; its answer is not looked at. A sale is of a published test card. */
void mutant_send(struct gatewayd *g, const char *processor, const char *account,
                 const struct money_request *money);
/* Makes the answer that the job tells, though nothing was committed. */
void mutant_answer(struct attempt_job *job, const char *state);
#else
static inline void mutant_send(struct gatewayd *g, const char *processor, const char *account,
                               const struct money_request *money)
{
    (void)g, (void)processor, (void)account, (void)money;
}
static inline void mutant_answer(struct attempt_job *job, const char *state)
{
    (void)job, (void)state;
}
#endif

#endif
