/* GET transactions: which rows the parameters ask for, and the page of them.
 * It must never show a row of another merchant, nor one older than 90 days. */
#include "search.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "account.h"
#include "clock.h"
#include "damage.h"
#include "result_code.h"
#include "settings.h"

static const int64_t HORIZON_US = 90 * DAY_US;

struct found {
    uint32_t *places;
    size_t count, room;
};

static bool choices_read(struct search *search, struct outcome *out)
{
    const char *const *values = search->query.values;
    const char *status = values[SEARCH_STATUS];

    search->amount_minor = -1;
    search->type = OP_COUNT;
    if (values[SEARCH_AMOUNT] != NULL) {
        search->amount_minor = money_parse(values[SEARCH_AMOUNT]);
        if (search->amount_minor < 0) {
            outcome_refuse(out, CODE_FIELD, "amount: must look like 80.00");
            return false;
        }
    }
    if (values[SEARCH_TYPE] != NULL) {
        search->type = operation_of_type(values[SEARCH_TYPE]);
        if (search->type == OP_COUNT) {
            outcome_refuse(out, CODE_FIELD, "type: is not a type of transaction");
            return false;
        }
    }
    if (status != NULL && strcasecmp(status, "APPROVED") != 0 &&
        strcasecmp(status, "DECLINED") != 0 && strcasecmp(status, "PENDING") != 0) {
        outcome_refuse(out, CODE_FIELD, "status: is not a status of transactions");
        return false;
    }
    return true;
}

bool search_read(const char *query, uint32_t account, struct search *search, struct outcome *out)
{
    static const char *const NAMES[] = {"id",
                                        "invoice",
                                        "order-id",
                                        "amount",
                                        "type",
                                        "status",
                                        "last-four",
                                        "authorization-code",
                                        "display-message",
                                        "start-date",
                                        "end-date",
                                        "level",
                                        "page",
                                        "page-size",
                                        "isDescending",
                                        NULL};
    const char *const *values = search->query.values;

    search->account = account;
    return query_read(query, NAMES, &search->query, out) &&
           page_read(values[SEARCH_PAGE], values[SEARCH_PAGE_SIZE], values[SEARCH_IS_DESCENDING],
                     &search->page, out) &&
           level_read(values[SEARCH_LEVEL], &search->merchant_level, out) &&
           date_read(values[SEARCH_START_DATE], "start-date", 0, &search->start_us, out) &&
           date_read(values[SEARCH_END_DATE], "end-date", INT64_MAX, &search->end_us, out) &&
           choices_read(search, out);
}

static bool same(const char *wanted, const char *found)
{
    return wanted == NULL || (found != NULL && strcasecmp(wanted, found) == 0);
}

static bool exact(const char *wanted, const char *found)
{
    return wanted == NULL || (found != NULL && strcmp(wanted, found) == 0);
}

static bool fits(const struct search *search, uint32_t place)
{
    const char *const *values = search->query.values;
    const struct row *row = row_at(place);
    int64_t amount_minor = row->shown_minor >= 0 ? row->shown_minor : row->amount_minor;

    if (row->hidden || !account_shares(row->account, search->account, search->merchant_level) ||
        row->created_us < search->start_us || row->created_us > search->end_us) {
        return false;
    }
    if ((search->type != OP_COUNT && search->type != row->type) ||
        (search->amount_minor >= 0 && search->amount_minor != amount_minor)) {
        return false;
    }
    return exact(values[SEARCH_INVOICE], row->invoice) &&
           exact(values[SEARCH_ORDER_ID], row->order_id) &&
           exact(values[SEARCH_LAST_FOUR], row->last_four) &&
           exact(values[SEARCH_AUTHORIZATION_CODE], row->auth_code) &&
           same(values[SEARCH_STATUS], row->approved ? "APPROVED" : "DECLINED") &&
           same(values[SEARCH_DISPLAY_MESSAGE], result_code(row->code)->words);
}

