/* The duplicate shields of the gateway's portal: by last four, with invoice, or by invoice alone.
 * It must never look at a row the settings put out of reach (time range, terminal). */
#include <string.h>

#include "account.h"
#include "clock.h"
#include "settings.h"
#include "transaction.h"

static bool counts(const struct transaction *asked, const struct row *earlier)
{
    if (!account_shares(earlier->account, asked->account, settings.duplicates_merchant_level)) {
        return false;
    }
    return earlier->approved || settings.duplicates_declined_block;
}

static uint32_t find_by_invoice(const struct transaction *asked)
{
    uint32_t found = ROW_NONE;

    /* The walk is newest first; the gateway hands back the first result, so the oldest wins. */
    for (uint32_t i = row_next_by_invoice(asked->invoice, ROW_NONE); i != ROW_NONE;
         i = row_next_by_invoice(asked->invoice, i)) {
        if (counts(asked, row_at(i))) {
            found = i;
        }
    }
    return found;
}

static uint32_t find_by_card(const struct transaction *asked, bool with_invoice)
{
    int64_t since_us = clock_now_us() - settings.duplicates_minutes * 60 * SECOND_US;

    for (uint32_t i = row_next_by_last_four(asked->last_four, ROW_NONE); i != ROW_NONE;
         i = row_next_by_last_four(asked->last_four, i)) {
        const struct row *row = row_at(i);

        if (row->created_us < since_us) {
            return ROW_NONE;
        }
        if ((row->type != OP_SALE && row->type != OP_AUTH) || !counts(asked, row)) {
            continue;
        }
        if (!with_invoice || (row->invoice != NULL && strcmp(row->invoice, asked->invoice) == 0)) {
            return i;
        }
    }
    return ROW_NONE;
}

uint32_t duplicate_find(const struct transaction *asked)
{
    bool by_card = asked->type == OP_SALE || asked->type == OP_AUTH;

    if (!settings.duplicates_enabled) {
        return ROW_NONE;
    }
    if (settings.duplicates_criterion == DUPLICATE_INVOICE_INSTEAD_OF_CARD &&
        asked->invoice != NULL) {
        if (!by_card && !settings.duplicates_follow_ups_collide) {
            return ROW_NONE;
        }
        return find_by_invoice(asked);
    }
    if (!by_card) {
        return ROW_NONE;
    }
    return find_by_card(asked, settings.duplicates_criterion == DUPLICATE_INCLUDE_INVOICE &&
                                   asked->invoice != NULL);
}
