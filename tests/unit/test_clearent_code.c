/* links: gatewayd */
/* The transport table, the HTTP table and the table of result codes, row by row as documented. */
#include "tests/unit/clearent_unit.h"

#include <curl/curl.h>

#include "daemons/gatewayd/clearent/clearent.h"
#include "daemons/gatewayd/decline.h"

static struct money_outcome parse(struct http_result result)
{
    const struct money_request request = {.operation = OPERATION_SALE,
                                          .ref = REF,
                                          .amount_minor = 8000,
                                          .currency = "USD",
                                          .last_four = "1111"};
    struct money_outcome out;
    memset(&out, 0xA5, sizeof out);
    clearent_connector.parse_money(&request, &result, &out);
    return out;
}

static void transport_table(void **state)
{
    (void)state;
    static const struct {
        int code;
        bool nothing_sent;
        enum outcome outcome;
        bool alarm;
    } rows[] = {
        {CURLE_COULDNT_RESOLVE_HOST, true, OUTCOME_NOT_SENT, false},
        {CURLE_COULDNT_CONNECT, true, OUTCOME_NOT_SENT, false},
        {CURLE_OPERATION_TIMEDOUT, true, OUTCOME_NOT_SENT, false},
        {CURLE_SSL_CONNECT_ERROR, true, OUTCOME_NOT_SENT, false},
        {CURLE_PEER_FAILED_VERIFICATION, true, OUTCOME_NOT_SENT, true},
        {CURLE_RECV_ERROR, false, OUTCOME_UNKNOWN, false},
        {CURLE_GOT_NOTHING, false, OUTCOME_UNKNOWN, false},
        {CURLE_OPERATION_TIMEDOUT, false, OUTCOME_UNKNOWN, false},
        {CURLE_PARTIAL_FILE, false, OUTCOME_UNKNOWN, false},
        {CURLE_UNSUPPORTED_PROTOCOL, false, OUTCOME_UNKNOWN, false},
        {CURLE_SEND_ERROR, true, OUTCOME_NOT_SENT, false},
        {CURLE_SEND_ERROR, false, OUTCOME_UNKNOWN, false},
        {CURLE_ABORTED_BY_CALLBACK, true, OUTCOME_NOT_SENT, false},
        {CURLE_ABORTED_BY_CALLBACK, false, OUTCOME_UNKNOWN, false},
        {CURLE_COULDNT_CONNECT, false, OUTCOME_UNKNOWN, false}, /* the code alone proves nothing */
        {CURLE_OUT_OF_MEMORY, true, OUTCOME_NOT_SENT, false},
        {CURLE_OUT_OF_MEMORY, false, OUTCOME_UNKNOWN, false},
        {CURLE_OK, true, OUTCOME_UNKNOWN, true}, /* a contradiction */
    };
    const char *approved = transaction(row("9", "SALE", "APPROVED", "000", "80.00", ""));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_result result = answered(200, approved);
        result.curl_code = rows[i].code;
        result.nothing_sent = rows[i].nothing_sent;
        struct money_outcome out = parse(result);
        if (out.outcome != rows[i].outcome || out.alarm != rows[i].alarm) {
            fail_msg("row %zu: %s, alarm %d", i, outcome_name(out.outcome), out.alarm);
        }
    }
    assert_int_equal(parse(answered(200, approved)).outcome, OUTCOME_APPROVED);
    struct http_result twice = answered(200, approved);
    twice.sent_once = false;
    assert_int_equal(parse(twice).outcome, OUTCOME_UNKNOWN);
    assert_true(parse(twice).alarm);
    struct http_result large = answered(200, approved);
    large.body_too_large = true;
    assert_int_equal(parse(large).outcome, OUTCOME_UNKNOWN);
}

