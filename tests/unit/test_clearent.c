/* links: gatewayd */
/* Clearent's money requests byte for byte, and every way an answer can be read. */
#include "tests/unit/clearent_unit.h"

#include "daemons/gatewayd/clearent/clearent.h"
#include "daemons/gatewayd/clearent/clearent_code.h"
#include "daemons/gatewayd/decline.h"

static struct secret *key, *pan, *cvv;
static struct card card;

static int start(void **state)
{
    (void)state;
    struct error *e = secret_memory_start(1 << 16);
    assert_null(e);
    key = secret_new("test-key", 8);
    pan = secret_new("4111111111111111", 16);
    cvv = secret_new("999", 3);
    card = (struct card){.pan = pan,
                         .cvv = cvv,
                         .expiry = "1230",
                         .holder = "Ann Lee",
                         .street = "1 Main St",
                         .postal_code = "85284"};
    return 0;
}

static int stop(void **state)
{
    (void)state;
    secret_free(key);
    secret_free(pan);
    secret_free(cvv);
    return 0;
}

static struct money_request sale(void)
{
    return (struct money_request){.operation = OPERATION_SALE,
                                  .ref = REF,
                                  .amount_minor = 8000,
                                  .currency = "USD",
                                  .card = &card,
                                  .last_four = "1111",
                                  .description = "INV-1001",
                                  .customer = "C-88",
                                  .credential = key,
                                  .base_url = BASE_URL};
}

static struct money_request follow(enum connector_operation operation)
{
    struct money_request request = sale();
    request.operation = operation;
    request.card = NULL;
    request.follows = "117834254";
    request.description = NULL;
    request.customer = NULL;
    return request;
}

/* ---- requests ---- */

static void expect_request(const struct money_request *request, const char *path, const char *body)
{
    struct http_request *built = NULL;
    struct error *e = clearent_connector.build_money(request, &built);
    assert_null(e);
    assert_string_equal(built->method, "POST");
    assert_string_equal(built->url, text(BASE_URL "%s", path));
    assert_string_equal(built->headers[0], "Accept: application/json");
    assert_string_equal(built->headers[1], "Content-Type: application/json");
    assert_null(built->headers[2]);
    assert_string_equal(secret_expose(built->secret_header), "api-key: test-key");
    assert_string_equal(secret_expose(built->body), body);
    assert_true(built->money);
    assert_int_equal(built->timeout_ms, 75000);
    http_request_free(built);
}

#define TAIL                                                                                       \
    "\"invoice\":\"" REF "\",\"order-id\":\"" REF "\",%s\"software-type\":\"KometPayments\","      \
    "\"software-type-version\":\"1.0\",\"email-receipt\":\"false\""

static void requests_byte_for_byte(void **state)
{
    (void)state;
    struct money_request request = sale();
    const char *billing = ",\"billing\":{\"first-name\":\"Ann\",\"last-name\":\"Lee\","
                          "\"street\":\"1 Main St\",\"zip\":\"85284\"}}";
    const char *named = text(TAIL, "\"description\":\"INV-1001\",\"customer-id\":\"C-88\",");
    expect_request(&request, "/rest/v2/transactions/sale",
                   text("{\"type\":\"SALE\",\"amount\":\"80.00\",\"card\":\"4111111111111111\","
                        "\"exp-date\":\"1230\",\"csc\":\"999\",%s%s",
                        named, billing));
    request.operation = OPERATION_AUTH;
    expect_request(&request, "/rest/v2/transactions/auth",
                   text("{\"type\":\"AUTH\",\"amount\":\"80.00\",\"card\":\"4111111111111111\","
                        "\"exp-date\":\"1230\",\"csc\":\"999\",%s%s",
                        named, billing));
    static const struct {
        enum connector_operation operation;
        const char *type;
        const char *path;
    } follows[] = {{OPERATION_CAPTURE, "CAPTURE", "/rest/v2/transactions/capture"},
                   {OPERATION_VOID, "VOID", "/rest/v2/transactions/void"},
                   {OPERATION_REFUND, "REFUND", "/rest/v2/transactions/refund"}};
    for (size_t i = 0; i < 3; i++) {
        request = follow(follows[i].operation);
        request.amount_minor = 5;
        expect_request(&request, follows[i].path,
                       text("{\"type\":\"%s\",\"id\":\"117834254\",\"amount\":\"0.05\"," TAIL "}",
                            follows[i].type, ""));
    }
}

static void request_without_billing_and_code(void **state)
{
    (void)state;
    struct money_request request = sale();
    struct card bare = {.pan = pan, .expiry = "0131", .holder = "  ", .street = ""};
    request.card = &bare;
    request.description = NULL;
    request.customer = NULL;
    request.amount_minor = 123456789;
    expect_request(&request, "/rest/v2/transactions/sale",
                   text("{\"type\":\"SALE\",\"amount\":\"1234567.89\",\"card\":"
                        "\"4111111111111111\",\"exp-date\":\"0131\"," TAIL "}",
                        ""));
}

