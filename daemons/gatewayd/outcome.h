/* What an outcome at the processor makes of an attempt: the one table. */
#ifndef GATEWAYD_OUTCOME_H
#define GATEWAYD_OUTCOME_H

#include "daemons/gatewayd/connector.h"

/* The state an attempt in SENDING goes to. */
const char *outcome_state(const struct money_outcome *outcome);
/* True for a state after which the machine has nothing more to do by itself. */
bool state_is_final(const char *state);
/* What the POS is told for a state: an enum payment_answer_outcome. */
int state_told(const char *state);

#endif
