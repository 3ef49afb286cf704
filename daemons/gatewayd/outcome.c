/* From outcomes to states, and from states to what the POS is told. Anything that is not clear is
 * UNKNOWN, never 'failed'. */
#include "daemons/gatewayd/outcome.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/messages.h"

static const char *const STATE_OF_OUTCOME[] = {
    [OUTCOME_APPROVED] = "APPROVED", [OUTCOME_ACCEPTED] = "UNKNOWN",
    [OUTCOME_DECLINED] = "DECLINED", [OUTCOME_NOT_SENT] = "NOT_SENT",
    [OUTCOME_REFUSED] = "REFUSED",   [OUTCOME_UNKNOWN] = "UNKNOWN",
};

static const struct {
    const char *state;
    int told;
    bool final;
} STATES[] = {
    {"SENDING", PAYMENT_ANSWER_OUTCOME_PENDING, false},
    {"UNKNOWN", PAYMENT_ANSWER_OUTCOME_PENDING, false},
    {"REVERSING", PAYMENT_ANSWER_OUTCOME_PENDING, false},
    {"REVIEW", PAYMENT_ANSWER_OUTCOME_REVIEW, false},
    {"APPROVED", PAYMENT_ANSWER_OUTCOME_APPROVED, true},
    {"DECLINED", PAYMENT_ANSWER_OUTCOME_DECLINED, true},
    {"NOT_SENT", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
    {"REFUSED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
    {"NOT_CHARGED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
    {"REVERSED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
};

const char *outcome_state(const struct money_outcome *outcome)
{
    return outcome->partial ? "REVERSING" : STATE_OF_OUTCOME[outcome->outcome];
}

static size_t state_row(const char *state)
{
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++) {
        if (strcmp(STATES[i].state, state) == 0) {
            return i;
        }
    }
    assert(!"a state that the machine doesn't have");
    abort();
}

bool state_is_final(const char *state)
{
    return STATES[state_row(state)].final;
}

int state_told(const char *state)
{
    return STATES[state_row(state)].told;
}