static void request_texts_are_escaped_and_cut(void **state)
{
    (void)state;
    struct money_request request = follow(OPERATION_REFUND);
    request.description = "a\"b\\c\n\x7f\xc3\xa9\xff\xc0\xaf";
    request.customer = "0123456789012345678901234567890123456789012345678\xc3\xa9";
    expect_request(&request, "/rest/v2/transactions/refund",
                   text("{\"type\":\"REFUND\",\"id\":\"117834254\",\"amount\":\"80.00\"," TAIL "}",
                        "\"description\":\"a\\\"b\\\\c\\u000a\\u007f\xc3\xa9???\",\"customer-id\":"
                        "\"0123456789012345678901234567890123456789012345678\","));
}

static void expect_refused(const struct money_request *request, const char *code, const char *field)
{
    struct http_request *built = NULL;
    struct error *e = clearent_connector.build_money(request, &built);
    assert_non_null(e);
    assert_null(built);
    assert_int_equal(e->kind, ERROR_REFUSED);
    assert_string_equal(e->code, code);
    assert_string_equal(e->field, field);
    error_free(e);
}

static void wrong_requests_are_refused(void **state)
{
    (void)state;
    struct money_request request = sale();
    memcpy(request.currency, "EUR", 4);
    expect_refused(&request, "currency_unsupported", "currency");
    request = sale();
    request.amount_minor = 0;
    expect_refused(&request, "amount_out_of_range", "amount");
    request = sale();
    request.base_url = "http://gateway.clearent.net";
    expect_refused(&request, "base_url_invalid", "base_url");
    request = follow(OPERATION_VOID);
    request.follows = "";
    expect_refused(&request, "field_invalid", "follows");
    struct card wrong = card;
    request = sale();
    request.card = &wrong;
    wrong.expiry = "1330";
    expect_refused(&request, "field_invalid", "expiry");
    wrong = card;
    wrong.pan = cvv;
    expect_refused(&request, "field_invalid", "card");
    wrong = card;
    wrong.cvv = pan;
    expect_refused(&request, "field_invalid", "cvv");
    struct secret *forged = secret_new("k\r\nHost: x", 10);
    request = sale();
    request.credential = forged;
    expect_refused(&request, "credential_invalid", "credential");
    secret_free(forged);
}

/* ---- answers ---- */

static struct money_outcome parse(const struct money_request *request, struct http_result result)
{
    struct money_outcome out;
    memset(&out, 0xA5, sizeof out);
    clearent_connector.parse_money(request, &result, &out);
    assert_true(out.outcome != OUTCOME_APPROVED || !out.partial);
    return out;
}

static struct money_outcome parse_sale(long status, const char *body)
{
    struct money_request request = sale();
    return parse(&request, answered(status, body));
}

static void expect_sale(const char *one, enum outcome outcome, bool alarm)
{
    struct money_outcome out = parse_sale(200, transaction(one));
    if (out.outcome != outcome || out.alarm != alarm) {
        fail_msg("%s (alarm %d) instead of %s for %s", outcome_name(out.outcome), out.alarm,
                 outcome_name(outcome), one);
    }
}

static void approval_is_read(void **state)
{
    (void)state;
    const char *more = ",\"authorization-code\":\"TAS371\",\"display-message\":\"Transaction "
                       "approved\",\"batch-string-id\":\"297\",\"avs-result-code\":\"Y\","
                       "\"csc-result-code\":\"M\"";
    struct money_outcome out =
        parse_sale(200, transaction(row("117834254", "SALE", "APPROVED", "000", "80.00", more)));
    assert_int_equal(out.outcome, OUTCOME_APPROVED);
    assert_string_equal(out.processor_id, "117834254");
    assert_string_equal(out.authorisation_code, "TAS371");
    assert_string_equal(out.raw_code, "000");
    assert_string_equal(out.raw_message, "Transaction approved");
    assert_string_equal(out.request_id, "ID-1");
    assert_string_equal(out.batch, "297");
    assert_string_equal(out.avs, "Y");
    assert_string_equal(out.csc, "M");
    assert_string_equal(out.reason, "");
    assert_int_equal(out.approved_minor, 8000);
    assert_false(out.alarm || out.partial);
}

