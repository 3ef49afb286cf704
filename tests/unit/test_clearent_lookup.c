/* links: gatewayd */
/* Clearent's searches: the questions byte for byte, and what their answers prove. */
#include "tests/unit/clearent_unit.h"

#include <curl/curl.h>

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

static struct lookup_request question(enum connector_operation operation, int step)
{
    return (struct lookup_request){.operation = operation,
                                   .ref = REF,
                                   .step = step,
                                   .amount_minor = 8000,
                                   .currency = "USD",
                                   .last_four = "1111",
                                   .sent_at = 1795442400, /* 2026-11-23 14:00:00 UTC */
                                   .closed_at = 1795442475,
                                   .credential = key,
                                   .base_url = BASE_URL};
}

static void expect_get(struct error *e, struct http_request *built, const char *path)
{
    assert_null(e);
    assert_string_equal(built->method, "GET");
    assert_string_equal(built->url, text(BASE_URL "%s", path));
    assert_string_equal(secret_expose(built->secret_header), "api-key: test-key");
    assert_null(built->body);
    assert_false(built->money);
    assert_int_equal(built->timeout_ms, 30000);
    http_request_free(built);
}

static void questions_byte_for_byte(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/rest/v2/transactions?invoice=" REF "&level=merchant",
        "/rest/v2/transactions?order-id=" REF,
        "/rest/v2/transactions?last-four=1111&amount=80.00&start-date=2026-11-23%2013%3A45%20UTC"
        "&end-date=2026-11-23%2014%3A17%20UTC&level=merchant&page-size=100",
    };
    struct http_request *built = NULL;
    assert_int_equal(clearent_connector.lookup_steps, 2);
    assert_int_equal(clearent_connector.fallback_step, 2);
    for (int step = 0; step < 3; step++) {
        struct lookup_request request = question(OPERATION_SALE, step);
        struct error *e = clearent_connector.build_lookup(&request, &built);
        expect_get(e, built, paths[step]);
    }
    struct lookup_request odd = question(OPERATION_SALE, 0);
    odd.ref = "a b&c=%\xc3\xa9/+";
    struct error *e = clearent_connector.build_lookup(&odd, &built);
    expect_get(e, built,
               "/rest/v2/transactions?invoice=a%20b%26c%3D%25%C3%A9%2F%2B&level=merchant");
    struct original_request original = {
        .follows = "117834254", .currency = "USD", .credential = key, .base_url = BASE_URL};
    e = clearent_connector.build_original(&original, &built);
    expect_get(e, built, "/rest/v2/transactions?id=117834254&level=merchant");
    char ref[2100];
    memset(ref, 'A', sizeof ref - 1);
    ref[sizeof ref - 1] = '\0';
    odd.ref = ref;
    e = clearent_connector.build_lookup(&odd, &built);
    assert_string_equal(e->code, "url_too_long");
    assert_null(built);
    error_free(e);
}

static struct lookup_outcome look(enum connector_operation operation, int step,
                                  struct http_result result)
{
    struct lookup_request request = question(operation, step);
    struct lookup_outcome out;
    memset(&out, 0xA5, sizeof out);
    clearent_connector.parse_lookup(&request, &result, &out);
    assert_string_equal(out.next, "");
    return out;
}

static struct lookup_outcome look_at(const char *rows)
{
    return look(OPERATION_SALE, 0, answered(200, transactions(rows)));
}

static void expect(struct lookup_outcome out, enum lookup lookup, bool alarm)
{
    if (out.lookup != lookup || out.alarm != alarm) {
        fail_msg("%s (alarm %d) instead of %s", lookup_name(out.lookup), out.alarm,
                 lookup_name(lookup));
    }
}

#define SALE(id, result, code, amount) row(id, "SALE", result, code, amount, "")
#define CHILD(id, type, follows)                                                                   \
    text("{\"id\":\"%s\",\"type\":\"%s\",\"result\":\"APPROVED\",\"result-code\":\"000\","         \
         "\"amount\":\"80.00\",\"ref-id\":\"%s\",\"invoice\":\"" OTHER_REF "\"}",                  \
         id, type, follows)

