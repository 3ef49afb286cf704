/* Takes a card in: checked, and held in locked memory. The story of each request reads downwards.
 * Must never write a card or a CVV anywhere: the payment it is typed for hasn't begun yet. */
#include "daemons/vaultd/card_hold.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/vaultd/card.h"
#include "daemons/vaultd/card_store.h"
#include "daemons/vaultd/fingerprint.h"
#include "daemons/vaultd/vaultd.h"
#include "lib/clock.h"
#include "lib/log.h"

struct hold_job {
    struct vaultd *vaultd;
    struct ipc_request *request;
    const struct msg_card_hold *message; /* borrowed until the request is answered */
    struct card_face face;
    char request_fingerprint[FINGERPRINT_TEXT_BYTES];
    char token[ID_MAX]; /* of the stored card; "" for a typed one */
};

/* -- Ends ------------------------------------------------------------------------------------- */

/* Takes `e` and the job. */
static void refuse(struct hold_job *job, struct error *e)
{
    if (e->kind == ERROR_FAILED) {
        log_error(LOG_REQUEST_FAILED, e, NULL);
    }
    ipc_refuse(job->request, e);
    free(job);
}

/* Takes the job. */
static void answer(struct hold_job *job, const char *card_ref)
{
    struct msg_card_held held = {0};
    (void)snprintf(held.card_ref, sizeof held.card_ref, "%s", card_ref);
    (void)snprintf(held.token, sizeof held.token, "%s", job->token);
    memcpy(held.fingerprint, job->request_fingerprint, sizeof held.fingerprint);
    memcpy(held.brand, job->face.brand, sizeof held.brand);
    memcpy(held.last_four, job->face.last_four, sizeof held.last_four);
    memcpy(held.expiry, job->face.expiry, sizeof held.expiry);
    ipc_answer(job->request, MESSAGE_CARD_HELD, &held);
    free(job);
}

/* Puts a filled hold into the table and answers with its reference. Takes `hold` and the job. */
static void keep(struct hold_job *job, struct hold *hold)
{
    char ref[ID_MAX];
    struct error *e = holds_take(job->vaultd->holds, hold, ref);
    if (e != NULL) {
        refuse(job, e);
        return;
    }
    log_event(LOG_CARD_HELD, {"KOMETPAY_CARD_REF", ref});
    answer(job, ref);
}

static struct error *locked_memory_full(void)
{
    return error_refused("busy", "", "Too many cards are in use at once. Try again.");
}

static void keep_typed_card(struct hold_job *job)
{
    const struct msg_typed_card *card = job->message->card;
    struct hold hold = {.pan = secret_copy(card->pan), .cvv = secret_copy(card->cvv)};
    if (hold.pan == NULL || (card->cvv != NULL && hold.cvv == NULL)) {
        hold_wipe(&hold);
        refuse(job, locked_memory_full());
        return;
    }
    hold.face = job->face;
    if (job->message->save) {
        memcpy(hold.save_for, job->message->customer, sizeof hold.save_for);
    }
    memcpy(hold.holder, card->holder, sizeof hold.holder);
    memcpy(hold.street, card->street, sizeof hold.street);
    memcpy(hold.postal_code, card->postal_code, sizeof hold.postal_code);
    keep(job, &hold);
}

/* -- A typed card ----------------------------------------------------------------------------- */

static struct error *check_typed_card(struct hold_job *job)
{
    const struct msg_card_hold *m = job->message;
    if (m->token[0] != '\0' || m->cvv != NULL) {
        return error_refused("card_ambiguous", m->token[0] != '\0' ? "token" : "cvv",
                             "Give either a typed card or a stored card, not both.");
    }
    if (m->save && m->customer[0] == '\0') {
        return error_refused("customer_missing", "customer",
                             "A card is saved for a customer: say for which.");
    }
    struct error *e = card_check(m->card->pan, m->card->expiry_month, m->card->expiry_year,
                                 clock_wall_us(), &job->face);
    if (e == NULL) {
        e = card_check_cvv(m->card->cvv, job->face.brand, "card.cvv");
    }
    if (e == NULL) {
        e = fingerprint_of_request(key_ring_request_key(job->vaultd->ring), m->card->pan, NULL,
                                   job->request_fingerprint);
    }
    return e;
}

static void typed_card(struct hold_job *job)
{
    struct error *e = check_typed_card(job);
    if (e != NULL) {
        refuse(job, e);
    } else {
        keep_typed_card(job);
    }
}

/* -- A stored card ---------------------------------------------------------------------------- */

static struct error *token_unknown(void)
{
    return error_refused("token_unknown", "token", "The customer has no such stored card.");
}

static void keep_cvv(struct hold_job *job)
{
    struct hold hold = {.cvv = secret_copy(job->message->cvv)};
    if (hold.cvv == NULL) {
        refuse(job, locked_memory_full());
        return;
    }
    memcpy(hold.token, job->token, sizeof hold.token);
    keep(job, &hold);
}

static void stored_card_found(void *context, enum database_outcome outcome, const struct rows *rows,
                              const struct error *failure)
{
    struct hold_job *job = context;
    if (outcome != DATABASE_DONE) {
        refuse(job, error_copy(failure));
        return;
    }
    if (rows_count(rows) == 0) {
        refuse(job, token_unknown());
        return;
    }
    card_find_read(rows, &job->face);
    struct error *e = card_check_stored(job->face.expiry, clock_wall_us());
    if (e == NULL) {
        e = card_check_cvv(job->message->cvv, job->face.brand, "cvv");
    }
    if (e == NULL) {
        e = fingerprint_of_request(key_ring_request_key(job->vaultd->ring), NULL, job->token,
                                   job->request_fingerprint);
    }
    if (e != NULL) {
        refuse(job, e);
    } else if (job->message->cvv != NULL) {
        keep_cvv(job);
    } else {
        answer(job, job->token);
    }
}

static void stored_card(struct hold_job *job)
{
    const struct msg_card_hold *m = job->message;
    if (m->save) {
        refuse(job, error_refused("card_missing", "card", "Only a typed card can be saved."));
        return;
    }
    if (m->customer[0] == '\0' || !id_valid("tok_", m->token)) {
        refuse(job, token_unknown());
        return;
    }
    memcpy(job->token, m->token, sizeof job->token);
    card_store_find(job->vaultd->db, job->token, m->customer,
                    ipc_request_deadline_boot_ms(job->request), stored_card_found, job);
}

/* -- Requests --------------------------------------------------------------------------------- */

void card_hold_requested(void *context, struct ipc_request *request, const void *message)
{
    struct hold_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    job->vaultd = context;
    job->request = request;
    job->message = message;
    if (job->message->card != NULL) {
        typed_card(job);
    } else if (job->message->token[0] != '\0') {
        stored_card(job);
    } else {
        refuse(job, error_refused("card_missing", "card", "Give a typed or a stored card."));
    }
}

void card_release_requested(void *context, struct ipc_request *request, const void *message)
{
    struct vaultd *v = context;
    const struct msg_card_release *m = message;
    struct hold hold;
    struct msg_done done = {0};
    if (holds_remove(v->holds, m->card_ref, &hold)) {
        hold_wipe(&hold);
        done.count = 1;
    }
    memcpy(done.id, m->card_ref, sizeof done.id);
    ipc_answer(request, MESSAGE_DONE, &done);
}
