/* links: gatewayd */
/* Clearent's batches and day lists: requests byte for byte, answers of every shape. */
#include "tests/unit/clearent_unit.h"

#include "daemons/gatewayd/clearent/clearent.h"

static struct secret *key;

static int start(void **state)
{
    (void)state;
    struct error *e = secret_memory_start(1 << 16);
    assert_null(e);
    key = secret_new("test-key", 8);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    secret_free(key);
    return 0;
}

static struct batch_request batch_question(void)
{
    return (struct batch_request){.batch = "101",
                                  .currency = "USD",
                                  .from_utc = 1795442459, /* 2026-11-23 14:00:59 */
                                  .to_utc = 1795528801,   /* 2026-11-24 14:00:01 */
                                  .page = 3,
                                  .credential = key,
                                  .base_url = BASE_URL};
}

static void requests_byte_for_byte(void **state)
{
    (void)state;
    struct batch_request request = batch_question();
    struct http_request *built = NULL;
    struct error *e = clearent_connector.build_open_batch(&request, &built);
    assert_null(e);
    assert_string_equal(built->method, "GET");
    assert_string_equal(built->url, BASE_URL "/rest/v2/batches/open");
    assert_false(built->money);
    http_request_free(built);
    e = clearent_connector.build_close_batch(&request, &built);
    assert_null(e);
    assert_string_equal(built->method, "PUT");
    assert_string_equal(built->url, BASE_URL "/rest/v2/batches/open");
    assert_string_equal(secret_expose(built->body), "{}");
    assert_string_equal(secret_expose(built->secret_header), "api-key: test-key");
    assert_true(built->money); /* never sent twice by itself */
    http_request_free(built);
    e = clearent_connector.build_batches(&request, &built);
    assert_null(e);
    assert_string_equal(built->url,
                        BASE_URL "/rest/v2/batches?start-date=2026-11-23%2014%3A00%20UTC&end-date="
                                 "2026-11-24%2014%3A01%20UTC&page=3&page-size=100");
    http_request_free(built);
    struct list_request list = {.from_utc = 1795442400,
                                .to_utc = 1795528800,
                                .page = 0,
                                .currency = "USD",
                                .credential = key,
                                .base_url = BASE_URL};
    e = clearent_connector.build_list(&list, &built);
    assert_null(e);
    assert_string_equal(built->method, "GET");
    assert_string_equal(built->url,
                        BASE_URL "/rest/v2/transactions?start-date=2026-11-23%2014%3A00%20UTC"
                                 "&end-date=2026-11-24%2014%3A00%20UTC&level=merchant&page=0"
                                 "&page-size=100&isDescending=false");
    http_request_free(built);
}

static struct batch_outcome batch_of(struct http_result result)
{
    struct batch_request request = batch_question();
    struct batch_outcome out;
    memset(&out, 0xA5, sizeof out);
    clearent_connector.parse_batch(&request, &result, &out);
    return out;
}

#define TOTALS                                                                                     \
    "\"sales-count\":\"32\",\"sales-total\":\"9000.00\",\"refund-count\":\"2\",\"refund-total\":"  \
    "\"200.00\",\"net-amount\":\"8800.00\",\"total-count\":\"34\""

static const char *batch(const char *id, const char *status, const char *totals)
{
    return text("{\"id\":\"%s\",\"status\":\"%s\",\"confirmation-code\":\"00039999\",\"settled\":"
                "\"2020-05-02T19:48:04.993Z\",%s}",
                id, status, totals);
}

static struct batch_outcome one_batch(const char *one)
{
    return batch_of(answered(200, success(text("\"payloadType\":\"batch\",\"batch\":%s", one))));
}

