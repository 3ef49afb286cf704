/* A pay is two calls: the card goes to vaultd (card_hold), the payment with the card's handle to
 * gatewayd (sale). Must never keep the card longer than passing it on, and never say anything but
 * PENDING once the sale may have been written. */
#include "daemons/terminald/pos_pay.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/terminald/pos_answer.h"
#include "daemons/terminald/pos_session.h"
#include "daemons/terminald/terminald.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/secret.h"

/* Forgetting a hold is a courtesy; vaultd forgets it by itself in the end. */
#define RELEASE_WAIT_MS 5000

/* One pay on its way. Freed when the POS is answered. */
struct pay_job {
    struct terminald *terminald;
    struct ipc_request *request;
    struct msg_sale *sale; /* filled in as far as the steps have come */
    int64_t deadline_boot_ms;
};

static void job_free(struct pay_job *job)
{
    message_free(MESSAGE_SALE, job->sale);
    free(job);
}

/* The name of a field that holds the card's number though it is kept or shown in clear. */
static const char *field_with_number(const struct msg_pay *pay)
{
    const char *number = secret_expose(pay->card->pan);
    const struct {
        const char *name, *text;
    } fields[] = {
        {"key", pay->key},
        {"location", pay->location},
        {"pos", pay->pos},
        {"customer", pay->customer},
        {"description", pay->description},
        {"card.holder", pay->card->holder},
        {"card.street", pay->card->street},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (strstr(fields[i].text, number) != NULL) {
            return fields[i].name;
        }
    }
    for (size_t i = 0; i < pay->invoices_count; i++) {
        if (strstr(pay->invoices[i].invoice, number) != NULL) {
            return "invoices";
        }
    }
    return NULL;
}

struct error *pos_pay_check(const struct msg_pay *pay)
{
    bool typed = pay->card != NULL;
    bool stored = pay->token[0] != '\0';
    if (!typed && !stored) {
        return error_refused("card_missing", "card", "Give a card, or the token of a stored one.");
    }
    if (typed && stored) {
        return error_refused("card_ambiguous", "card",
                             "Give either a card or the token of a stored one, not both.");
    }
    if (typed && pay->cvv != NULL) {
        return error_refused("card_ambiguous", "cvv",
                             "A typed card carries its own security code.");
    }
    if (stored && pay->save) {
        return error_refused("card_ambiguous", "save", "The card of a token is stored already.");
    }
    const char *field = typed ? field_with_number(pay) : NULL;
    if (field != NULL) {
        return error_refused("card_number_in_text", field,
                             "The card's number belongs into the card alone, not into a text.");
    }
    if (pay->oldest_first && pay->invoices_count > 0) {
        return error_refused("split_ambiguous", "oldest_first",
                             "Give either the parts for the invoices, or oldest first, not both.");
    }
    if (pay->oldest_first && pay->customer[0] == '\0') {
        return error_refused("customer_missing", "customer",
                             "Oldest first needs the customer whose invoices are paid.");
    }
    int64_t sum = 0;
    for (size_t i = 0; i < pay->invoices_count; i++) {
        sum += pay->invoices[i].amount_minor; /* bounds of the message: no overflow */
    }
    if (pay->invoices_count > 0 && sum != pay->amount_minor) {
        return error_refused("split_mismatch", "invoices",
                             "The parts for the invoices don't add up to the amount.");
    }
    return NULL;
}

/* The decoded request lives until it is answered, up to a minute; the card in it must not. It is
 * our own allocation, lent as const only so that handlers don't change what was asked. */
static void pay_forget_card(const struct msg_pay *borrowed)
{
    struct msg_pay *pay = (struct msg_pay *)(uintptr_t)borrowed;
    if (pay->card != NULL) {
        secret_free(pay->card->pan);
        pay->card->pan = NULL;
        secret_free(pay->card->cvv);
        pay->card->cvv = NULL;
    }
    secret_free(pay->cvv);
    pay->cvv = NULL;
}

