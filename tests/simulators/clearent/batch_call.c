/* The three batch calls of the wire, and closes that come from elsewhere (portal, hour).
 * It must never close a batch without a ledger line. */
#include "batch_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "clock.h"
#include "ledger.h"
#include "query.h"
#include "result_code.h"
#include "settings.h"

static void money_field(struct text *text, const char *name, int64_t minor)
{
    text_printf(text, ",\"%s\":\"", name);
    text_money(text, minor);
    text_add(text, "\"", 1);
}

static uint32_t auths_in(const struct batch *batch)
{
    uint32_t count = 0;

    for (uint32_t i = 0; settings.count_auths && i < row_count(); i++) {
        const struct row *row = row_at(i);

        count +=
            row->batch == batch->number && row->type == OP_AUTH && !row->voided && !row->captured;
    }
    return count;
}

static void batch_write(struct text *text, const struct batch *batch)
{
    struct batch_totals totals = batch_shown(batch);
    const struct account *account = account_at(batch->account);
    uint32_t sales = totals.sales_count + auths_in(batch);
    char time[32], confirmation[12];

    text_printf(text, "{\"id\":\"%u\",\"status\":\"%s\"", batch->number,
                batch_status_name(batch->status));
    text_printf(text, ",\"sales-count\":\"%u\",\"refund-count\":\"%u\",\"total-count\":\"%u\"",
                sales, totals.refund_count, sales + totals.refund_count);
    money_field(text, "sales-total", totals.sales_minor);
    money_field(text, "refund-total", totals.refund_minor);
    money_field(text, "net-amount", totals.sales_minor - totals.refund_minor);
    text_json_field(text, "merchant-id", account->merchant);
    text_json_field(text, "terminal-id", account->terminal);
    text_json_field(text, "terminal-name", account->terminal);
    clock_print_iso(batch->opened_us, time, sizeof time);
    text_json_field(text, "date-opened", time);
    if (batch->status == BATCH_CLOSED) {
        batch_confirmation(batch, confirmation);
        text_json_field(text, "confirmation-code", confirmation);
        clock_print_iso(batch->settles_us, time, sizeof time);
        text_json_field(text, "settled", time);
        text_printf(text, ",\"switch-batch-id\":\"%u\"", batch->number);
    }
    text_add(text, "}", 1);
}

static void one_batch(struct answer *answer, const struct batch *batch)
{
    answer_begin(answer, 200, true, 0);
    text_puts(&answer->body, "{\"payloadType\":\"batch\",\"batch\":");
    batch_write(&answer->body, batch);
    text_add(&answer->body, "}", 1);
    answer_end(answer);
}

static struct batch *failed_batch(uint32_t account)
{
    for (uint32_t number = batch_first(); number <= batch_last(); number++) {
        struct batch *batch = batch_at(number);

        if (batch->account == account && batch->status == BATCH_FAILED) {
            return batch;
        }
    }
    return NULL;
}

void batch_open_answer(uint32_t account, struct answer *answer)
{
    const struct batch *batch = batch_at(account_at(account)->open_batch);

    if (batch == NULL) {
        answer_error(answer, CODE_NO_BATCH, NULL);
        return;
    }
    one_batch(answer, batch);
}

static void close_one(struct batch *batch, const struct fault_hit *hit, const char *by)
{
    int64_t now_us = clock_now_us();
    int64_t pending_us = settings.close_pending_seconds * SECOND_US;
    enum batch_status status = BATCH_CLOSED;

    if (hit != NULL && hit->effect == FAULT_BATCH_PENDING) {
        pending_us = hit->delay_ms * 1000;
    }
    status = pending_us > 0 ? BATCH_PENDING : status;
    status = hit != NULL && hit->effect == FAULT_BATCH_FAILED ? BATCH_FAILED : status;
    batch_leave(batch, status, now_us, now_us + pending_us);
    ledger_batch_close(batch, by);
}

bool batch_close(uint32_t account, const struct fault_hit *hit, const char *by)
{
    struct batch *failed = failed_batch(account);
    struct batch *open = batch_at(account_at(account)->open_batch);

    if (failed != NULL) {
        close_one(failed, NULL, by);
    }
    if (open != NULL) {
        close_one(open, hit, by);
    }
    return failed != NULL || open != NULL;
}

/* False, with the refusal in the answer, unless the body is one of the two known forms. */
static bool close_body_good(json_t *body, struct answer *answer)
{
    static const char *const NAMES[] = {"total-count", "net-amount", "software-type",
                                        "software-type-version",
                                        "lastBatchClosedRequiredInResponse"};
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        size_t place = 0;

        while (place < 5 && strcmp(NAMES[place], name) != 0) {
            place++;
        }
        if (place == 5 || (place < 4 && !json_is_string(value)) ||
            (place == 4 && !json_is_boolean(value))) {
            answer_error(answer, CODE_FIELD, "a field of the batch request is unknown or wrong");
            return false;
        }
    }
    if ((json_object_get(body, "total-count") == NULL) !=
        (json_object_get(body, "net-amount") == NULL)) {
        answer_error(answer, CODE_FIELD, "total-count and net-amount go together");
        return false;
    }
    return true;
}