static void what_sources_disagree_about_is_tolerated(void **state)
{
    (void)state;
    expect_sale(row("1", "Sale", "Approved", "0000", "80.00", ""), OUTCOME_APPROVED, false);
    expect_sale(row("1", "SALE", "APPROVED", "036", "80", ""), OUTCOME_APPROVED, false);
    const char *numbers =
        text("{\"code\":200,\"status\":\"SUCCESS\",\"payload\":{\"transaction\":{\"id\":117834254,"
             "\"amount\":\"80.00\",\"type\":\"SALE\",\"result\":\"approved\",\"result-code\":0,"
             "\"card\":\"1111\",\"invoice\":\"" REF "\",\"batch-string-id\":297}}}");
    struct money_outcome out = parse_sale(200, numbers);
    assert_int_equal(out.outcome, OUTCOME_APPROVED);
    assert_string_equal(out.processor_id, "117834254");
    assert_string_equal(out.batch, "297");
    out = parse_sale(402, "{\"code\":402,\"status\":\"Fail\",\"payload\":null,"
                          "\"error\":{\"result-code\":12,\"error-message\":\"No\"}}");
    assert_int_equal(out.outcome, OUTCOME_DECLINED);
    assert_string_equal(out.reason, "NO_FUNDS");
}

/* The row with one member replaced; `with` "" removes it. */
static const char *changed(const char *member, const char *with)
{
    static const struct {
        const char *name;
        const char *value;
    } members[] = {{"amount", "\"80.00\""},    {"id", "\"9\""},
                   {"type", "\"SALE\""},       {"result", "\"APPROVED\""},
                   {"result-code", "\"0\""},   {"card", "\"1111\""},
                   {"invoice", "\"" REF "\""}, {"order-id", "\"" REF "\""}};
    const char *all = "";
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *value = strcmp(members[i].name, member) == 0 ? with : members[i].value;
        if (value[0] != '\0') {
            all = text("%s%s\"%s\":%s", all, all[0] != '\0' ? "," : "", members[i].name, value);
        }
    }
    return text("{%s}", all);
}

static void every_echo_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        const char *with;
        enum outcome outcome;
        bool alarm;
    } rows[] = {
        {"nothing", "", OUTCOME_APPROVED, false},
        {"invoice", "", OUTCOME_APPROVED, false}, /* the order-id is enough */
        {"invoice", "\"" OTHER_REF "\"", OUTCOME_UNKNOWN, true},
        {"order-id", "\"" OTHER_REF "\"", OUTCOME_UNKNOWN, true},
        {"order-id", "7", OUTCOME_UNKNOWN, true},
        {"amount", "", OUTCOME_UNKNOWN, true},
        {"amount", "\"80.01\"", OUTCOME_UNKNOWN, true},
        {"amount", "\"80.000\"", OUTCOME_UNKNOWN, true},
        {"amount", "80.00", OUTCOME_UNKNOWN, true},
        {"amount", "\"-80.00\"", OUTCOME_UNKNOWN, true},
        {"card", "", OUTCOME_UNKNOWN, true},
        {"card", "\"XXXX4242\"", OUTCOME_UNKNOWN, true},
        {"card", "\"111\"", OUTCOME_UNKNOWN, true},
        {"type", "", OUTCOME_UNKNOWN, true},
        {"type", "\"AUTH\"", OUTCOME_UNKNOWN, true},
        {"type", "\"FORCED SALE\"", OUTCOME_UNKNOWN, true},
        {"id", "", OUTCOME_UNKNOWN, true},
        {"id", "\"4111111111111111\"", OUTCOME_UNKNOWN, true},
        {"id", "[]", OUTCOME_UNKNOWN, true},
        {"result-code", "", OUTCOME_UNKNOWN, true},
        {"result-code", "\"012\"", OUTCOME_UNKNOWN, true},
        {"result-code", "0.0", OUTCOME_UNKNOWN, true},
        {"result", "", OUTCOME_UNKNOWN, false},
        {"result", "\"PENDING\"", OUTCOME_UNKNOWN, false},
        {"result", "true", OUTCOME_UNKNOWN, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect_sale(changed(rows[i].member, rows[i].with), rows[i].outcome, rows[i].alarm);
    }
    const char *neither = "{\"amount\":\"80.00\",\"id\":\"9\",\"type\":\"SALE\",\"card\":\"1111\","
                          "\"result\":\"APPROVED\",\"result-code\":\"0\"}";
    expect_sale(neither, OUTCOME_UNKNOWN, true);
}

static void previously_approved(void **state)
{
    (void)state;
    const char *words = ",\"display-message\":\"Transaction Previously Approved\"";
    expect_sale(row("9", "SALE", "APPROVED", "000", "80.00", words), OUTCOME_APPROVED, false);
    struct money_outcome out = parse_sale(
        200, transaction("{\"id\":\"9\",\"amount\":\"80.00\",\"type\":\"SALE\",\"card\":\"1111\","
                         "\"result\":\"APPROVED\",\"result-code\":\"000\",\"invoice\":\"" OTHER_REF
                         "\",\"display-message\":\"Transaction Previously Approved\"}"));
    assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
    assert_true(out.alarm);
    assert_string_equal(out.processor_id, ""); /* another payment's */
    assert_int_equal(out.approved_minor, 0);
    assert_string_equal(out.raw_message, "Transaction Previously Approved");
}

