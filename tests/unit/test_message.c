/* The codec of messages: what is written is read back, and what the table does not allow is refused
 * with the field's name, in both directions. No refusal and no print may show a card. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "ipc/text.h"
#include "lib/secret.h"

#define PAN "4111111111111111"
#define CARD                                                                                       \
    "\"card\":{\"pan\":\"" PAN "\",\"expiry_month\":12,\"expiry_year\":2030,\"cvv\":\"123\"}"
#define PAY_HEAD                                                                                   \
    "{\"key\":\"till-1-0001\",\"kind\":\"SALE\",\"amount_minor\":8000,\"currency\":\"USD\""

static int start(void **state)
{
    (void)state;
    struct error *e = secret_memory_start(1 << 16);
    int failed = e != NULL;
    error_free(e);
    return failed;
}

static void *decode(enum message_type type, const char *payload)
{
    void *message = NULL;
    struct error *e = message_decode(type, payload, strlen(payload), &message);
    if (e) {
        print_error("%s %s: %s\n", e->code, e->field, e->sentence);
    }
    assert_null(e);
    assert_non_null(message);
    return message;
}

static void decode_refused(enum message_type type, const char *payload, const char *code,
                           const char *field)
{
    void *message = NULL;
    struct error *e = message_decode(type, payload, strlen(payload), &message);
    if (!e) {
        fail_msg("accepted: %s", payload);
        return; /* fail_msg doesn't come back, but the analyser doesn't know */
    }
    assert_null(message);
    assert_int_equal(e->kind, ERROR_REFUSED);
    assert_string_equal(e->code, code);
    assert_string_equal(e->field, field);
    assert_null(strstr(e->sentence, PAN));
    error_free(e);
}

static char *encode(enum message_type type, const void *message)
{
    char *payload;
    size_t n;
    struct error *e = message_encode(type, message, &payload, &n);
    assert_null(e);
    char *text = calloc(1, n + 1);
    assert_non_null(text);
    memcpy(text, payload, n);
    message_payload_free(payload, n);
    return text;
}

static void encode_refused(enum message_type type, const void *message, const char *code,
                           const char *field)
{
    char *payload;
    size_t n;
    struct error *e = message_encode(type, message, &payload, &n);
    assert_non_null(e);
    assert_null(payload);
    assert_string_equal(e->code, code);
    assert_string_equal(e->field, field);
    error_free(e);
}

static struct msg_pay *small_pay(void)
{
    struct msg_pay *pay = message_new(MESSAGE_PAY);
    strcpy(pay->key, "till-1-0001");
    pay->kind = PAY_KIND_SALE;
    pay->amount_minor = 8000;
    strcpy(pay->currency, "USD");
    return pay;
}

static void a_pay_is_read(void **state)
{
    (void)state;
    struct msg_pay *pay =
        decode(MESSAGE_PAY, PAY_HEAD ",\"invoices\":[{\"invoice\":\"INV-1\",\"amount_minor\":5000},"
                                     "{\"invoice\":\"INV-2\",\"amount_minor\":3000}]," CARD
                                     ",\"save\":true,\"customer\":\"C-100\"}");
    assert_string_equal(pay->key, "till-1-0001");
    assert_int_equal(pay->kind, PAY_KIND_SALE);
    assert_int_equal(pay->amount_minor, 8000);
    assert_int_equal(pay->invoices_count, 2);
    assert_string_equal(pay->invoices[1].invoice, "INV-2");
    assert_int_equal(pay->invoices[1].amount_minor, 3000);
    assert_string_equal(secret_expose(pay->card->pan), PAN);
    assert_int_equal(secret_size(pay->card->cvv), 3);
    assert_true(pay->save);
    assert_string_equal(pay->token, "");
    assert_null(pay->cvv);
    message_free(MESSAGE_PAY, pay);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    static const char PAYLOAD[] =
        "{\"key\":\"till-1-0001\",\"kind\":\"AUTH\",\"amount_minor\":99999999,\"currency\":\"USD\","
        "\"invoices\":[{\"invoice\":\"\\\"\\\\\xC3\xA9\",\"amount_minor\":1}]," CARD
        ",\"save\":true}";
    void *pay = decode(MESSAGE_PAY, PAYLOAD);
    char *again = encode(MESSAGE_PAY, pay);
    assert_string_equal(again, PAYLOAD);
    free(again);
    message_free(MESSAGE_PAY, pay);
}

