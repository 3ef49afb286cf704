/* The card for one committed attempt, asked of vaultd once, and put straight into the request's
 * body. Must never keep it anywhere else. */
#include <stdio.h>

#include "daemons/gatewayd/attempt.h"
#include "lib/log.h"
#include "lib/text_copy.h"

static void card_revealed(void *context, const struct error *e, enum message_type type,
                          const void *answer)
{
    struct attempt_job *job = context;
    (void)type;
    if (e) {
        log_error(LOG_REQUEST_FAILED, e, job->payment);
        attempt_not_sent(job, "CARD_GONE", "The card could not be read from the vault");
        attempt_resume(job, false);
        return;
    }
    const struct msg_card_revealed *m = answer;
    struct card card = {
        .pan = m->pan,
        .cvv = m->cvv,
        .expiry = m->expiry,
        .holder = m->holder,
        .street = m->street,
        .postal_code = m->postal_code,
    };
    attempt_resume(job, attempt_request_build(job, &card));
}

void attempt_reveal(struct attempt_job *job)
{
    struct msg_card_reveal *m = message_new(MESSAGE_CARD_REVEAL);
    TEXT_COPY(m->attempt, job->ref);
    TEXT_COPY(m->card_ref, job->sale->card_ref);
    ipc_call(job->g->vaultd, MESSAGE_CARD_REVEAL, m, job->deadline_boot_ms, card_revealed, job);
    message_free(MESSAGE_CARD_REVEAL, m);
}