static struct msg_sale *sale_of_pay(const struct msg_pay *pay)
{
    struct msg_sale *sale = message_new(MESSAGE_SALE);
    snprintf(sale->key, sizeof sale->key, "%s", pay->key);
    snprintf(sale->location, sizeof sale->location, "%s", pay->location);
    snprintf(sale->pos, sizeof sale->pos, "%s", pay->pos);
    snprintf(sale->currency, sizeof sale->currency, "%s", pay->currency);
    snprintf(sale->customer, sizeof sale->customer, "%s", pay->customer);
    snprintf(sale->description, sizeof sale->description, "%s", pay->description);
    log_mask(sale->description); /* clerks note numbers of other cards in it; it is kept in clear */
    sale->kind = pay->kind == PAY_KIND_AUTH ? SALE_KIND_AUTH : SALE_KIND_SALE;
    sale->entry = pay->card != NULL ? SALE_ENTRY_KEYED : SALE_ENTRY_STORED;
    sale->amount_minor = pay->amount_minor;
    sale->oldest_first = pay->oldest_first;
    for (size_t i = 0; i < pay->invoices_count; i++) {
        struct msg_invoice_part *part = message_list_add(MESSAGE_SALE, sale, "invoices");
        assert(part != NULL); /* the bound is the same in both messages */
        *part = pay->invoices[i];
    }
    return sale;
}

static void released(void *context, const struct error *e, enum message_type type,
                     const void *answer)
{
    (void)context;
    (void)e;
    (void)type;
    (void)answer;
}

static void card_release(struct pay_job *job)
{
    struct msg_card_release release;
    memset(&release, 0, sizeof release);
    static_assert(sizeof release.card_ref == sizeof job->sale->card_ref, "same bound");
    memcpy(release.card_ref, job->sale->card_ref, sizeof release.card_ref);
    ipc_call(job->terminald->vaultd, MESSAGE_CARD_RELEASE, &release,
             clock_boot_ms() + RELEASE_WAIT_MS, released, NULL);
}

static void sale_done(void *context, const struct error *e, enum message_type type,
                      const void *answer)
{
    struct pay_job *job = context;
    if (e != NULL) {
        /* Nothing was begun, or nothing more of it will be sent: gatewayd is gone or its time is
         * over. Should it ask for the card all the same, the attempt ends as not sent. */
        card_release(job);
    }
    if (e == NULL) {
        ipc_answer(job->request, type, answer);
    } else if (pos_outcome_open(e)) {
        pos_answer_pending(job->request,
                           job->sale->kind == SALE_KIND_AUTH ? PAYMENT_ANSWER_KIND_AUTH
                                                             : PAYMENT_ANSWER_KIND_SALE,
                           "", job->sale->amount_minor, job->sale->currency);
    } else {
        pos_answer_error(job->request, e);
    }
    job_free(job);
}

static void card_held(void *context, const struct error *e, enum message_type type,
                      const void *answer)
{
    struct pay_job *job = context;
    if (e != NULL) {
        pos_answer_error(job->request, e);
        job_free(job);
        return;
    }
    assert(type == MESSAGE_CARD_HELD);
    const struct msg_card_held *held = answer;
    struct msg_sale *sale = job->sale;
    snprintf(sale->card_ref, sizeof sale->card_ref, "%s", held->card_ref);
    snprintf(sale->card_fingerprint, sizeof sale->card_fingerprint, "%s", held->fingerprint);
    snprintf(sale->brand, sizeof sale->brand, "%s", held->brand);
    snprintf(sale->last_four, sizeof sale->last_four, "%s", held->last_four);
    snprintf(sale->expiry, sizeof sale->expiry, "%s", held->expiry);
    snprintf(sale->token, sizeof sale->token, "%s", held->token);
    ipc_call(job->terminald->gatewayd, MESSAGE_SALE, sale, job->deadline_boot_ms, sale_done, job);
}

/* Sends the card to vaultd; it is encoded, and wiped here, before this returns. */
static void card_hold(struct pay_job *job, const struct msg_pay *pay)
{
    struct msg_card_hold hold = {.card = pay->card, .cvv = pay->cvv, .save = pay->save};
    snprintf(hold.customer, sizeof hold.customer, "%s", pay->customer);
    snprintf(hold.token, sizeof hold.token, "%s", pay->token);
    ipc_call(job->terminald->vaultd, MESSAGE_CARD_HOLD, &hold, job->deadline_boot_ms, card_held,
             job);
    pay_forget_card(pay);
}

void pos_pay(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    const struct msg_pay *pay = message;
    struct error *e = pos_pay_check(pay);
    if (e != NULL) {
        ipc_refuse(request, e);
        return;
    }
    struct pay_job *job = calloc(1, sizeof *job);
    assert(job != NULL);
    job->terminald = t;
    job->request = request;
    job->sale = sale_of_pay(pay);
    job->deadline_boot_ms = pos_answer_deadline(request, t->patience_ms);
    e = pos_session_place(request, POS_LOCATION_REQUIRED, job->sale->location, job->sale->pos);
    if (e != NULL) {
        ipc_refuse(request, e);
        job_free(job);
        return;
    }
    pos_session_actor(request, job->sale->actor);
    card_hold(job, pay);
}