static void a_batch_is_read(void **state)
{
    (void)state;
    struct batch_outcome out = one_batch(batch("00101", "CLOSED", TOTALS));
    assert_int_equal(out.state, BATCH_CLOSED);
    assert_string_equal(out.id, "00101");
    assert_string_equal(out.confirmation_code, "00039999");
    assert_string_equal(out.settled_at, "2020-05-02T19:48:04.993Z");
    assert_string_equal(out.request_id, "ID-1");
    assert_int_equal(out.sales_count, 32);
    assert_int_equal(out.sales_minor, 900000);
    assert_int_equal(out.refund_count, 2);
    assert_int_equal(out.refund_minor, 20000);
    assert_int_equal(out.net_minor, 880000);
    assert_int_equal(out.total_count, 34);
    assert_true(out.totals_known);
    assert_false(out.alarm);
    static const struct {
        const char *status;
        enum batch_state state;
    } states[] = {{"OPEN", BATCH_OPEN},     {"Pending", BATCH_PENDING}, {"closed", BATCH_CLOSED},
                  {"FAILED", BATCH_FAILED}, {"OTHER", BATCH_UNCLEAR},   {"", BATCH_UNCLEAR}};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        assert_int_equal(one_batch(batch("1", states[i].status, TOTALS)).state, states[i].state);
    }
    out = one_batch("{\"id\":7,\"status\":\"OPEN\",\"sales_count\":1,\"sales_total\":\"5.00\","
                    "\"refund_count\":0,\"refund_total\":\"0.00\",\"net_amount\":\"5.00\","
                    "\"total_count\":1}");
    assert_true(out.totals_known); /* underscored twins, numbers */
    assert_int_equal(out.net_minor, 500);
    out = one_batch(batch("1", "OPEN",
                          "\"sales-count\":\"1\",\"sales-total\":\"5.00\","
                          "\"refund-count\":\"0\",\"refund-total\":\"0.00\","
                          "\"net-amount\":\"4.00\",\"total-count\":\"1\""));
    assert_int_equal(out.state, BATCH_OPEN);
    assert_false(out.totals_known);
    assert_true(out.alarm); /* totals that do not add up */
    out = one_batch(batch("1", "OPEN", "\"net-amount\":\"4.00\""));
    assert_false(out.totals_known || out.alarm);
}

static void no_batch(void **state)
{
    (void)state;
    assert_int_equal(batch_of(answered(402, failure(402, "040", "x"))).state, BATCH_NONE);
    assert_int_equal(batch_of(answered(404, failure(404, "091", "x"))).state, BATCH_NONE);
    assert_int_equal(batch_of(answered(204, "")).state, BATCH_NONE);
    assert_int_equal(batch_of(answered(402, failure(402, "031", "x"))).state, BATCH_UNCLEAR);
    assert_int_equal(batch_of(answered(402, failure(400, "040", "x"))).state, BATCH_UNCLEAR);
    assert_int_equal(batch_of(answered(500, failure(500, "003", "x"))).state, BATCH_UNCLEAR);
    assert_int_equal(batch_of(answered(200, "")).state, BATCH_UNCLEAR);
    assert_int_equal(batch_of(answered(200, success("\"payloadType\":\"batch\""))).state,
                     BATCH_UNCLEAR);
    assert_int_equal(one_batch("{\"status\":\"OPEN\"}").state, BATCH_UNCLEAR);
    struct http_result lost = answered(200, "");
    lost.curl_code = 52;
    assert_int_equal(batch_of(lost).state, BATCH_UNCLEAR);
    assert_true(batch_of(answered(401, failure(401, "042", "x"))).alarm);
}

static struct batch_outcome batches_of(const char *rows, const char *page)
{
    struct batch_request request = batch_question();
    struct http_result result = answered(
        200,
        success(text("\"payloadType\":\"batches\",\"batches\":{\"batch\":[%s]}%s", rows, page)));
    struct batch_outcome out;
    memset(&out, 0xA5, sizeof out);
    clearent_connector.parse_batches(&request, &result, &out);
    return out;
}

static void the_closed_batch_is_found_again(void **state)
{
    (void)state;
    const char *last = ",\"page\":{\"last\":true}";
    const char *more = ",\"page\":{\"last\":\"false\"}";
    const char *ours = batch("00101", "CLOSED", TOTALS);
    const char *other = batch("00102", "OPEN", TOTALS);
    struct batch_outcome out = batches_of(text("%s,%s", other, ours), more);
    assert_int_equal(out.state, BATCH_CLOSED);
    assert_string_equal(out.id, "00101");
    assert_false(out.last);
    out = batches_of(other, last);
    assert_int_equal(out.state, BATCH_NONE);
    assert_true(out.last);
    out = batches_of(other, more);
    assert_int_equal(out.state, BATCH_NONE);
    assert_false(out.last);
    out = batches_of("", "");
    assert_true(out.last);
    assert_int_equal(batches_of(text("%s,%s", ours, ours), last).state, BATCH_UNCLEAR);
    assert_int_equal(batches_of("{\"status\":\"CLOSED\"}", last).state, BATCH_UNCLEAR);
}

