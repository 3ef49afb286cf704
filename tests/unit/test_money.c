/* Money: exact or refused, at every edge of 64 bits. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/money.h"

static int64_t parse(const char *text, const char *currency)
{
    struct money m = {0};
    struct error *e = money_parse(text, strlen(text), currency, &m);
    assert_null(e);
    assert_string_equal(m.currency, currency);
    return m.minor;
}

static void refuse(const char *text, size_t n, const char *currency, const char *code)
{
    struct money m = {.minor = 42, .currency = "XXX"};
    struct error *e = money_parse(text, n, currency, &m);
    assert_non_null(e);
    assert_int_equal(e->kind, ERROR_REFUSED);
    assert_string_equal(e->code, code);
    assert_int_equal(m.minor, 42); /* nothing half done */
    error_free(e);
}

static void parses_exactly(void **state)
{
    (void)state;
    assert_int_equal(parse("80.00", "USD"), 8000);
    assert_int_equal(parse("80", "USD"), 8000);
    assert_int_equal(parse("80.5", "USD"), 8050);
    assert_int_equal(parse("0.01", "USD"), 1);
    assert_int_equal(parse("-5.10", "USD"), -510);
    assert_int_equal(parse("-0.07", "USD"), -7);
    assert_int_equal(parse("0", "USD"), 0);
    assert_int_equal(parse("1234", "JPY"), 1234);
    assert_int_equal(parse("1.234", "KWD"), 1234);
    assert_int_equal(parse("92233720368547758.07", "USD"), INT64_MAX);
    assert_int_equal(parse("-92233720368547758.08", "USD"), INT64_MIN);
    assert_int_equal(parse("9223372036854775807", "JPY"), INT64_MAX);
}

static void refuses_what_is_no_amount(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "-",      ".",   ".5",    "5.",      "+5",
                                        "5,00", " 5",     "5 ",  "1e2",   "0x5",     "--5",
                                        "5.-1", "80.000", "NaN", "5.0.0", "1,000.00"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refuse(texts[i], strlen(texts[i]), "USD", "amount_invalid");
    }
    refuse("5.0", 3, "JPY", "amount_invalid");
    refuse("5\0", 2, "USD", "amount_invalid");
    refuse("5\0.00", 5, "USD", "amount_invalid");
}

static void reads_no_byte_beyond_n(void **state)
{
    (void)state;
    struct money m;
    assert_null(money_parse("80.009999", 5, "USD", &m));
    assert_int_equal(m.minor, 8000);
}

static void refuses_what_does_not_fit(void **state)
{
    (void)state;
    static const char *const texts[] = {"92233720368547758.08", "-92233720368547758.09",
                                        "92233720368547759", "9223372036854775807",
                                        "99999999999999999999999999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refuse(texts[i], strlen(texts[i]), "USD", "amount_out_of_range");
    }
}

static void refuses_an_unknown_currency(void **state)
{
    (void)state;
    refuse("5", 1, "XXQ", "currency_unknown");
    refuse("5", 1, "usd", "currency_unknown");
    refuse("5", 1, "", "currency_unknown");
    refuse("5", 1, "USDX", "currency_unknown");
    assert_int_equal(money_exponent("USD"), 2);
    assert_int_equal(money_exponent("JPY"), 0);
    assert_int_equal(money_exponent("BHD"), 3);
    assert_int_equal(money_exponent("US"), -1);
}

static void format(int64_t minor, const char *currency, const char *expected)
{
    struct money m = {.minor = minor};
    char text[MONEY_TEXT_MAX];
    memcpy(m.currency, currency, 4);
    assert_string_equal(money_format(m, text), expected);
}

static void formats_and_reads_back(void **state)
{
    (void)state;
    format(8000, "USD", "80.00");
    format(1, "USD", "0.01");
    format(-7, "USD", "-0.07");
    format(0, "USD", "0.00");
    format(1234, "JPY", "1234");
    format(1234, "KWD", "1.234");
    format(INT64_MAX, "USD", "92233720368547758.07");
    format(INT64_MIN, "USD", "-92233720368547758.08");
    format(INT64_MIN, "JPY", "-9223372036854775808");
    format(INT64_MIN, "XXQ", "-9223372036854775808 minor");
    for (int64_t minor = -1050; minor <= 1050; minor++) {
        char text[MONEY_TEXT_MAX];
        struct money m = {.minor = minor, .currency = "USD"};
        assert_int_equal(parse(money_format(m, text), "USD"), minor);
    }
}

static void adds_and_subtracts_or_refuses(void **state)
{
    (void)state;
    struct money a = {.minor = 300, .currency = "USD"};
    struct money b = {.minor = 125, .currency = "USD"};
    struct money c = {.minor = 125, .currency = "EUR"};
    struct money top = {.minor = INT64_MAX, .currency = "USD"};
    struct money bottom = {.minor = INT64_MIN, .currency = "USD"};
    struct money out = {.minor = 9, .currency = "USD"};
    assert_null(money_add(a, b, &out));
    assert_int_equal(out.minor, 425);
    assert_null(money_subtract(b, a, &out));
    assert_int_equal(out.minor, -175);
    struct error *errors[] = {money_add(a, c, &out), money_subtract(a, c, &out),
                              money_add(top, b, &out), money_subtract(bottom, b, &out),
                              money_subtract(a, bottom, &out)};
    for (size_t i = 0; i < 5; i++) {
        assert_true(error_is(errors[i], i < 2 ? "currency_mismatch" : "amount_out_of_range"));
        error_free(errors[i]);
    }
    assert_int_equal(out.minor, -175);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_exactly),
        cmocka_unit_test(refuses_what_is_no_amount),
        cmocka_unit_test(reads_no_byte_beyond_n),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(refuses_an_unknown_currency),
        cmocka_unit_test(formats_and_reads_back),
        cmocka_unit_test(adds_and_subtracts_or_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
