/* Seals a typed card and stores it under the customer's token. The story reads downwards. Must
 * never store a CVV, a card of an attempt that wasn't given it, nor tell a token before its row is
 * committed. */
#include "daemons/vaultd/card_save.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/vaultd/card_record.h"
#include "daemons/vaultd/card_store.h"
#include "daemons/vaultd/fingerprint.h"
#include "daemons/vaultd/seal.h"
#include "lib/log.h"

/* Rounds to the database for one card: another token found, a commit in doubt. */
#define SAVE_ROUNDS_MAX 6u

struct save_job {
    struct vaultd *vaultd;
    struct card_to_save card;
    card_saved *done;
    void *context;
    char fingerprint[FINGERPRINT_TEXT_BYTES];
    char token[ID_MAX];
    struct sealed sealed;
    int64_t kid; /* of the key that sealed it */
    unsigned rounds;
};

static void save_seal(struct save_job *job);
static void save_put_done(void *context, enum database_outcome outcome, const struct rows *rows,
                          const struct error *e);

/* Takes the job and `e`; NULL tells the token. */
static void finish(struct save_job *job, struct error *e)
{
    job->done(job->context, e == NULL ? job->token : NULL, e);
    error_free(e);
    free(job);
}

static struct seal_place place_of(const struct save_job *job)
{
    const struct hold *hold = job->card.hold;
    return (struct seal_place){job->token, job->kid, hold->save_for, hold->face.expiry};
}

static void save_put(struct save_job *job)
{
    const struct stored_card card = {
        .attempt = job->card.attempt,
        .asking = job->card.asking,
        .place = place_of(job),
        .fingerprint = job->fingerprint,
        .face = &job->card.hold->face,
        .sealed = &job->sealed,
    };
    card_store_put(job->vaultd->db, &card, job->card.deadline_boot_ms, save_put_done, job);
}

static void save_keys_ready(void *context, const struct error *e)
{
    struct save_job *job = context;
    if (e != NULL) {
        finish(job, error_copy(e));
        return;
    }
    save_seal(job);
}

/* Each asking is counted, so that no row can keep a request for ever. */
static bool another_round(struct save_job *job)
{
    if (job->rounds++ < SAVE_ROUNDS_MAX) {
        return true;
    }
    finish(job, error_failed("card_not_stored", "The card could not be stored. Try again."));
    return false;
}

static void save_seal(struct save_job *job)
{
    struct vaultd *v = job->vaultd;
    if (key_ring_allowance(v->ring) == 0) { /* not counted: somebody seals after each refresh */
        key_store_refresh(v->keys, save_keys_ready, job);
        return;
    }
    if (!another_round(job)) {
        return;
    }
    const struct hold *hold = job->card.hold;
    struct secret *record = card_record_pack(hold->pan, hold->holder, hold->postal_code);
    if (record == NULL) {
        finish(job, error_refused("busy", "", "Too many cards are in use at once. Try again."));
        return;
    }
    const struct secret *key = key_ring_spend(v->ring, &job->kid);
    const struct seal_place place = place_of(job);
    struct error *e = seal_record(key, &place, record, &job->sealed);
    secret_free(record);
    if (e != NULL) {
        finish(job, e);
        return;
    }
    save_put(job);
}

static void save_answered(struct save_job *job, const struct rows *rows)
{
    const char *stored = NULL;
    switch (card_put_read(rows, &stored)) {
    case PUT_STORED:
        assert(stored != NULL && strcmp(stored, job->token) == 0);
        log_event(LOG_CARD_STORED, {"KOMETPAY_TOKEN", job->token},
                  {"KOMETPAY_CUSTOMER", job->card.hold->save_for});
        finish(job, NULL);
        return;
    case PUT_OTHER: /* the token is part of what is sealed */
        (void)snprintf(job->token, sizeof job->token, "%s", stored);
        save_seal(job);
        return;
    case PUT_AGAIN:
        id_new("tok_", job->token);
        save_seal(job);
        return;
    case PUT_NOT_REVEALED:
        finish(job, error_failed("card_not_stored",
                                 "The attempt was not given this card for this customer."));
        return;
    }
    abort();
}

static void save_put_done(void *context, enum database_outcome outcome, const struct rows *rows,
                          const struct error *e)
{
    struct save_job *job = context;
    switch (outcome) {
    case DATABASE_DONE:
        save_answered(job, rows);
        return;
    case DATABASE_UNKNOWN: /* the same token and ciphertext again: it waits for the one in doubt */
        if (another_round(job)) {
            save_put(job);
        }
        return;
    case DATABASE_ROLLED_BACK:
        finish(job, error_copy(e));
        return;
    }
    abort();
}

void card_save(struct vaultd *vaultd, const struct card_to_save *card, card_saved *done,
               void *context)
{
    assert(card->hold->pan != NULL && card->hold->save_for[0] != '\0');
    struct save_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    *job = (struct save_job){.vaultd = vaultd, .card = *card, .done = done, .context = context};
    id_new("tok_", job->token);
    struct error *e =
        fingerprint_of_customer_card(key_ring_customer_key(vaultd->ring), card->hold->save_for,
                                     card->hold->pan, job->fingerprint);
    if (e != NULL) {
        finish(job, e);
        return;
    }
    save_seal(job);
}
