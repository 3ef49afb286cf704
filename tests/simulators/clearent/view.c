/* One transaction as an answer shows it.
 * It must never show more of a card than the last four digits. */
#include "view.h"

#include <stdio.h>
#include <string.h>

#include "batch.h"
#include "clock.h"
#include "result_code.h"
#include "settings.h"

struct view view_of(uint32_t place)
{
    const struct row *row = row_at(place);
    const struct batch *batch = batch_at(row->batch);
    struct view view = {.id = row_id(place),
                        .type = operation_type(row->type),
                        .result = row->approved ? "APPROVED" : "DECLINED",
                        .code = row->code,
                        .words = result_code(row->code)->words,
                        .amount_minor =
                            row->shown_minor >= 0 ? row->shown_minor : row->amount_minor,
                        .created_us = row->created_us,
                        .invoice = row->invoice,
                        .order_id = row->order_id,
                        .description = row->description,
                        .customer_id = row->customer_id,
                        .ref_id = row->original == ROW_NONE ? 0 : row_id(row->original),
                        .batch = row->batch,
                        .avs = row->avs,
                        .csc = row->csc};

    memcpy(view.last_four, row->last_four, sizeof view.last_four);
    memcpy(view.auth_code, row->auth_code, sizeof view.auth_code);
    view.settled = row->approved && !row->voided && row->type != OP_AUTH && row->type != OP_VOID &&
                   batch != NULL && batch->status == BATCH_CLOSED;
    return view;
}

static const char *result_text(const struct view *view)
{
    if (!settings.numbers_variant) {
        return view->result;
    }
    if (view->result[0] == 'A') {
        return "Approved";
    }
    return view->result[0] == 'D' ? "Declined" : "Pending";
}

void view_write(struct text *text, const struct view *view)
{
    char created[32], number[24];

    text_puts(text, "{\"amount\":\"");
    text_money(text, view->amount_minor);
    clock_print(view->created_us, settings.created_offset_minutes, created, sizeof created);
    text_printf(text, "\",\"id\":\"%llu\",\"created\":\"%s\",\"type\":\"%s\",\"result\":\"%s\"",
                (unsigned long long)view->id, created, view->type, result_text(view));
    text_printf(text, ",\"status\":\"%s\",\"result-code\":\"%0*u\"", result_text(view),
                settings.numbers_variant ? 4 : 3, view->code);
    text_json_field(text, "authorization-code", view->auth_code);
    text_json_field(text, "display-message", view->words);
    text_json_field(text, "invoice", view->invoice);
    text_json_field(text, "order-id", view->order_id);
    text_json_field(text, "description", view->description);
    text_json_field(text, "customer-id", view->customer_id);
    if (view->last_four[0] != '\0') {
        text_printf(text, ",\"card\":\"%s%s\"", settings.card_as_mask ? "XXXXXXXXXXXX" : "",
                    view->last_four);
    }
    text_json_field(text, "exp-date", view->exp_date);
    if (view->ref_id != 0) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)view->ref_id);
        text_json_field(text, "ref-id", number);
    }
    if (view->batch != 0) {
        snprintf(number, sizeof number, "%u", view->batch);
        text_json_field(text, "batch-string-id", number);
    }
    text_json_field(text, "avs-result-code", (char[]){view->avs, '\0'});
    text_json_field(text, "csc-result-code", (char[]){view->csc, '\0'});
    if (view->settled) {
        text_json_field(text, "settled", "true");
    }
    text_add(text, "}", 1);
}