static void http_table(void **state)
{
    (void)state;
    static const struct {
        long status;
        enum outcome unlisted; /* with a code that is in no table */
        enum outcome declined; /* with 012 */
        const char *reason;
        bool alarm;
    } rows[] = {
        {201, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", true},
        {204, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", true},
        {100, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {301, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {302, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {307, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {400, OUTCOME_REFUSED, OUTCOME_DECLINED, "FIELD", false},
        {401, OUTCOME_REFUSED, OUTCOME_REFUSED, "KEY", true},
        {402, OUTCOME_UNKNOWN, OUTCOME_DECLINED, "", false},
        {403, OUTCOME_REFUSED, OUTCOME_REFUSED, "KEY", true},
        {404, OUTCOME_REFUSED, OUTCOME_REFUSED, "SETUP", true},
        {405, OUTCOME_REFUSED, OUTCOME_REFUSED, "SETUP", true},
        {408, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {409, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {410, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {415, OUTCOME_REFUSED, OUTCOME_REFUSED, "SETUP", true},
        {425, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {429, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {500, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {502, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {503, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
        {504, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, "", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        long status = rows[i].status;
        struct money_outcome out = parse(answered(status, failure(status, "777", "x")));
        if (out.outcome != rows[i].unlisted || out.alarm != rows[i].alarm ||
            strcmp(out.reason, rows[i].reason) != 0) {
            fail_msg("%ld: %s %s", status, outcome_name(out.outcome), out.reason);
        }
        out = parse(answered(status, failure(status, "012", "x")));
        if (out.outcome != rows[i].declined) {
            fail_msg("%ld with 012: %s", status, outcome_name(out.outcome));
        }
        /* The envelope's own code must agree, and there must be an envelope. */
        out = parse(answered(status, failure(status + 1, "012", "x")));
        assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
        out = parse(answered(status, "<html>no</html>"));
        assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
    }
}

/* 200 and 402 and 400 with each code: 'A' approved, 'D' declined, 'R' refused, 'U' unknown. */
static const struct code_row {
    int first;
    int last;
    const char at_400_402[3];
    const char *reason;
} code_rows[] = {
    {0, 0, "UU", ""},
    {1, 2, "UU", ""},
    {3, 4, "DD", "EXPIRED"},
    {5, 5, "DD", "PICKUP"},
    {6, 6, "DD", "DECLINED_HARD"},
    {7, 7, "DD", "CALL"},
    {8, 8, "DD", "DECLINED_HARD"},
    {9, 10, "DD", "BAD_NUMBER"},
    {11, 11, "RU", "SETUP"},
    {12, 12, "DD", "NO_FUNDS"},
    {13, 13, "DD", "DECLINED"},
    {14, 14, "DD", "NO_FUNDS"},
    {15, 15, "DD", "DECLINED"},
    {16, 16, "DD", "TOO_OFTEN"},
    {17, 17, "DD", "INACTIVE"},
    {18, 18, "DD", "DECLINED_HARD"},
    {19, 20, "RU", "SETUP"},
    {21, 21, "DD", "BAD_CVV"},
    {22, 22, "DD", "DECLINED_HARD"},
    {23, 23, "DD", "DECLINED"},
    {24, 24, "RR", "ALREADY_REVERSED"},
    {25, 25, "RR", "ABOVE_REFUNDABLE"},
    {26, 26, "DD", "BAD_NUMBER"},
    {27, 27, "RR", "ORIGINAL_UNKNOWN"},
    {28, 30, "RR", "SETUP"},
    {31, 32, "UU", ""},
    {33, 34, "DD", "PICKUP"},
    {35, 35, "RU", "FIELD"}, /* not listed */
    {36, 36, "UU", ""},
    {37, 39, "RU", "FIELD"},
    {40, 40, "RR", "NO_BATCH"},
    {41, 41, "RU", "FIELD"},
    {42, 42, "RU", "KEY"},
    {43, 44, "RU", "SETUP"},
    {45, 45, "UU", ""},
    {46, 46, "DD", "BAD_ADDRESS"},
    {47, 48, "DD", "BAD_CVV"},
    {49, 54, "UU", ""},
    {55, 55, "RU", "SETUP"},
    {56, 61, "UU", ""},
    {62, 62, "RU", "SETUP"},
    {63, 64, "UU", ""},
    {65, 70, "RU", "SETUP"},
    {71, 73, "UU", ""},
    {74, 74, "RU", "SETUP"},
    {75, 85, "RU", "FIELD"},
    {86, 86, "RR", "SETUP"},
    {87, 87, "RU", "FIELD"},
    {88, 88, "RR", "SETUP"},
    {89, 89, "RU", "FIELD"},
    {90, 90, "RU", "FIELD"},
    {92, 92, "RU", "SETUP"},
    {280, 280, "UU", ""},
    {289, 290, "UU", ""},
    {883, 883, "RR", "SETUP"},
    {890, 890, "RU", "FIELD"},
    {9999, 9999, "RU", "FIELD"},
};

static char letter(enum outcome outcome)
{
    static const char letters[] = {
        [OUTCOME_APPROVED] = 'A', [OUTCOME_ACCEPTED] = 'C', [OUTCOME_DECLINED] = 'D',
        [OUTCOME_NOT_SENT] = 'N', [OUTCOME_REFUSED] = 'R',  [OUTCOME_UNKNOWN] = 'U'};
    return letters[outcome];
}

static void expect_code(const struct code_row *want, int code, size_t column)
{
    long status = column == 0 ? 400 : 402;
    struct money_outcome out = parse(answered(status, failure(status, text("%03d", code), "No.")));
    bool decided = out.outcome != OUTCOME_UNKNOWN;
    if (letter(out.outcome) != want->at_400_402[column] ||
        strcmp(out.reason, decided ? want->reason : "") != 0) {
        fail_msg("%ld/%03d: %s %s", status, code, outcome_name(out.outcome), out.reason);
    }
    assert_string_equal(out.raw_code, text("%03d", code));
    assert_string_equal(out.raw_message, "No.");
    assert_string_equal(out.request_id, "ID-2");
    assert_true(out.reason[0] == '\0' || decline_find(out.reason) != NULL);
    /* The same as a number, and never anything but UNKNOWN under 500. */
    const char *number = text("{\"code\":%ld,\"status\":\"fail\",\"payload\":{\"error\":"
                              "{\"result-code\":%d}}}",
                              status, code);
    assert_int_equal(parse(answered(status, number)).outcome, out.outcome);
    out = parse(answered(500, failure(500, text("%03d", code), "No.")));
    assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
}

static void code_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof code_rows / sizeof code_rows[0]; i++) {
        for (int code = code_rows[i].first; code <= code_rows[i].last; code++) {
            expect_code(&code_rows[i], code, 0);
            expect_code(&code_rows[i], code, 1);
        }
    }
}

static void a_missing_code_is_no_decline(void **state)
{
    (void)state;
    const char *body = "{\"code\":\"402\",\"status\":\"fail\",\"payload\":{\"error\":{}}}";
    assert_int_equal(parse(answered(402, body)).outcome, OUTCOME_UNKNOWN);
    body = "{\"code\":\"402\",\"status\":\"success\",\"error\":{\"result-code\":\"012\"}}";
    assert_int_equal(parse(answered(402, body)).outcome, OUTCOME_UNKNOWN);
    body = "{\"code\":\"400\",\"status\":\"fail\"}";
    assert_int_equal(parse(answered(400, body)).outcome, OUTCOME_REFUSED);
}

static void garbage_is_unknown(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "\"APPROVED\"",
        "{\"code\":\"200\"",
        "\xef\xbb\xbf{}",
        "{\"code\":NaN}",
        "{\"code\":\"200\",\"code\":\"200\",\"status\":\"success\"}",
        "{\"code\":\"200\",\"status\":\"success\",\"payload\":{\"transaction\":[]}}",
        "{\"code\":\"200\",\"status\":\"success\",\"payload\":\"\xff\"}",
        "{\"code\":200.0,\"status\":\"success\",\"payload\":{}}",
        "{\"code\":99999999999999999999,\"status\":\"success\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct money_outcome out = parse(answered(200, bodies[i]));
        assert_int_equal(out.outcome, OUTCOME_UNKNOWN);
        assert_true(out.alarm);
    }
    struct http_result none = answered(200, "");
    none.body = NULL;
    assert_int_equal(parse(none).outcome, OUTCOME_UNKNOWN);
}

static void no_card_number_gets_out(void **state)
{
    (void)state;
    struct money_outcome out =
        parse(answered(402, failure(402, "012", "Card 4111 1111-1111.1111 refused, ask 555-0100")));
    assert_string_equal(out.raw_message, "Card * refused, ask ***-****");
    const char *more = ",\"authorization-code\":\"4111111111111111\","
                       "\"batch-string-id\":\"4111111111111111\"";
    out = parse(answered(200, transaction(row("9", "SALE", "APPROVED", "000", "80.00", more))));
    assert_int_equal(out.outcome, OUTCOME_APPROVED);
    assert_string_equal(out.authorisation_code, "*");
    assert_string_equal(out.batch, "*");
    char line[400];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    out = parse(answered(402, failure(402, "012", line)));
    assert_int_equal(strlen(out.raw_message), sizeof out.raw_message - 1);
    out = parse(answered(402, failure(402, "012", "Caf\xc3\xa9\\n")));
    assert_string_equal(out.raw_message, "Caf???");
}

/* The request no longer has its card when the answer is read: whatever may be a code is masked. */
static void no_security_code_gets_out(void **state)
{
    (void)state;
    struct money_outcome out = parse(answered(400, failure(400, "012", "csc 987 is not valid")));
    assert_string_equal(out.raw_message, "csc *** is not valid");
    out = parse(answered(402, failure(402, "012", "CID=1234, amount 12 of 56789")));
    assert_string_equal(out.raw_message, "CID=****, amount 12 of 56789");
}

static void declines_have_sentences(void **state)
{
    (void)state;
    static const char *const classes[] = {
        "NO_FUNDS",    "DECLINED", "CALL",     "EXPIRED",   "BAD_NUMBER",  "BAD_CVV",
        "BAD_ADDRESS", "PICKUP",   "INACTIVE", "TOO_OFTEN", "AUTH_NEEDED", "ISSUER_DOWN",
        "STOP",        "FIELD",    "SETUP",    "KEY",       "PARTIAL",     "DECLINED_HARD",
    };
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        assert_non_null(decline_find(classes[i]));
        assert_null(strcasestr(decline_sentence(classes[i]), "stolen"));
        assert_null(strcasestr(decline_sentence(classes[i]), "lost"));
    }
    assert_null(decline_find("NOBODY"));
    assert_null(decline_find(NULL));
    assert_string_equal(decline_sentence("NOBODY"), decline_sentence("PICKUP"));
    assert_int_equal(decline_retry("NOBODY"), DECLINE_RETRY_NEVER);
    assert_int_equal(decline_retry("PICKUP"), DECLINE_RETRY_BLOCK_TOKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transport_table),
        cmocka_unit_test(http_table),
        cmocka_unit_test(code_table),
        cmocka_unit_test(a_missing_code_is_no_decline),
        cmocka_unit_test(garbage_is_unknown),
        cmocka_unit_test(no_card_number_gets_out),
        cmocka_unit_test(no_security_code_gets_out),
        cmocka_unit_test(declines_have_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
