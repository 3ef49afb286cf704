/* Gives a card out: the hold is looked up, the database grants the attempt its one reveal, the card
 * is stored if that was asked for, the hold is wiped and the card answered. Must never answer a
 * card without a committed grant for exactly this attempt and this card reference, nor leave a hold
 * behind that was revealed. */
#include "daemons/vaultd/reveal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/vaultd/card_record.h"
#include "daemons/vaultd/card_save.h"
#include "daemons/vaultd/card_store.h"
#include "daemons/vaultd/seal.h"
#include "daemons/vaultd/vaultd.h"
#include "lib/log.h"

/* Askings for one grant: a commit in doubt, or a key that another vaultd made meanwhile. */
#define GRANT_ROUNDS_MAX 4u

struct reveal_job {
    struct vaultd *vaultd;
    struct ipc_request *request;
    const struct msg_card_reveal *message; /* borrowed until the request is answered */
    bool held;                             /* card_ref is a hold */
    char token[ID_MAX];                    /* the stored card behind card_ref, or "" */
    char asking[ID_MAX];                   /* names this asking, so that it may be repeated */
    struct hold hold;                      /* while it is being stored; else empty */
    char payment[ID_MAX];
    unsigned rounds;
};

static void ask_grant(struct reveal_job *job);

/* -- Ends ------------------------------------------------------------------------------------- */

/* Takes the job. */
static void refuse(struct reveal_job *job, const char *why)
{
    log_event(LOG_REVEAL_REFUSED, {"KOMETPAY_ATTEMPT", job->message->attempt},
              {"KOMETPAY_CARD_REF", job->message->card_ref}, {"KOMETPAY_REASON", why});
    ipc_refuse(job->request, error_refused("reveal_refused", "card_ref",
                                           "The card may not be used for this attempt: %s.", why));
    free(job);
}

/* Takes `e` and the job. Nothing was revealed. */
static void fail(struct reveal_job *job, struct error *e)
{
    if (e->kind == ERROR_FAILED) {
        log_error(LOG_REQUEST_FAILED, e, NULL);
    }
    ipc_refuse(job->request, e);
    free(job);
}

/* Takes the job and what `card` owns. */
static void answer(struct reveal_job *job, struct msg_card_revealed *card, const char *payment)
{
    log_event(LOG_CARD_REVEALED, {"KOMETPAY_ATTEMPT", job->message->attempt},
              {"KOMETPAY_PAYMENT", payment});
    ipc_answer(job->request, MESSAGE_CARD_REVEALED, card);
    message_free(MESSAGE_CARD_REVEALED, card);
    free(job);
}

/* -- The card --------------------------------------------------------------------------------- */

/* Moves the hold into the answer; what it keeps is wiped. */
static void add_hold(struct msg_card_revealed *card, struct hold *hold)
{
    card->pan = hold->pan;
    card->cvv = hold->cvv;
    hold->pan = NULL;
    hold->cvv = NULL;
    memcpy(card->expiry, hold->face.expiry, sizeof card->expiry);
    memcpy(card->holder, hold->holder, sizeof card->holder);
    memcpy(card->street, hold->street, sizeof card->street);
    memcpy(card->postal_code, hold->postal_code, sizeof card->postal_code);
    hold_wipe(hold);
}

static struct error *add_stored(struct msg_card_revealed *card, const struct secret *key,
                                const struct grant *grant)
{
    struct secret *packed = NULL;
    struct card_record record = {0};
    struct error *e = seal_open(key, &grant->place, &grant->sealed, &packed);
    if (e == NULL) {
        e = card_record_unpack(packed, &record);
    }
    secret_free(packed);
    if (e != NULL) {
        return error_wrap(e, "opening the stored card %s", grant->place.token);
    }
    card->pan = record.pan;
    record.pan = NULL;
    (void)snprintf(card->expiry, sizeof card->expiry, "%s", grant->place.expiry);
    memcpy(card->holder, record.holder, sizeof card->holder);
    memcpy(card->postal_code, record.postal_code, sizeof card->postal_code);
    card_record_clear(&record);
    return NULL;
}

/* -- The grant -------------------------------------------------------------------------------- */

