/* Clearent's batches and day lists. A row that can't be read makes the whole page unclear: a day
 * must never be called balanced on rows that were skipped. */
#include "daemons/gatewayd/clearent/clearent_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemons/gatewayd/clearent/clearent_code.h"
#include "daemons/gatewayd/clearent/clearent_envelope.h"
#include "lib/id.h"
#include "lib/memory.h"
#include "lib/money.h"

#define CODE_NO_OPEN_BATCH 40

/* ---- batches ---- */

static const struct state_row {
    const char *status;
    enum batch_state state;
} states[] = {
    {"OPEN", BATCH_OPEN},
    {"PENDING", BATCH_PENDING},
    {"CLOSED", BATCH_CLOSED},
    {"FAILED", BATCH_FAILED},
};

static enum batch_state state_of(const json_t *row)
{
    const char *status = json_string_value(json_object_get(row, "status"));
    for (size_t i = 0; status != NULL && i < sizeof states / sizeof states[0]; i++) {
        if (strcasecmp(states[i].status, status) == 0) {
            return states[i].state;
        }
    }
    return BATCH_UNCLEAR;
}

static bool read_count(const json_t *row, const char *name, int64_t *out)
{
    char text[20];
    bool ignored = false;
    if (!clearent_twin(row, name, text, sizeof text, &ignored) || strlen(text) > 9 ||
        strspn(text, "0123456789") != strlen(text)) {
        return false;
    }
    *out = strtol(text, NULL, 10);
    return true;
}

static bool read_total(const json_t *row, const char *name, const char *currency, int64_t *out)
{
    char text[MONEY_TEXT_MAX];
    bool ignored = false;
    struct money money;
    if (!clearent_twin(row, name, text, sizeof text, &ignored)) {
        return false;
    }
    struct error *e = money_parse(text, strlen(text), currency, &money);
    if (e != NULL) {
        error_free(e);
        return false;
    }
    *out = money.minor;
    return true;
}

static void read_batch(const json_t *row, const char *currency, struct batch_outcome *out)
{
    bool bad = false;
    if (!clearent_text(row, "id", out->id, sizeof out->id, &bad)) {
        return;
    }
    out->state = state_of(row);
    clearent_shown(row, "confirmation-code", out->confirmation_code, sizeof out->confirmation_code);
    clearent_shown(row, "settled", out->settled_at, sizeof out->settled_at);
    bool counts = read_count(row, "sales-count", &out->sales_count);
    counts = read_count(row, "refund-count", &out->refund_count) && counts;
    counts = read_count(row, "total-count", &out->total_count) && counts;
    bool totals = read_total(row, "sales-total", currency, &out->sales_minor);
    totals = read_total(row, "refund-total", currency, &out->refund_minor) && totals;
    totals = read_total(row, "net-amount", currency, &out->net_minor) && totals;
    int64_t net = 0;
    bool adds_up = !__builtin_sub_overflow(out->sales_minor, out->refund_minor, &net) &&
                   net == out->net_minor &&
                   out->sales_count + out->refund_count == out->total_count;
    out->totals_known = counts && totals && adds_up;
    out->alarm = counts && totals && !adds_up;
}

/* 402 with 'no open batch', or nothing found: there is none. */
static bool says_none(const struct http_result *result)
{
    struct clearent_envelope envelope;
    bool none = clearent_envelope_open(result, &envelope);
    int code = clearent_result_code(envelope.error);
    none = none && (result->status == 402 || result->status == 404) &&
           (code == CODE_NO_OPEN_BATCH || clearent_code_is_not_found(code));
    clearent_envelope_close(&envelope);
    return none;
}

static void fill_batch_unread(const struct http_result *result, enum clearent_list list,
                              struct batch_outcome *out)
{
    enum outcome outcome;
    bool alarm = false;
    bool arrived = connector_transport(result, &outcome, &alarm);
    if (list == CLEARENT_LIST_NOTHING || (arrived && says_none(result))) {
        out->state = BATCH_NONE;
        out->last = true;
        return;
    }
    out->alarm = arrived ? clearent_status_find(result->status)->alarm : alarm;
}

void clearent_parse_batch(const struct batch_request *request, const struct http_result *result,
                          struct batch_outcome *out)
{
    *out = (struct batch_outcome){.state = BATCH_UNCLEAR};
    struct clearent_envelope envelope;
    struct clearent_rows rows;
    enum clearent_list list = clearent_rows_open(result, "batches", "batch", &envelope, &rows);
    if (list != CLEARENT_LIST_ROWS) {
        fill_batch_unread(result, list, out);
    } else if (rows.count == 1) {
        read_batch(clearent_row(&rows, 0), request->currency, out);
        out->last = true;
    } else if (rows.count == 0) {
        out->state = BATCH_NONE;
        out->last = true;
    }
    memcpy(out->request_id, envelope.request_id, sizeof out->request_id);
    clearent_envelope_close(&envelope);
}

/* Ids of one batch as printed by different pages: "00101" and "101". */
static bool same_batch(const char *a, const char *b)
{
    bool numbers = strspn(a, "0123456789") == strlen(a) && strspn(b, "0123456789") == strlen(b);
    if (numbers) {
        a += strspn(a, "0");
        b += strspn(b, "0");
    }
    return strcmp(a, b) == 0;
}

