/* PENDING, busy or refused: what a POS hears when a call to another daemon failed. Must never say
 * anything that sounds like 'not charged' while that isn't certain. */
#include "daemons/terminald/pos_answer.h"

#include <assert.h>
#include <stdio.h>

#include "lib/clock.h"
#include "lib/log.h"

/* Kept back from the caller's deadline so that our answer still reaches it. */
#define ANSWER_MARGIN_MS 500

bool pos_outcome_open(const struct error *e)
{
    return error_is(e, "ipc_lost") || error_is(e, "ipc_timeout");
}

void pos_answer_pending(struct ipc_request *request, enum payment_answer_kind kind,
                        const char *payment, int64_t amount_minor, const char *currency)
{
    struct msg_payment_answer *answer = message_new(MESSAGE_PAYMENT_ANSWER);
    answer->outcome = PAYMENT_ANSWER_OUTCOME_PENDING;
    answer->kind = kind;
    answer->amount_minor = amount_minor;
    answer->retry_after_ms = POS_RETRY_AFTER_MS;
    snprintf(answer->payment, sizeof answer->payment, "%s", payment);
    snprintf(answer->currency, sizeof answer->currency, "%s", currency);
    snprintf(answer->sentence, sizeof answer->sentence,
             "The outcome isn't known yet. Don't pay again with a new key: ask for the status.");
    ipc_answer(request, MESSAGE_PAYMENT_ANSWER, answer);
    message_free(MESSAGE_PAYMENT_ANSWER, answer);
}

void pos_answer_error(struct ipc_request *request, const struct error *e)
{
    assert(e != NULL);
    if (e->kind == ERROR_REFUSED && !pos_outcome_open(e) && !error_is(e, "ipc_unreachable")) {
        ipc_refuse(request, error_copy(e));
        return;
    }
    log_error(LOG_REQUEST_SHED, e, NULL);
    ipc_refuse(request, error_refused("busy", "",
                                      "The payment service is busy; nothing was begun. Ask the "
                                      "same again, with the same key, in a moment."));
}

int64_t pos_answer_deadline(const struct ipc_request *request, int64_t patience_ms)
{
    int64_t now = clock_boot_ms();
    int64_t until = ipc_request_deadline_boot_ms(request);
    if (until == 0) {
        until = now + patience_ms;
    }
    int64_t left = until > now ? until - now : 0;
    int64_t margin = left / 4 < ANSWER_MARGIN_MS ? left / 4 : ANSWER_MARGIN_MS;
    return until - margin;
}