static void numbers_reach_their_bounds(void **state)
{
    (void)state;
    struct msg_customer_row *row;
    struct msg_customer_rows *rows = message_new(MESSAGE_CUSTOMER_ROWS);
    row = message_list_add(MESSAGE_CUSTOMER_ROWS, rows, "rows");
    strcpy(row->customer, "C-1");
    strcpy(row->name, "One");
    row->open_minor = -INT64_C(9000000000000000);
    char *text = encode(MESSAGE_CUSTOMER_ROWS, rows);
    assert_string_equal(text, "{\"rows\":[{\"customer\":\"C-1\",\"name\":\"One\","
                              "\"open_minor\":-9000000000000000}],\"more\":false}");
    struct msg_customer_rows *again = decode(MESSAGE_CUSTOMER_ROWS, text);
    assert_true(again->rows[0].open_minor == -INT64_C(9000000000000000));
    free(text);
    message_free(MESSAGE_CUSTOMER_ROWS, again);
    row->open_minor = INT64_MIN;
    encode_refused(MESSAGE_CUSTOMER_ROWS, rows, "field_bounds", "rows[0].open_minor");
    message_free(MESSAGE_CUSTOMER_ROWS, rows);
}

static void broken_json_is_refused(void **state)
{
    (void)state;
    static const char *const BROKEN[] = {
        "",
        " ",
        "[]",
        "null",
        "7",
        "\"text\"",
        "{",
        "}",
        "{}}",
        "{} {}",
        "{,}",
        "{\"key\"}",
        "{\"key\":}",
        PAY_HEAD,
        (PAY_HEAD ",}"),
        (PAY_HEAD "}x"),
        "{key:1}",
        "{\"key\":\"a",
        "{\"key\":\"\\",
        "{\"key\":\"\\x\"}",
        "{\"key\":\"till\\u00\"}",
        "{\"key\":\"till-1-\\u0000\"}",
        "{\"key\":\"till-1-\\ud800\"}",
        "{\"key\":\"till-1-\\udc00\\ud800\"}",
        "{\"key\":\"till-1-\n\"}",
        "{\"amount_minor\":01}",
        "{\"amount_minor\":-}",
        "{\"amount_minor\":+1}",
        "{\"save\":tru}",
        "{\"save\":True}",
        "{\"invoices\":[{}",
        "{\"invoices\":[,]}",
        (PAY_HEAD ",\"amount_minor\":8000}"), /* twice the same field */
    };
    for (size_t i = 0; i < sizeof(BROKEN) / sizeof(BROKEN[0]); i++) {
        void *message;
        struct error *e = message_decode(MESSAGE_PAY, BROKEN[i], strlen(BROKEN[i]), &message);
        if (!e || (!error_is(e, "json_invalid") && !error_is(e, "field_missing"))) {
            print_error("%s: %s\n", BROKEN[i], e ? e->code : "accepted");
        }
        assert_true(error_is(e, "json_invalid") || error_is(e, "field_missing"));
        error_free(e);
    }
}

static void escapes_are_undone(void **state)
{
    (void)state;
    struct msg_pay *pay = decode(
        MESSAGE_PAY, " {\n\"k\\u0065y\" : \"till\\u002d1-0001\", \"kind\":\"S\\u0041LE\",\t"
                     "\"amount_minor\":8000,\"currency\":\"USD\",\"cvv\":\"12\\u0033\","
                     "\"token\":\"tok\",\"description\":\"\\/\\ud83d\\ude00\\\"\\u20ac\"}\r\n ");
    assert_string_equal(pay->key, "till-1-0001");
    assert_string_equal(secret_expose(pay->cvv), "123");
    assert_string_equal(pay->description, "/\xF0\x9F\x98\x80\"\xE2\x82\xAC");
    message_free(MESSAGE_PAY, pay);
}

static void wrong_types_are_refused(void **state)
{
    (void)state;
    decode_refused(MESSAGE_PAY, "{\"key\":12345678}", "field_type", "key");
    decode_refused(MESSAGE_PAY, "{\"key\":null}", "field_type", "key");
    decode_refused(MESSAGE_PAY, "{\"amount_minor\":\"8000\"}", "field_type", "amount_minor");
    decode_refused(MESSAGE_PAY, "{\"amount_minor\":80.00}", "field_type", "amount_minor");
    decode_refused(MESSAGE_PAY, "{\"amount_minor\":8e3}", "field_type", "amount_minor");
    decode_refused(MESSAGE_PAY, "{\"amount_minor\":99999999999999999999}", "field_type",
                   "amount_minor");
    decode_refused(MESSAGE_PAY, "{\"save\":1}", "field_type", "save");
    decode_refused(MESSAGE_PAY, "{\"invoices\":{}}", "field_type", "invoices");
    decode_refused(MESSAGE_PAY, "{\"invoices\":[7]}", "field_type", "invoices[0]");
    decode_refused(MESSAGE_PAY, "{\"card\":[]}", "field_type", "card");
    decode_refused(MESSAGE_PAY, "{\"card\":{\"pan\":4111111111111111}}", "field_type", "card.pan");
    decode_refused(MESSAGE_PAY, "{\"kind\":1}", "field_type", "kind");
}