static void keys_loaded(void *context, const struct error *e)
{
    struct reveal_job *job = context;
    if (e != NULL) {
        fail(job, error_copy(e));
        return;
    }
    ask_grant(job); /* the same asking: granted again, with the row */
}

/* The card is stored, or it can't be: then the payment is not sent, and the clerk knows why. */
static void hold_saved(void *context, const char *token, const struct error *e)
{
    struct reveal_job *job = context;
    if (e != NULL) {
        hold_wipe(&job->hold);
        fail(job, error_copy(e));
        return;
    }
    struct msg_card_revealed *card = message_new(MESSAGE_CARD_REVEALED);
    (void)snprintf(card->token, sizeof card->token, "%s", token);
    add_hold(card, &job->hold);
    answer(job, card, job->payment);
}

static void save_hold(struct reveal_job *job, const char *payment)
{
    (void)snprintf(job->payment, sizeof job->payment, "%s", payment);
    const struct card_to_save save = {
        .hold = &job->hold,
        .attempt = job->message->attempt,
        .asking = job->asking,
        .deadline_boot_ms = ipc_request_deadline_boot_ms(job->request),
    };
    card_save(job->vaultd, &save, hold_saved, job);
}

static void give(struct reveal_job *job, const struct grant *grant)
{
    struct vaultd *v = job->vaultd;
    const struct secret *key = NULL;
    if (grant->has_sealed) {
        key = key_ring_key(v->ring, grant->place.kid);
        if (key == NULL) {
            key_store_refresh(v->keys, keys_loaded, job);
            return;
        }
    }
    if (job->held && !holds_remove(v->holds, job->message->card_ref, &job->hold)) {
        refuse(job, "hold_expired");
        return;
    }
    if (job->hold.save_for[0] != '\0') {
        save_hold(job, grant->payment);
        return;
    }
    struct msg_card_revealed *card = message_new(MESSAGE_CARD_REVEALED);
    if (job->held) {
        add_hold(card, &job->hold);
    }
    struct error *e = grant->has_sealed ? add_stored(card, key, grant) : NULL;
    if (e != NULL) {
        message_free(MESSAGE_CARD_REVEALED, card);
        fail(job, e);
        return;
    }
    assert(card->pan != NULL);
    answer(job, card, grant->payment);
}

static void grant_answered(void *context, enum database_outcome outcome, const struct rows *rows,
                           const struct error *e)
{
    struct reveal_job *job = context;
    if (outcome == DATABASE_UNKNOWN) {
        ask_grant(job);
        return;
    }
    if (outcome == DATABASE_ROLLED_BACK) {
        fail(job, error_copy(e));
        return;
    }
    struct grant grant;
    struct error *broken = grant_read(rows, &grant);
    if (broken != NULL) {
        fail(job, broken);
    } else if (!grant.granted) {
        refuse(job, grant.why == NULL ? "not_granted" : grant.why);
    } else {
        give(job, &grant);
    }
}

static void ask_grant(struct reveal_job *job)
{
    if (job->rounds++ == GRANT_ROUNDS_MAX) {
        fail(job, error_failed("reveal_unclear", "The card could not be given out in time."));
        return;
    }
    card_store_grant(job->vaultd->db, job->message->attempt, job->message->card_ref,
                     job->token[0] == '\0' ? NULL : job->token, job->asking,
                     ipc_request_deadline_boot_ms(job->request), grant_answered, job);
}

void card_reveal_requested(void *context, struct ipc_request *request, const void *message)
{
    struct reveal_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    job->vaultd = context;
    job->request = request;
    job->message = message;
    id_new("ask_", job->asking);
    const char *card_ref = job->message->card_ref;
    if (id_valid("tok_", card_ref)) {
        memcpy(job->token, card_ref, sizeof job->token);
        ask_grant(job);
        return;
    }
    const struct hold *hold = holds_find(job->vaultd->holds, card_ref);
    if (hold == NULL) {
        refuse(job, "hold_unknown");
        return;
    }
    job->held = true;
    memcpy(job->token, hold->token, sizeof job->token);
    ask_grant(job);
}
