/* Executes sale, auth, capture, void and refund against the rows, as the processor would.
 * It must never change a row without a ledger line, and never answer by itself. */
#include "transaction.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "account.h"
#include "batch.h"
#include "clock.h"
#include "ledger.h"
#include "result_code.h"
#include "settings.h"

void outcome_refuse(struct outcome *out, unsigned code, const char *words)
{
    const struct result_code *listed = result_code(code);

    *out = (struct outcome){
        .code = code, .http = listed->http, .words = words == NULL ? listed->words : words};
}

void transaction_apply(uint32_t place)
{
    const struct row *row = row_at(place);
    struct row *original;

    if (!row->approved) {
        return;
    }
    if (row->type != OP_VOID && row->type != OP_AUTH) {
        batch_count(row, 1);
    }
    if (row->original == ROW_NONE) {
        return;
    }
    original = row_at(row->original);
    if (row->type == OP_CAPTURE) {
        original->captured = true;
    } else if (row->type == OP_REFUND) {
        original->refunded_minor += row->amount_minor;
        assert(original->refunded_minor <= original->amount_minor);
    } else {
        assert(row->type == OP_VOID && !original->voided);
        original->voided = true;
        if (original->type != OP_AUTH) {
            batch_count(original, -1);
        }
        if (original->type == OP_REFUND && original->original != ROW_NONE) {
            row_at(original->original)->refunded_minor -= original->amount_minor;
        }
    }
}

void transaction_report(uint32_t place, bool hide, int64_t shown_minor)
{
    struct row *row = row_at(place);
    struct batch *batch = batch_at(row->batch);

    row->hidden = row->hidden || hide;
    row->shown_minor = hide ? row->shown_minor : shown_minor;
    if (batch != NULL) {
        batch->touched = true;
    }
}

static void outcome_of_row(struct outcome *out, uint32_t place)
{
    const struct row *row = row_at(place);

    *out = (struct outcome){.code = row->code, .has_view = true, .view = view_of(place)};
    out->http = result_code(row->code)->http;
    out->words = out->view.words;
}

static void draft_fill(struct row *draft, const struct transaction *asked)
{
    *draft = (struct row){.type = asked->type,
                          .account = asked->account,
                          .original = asked->original,
                          .amount_minor = asked->amount_minor,
                          .shown_minor = -1,
                          .created_us = clock_now_us(),
                          .invoice = asked->invoice,
                          .order_id = asked->order_id,
                          .description = asked->description,
                          .customer_id = asked->customer_id,
                          .avs = asked->avs,
                          .csc = asked->csc};
    memcpy(draft->last_four, asked->last_four, sizeof draft->last_four);
}

static void approve(const struct transaction *asked, const char *by, struct outcome *out)
{
    struct row draft;
    uint32_t place;

    draft_fill(&draft, asked);
    draft.approved = true;
    if (asked->original != ROW_NONE) {
        const struct row *original = row_at(asked->original);

        memcpy(draft.last_four, original->last_four, sizeof draft.last_four);
        draft.batch = asked->type == OP_VOID ? original->batch : 0;
        draft.amount_minor = asked->type == OP_VOID ? original->amount_minor : draft.amount_minor;
    }
    if (asked->type != OP_VOID) {
        batch_join(asked->account, draft.created_us);
        draft.batch = account_at(asked->account)->open_batch;
    }
    snprintf(draft.auth_code, sizeof draft.auth_code, "T%05u",
             (row_count() * 7919u + 371u) % 100000u);
    place = row_add(&draft);
    transaction_apply(place);
    ledger_row(place, by);
    outcome_of_row(out, place);
    memcpy(out->view.exp_date, asked->exp_date, sizeof out->view.exp_date);
}

void transaction_decline(const struct transaction *asked, unsigned code, const char *by,
                         struct outcome *out)
{
    struct row draft;
    uint32_t place;

    if (!result_code(code)->decline) {
        outcome_refuse(out, code, NULL);
        return;
    }
    draft_fill(&draft, asked);
    draft.code = (uint16_t)code;
    place = row_add(&draft);
    ledger_row(place, by);
    outcome_of_row(out, place);
}

static bool duplicate_answered(const struct transaction *asked, struct outcome *out)
{
    uint32_t earlier = duplicate_find(asked);

    if (earlier == ROW_NONE) {
        return false;
    }
    if (settings.duplicates_respond_with_error) {
        outcome_refuse(out, (unsigned)settings.duplicates_code, NULL);
        return true;
    }
    outcome_of_row(out, earlier);
    if (row_at(earlier)->approved) {
        out->words = "Transaction Previously Approved";
        out->view.words = out->words;
    }
    return true;
}