static void one_row(void **state)
{
    (void)state;
    struct lookup_outcome out = look_at(SALE("9", "APPROVED", "000", "80.00"));
    expect(out, LOOKUP_APPROVED, false);
    assert_int_equal(out.found.outcome, OUTCOME_APPROVED);
    assert_string_equal(out.found.processor_id, "9");
    assert_int_equal(out.found.approved_minor, 8000);
    assert_string_equal(out.found.request_id, "ID-1");
    out = look_at(SALE("9", "DECLINED", "012", "80.00"));
    expect(out, LOOKUP_DECLINED, false);
    assert_int_equal(out.found.outcome, OUTCOME_DECLINED);
    assert_string_equal(out.found.reason, "NO_FUNDS");
    out = look_at(SALE("9", "DECLINED", "058", "80.00"));
    expect(out, LOOKUP_DECLINED, false);
    assert_string_equal(out.found.reason, "ISSUER_DOWN");
    expect(look_at(SALE("9", "DECLINED", "045", "80.00")), LOOKUP_PENDING, false);
    expect(look_at(SALE("9", "PENDING", "000", "80.00")), LOOKUP_PENDING, false);
    expect(look_at(SALE("9", "APPROVED", "031", "80.00")), LOOKUP_PENDING, false);
    expect(look_at(SALE("9", "SOMETHING", "000", "80.00")), LOOKUP_PENDING, false);
    expect(look_at(row("9", "SALE", "APPROVED", "000", "80.00", ",\"status\":\"Voided\"")),
           LOOKUP_REVERSED, false);
    expect(look_at(SALE("", "APPROVED", "000", "80.00")), LOOKUP_UNCLEAR, false);
    expect(look_at(row("9", "REFUND", "APPROVED", "000", "80.00", "")), LOOKUP_UNCLEAR, true);
}

static void amount_or_card_differ(void **state)
{
    (void)state;
    struct lookup_outcome out = look_at(SALE("9", "APPROVED", "000", "50.00"));
    expect(out, LOOKUP_PARTIAL, true);
    assert_true(out.found.partial);
    assert_int_equal(out.found.approved_minor, 5000);
    assert_string_equal(out.found.processor_id, "9");
    assert_int_equal(out.standing_count, 1);
    /* with another charge beside it, it is a person's matter; both are named */
    out = look_at(text("%s,%s", SALE("9", "APPROVED", "000", "50.00"),
                       SALE("10", "APPROVED", "000", "80.00")));
    expect(out, LOOKUP_MISMATCH, true);
    assert_int_equal(out.standing_count, 2);
    assert_string_equal(out.standing[0].id, "9");
    assert_string_equal(out.standing[1].id, "10");
    assert_int_equal(out.standing[0].amount_minor, 5000);
    assert_int_equal(out.standing[1].amount_minor, 8000);
    out = look_at(SALE("9", "APPROVED", "000", "90.00"));
    expect(out, LOOKUP_MISMATCH, true);
    assert_false(out.found.partial);
    expect(look_at("{\"id\":\"9\",\"type\":\"SALE\",\"result\":\"APPROVED\",\"result-code\":0,"
                   "\"amount\":\"80.00\",\"card\":\"4242\",\"invoice\":\"" REF "\"}"),
           LOOKUP_MISMATCH, true);
    expect(look_at("{\"id\":\"9\",\"type\":\"SALE\",\"result\":\"APPROVED\",\"result-code\":0,"
                   "\"amount\":\"80.00\",\"card\":\"1111\",\"invoice\":\"" REF
                   "\",\"order-id\":\"" OTHER_REF "\"}"),
           LOOKUP_UNCLEAR, true);
}

static void several_rows(void **state)
{
    (void)state;
    const char *a = SALE("9", "APPROVED", "000", "80.00");
    const char *later = text("{\"id\":\"8\",\"created\":\"2026-11-23 15:00:00.000\",\"type\":"
                             "\"SALE\",\"result\":\"APPROVED\",\"result-code\":\"000\",\"amount\":"
                             "\"80.00\",\"card\":\"1111\",\"invoice\":\"" REF "\"}");
    struct lookup_outcome out = look_at(text("%s,%s", later, a));
    expect(out, LOOKUP_SEVERAL, true);
    assert_int_equal(out.standing_count, 2);
    assert_string_equal(out.standing[0].id, "9");
    assert_string_equal(out.standing[1].id, "8");
    assert_string_equal(out.found.processor_id, "9");
    out = look_at(text("%s,%s", SALE("10", "APPROVED", "000", "80.00"), a));
    expect(out, LOOKUP_SEVERAL, true); /* the same time: by id */
    assert_string_equal(out.standing[0].id, "9");
    expect(look_at(text("%s,%s", a, a)), LOOKUP_APPROVED, false); /* one row, shown twice */
    expect(look_at(text("%s,%s", a, SALE("7", "DECLINED", "012", "80.00"))), LOOKUP_APPROVED,
           false);
    expect(look_at(text("%s,%s", a, SALE("7", "PENDING", "000", "80.00"))), LOOKUP_PENDING, true);
    expect(look_at(text("%s,%s", a, SALE("7", "APPROVED", "000", "81.00"))), LOOKUP_MISMATCH, true);
    const char *twelve = "";
    for (int i = 12; i > 0; i--) {
        twelve = text("%s%s{\"id\":%d,\"type\":\"SALE\",\"result\":\"APPROVED\",\"result-code\":0,"
                      "\"amount\":\"80.00\",\"card\":\"1111\",\"invoice\":\"" REF "\"}",
                      twelve, twelve[0] != '\0' ? "," : "", i);
    }
    out = look_at(twelve);
    expect(out, LOOKUP_SEVERAL, true);
    assert_int_equal(out.standing_count, CONNECTOR_SEVERAL_MAX);
    assert_true(out.more);
    assert_string_equal(out.standing[0].id, "1");
    assert_string_equal(out.standing[7].id, "8");
}