static void bounds_are_kept(void **state)
{
    (void)state;
    decode_refused(MESSAGE_PAY, "{\"key\":\"short\"}", "field_bounds", "key");
    decode_refused(
        MESSAGE_PAY,
        "{\"key\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
        "field_bounds", "key");
    decode_refused(MESSAGE_PAY, "{\"key\":\"tab\\tinside\"}", "field_bounds", "key");
    decode_refused(MESSAGE_PAY, "{\"key\":\"broken\xFFutf8\"}", "field_bounds", "key");
    decode_refused(MESSAGE_PAY, "{\"amount_minor\":0}", "field_bounds", "amount_minor");
    decode_refused(MESSAGE_PAY, "{\"amount_minor\":-1}", "field_bounds", "amount_minor");
    decode_refused(MESSAGE_PAY, "{\"amount_minor\":100000000}", "field_bounds", "amount_minor");
    decode_refused(MESSAGE_PAY, "{\"kind\":\"sale\"}", "field_bounds", "kind");
    decode_refused(MESSAGE_PAY, "{\"currency\":\"usd\"}", "field_bounds", "currency");
    decode_refused(MESSAGE_PAY, "{\"card\":{\"pan\":\"" PAN PAN "\"}}", "field_bounds", "card.pan");
    decode_refused(MESSAGE_PAY,
                   "{\"invoices\":[{\"invoice\":\"A\",\"amount_minor\":1},"
                   "{\"invoice\":\"B\",\"amount_minor\":0}]}",
                   "field_bounds", "invoices[1].amount_minor");
    decode_refused(MESSAGE_VOID, "{\"payment\":\"pay_short\"}", "field_bounds", "payment");
    decode_refused(MESSAGE_DAY_CLOSE, "{\"day\":\"2026-02-29\"}", "field_bounds", "day");
}

static void unknown_and_missing_fields_are_named(void **state)
{
    (void)state;
    decode_refused(MESSAGE_PAY, "{\"tip\":1}", "field_unknown", "tip");
    decode_refused(MESSAGE_PAY, "{\"card\":{\"track\":\"\"}}", "field_unknown", "card.track");
    decode_refused(MESSAGE_PAY, "{\"" PAN "\":1}", "field_unknown", "?");
    decode_refused(MESSAGE_PAY, "{}", "field_missing", "key");
    decode_refused(MESSAGE_PAY, "{\"invoices\":[{\"invoice\":\"A\"}]}", "field_missing",
                   "invoices[0].amount_minor");
    void *message;
    struct error *e = message_decode((enum message_type)9999, "{}", 2, &message);
    assert_true(error_is(e, "message_unknown"));
    error_free(e);
}

static void lists_end_at_their_limit(void **state)
{
    (void)state;
    struct msg_pay *pay = small_pay();
    for (int i = 0; i < 500; i++) {
        struct msg_invoice_part *part = message_list_add(MESSAGE_PAY, pay, "invoices");
        assert_non_null(part);
        snprintf(part->invoice, sizeof(part->invoice), "INV-%d", i);
        part->amount_minor = 16;
    }
    assert_null(message_list_add(MESSAGE_PAY, pay, "invoices"));
    assert_int_equal(pay->invoices_count, 500);
    assert_string_equal(pay->invoices[499].invoice, "INV-499");
    char *text = encode(MESSAGE_PAY, pay);
    struct msg_pay *again = decode(MESSAGE_PAY, text);
    assert_int_equal(again->invoices_count, 500);
    message_free(MESSAGE_PAY, again);
    char *more = calloc(1, strlen(text) + 64);
    assert_non_null(more);
    const char *end = strrchr(text, ']');
    snprintf(more, strlen(text) + 64, "%.*s,{\"invoice\":\"X\",\"amount_minor\":1}%s",
             (int)(end - text), text, end);
    decode_refused(MESSAGE_PAY, more, "field_bounds", "invoices");
    free(more);
    free(text);
    message_free(MESSAGE_PAY, pay);
}

