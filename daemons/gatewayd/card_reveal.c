/* The card for one committed attempt, asked of vaultd once, and put straight into the request's
 * body. Must never keep it anywhere else, nor leave it held when no attempt will ask for it. */
#include <stdio.h>

#include "daemons/gatewayd/attempt.h"
#include "lib/log.h"
#include "lib/text_copy.h"

/* Forgetting is a courtesy that nobody waits for; vaultd forgets by itself in the end. */
#define RELEASE_WAIT_MS 5000

static void released(void *context, const struct error *e, enum message_type type,
                     const void *answer)
{
    (void)context;
    (void)e;
    (void)type;
    (void)answer;
}

/* A card that was held for this request and will not be used; without effect once revealed. */
static void card_release(const struct attempt_job *job)
{
    if (!id_valid("hold_", job->sale->card_ref)) {
        return; /* a stored card: nothing is held */
    }
    struct msg_card_release *m = message_new(MESSAGE_CARD_RELEASE);
    TEXT_COPY(m->card_ref, job->sale->card_ref);
    ipc_call(job->g->vaultd, MESSAGE_CARD_RELEASE, m, clock_boot_ms() + RELEASE_WAIT_MS, released,
             NULL);
    message_free(MESSAGE_CARD_RELEASE, m);
}

/* The request began nothing: refused, or made before with another typing of the card. */
void attempt_release(struct attempt_job *job)
{
    if (job->sale) {
        card_release(job);
    }
    attempt_resume(job, true);
}

static void card_revealed(void *context, const struct error *e, enum message_type type,
                          const void *answer)
{
    struct attempt_job *job = context;
    (void)type;
    if (e) {
        log_error(LOG_REQUEST_FAILED, e, job->payment);
        card_release(job);
        attempt_not_sent(job, "CARD_GONE", "The card could not be read from the vault");
        attempt_resume(job, false);
        return;
    }
    const struct msg_card_revealed *m = answer;
    if (*m->token) {
        TEXT_COPY(job->sale->token, m->token); /* stored as asked: told with the answer */
    }
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