static void voided_rows(void **state)
{
    (void)state;
    const char *a = SALE("9", "APPROVED", "000", "80.00");
    struct lookup_outcome out = look_at(text("%s,%s", a, CHILD("11", "VOID", "9")));
    expect(out, LOOKUP_REVERSED, false);
    assert_string_equal(out.reversal_id, "11");
    assert_string_equal(out.found.processor_id, "9");
    expect(look_at(text("%s,%s", a, CHILD("11", "VOID", "8"))), LOOKUP_APPROVED, false);
    out = look_at(
        text("%s,%s,%s", a, SALE("10", "APPROVED", "000", "80.00"), CHILD("11", "VOID", "9")));
    expect(out, LOOKUP_APPROVED, true); /* one of two was voided */
    assert_string_equal(out.found.processor_id, "10");
    out = look(OPERATION_VOID, 0,
               answered(200, transactions(row("11", "VOID", "APPROVED", "000", "80.00",
                                              ",\"ref-id\":\"9\",\"status\":\"Voided\""))));
    expect(out, LOOKUP_APPROVED, false);
    assert_int_equal(out.found.approved_minor, 8000);
}

static void not_found(void **state)
{
    (void)state;
    static const struct {
        long status;
        const char *body;
        enum lookup lookup;
    } rows[] = {
        {204, "", LOOKUP_ABSENT},        {204, " ", LOOKUP_UNCLEAR},      {200, "", LOOKUP_UNCLEAR},
        {200, "{}", LOOKUP_UNCLEAR},     {200, "<html>", LOOKUP_UNCLEAR}, {404, "", LOOKUP_UNCLEAR},
        {404, "<html>", LOOKUP_UNCLEAR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(look(OPERATION_SALE, 0, answered(rows[i].status, rows[i].body)), rows[i].lookup,
               false);
    }
    static const struct {
        const char *payload;
        enum lookup lookup;
    } payloads[] = {
        {"\"payloadType\":\"transactions\",\"transactions\":{\"transaction\":[]}", LOOKUP_ABSENT},
        {"\"payloadType\":\"transactions\",\"transactions\":{}", LOOKUP_ABSENT},
        {"\"payloadType\":\"transactions\",\"transactions\":[]", LOOKUP_ABSENT},
        {"\"payloadType\":\"transactions\",\"transactions\":null", LOOKUP_ABSENT},
        {"\"payloadType\":\"transactions\",\"page\":{\"total-elements\":\"0\"}", LOOKUP_ABSENT},
        {"\"payloadType\":\"transactions\"", LOOKUP_UNCLEAR},
        {"\"payloadType\":\"batches\",\"transactions\":[]", LOOKUP_UNCLEAR},
        {"\"transactions\":[]", LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":\"none\"", LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":[1]", LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":{\"rows\":[]}", LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":[],\"error\":{}", LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":[],\"page\":{\"total-elements\":1}",
         LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":[],\"page\":{\"last\":false}",
         LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":[],\"page\":{\"number-of-elements\":1}",
         LOOKUP_UNCLEAR},
        {"\"payloadType\":\"transactions\",\"transactions\":[],\"page\":7", LOOKUP_UNCLEAR},
    };
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        struct http_result result = answered(200, success(payloads[i].payload));
        expect(look(OPERATION_SALE, 1, result), payloads[i].lookup, false);
        expect(look(OPERATION_SALE, 2, result), LOOKUP_UNCLEAR, false);
    }
    expect(look(OPERATION_SALE, 0, answered(404, failure(404, "082", "x"))), LOOKUP_ABSENT, false);
    expect(look(OPERATION_SALE, 1, answered(404, failure(404, "0091", "x"))), LOOKUP_ABSENT, false);
    expect(look(OPERATION_SALE, 0, answered(404, failure(404, "027", "x"))), LOOKUP_UNCLEAR, false);
    expect(look(OPERATION_SALE, 0, answered(404, failure(400, "082", "x"))), LOOKUP_UNCLEAR, false);
    expect(look(OPERATION_SALE, 0, answered(400, failure(400, "082", "x"))), LOOKUP_UNCLEAR, false);
    expect(look(OPERATION_SALE, 0, answered(401, failure(401, "042", "x"))), LOOKUP_UNCLEAR, true);
    expect(look(OPERATION_SALE, 0, answered(500, failure(500, "082", "x"))), LOOKUP_UNCLEAR, false);
    struct http_result lost = answered(200, transactions(""));
    lost.curl_code = CURLE_PARTIAL_FILE;
    expect(look(OPERATION_SALE, 0, lost), LOOKUP_UNCLEAR, false);
}