static void the_writer_refuses_what_the_reader_would(void **state)
{
    (void)state;
    struct msg_pay *pay = small_pay();
    pay->amount_minor = 0;
    encode_refused(MESSAGE_PAY, pay, "field_bounds", "amount_minor");
    pay->amount_minor = 1;
    pay->kind = (enum pay_kind)3;
    encode_refused(MESSAGE_PAY, pay, "field_bounds", "kind");
    pay->kind = PAY_KIND_SALE;
    strcpy(pay->description, "a\nb");
    encode_refused(MESSAGE_PAY, pay, "field_bounds", "description");
    memset(pay->description, 'x', sizeof(pay->description)); /* lost its NUL */
    encode_refused(MESSAGE_PAY, pay, "field_bounds", "description");
    pay->description[0] = '\0';
    pay->card = calloc(1, sizeof(*pay->card));
    encode_refused(MESSAGE_PAY, pay, "field_missing", "card.pan");
    message_free(MESSAGE_PAY, pay);
}

static void prints_hide_secrets(void **state)
{
    (void)state;
    void *pay = decode(MESSAGE_PAY, PAY_HEAD "," CARD "}");
    char *text = message_print(MESSAGE_PAY, pay);
    assert_null(strstr(text, PAN));
    assert_non_null(strstr(text, "\"pan\":\"***\""));
    assert_non_null(strstr(text, "\"cvv\":\"***\""));
    assert_non_null(strstr(text, "\"amount_minor\":8000"));
    free(text);
    message_free(MESSAGE_PAY, pay);
    struct msg_error broken = {.code = "x", .sentence = "a\xFF\nb\"c"};
    text = message_print(MESSAGE_ERROR, &broken);
    assert_string_equal(text, "{\"code\":\"x\",\"sentence\":\"a??b\\\"c\"}");
    free(text);
}

static void long_texts_keep_their_lines(void **state)
{
    (void)state;
    void *piece = decode(MESSAGE_INVOICE_IMPORT, "{\"format\":\"CSV\",\"first_line\":2,"
                                                 "\"lines\":\"a;b\\r\\n\\tc\\n\"}");
    struct msg_invoice_import *import = piece;
    assert_string_equal(import->lines, "a;b\r\n\tc\n");
    char *text = message_print(MESSAGE_INVOICE_IMPORT, piece);
    assert_non_null(strstr(text, "\"lines\":\"***\""));
    free(text);
    text = encode(MESSAGE_INVOICE_IMPORT, piece);
    assert_non_null(strstr(text, "a;b\\r\\n\\tc\\n"));
    free(text);
    message_free(MESSAGE_INVOICE_IMPORT, piece);
}

static void names_and_choices(void **state)
{
    (void)state;
    assert_string_equal(message_name(MESSAGE_PAY), "pay");
    assert_string_equal(message_name(MESSAGE_ERROR), "error");
    assert_null(message_name((enum message_type)7));
    assert_int_equal(MESSAGE_ERROR, 101);
    assert_string_equal(payment_answer_outcome_text(PAYMENT_ANSWER_OUTCOME_CANCEL_ACCEPTED),
                        "CANCEL_ACCEPTED");
    assert_string_equal(payment_answer_outcome_text((enum payment_answer_outcome)0), "");
    assert_string_equal(payment_answer_outcome_text((enum payment_answer_outcome)99), "");
    assert_int_equal(payment_answer_outcome_from_text("REVIEW"), PAYMENT_ANSWER_OUTCOME_REVIEW);
    assert_int_equal(payment_answer_outcome_from_text("REVIEWS"), 0);
    assert_int_equal(payment_answer_outcome_from_text(NULL), 0);
}

static void text_is_utf8_without_controls(void **state)
{
    (void)state;
    static const char *const BAD[] = {"\x80",
                                      "\xC1\x81",
                                      "\xC2\x85",
                                      "\xE0\x80\x80",
                                      "\xED\xA0\x80",
                                      "\xF0\x80\x80\x80",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xE2\x82",
                                      "\x7F",
                                      "\x1F"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        assert_false(text_valid(BAD[i], strlen(BAD[i]), false));
    }
    assert_true(text_valid("\xC2\xA0\xF4\x8F\xBF\xBF", 6, false));
    assert_true(text_is_date("2028-02-29", 10));
    assert_false(text_is_date("2100-02-29", 10));
    assert_false(text_is_date("2026-13-01", 10));
    assert_false(text_is_date("2026-1-01", 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pay_is_read),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(numbers_reach_their_bounds),
        cmocka_unit_test(broken_json_is_refused),
        cmocka_unit_test(escapes_are_undone),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(unknown_and_missing_fields_are_named),
        cmocka_unit_test(lists_end_at_their_limit),
        cmocka_unit_test(the_writer_refuses_what_the_reader_would),
        cmocka_unit_test(prints_hide_secrets),
        cmocka_unit_test(long_texts_keep_their_lines),
        cmocka_unit_test(names_and_choices),
        cmocka_unit_test(text_is_utf8_without_controls),
    };
    return cmocka_run_group_tests_name("message", tests, start, NULL);
}