static void pick_batch(const struct batch_request *request, const struct clearent_rows *rows,
                       struct batch_outcome *out)
{
    size_t found = 0;
    for (size_t i = 0; i < rows->count; i++) {
        struct batch_outcome one = {.state = BATCH_UNCLEAR};
        read_batch(clearent_row(rows, i), request->currency, &one);
        if (one.id[0] == '\0') {
            return; /* a row without an id could be the one */
        }
        if (request->batch != NULL && same_batch(one.id, request->batch)) {
            *out = one;
            found++;
        }
    }
    if (found == 0) {
        out->state = BATCH_NONE;
    } else if (found > 1) {
        *out = (struct batch_outcome){.state = BATCH_UNCLEAR, .alarm = true};
    }
}

/* Without the word 'last', only an empty page proves the end. */
static bool is_last(const struct clearent_rows *rows)
{
    return rows->last_known ? rows->last : rows->count == 0;
}

void clearent_parse_batches(const struct batch_request *request, const struct http_result *result,
                            struct batch_outcome *out)
{
    *out = (struct batch_outcome){.state = BATCH_UNCLEAR};
    struct clearent_envelope envelope;
    struct clearent_rows rows;
    enum clearent_list list = clearent_rows_open(result, "batches", "batch", &envelope, &rows);
    if (list != CLEARENT_LIST_ROWS) {
        fill_batch_unread(result, list, out);
    } else {
        pick_batch(request, &rows, out);
        out->last = is_last(&rows);
    }
    memcpy(out->request_id, envelope.request_id, sizeof out->request_id);
    clearent_envelope_close(&envelope);
}

/* ---- the day's list ---- */

static enum item_result result_of(const json_t *row)
{
    if (clearent_result_is(row, "DECLINED")) {
        return ITEM_DECLINED;
    }
    if (!clearent_result_is(row, "APPROVED")) {
        return ITEM_UNFINISHED;
    }
    return clearent_kind(row) != ITEM_VOID && clearent_is_voided(row) ? ITEM_VOIDED : ITEM_APPROVED;
}

static void read_ref(const json_t *row, struct processor_item *item)
{
    bool ignored = false;
    clearent_text(row, "invoice", item->ref, sizeof item->ref, &ignored);
    if (!id_valid("", item->ref)) {
        clearent_text(row, "order-id", item->ref, sizeof item->ref, &ignored);
    }
    if (!id_valid("", item->ref)) {
        memset(item->ref, 0, sizeof item->ref);
    }
}

/* False if the row's id, amount or links can't be read exactly. */
static bool read_item(const json_t *row, const char *currency, struct processor_item *item)
{
    struct money_outcome read = {0};
    bool bad = false;
    *item = (struct processor_item){.kind = clearent_kind(row), .result = result_of(row)};
    clearent_last_four(row, item->last_four);
    if (!clearent_transaction_read(row, currency, item->last_four, &read)) {
        return false;
    }
    bool moves = item->kind != ITEM_OTHER && item->kind != ITEM_VOID;
    if ((moves || clearent_has(row, "amount")) &&
        !clearent_amount(row, "amount", currency, &item->amount_minor)) {
        return false;
    }
    memcpy(item->id, read.processor_id, sizeof item->id);
    memcpy(item->batch, read.batch, sizeof item->batch);
    memcpy(item->authorisation_code, read.authorisation_code, sizeof item->authorisation_code);
    snprintf(item->currency, sizeof item->currency, "%s", currency);
    clearent_id(row, "ref-id", item->last_four, item->follows, sizeof item->follows, &bad);
    clearent_shown(row, "created", item->created, sizeof item->created);
    item->settled = clearent_is_settled(row);
    read_ref(row, item);
    return !bad;
}

static struct error *read_items(const struct list_request *request,
                                const struct clearent_rows *rows, struct processor_list *out)
{
    if (rows->count > CONNECTOR_PAGE_ROWS_MAX) {
        return error_failed("list_unclear", "page %d has %zu rows, more than %d", request->page,
                            rows->count, CONNECTOR_PAGE_ROWS_MAX);
    }
    out->items = memory_new((rows->count + 1) * sizeof *out->items);
    for (size_t i = 0; i < rows->count; i++) {
        if (!read_item(clearent_row(rows, i), request->currency, &out->items[i])) {
            processor_list_clear(out);
            return error_failed("list_unclear", "row %zu of page %d can't be read", i,
                                request->page);
        }
        out->count++;
    }
    out->last = is_last(rows);
    return NULL;
}

struct error *clearent_parse_list(const struct list_request *request,
                                  const struct http_result *result, struct processor_list *out)
{
    *out = (struct processor_list){0};
    struct clearent_envelope envelope;
    struct clearent_rows rows;
    enum clearent_list list =
        clearent_rows_open(result, "transactions", "transaction", &envelope, &rows);
    struct error *e = NULL;
    if (list == CLEARENT_LIST_ROWS) {
        e = read_items(request, &rows, out);
    } else if (list == CLEARENT_LIST_NOTHING) {
        out->last = true;
    } else {
        e = error_failed("list_unclear", "page %d: no readable list (HTTP %ld, transport %d)",
                         request->page, result->status, result->curl_code);
    }
    clearent_envelope_close(&envelope);
    return e;
}