static struct error *list_of_rows(const char *rows, const char *page, struct processor_list *out)
{
    const struct list_request request = {.currency = "USD", .page = 4};
    struct http_result result = answered(
        200, success(text("\"payloadType\":\"transactions\",\"transactions\":{\"transaction\":[%s]"
                          "}%s",
                          rows, page)));
    memset(out, 0xA5, sizeof *out);
    return clearent_connector.parse_list(&request, &result, out);
}

static void a_day_is_listed(void **state)
{
    (void)state;
    const char *sale = row("9", "SALE", "APPROVED", "000", "80.00",
                           ",\"authorization-code\":\"A1\",\"batch-string-id\":297,"
                           "\"settled\":\"true\"");
    const char *foreign = "{\"id\":12,\"type\":\"Refund\",\"result\":\"Approved\",\"amount\":"
                          "\"5.00\",\"ref-id\":9,\"invoice\":\"by hand\",\"card\":\"4242\"}";
    const char *voided = row("13", "AUTH", "APPROVED", "000", "1.00", ",\"status\":\"VOIDED\"");
    const char *declined = row("14", "SALE", "DECLINED", "012", "1.00", "");
    const char *other = "{\"id\":\"15\",\"type\":\"TOKEN ONLY\",\"result\":\"PENDING\"}";
    struct processor_list list;
    struct error *e = list_of_rows(text("%s,%s,%s,%s,%s", sale, foreign, voided, declined, other),
                                   ",\"page\":{\"last\":true}", &list);
    assert_null(e);
    assert_true(list.last);
    assert_int_equal(list.count, 5);
    const struct processor_item *item = &list.items[0];
    assert_string_equal(item->id, "9");
    assert_string_equal(item->ref, REF);
    assert_string_equal(item->currency, "USD");
    assert_string_equal(item->last_four, "1111");
    assert_string_equal(item->batch, "297");
    assert_string_equal(item->created, "2026-11-23 14:53:24.148");
    assert_string_equal(item->authorisation_code, "A1");
    assert_int_equal(item->kind, ITEM_SALE);
    assert_int_equal(item->result, ITEM_APPROVED);
    assert_int_equal(item->amount_minor, 8000);
    assert_true(item->settled);
    item++;
    assert_string_equal(item->id, "12");
    assert_string_equal(item->ref, "");
    assert_string_equal(item->follows, "9");
    assert_int_equal(item->kind, ITEM_REFUND);
    assert_int_equal(item->amount_minor, 500);
    assert_false(item->settled);
    assert_int_equal(list.items[2].result, ITEM_VOIDED);
    assert_int_equal(list.items[3].result, ITEM_DECLINED);
    assert_int_equal(list.items[4].result, ITEM_UNFINISHED);
    assert_int_equal(list.items[4].kind, ITEM_OTHER);
    processor_list_clear(&list);
}

static void an_unreadable_row_is_never_skipped(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{\"type\":\"SALE\",\"amount\":\"1.00\"}",
        "{\"id\":\"1\",\"type\":\"SALE\"}",
        "{\"id\":\"1\",\"type\":\"SALE\",\"amount\":\"1.001\"}",
        "{\"id\":\"1\",\"type\":\"TIP\",\"amount\":\"x\"}",
        "{\"id\":\"1\",\"type\":\"VOID\",\"ref-id\":{}}",
        "{\"id\":\"4111111111111111\",\"type\":\"SALE\",\"amount\":\"1.00\"}",
        "7",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct processor_list list;
        struct error *e = list_of_rows(rows[i], "", &list);
        assert_non_null(e);
        assert_string_equal(e->code, "list_unclear");
        assert_null(list.items);
        assert_int_equal(list.count, 0);
        error_free(e);
    }
}

/* Longer than what text() holds. */
static const char *long_text(const char *before, const char *rows, const char *after)
{
    static char whole[CONNECTOR_PAGE_ROWS_MAX * 300 + 200];
    int n = snprintf(whole, sizeof whole, "%s%s%s", before, rows, after);
    assert_in_range(n, 0, (int)sizeof whole - 1);
    return whole;
}