static bool totals_agree(const struct batch *batch, json_t *body)
{
    const char *count = json_string_value(json_object_get(body, "total-count"));
    const char *net = json_string_value(json_object_get(body, "net-amount"));
    struct batch_totals totals = batch_shown(batch);
    struct text wanted = {0};
    bool agree;

    if (count == NULL || net == NULL) {
        return true;
    }
    text_printf(&wanted, "%u ", totals.sales_count + totals.refund_count + auths_in(batch));
    text_money(&wanted, totals.sales_minor - totals.refund_minor);
    agree = wanted.size == strlen(count) + 1 + strlen(net) &&
            memcmp(wanted.bytes, count, strlen(count)) == 0 && wanted.bytes[strlen(count)] == ' ' &&
            memcmp(wanted.bytes + strlen(count) + 1, net, strlen(net)) == 0;
    text_free(&wanted);
    return agree;
}

void batch_close_answer(uint32_t account, json_t *body, const struct fault_hit *hit,
                        struct answer *answer)
{
    struct batch *batch = batch_at(account_at(account)->open_batch);

    if (!close_body_good(body, answer)) {
        return;
    }
    batch = batch != NULL ? batch : failed_batch(account);
    if (batch == NULL && settings.no_batch_204) {
        answer_replace(answer, 204, NULL, "");
        return;
    }
    if (batch == NULL) {
        answer_error(answer, CODE_NO_BATCH, NULL);
        return;
    }
    if (!totals_agree(batch, body)) {
        answer_error(answer, CODE_NOT_RECONCILED, NULL);
        return;
    }
    batch_close(account, hit, "api");
    if (batch->status == BATCH_FAILED) {
        answer_error_http(answer, 500, 2, "Failed to process batch");
        return;
    }
    one_batch(answer, batch);
}

enum { LIST_STATUS, LIST_START, LIST_END, LIST_LEVEL, LIST_PAGE, LIST_PAGE_SIZE };

static bool listed(const struct batch *batch, uint32_t account, bool merchant_level,
                   const char *status, int64_t start_us, int64_t end_us)
{
    /* A batch belongs to every day it was open or closed on. */
    int64_t until_us = batch->closed_us == 0 ? INT64_MAX : batch->settles_us;

    return account_shares(batch->account, account, merchant_level) &&
           (status == NULL || strcmp(status, batch_status_name(batch->status)) == 0) &&
           batch->opened_us <= end_us && until_us >= start_us;
}

void batch_list_answer(uint32_t account, const char *query_text, struct answer *answer)
{
    static const char *const NAMES[] = {"status", "start-date", "end-date", "level",
                                        "page",   "page-size",  NULL};
    struct query query;
    struct outcome refused;
    struct page page;
    int64_t start_us, end_us;
    bool merchant_level;
    size_t total = 0, shown = 0, first;

    if (!query_read(query_text, NAMES, &query, &refused) ||
        !page_read(query.values[LIST_PAGE], query.values[LIST_PAGE_SIZE], NULL, &page, &refused) ||
        !level_read(query.values[LIST_LEVEL], &merchant_level, &refused) ||
        !date_read(query.values[LIST_START], "start-date", 0, &start_us, &refused) ||
        !date_read(query.values[LIST_END], "end-date", INT64_MAX, &end_us, &refused)) {
        answer_outcome(answer, &refused);
        return;
    }
    first = page.number * page.size;
    answer_begin(answer, 200, true, 0);
    text_puts(&answer->body, "{\"payloadType\":\"batches\",\"batches\":{\"batch\":[");
    for (uint32_t number = batch_last(); number >= batch_first(); number--) {
        const struct batch *batch = batch_at(number);

        if (!listed(batch, account, merchant_level, query.values[LIST_STATUS], start_us, end_us)) {
            continue;
        }
        if (total >= first && shown < page.size) {
            text_add(&answer->body, ",", shown == 0 ? 0 : 1);
            batch_write(&answer->body, batch);
            shown++;
        }
        total++;
    }
    text_puts(&answer->body, "]}}");
    page_write(&answer->body, &page, shown, total, first + shown >= total);
    answer_end(answer);
}

void batch_auto_close(int64_t *next_us)
{
    static int64_t due_us;
    static int minute = -1;
    int64_t now_us = clock_now_us();

    *next_us = INT64_MAX;
    if (settings.auto_close_minute < 0) {
        minute = -1;
        return;
    }
    if (minute == settings.auto_close_minute && now_us >= due_us) {
        for (uint32_t i = 0; i < account_count(); i++) {
            batch_close(i, NULL, "gateway");
        }
    }
    if (minute != settings.auto_close_minute || now_us >= due_us) {
        minute = settings.auto_close_minute;
        due_us = now_us - now_us % DAY_US + minute * 60 * SECOND_US;
        due_us += due_us <= now_us ? DAY_US : 0;
    }
    *next_us = due_us;
}