static void partial_approval(void **state)
{
    (void)state;
    struct money_outcome out =
        parse_sale(200, transaction(row("9", "SALE", "APPROVED", "000", "50.00", "")));
    assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
    assert_true(out.partial);
    assert_string_equal(out.processor_id, "9");
    assert_int_equal(out.approved_minor, 5000);
    struct money_request refund = follow(OPERATION_REFUND);
    out = parse(&refund,
                answered(200, transaction(row("9", "REFUND", "APPROVED", "000", "50.00", ""))));
    assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
    assert_false(out.partial);
    assert_true(out.alarm);
}

static void follow_ups(void **state)
{
    (void)state;
    static const char *const types[] = {
        [OPERATION_CAPTURE] = "CAPTURE", [OPERATION_VOID] = "VOID", [OPERATION_REFUND] = "REFUND"};
    for (enum connector_operation op = OPERATION_CAPTURE; op <= OPERATION_REFUND; op++) {
        struct money_request request = follow(op);
        const char *body = transaction(row("9", types[op], "APPROVED", "000", "80.00", ""));
        assert_int_equal(parse(&request, answered(200, body)).outcome, OUTCOME_APPROVED);
        body = transaction(row("9", "SALE", "APPROVED", "000", "80.00", ""));
        assert_int_equal(parse(&request, answered(200, body)).outcome, OUTCOME_UNKNOWN);
    }
    struct money_request request = follow(OPERATION_VOID);
    const char *bare = transaction("{\"id\":\"9\",\"type\":\"VOID\",\"result\":\"APPROVED\","
                                   "\"result-code\":\"000\",\"invoice\":\"" REF "\"}");
    struct money_outcome out = parse(&request, answered(200, bare));
    assert_int_equal(out.outcome, OUTCOME_APPROVED);
    assert_int_equal(out.approved_minor, 8000);
    out = parse(&request, answered(402, failure(402, "024", "Previously reversed")));
    assert_int_equal(out.outcome, OUTCOME_REFUSED);
    assert_string_equal(out.reason, "ALREADY_REVERSED");
}

/* Decline with a transaction in it, as the other published shape. */
static void declined_transaction(void **state)
{
    (void)state;
    expect_sale(row("9", "SALE", "DECLINED", "012", "80.00", ""), OUTCOME_DECLINED, false);
    expect_sale(row("9", "SALE", "DECLINED", "031", "80.00", ""), OUTCOME_UNKNOWN, false);
    expect_sale(row("9", "SALE", "DECLINED", "555", "80.00", ""), OUTCOME_UNKNOWN, false);
    static const char shape[] = "{\"code\":\"402\",\"status\":\"fail\",\"payload\":{"
                                "\"payloadType\":\"transaction\",\"transaction\":%s}}";
    const char *declined = row("9", "SALE", "DECLINED", "012", "80.00", "");
    struct money_outcome out = parse_sale(402, text(shape, declined));
    assert_int_equal(out.outcome, OUTCOME_DECLINED);
    assert_string_equal(out.reason, "NO_FUNDS");
    assert_string_equal(out.processor_id, "9");
    assert_int_equal(out.approved_minor, 0);
    out = parse_sale(402, text(shape, row("9", "SALE", "APPROVED", "012", "80.00", "")));
    assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
    assert_true(out.alarm);
    out = parse_sale(402, text(shape, "{\"result\":\"DECLINED\",\"result-code\":\"012\","
                                      "\"invoice\":\"" OTHER_REF "\"}"));
    assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
    assert_true(out.alarm);
    out =
        parse_sale(402, "{\"code\":\"402\",\"status\":\"fail\",\"error\":{\"result-code\":\"012\"}"
                        ",\"payload\":{\"transaction\":{\"result-code\":\"031\"}}}");
    assert_int_equal(out.outcome, OUTCOME_UNKNOWN); /* two codes that disagree */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_byte_for_byte),
        cmocka_unit_test(request_without_billing_and_code),
        cmocka_unit_test(request_texts_are_escaped_and_cut),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(approval_is_read),
        cmocka_unit_test(what_sources_disagree_about_is_tolerated),
        cmocka_unit_test(every_echo_is_checked),
        cmocka_unit_test(previously_approved),
        cmocka_unit_test(partial_approval),
        cmocka_unit_test(follow_ups),
        cmocka_unit_test(declined_transaction),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
