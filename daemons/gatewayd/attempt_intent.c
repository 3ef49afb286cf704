/* The first durable write: payment and attempt as SENDING, held by this instance. Must never let a
 * job go on whose intent isn't known to be committed. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/instance.h"
#include "daemons/gatewayd/mutant.h"
#include "lib/log.h"
#include "lib/text_copy.h"

static void intent_take_facts(struct attempt_job *job, const struct begun *b)
{
    TEXT_COPY(job->payment, b->payment);
    TEXT_COPY(job->processor, b->processor);
    TEXT_COPY(job->account, b->account);
    if (!job->sale) {
        struct follow_up *f = &job->follow_up;
        TEXT_COPY(f->currency, b->currency);
        TEXT_COPY(f->last_four, b->last_four);
        TEXT_COPY(f->follows, b->follows);
        f->amount_minor = b->amount_minor;
        job->operation = strcmp(b->kind, "REFUND") == 0    ? OPERATION_REFUND
                         : strcmp(b->kind, "CAPTURE") == 0 ? OPERATION_CAPTURE
                                                           : OPERATION_VOID;
    }
}

/* Made before: its own job answers if it still runs here, else the store. */
static void intent_exists(struct attempt_job *job, const char *ref)
{
    struct attempt_job *other = attempt_find(job->g, ref);
    if (other && other != job && other->waiter_count + job->waiter_count <= ATTEMPT_WAITERS_MAX) {
        attempt_waiters_move(job, other);
    }
    TEXT_COPY(job->ref, ref);
    attempt_resume(job, false); /* whoever still waits is told what the store says */
}

static void intent_refuse(struct attempt_job *job, const struct begun *b)
{
    if (strcmp(b->code, "instance_ended") == 0) {
        instance_look();
    }
    job->refusal = error_refused(b->code, b->field ? b->field : "", "%s", b->sentence);
    if (error_is(job->refusal, "credential_missing")) {
        credentials_look_again(); /* it may be installed before they try again */
    }
    attempt_resume(job, false);
}

static void intent_begun(struct attempt_job *job, const struct begun *b)
{
    job->begun = b->outcome;
    switch (b->outcome) {
    case BEGIN_MINE:
        intent_take_facts(job, b);
        log_event(LOG_PAYMENT_ACCEPTED, {"KOMETPAY_PAYMENT", job->payment},
                  {"KOMETPAY_ATTEMPT", job->ref}, {"KOMETPAY_LOCATION", job->location});
        attempt_resume(job, true);
        return;
    case BEGIN_EXISTS:
        if (MUTANT("no_dedupe")) {
            intent_take_facts(job, b);
            attempt_resume(job, true);
            return;
        }
        intent_exists(job, b->ref);
        return;
    case BEGIN_CONFLICT:
        job->refusal =
            error_refused("conflict", "key", "This key was used for another request before.");
        attempt_resume(job, false);
        return;
    case BEGIN_REFUSED:
        intent_refuse(job, b);
        return;
    case BEGIN_WAIT:
    case BEGIN_DONE:
        intent_take_facts(job, b); /* a reversal that is under way or done: nothing to tell */
        attempt_resume(job, false);
        return;
    }
}

static void intent_committed(void *context, enum database_outcome outcome, const struct rows *rows,
                             const struct error *e)
{
    struct attempt_job *job = context;
    switch (outcome) {
    case DATABASE_DONE: {
        struct begun b = job->sale ? begun_read(rows) : begun_follow_up_read(rows);
        intent_begun(job, &b);
        return;
    }
    case DATABASE_UNKNOWN:
        if (MUTANT("unknown_is_rollback")) {
            attempt_not_sent(job, "DATABASE", "Nothing was charged");
            mutant_answer(job, "NOT_SENT");
            attempt_resume(job, false);
            return;
        }
        attempt_ask_again(job, e);
        return;
    case DATABASE_ROLLED_BACK:
        if (job->tries > 0 && e->kind != ERROR_REFUSED) {
            /* An earlier try of this commit is in doubt: that this one wasn't applied says nothing
             * of it, and a row without a job would stay SENDING. */
            attempt_ask_again(job, e);
            return;
        }
        log_error(LOG_REQUEST_FAILED, e, job->payment);
        job->refusal = e->kind == ERROR_REFUSED
                           ? error_copy(e)
                           : error_refused("busy", "", "%s",
                                           "The database can't take it now; nothing was charged. "
                                           "Try again shortly with the same key.");
        attempt_resume(job, false);
        return;
    }
}

void attempt_intend(struct attempt_job *job)
{
    struct gatewayd *g = job->g;
    if (job->sale) {
        if (!*job->payment) {
            id_new("pay_", job->payment);
        }
        struct sale_intent intent = {
            .payment = job->payment,
            .ref = job->ref,
            .holder = g->instance,
            .scope = job->scope,
            .fingerprint = job->fingerprint,
            .actor = job->actor,
            .credentials = credentials_installed(),
            .sale = job->sale,
        };
        payment_store_sale_begin(g->db, &intent, intent_committed, job);
    } else if (*job->follow_up.parent) {
        payment_store_reversal_begin(
            g->db, job->ref, g->instance, job->follow_up.parent, job->follow_up.parent_epoch,
            job->follow_up.parent_processor_id, job->follow_up.amount_minor, intent_committed, job);
    } else {
        struct follow_up_intent intent = {
            .ref = job->ref,
            .holder = g->instance,
            .location = job->location,
            .pos = job->pos,
            .key = job->key,
            .fingerprint = job->fingerprint,
            .payment = job->follow_up.payment,
            .kind = operation_text(job->operation),
            .actor = job->actor,
            .amount_minor = job->follow_up.amount_minor,
        };
        payment_store_follow_up_begin(g->db, &intent, intent_committed, job);
    }
}
