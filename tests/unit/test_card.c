/* links: vaultd */
/* Card numbers: Luhn's check, brands, expiry, security codes; and that the stored form holds what
 * was put in and no more. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemons/vaultd/card.h"
#include "daemons/vaultd/card_record.h"

/* 2026-10-31 12:00:00 UTC */
#define OCTOBER_2026_END_US INT64_C(1793448000000000)
#define HOUR_US INT64_C(3600000000)

static int start(void **state)
{
    (void)state;
    return secret_memory_start(1u << 16) == NULL ? 0 : -1;
}

static struct error *check(const char *pan, int64_t month, int64_t year, int64_t now_us,
                           struct card_face *face)
{
    struct secret *s = secret_new(pan, strlen(pan));
    struct error *e = card_check(s, month, year, now_us, face);
    secret_free(s);
    return e;
}

static void refused(struct error *e, const char *code, const char *field)
{
    assert_non_null(e);
    assert_string_equal(e->code, code);
    assert_string_equal(e->field, field);
    assert_int_equal(e->kind, ERROR_REFUSED);
    error_free(e);
}

static void test_luhn(void **state)
{
    (void)state;
    assert_true(card_luhn("4111111111111111", 16));
    assert_true(card_luhn("378282246310005", 15));
    assert_true(card_luhn("79927398713", 11));
    assert_false(card_luhn("", 0));
    assert_false(card_luhn("41111111x1111111", 16));
    for (int last = '0'; last <= '9'; last++) { /* one check digit, and no other, is right */
        const char digits[] = {'7', '9', '9', '2', '7', '3', '9', '8', '7', '1', (char)last, '\0'};
        assert_int_equal(card_luhn(digits, 11), last == '3');
    }
    for (size_t i = 0; i < 16; i++) { /* every single wrong digit is found */
        char digits[] = "4111111111111111";
        digits[i] = digits[i] == '9' ? '0' : (char)(digits[i] + 1);
        assert_false(card_luhn(digits, 16));
    }
}

static void test_brands(void **state)
{
    (void)state;
    static const struct {
        const char *pan, *brand;
    } CARDS[] = {
        {"4111111111111111", "VISA"},        {"4242424242424242", "VISA"},
        {"5555555555554444", "MASTERCARD"},  {"2223003122003222", "MASTERCARD"},
        {"378282246310005", "AMEX"},         {"6011111111111117", "DISCOVER"},
        {"30569309025904", "DINERS"},        {"3530111333300000", "JCB"},
        {"6205500000000000004", "UNIONPAY"},
    };
    for (size_t i = 0; i < sizeof CARDS / sizeof *CARDS; i++) {
        struct card_face face;
        assert_null(check(CARDS[i].pan, 12, 2030, OCTOBER_2026_END_US, &face));
        assert_string_equal(face.brand, CARDS[i].brand);
        assert_string_equal(card_brand(CARDS[i].pan), CARDS[i].brand);
        assert_string_equal(face.last_four, CARDS[i].pan + strlen(CARDS[i].pan) - 4);
        assert_string_equal(face.expiry, "1230");
    }
    assert_string_equal(card_brand("9999999999999995"), "OTHER");
    assert_string_equal(card_brand("222099000000"), "OTHER"); /* just below Mastercard's range */
    assert_string_equal(card_brand("272100000000"), "OTHER"); /* just above it */
}

static void test_numbers_refused(void **state)
{
    (void)state;
    static const char *const PANS[] = {
        "4111111111111112",     /* check digit */
        "411111111111111",      /* a digit short */
        "4111 1111 1111 1111",  /* not digits only */
        "0000000000000000",     /* passes Luhn */
        "42424242424",          /* 11 digits */
        "41111111111111111111", /* 20 digits */
        "3782822463100050",     /* American Express has 15 */
    };
    struct card_face face;
    for (size_t i = 0; i < sizeof PANS / sizeof *PANS; i++) {
        refused(check(PANS[i], 12, 2030, OCTOBER_2026_END_US, &face), "pan_invalid", "card.pan");
    }
}

