/* What faults do to an answer: to the transaction in it, to its bytes, to its delivery.
 * It never touches rows or the ledger; whether the truth happened was decided before. */
#ifndef CLEARENT_SIM_DAMAGE_H
#define CLEARENT_SIM_DAMAGE_H

#include "answer.h"
#include "fault.h"

/* Foreign answer, other amount, other last four, pending. `hit` may be NULL. */
void view_change(struct view *view, const struct fault_hit *hit);
/* Everything else; `hit` may be NULL. */
void answer_damage(struct answer *answer, const struct fault_hit *hit);

#endif