static unsigned capture_refused(const struct transaction *asked, const struct row *auth)
{
    int64_t life_us = settings.auth_life_days * DAY_US;

    if (auth->type != OP_AUTH || auth->captured || clock_now_us() - auth->created_us > life_us) {
        return CODE_NOT_FOUND;
    }
    if (auth->voided) {
        return CODE_REVERSED;
    }
    return asked->amount_minor > auth->amount_minor ? 8 : CODE_APPROVED;
}

static unsigned void_refused(const struct transaction *asked, const struct row *original)
{
    const struct batch *batch = batch_at(original->batch);

    if (original->type == OP_VOID || (original->type == OP_AUTH && original->captured)) {
        return CODE_NOT_FOUND;
    }
    if (original->voided) {
        return CODE_REVERSED;
    }
    if (original->refunded_minor > 0) {
        return CODE_OVER_REFUNDABLE;
    }
    if (asked->has_amount && asked->amount_minor != original->amount_minor) {
        return CODE_FIELD;
    }
    if (original->type != OP_AUTH && (batch == NULL || batch->status != BATCH_OPEN)) {
        return (unsigned)settings.void_closed_code;
    }
    return CODE_APPROVED;
}

static unsigned refund_refused(const struct transaction *asked, const struct row *original)
{
    if (original->type != OP_SALE && original->type != OP_CAPTURE) {
        return CODE_NOT_FOUND;
    }
    if (original->voided || original->refunded_minor == original->amount_minor) {
        return CODE_REVERSED;
    }
    if (asked->amount_minor > original->amount_minor - original->refunded_minor) {
        return CODE_OVER_REFUNDABLE;
    }
    return CODE_APPROVED;
}

static unsigned follow_up_refused(const struct transaction *asked)
{
    const struct row *original;

    if (asked->original == ROW_NONE) {
        return CODE_NOT_FOUND;
    }
    original = row_at(asked->original);
    if (original->account != asked->account || !original->approved) {
        return CODE_NOT_FOUND;
    }
    if (asked->type == OP_CAPTURE) {
        return capture_refused(asked, original);
    }
    return asked->type == OP_VOID ? void_refused(asked, original) : refund_refused(asked, original);
}

static unsigned card_refused(const struct transaction *asked)
{
    if (asked->type == OP_REFUND) {
        return settings.unmatched_refund ? CODE_APPROVED : CODE_NOT_PERMITTED;
    }
    if (asked->expired) {
        return CODE_EXPIRED;
    }
    return settings.sandbox_amounts ? result_code_of_amount(asked->amount_minor) : CODE_APPROVED;
}

void transaction_execute(const struct transaction *asked, const char *by, struct outcome *out)
{
    bool by_card = asked->type == OP_SALE || asked->type == OP_AUTH || asked->unmatched;
    unsigned code;

    assert((int)asked->type < OP_MONEY_COUNT);
    if (asked->type != OP_VOID && duplicate_answered(asked, out)) {
        return;
    }
    code = by_card ? card_refused(asked) : follow_up_refused(asked);
    if (code == CODE_APPROVED) {
        approve(asked, by, out);
    } else if (by_card) {
        transaction_decline(asked, code, by, out);
    } else {
        outcome_refuse(out, code, NULL);
    }
}

void transaction_imagine(const struct transaction *asked, struct outcome *out)
{
    *out = (struct outcome){.http = 200, .words = result_code(CODE_APPROVED)->words};
    out->has_view = true;
    out->view = (struct view){.id = row_id(row_count() + 5000),
                              .type = operation_type(asked->type),
                              .result = "APPROVED",
                              .words = out->words,
                              .amount_minor = asked->amount_minor,
                              .created_us = clock_now_us(),
                              .invoice = asked->invoice,
                              .order_id = asked->order_id,
                              .batch = account_at(asked->account)->open_batch,
                              .auth_code = "T00000"};
    memcpy(out->view.last_four, asked->last_four, sizeof out->view.last_four);
    if (asked->original != ROW_NONE) {
        out->view.ref_id = row_id(asked->original);
        memcpy(out->view.last_four, row_at(asked->original)->last_four, 5);
    }
}