/* gatewayd hands a page on in one message that has room for so many rows. */
static void more_rows_than_a_page_holds(void **state)
{
    (void)state;
    static char rows[CONNECTOR_PAGE_ROWS_MAX * 300];
    for (int count = CONNECTOR_PAGE_ROWS_MAX; count <= CONNECTOR_PAGE_ROWS_MAX + 1; count++) {
        size_t n = 0;
        for (int i = 1; i <= count; i++) {
            n += (size_t)snprintf(rows + n, sizeof rows - n,
                                  "%s{\"id\":%d,\"type\":\"SALE\",\"amount\":\"1.00\"}",
                                  i > 1 ? "," : "", i);
        }
        struct http_result result =
            answered(200, long_text("{\"code\":200,\"status\":\"success\",\"payload\":{"
                                    "\"payloadType\":\"transactions\",\"transactions\":[",
                                    rows, "]}}"));
        struct list_request request = {.currency = "USD"};
        struct processor_list list;
        struct error *e = clearent_connector.parse_list(&request, &result, &list);
        assert_int_equal(error_is(e, "list_unclear"), count > CONNECTOR_PAGE_ROWS_MAX);
        assert_int_equal(list.count, count > CONNECTOR_PAGE_ROWS_MAX ? 0 : count);
        error_free(e);
        processor_list_clear(&list);
    }
}

/* Where a time, a code or an id should be, a processor may print anything. */
static void a_card_number_gets_nowhere(void **state)
{
    (void)state;
    struct batch_outcome out =
        one_batch("{\"id\":\"7\",\"status\":\"CLOSED\",\"settled\":\"4111 1111 1111 1111\","
                  "\"confirmation-code\":\"4111111111111111\"}");
    assert_string_equal(out.settled_at, "*");
    assert_string_equal(out.confirmation_code, "*");
    struct processor_list list;
    struct error *e = list_of_rows("{\"id\":\"1\",\"type\":\"SALE\",\"amount\":\"1.00\","
                                   "\"card\":\"1111\",\"created\":\"by 4111111111111111\"}",
                                   "", &list);
    assert_null(e);
    assert_string_equal(list.items[0].created, "by *");
    processor_list_clear(&list);
    e = list_of_rows("{\"id\":\"1\",\"type\":\"VOID\",\"card\":\"1111\",\"ref-id\":"
                     "\"4111111111111111\"}",
                     "", &list);
    assert_true(error_is(e, "list_unclear"));
    error_free(e);
}

static void pages_end(void **state)
{
    (void)state;
    const char *one = row("9", "SALE", "APPROVED", "000", "80.00", "");
    static const struct {
        const char *page;
        bool last;
    } pages[] = {{"", false},
                 {",\"page\":{\"last\":false}", false},
                 {",\"page\":{\"last\":\"true\"}", true},
                 {",\"page\":{\"total-elements\":\"1\"}", true},
                 {",\"page\":{\"total-elements\":\"2\"}", false}};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct processor_list list;
        struct error *e = list_of_rows(one, pages[i].page, &list);
        assert_null(e);
        assert_int_equal(list.last, pages[i].last);
        processor_list_clear(&list);
    }
    struct processor_list list;
    struct error *e = list_of_rows("", "", &list);
    assert_null(e);
    assert_true(list.last);
    processor_list_clear(&list);
}

static void repeated_rows_are_taken_once(void **state)
{
    (void)state;
    struct processor_list all = {0};
    struct processor_list page;
    const char *a = row("9", "SALE", "APPROVED", "000", "80.00", "");
    const char *b = row("10", "SALE", "APPROVED", "000", "80.00", "");
    struct error *e = list_of_rows(a, ",\"page\":{\"last\":false}", &page);
    assert_null(e);
    assert_int_equal(processor_list_take(&all, &page), 1);
    assert_int_equal(page.count, 0);
    assert_false(all.last);
    e = list_of_rows(text("%s,%s,%s", a, b, b), ",\"page\":{\"last\":true}", &page);
    assert_null(e);
    assert_int_equal(processor_list_take(&all, &page), 1);
    assert_int_equal(all.count, 2);
    assert_true(all.last);
    assert_string_equal(all.items[1].id, "10");
    processor_list_clear(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_byte_for_byte),
        cmocka_unit_test(a_batch_is_read),
        cmocka_unit_test(no_batch),
        cmocka_unit_test(the_closed_batch_is_found_again),
        cmocka_unit_test(a_day_is_listed),
        cmocka_unit_test(an_unreadable_row_is_never_skipped),
        cmocka_unit_test(more_rows_than_a_page_holds),
        cmocka_unit_test(a_card_number_gets_nowhere),
        cmocka_unit_test(pages_end),
        cmocka_unit_test(repeated_rows_are_taken_once),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