/* A search that ignored our filter has not said 'not found'. */
static void foreign_rows(void **state)
{
    (void)state;
    const char *foreign = CHILD("12", "SALE", "1");
    expect(look_at(foreign), LOOKUP_UNCLEAR, false);
    expect(look_at(text("%s,%s", foreign, SALE("9", "APPROVED", "000", "80.00"))), LOOKUP_APPROVED,
           false);
    expect(
        look(OPERATION_SALE, 2, answered(200, transactions(SALE("9", "APPROVED", "000", "80.00")))),
        LOOKUP_APPROVED, false);
    expect(look_at("{}"), LOOKUP_UNCLEAR, false);
}

static struct original_outcome original_of(struct http_result result)
{
    struct original_request request = {.follows = "9", .currency = "USD"};
    struct original_outcome out;
    memset(&out, 0xA5, sizeof out);
    clearent_connector.parse_original(&request, &result, &out);
    return out;
}

static struct original_outcome original_at(const char *rows)
{
    return original_of(answered(200, transactions(rows)));
}

static void originals(void **state)
{
    (void)state;
    const char *a = row("9", "SALE", "APPROVED", "000", "80.00", ",\"batch-string-id\":\"297\"");
    struct original_outcome out = original_at(text("%s,%s", a, CHILD("12", "REFUND", "9")));
    assert_int_equal(out.original, ORIGINAL_LIVE);
    assert_string_equal(out.batch, "297");
    assert_int_equal(out.refunded_minor, 8000);
    assert_int_equal(out.captured_minor, 0);
    out = original_at(text("%s,%s,%s", a, CHILD("12", "CAPTURE", "9"), CHILD("13", "VOID", "8")));
    assert_int_equal(out.original, ORIGINAL_LIVE);
    assert_int_equal(out.captured_minor, 8000);
    out = original_at(text("%s,%s", a, CHILD("12", "VOID", "9")));
    assert_int_equal(out.original, ORIGINAL_VOIDED);
    assert_string_equal(out.void_id, "12");
    assert_string_equal(out.void_ref, OTHER_REF);
    out = original_at(text("%s,{\"id\":\"4111111111111111\",\"type\":\"VOID\",\"result\":"
                           "\"APPROVED\",\"ref-id\":\"9\",\"invoice\":\"4111111111111111\"}",
                           a));
    assert_int_equal(out.original, ORIGINAL_VOIDED);
    assert_string_equal(out.void_id, ""); /* a card's number is no id */
    assert_string_equal(out.void_ref, "");
    out = original_at(row("9", "SALE", "APPROVED", "000", "80.00", ",\"status\":\"VOIDED\""));
    assert_int_equal(out.original, ORIGINAL_VOIDED);
    assert_string_equal(out.void_id, "");
    static const struct {
        const char *more;
        enum original original;
    } rows[] = {{",\"settled\":\"true\"", ORIGINAL_SETTLED},
                {",\"settled\":true", ORIGINAL_SETTLED},
                {",\"settled\":\"2026-11-23T19:48:04.993Z\"", ORIGINAL_SETTLED},
                {",\"status\":\"Settled\"", ORIGINAL_SETTLED},
                {",\"settled\":\"false\"", ORIGINAL_LIVE},
                {",\"settled\":false", ORIGINAL_LIVE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        out = original_at(row("9", "SALE", "APPROVED", "000", "80.00", rows[i].more));
        assert_int_equal(out.original, rows[i].original);
    }
    assert_int_equal(original_at("").original, ORIGINAL_ABSENT);
    assert_int_equal(original_at(CHILD("12", "REFUND", "9")).original, ORIGINAL_UNCLEAR);
    assert_int_equal(original_at(SALE("9", "DECLINED", "012", "80.00")).original, ORIGINAL_UNCLEAR);
    assert_int_equal(original_of(answered(204, "")).original, ORIGINAL_ABSENT);
    assert_int_equal(original_of(answered(500, "")).original, ORIGINAL_UNCLEAR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_byte_for_byte),
        cmocka_unit_test(one_row),
        cmocka_unit_test(amount_or_card_differ),
        cmocka_unit_test(several_rows),
        cmocka_unit_test(voided_rows),
        cmocka_unit_test(not_found),
        cmocka_unit_test(foreign_rows),
        cmocka_unit_test(originals),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