static void test_expiry(void **state)
{
    (void)state;
    struct card_face face;
    const char *pan = "4242424242424242";
    assert_null(check(pan, 10, 2026, OCTOBER_2026_END_US, &face));
    assert_string_equal(face.expiry, "1026");
    /* Half a day of November in UTC is still October somewhere. */
    assert_null(check(pan, 10, 2026, OCTOBER_2026_END_US + 23 * HOUR_US, &face));
    refused(check(pan, 10, 2026, OCTOBER_2026_END_US + 25 * HOUR_US, &face), "card_expired",
            "card.expiry_year");
    refused(check(pan, 12, 2025, OCTOBER_2026_END_US, &face), "card_expired", "card.expiry_year");
    refused(check(pan, 13, 2027, OCTOBER_2026_END_US, &face), "expiry_invalid",
            "card.expiry_month");
    refused(check(pan, 1, 1999, OCTOBER_2026_END_US, &face), "expiry_invalid", "card.expiry_year");
    assert_null(card_check_stored("1026", OCTOBER_2026_END_US));
    refused(card_check_stored("0926", OCTOBER_2026_END_US), "card_expired", "token");
}

static void cvv_is(const char *cvv, const char *brand, bool good)
{
    struct secret *s = secret_new(cvv, strlen(cvv));
    struct error *e = card_check_cvv(s, brand, "card.cvv");
    secret_free(s);
    if (good) {
        assert_null(e);
    } else {
        refused(e, "cvv_invalid", "card.cvv");
    }
}

static void test_cvv(void **state)
{
    (void)state;
    assert_null(card_check_cvv(NULL, "VISA", "cvv"));
    cvv_is("123", "VISA", true);
    cvv_is("1234", "VISA", false);
    cvv_is("12a", "VISA", false);
    cvv_is("1234", "AMEX", true);
    cvv_is("123", "AMEX", false);
    cvv_is("123", "OTHER", true);
    cvv_is("1234", "OTHER", true);
}

static void test_record(void **state)
{
    (void)state;
    char holder[61];
    memset(holder, 'h', 60);
    holder[60] = '\0';
    struct secret *pan = secret_new("6205500000000000004", 19);
    struct secret *packed = card_record_pack(pan, holder, "123456789012");
    assert_int_equal(secret_size(packed), CARD_RECORD_BYTES);
    struct card_record record;
    assert_null(card_record_unpack(packed, &record));
    assert_true(secret_equal(record.pan, pan));
    assert_string_equal(record.holder, holder);
    assert_string_equal(record.postal_code, "123456789012");
    card_record_clear(&record);

    struct secret *brief = secret_new("4242424242424242", 16);
    struct secret *brief_packed = card_record_pack(brief, "", "");
    assert_int_equal(secret_size(brief_packed), CARD_RECORD_BYTES); /* the length tells nothing */
    assert_null(card_record_unpack(brief_packed, &record));
    assert_true(secret_equal(record.pan, brief));
    assert_string_equal(record.holder, "");
    card_record_clear(&record);
    secret_free(brief);
    secret_free(brief_packed);
    secret_free(pan);
    secret_free(packed);
}

static void test_record_broken(void **state)
{
    (void)state;
    struct secret *pan = secret_new("4242424242424242", 16);
    struct secret *good = card_record_pack(pan, "A. Holder", "12345");
    static const struct {
        size_t at;
        char value;
    } BREAKS[] = {{0, 2}, {1, 20}, {1, 11}, {1, (char)0xff}, {18, 61}, {28, 13}};
    for (size_t i = 0; i < sizeof BREAKS / sizeof *BREAKS; i++) {
        char bytes[CARD_RECORD_BYTES];
        memcpy(bytes, secret_expose(good), sizeof bytes);
        bytes[BREAKS[i].at] = BREAKS[i].value;
        struct secret *broken = secret_new(bytes, sizeof bytes);
        struct card_record record;
        struct error *e = card_record_unpack(broken, &record);
        assert_true(error_is(e, "record_broken"));
        error_free(e);
        secret_free(broken);
    }
    struct secret *shorter = secret_new(secret_expose(good), CARD_RECORD_BYTES - 1);
    struct card_record record;
    struct error *e = card_record_unpack(shorter, &record);
    assert_true(error_is(e, "record_broken"));
    error_free(e);
    secret_free(shorter);
    secret_free(good);
    secret_free(pan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_luhn),
        cmocka_unit_test(test_brands),
        cmocka_unit_test(test_numbers_refused),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_cvv),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_record_broken),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