static void found_add(struct found *found, uint32_t place)
{
    if (found->count == found->room) {
        found->room = found->room == 0 ? 16 : found->room * 2;
        found->places = realloc(found->places, found->room * sizeof *found->places);
        if (found->places == NULL) {
            abort();
        }
    }
    found->places[found->count++] = place;
}

/* The next candidate, newest first, by the narrowest index the parameters allow. */
static uint32_t candidate(const struct search *search, uint32_t after)
{
    const char *const *values = search->query.values;

    if (values[SEARCH_ID] != NULL) {
        return after == ROW_NONE ? row_by_id(values[SEARCH_ID]) : ROW_NONE;
    }
    if (values[SEARCH_INVOICE] != NULL) {
        return row_next_by_invoice(values[SEARCH_INVOICE], after);
    }
    if (values[SEARCH_ORDER_ID] != NULL) {
        return row_next_by_order(values[SEARCH_ORDER_ID], after);
    }
    if (after == ROW_NONE) {
        return row_count() - 1; /* ROW_NONE when there are no rows */
    }
    return after == 0 ? ROW_NONE : after - 1;
}

static void find(const struct search *search, const struct fault_hit *hit, struct found *found)
{
    int64_t now_us = clock_now_us();
    int64_t newest_us = now_us - settings.search_lag_ms * INT64_C(1000);
    int64_t oldest_us = now_us - HORIZON_US;

    if (hit != NULL &&
        (hit->effect == FAULT_NOT_FOUND || hit->effect == FAULT_NOT_FOUND_THEN_FOUND)) {
        return;
    }
    if (hit != NULL && hit->effect == FAULT_SEARCH_LAG) {
        newest_us = now_us - hit->delay_ms * 1000;
    }
    oldest_us = search->start_us > oldest_us ? search->start_us : oldest_us;
    for (uint32_t i = candidate(search, ROW_NONE); i != ROW_NONE; i = candidate(search, i)) {
        const struct row *row = row_at(i);

        if (row->created_us < oldest_us) {
            break;
        }
        if (row->created_us <= newest_us && fits(search, i)) {
            found_add(found, i);
        }
    }
}

static void nothing_found(struct answer *answer)
{
    if (settings.not_found == NOT_FOUND_404) {
        answer_error(answer, CODE_NOTHING_FOUND, NULL);
        return;
    }
    answer_replace(answer, 204, NULL, "");
}

static void write_row(struct answer *answer, uint32_t place, const struct fault_hit *hit,
                      bool first)
{
    struct view view = view_of(place);

    view_change(&view, hit);
    text_add(&answer->body, ",", first ? 0 : 1);
    view_write(&answer->body, &view);
    if (hit != NULL && hit->effect == FAULT_TWO_ROWS) {
        view.id = row_id(row_count() + 7000 + place % 1000);
        text_add(&answer->body, ",", 1);
        view_write(&answer->body, &view);
    }
}

void search_answer(const struct search *search, const struct fault_hit *hit, struct answer *answer)
{
    struct page page = search->page;
    struct found found = {0};
    size_t first, shown = 0;
    bool last;

    find(search, hit, &found);
    if (found.count == 0 && settings.not_found != NOT_FOUND_EMPTY_LIST) {
        nothing_found(answer);
        return;
    }
    first = hit != NULL && hit->effect == FAULT_PAGE_REPEATED && page.number > 0
                ? (page.number - 1) * page.size
                : page.number * page.size;
    answer_begin(answer, 200, true, 0);
    text_puts(&answer->body,
              "{\"payloadType\":\"transactions\",\"transactions\":{\"transaction\":[");
    for (size_t i = first; i < found.count && shown < page.size; i++, shown++) {
        write_row(answer, found.places[page.descending ? i : found.count - 1 - i], hit, shown == 0);
    }
    text_puts(&answer->body, "]}}");
    last = first + shown >= found.count || (hit != NULL && hit->effect == FAULT_WRONG_PAGE_END);
    page_write(&answer->body, &page, shown, found.count, last);
    answer_end(answer);
    free(found.places);
}
