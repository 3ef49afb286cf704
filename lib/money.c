/* Money: exact arithmetic on minor units of one currency, with every overflow refused.
 * Must never round, and must never meet a float. */
#include "lib/money.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Currencies we can be asked for, with their ISO 4217 digits after the point. */
static const struct currency {
    char code[4];
    int exponent;
} CURRENCIES[] = {
    {"AED", 2}, {"AUD", 2}, {"BHD", 3}, {"BRL", 2}, {"CAD", 2}, {"CHF", 2}, {"CLP", 0}, {"CNY", 2},
    {"COP", 2}, {"CRC", 2}, {"CZK", 2}, {"DKK", 2}, {"DOP", 2}, {"EUR", 2}, {"GBP", 2}, {"GTQ", 2},
    {"HKD", 2}, {"HUF", 2}, {"ILS", 2}, {"INR", 2}, {"ISK", 0}, {"JOD", 3}, {"JPY", 0}, {"KES", 2},
    {"KRW", 0}, {"KWD", 3}, {"MXN", 2}, {"MYR", 2}, {"NOK", 2}, {"NZD", 2}, {"OMR", 3}, {"PEN", 2},
    {"PHP", 2}, {"PLN", 2}, {"RON", 2}, {"SAR", 2}, {"SEK", 2}, {"SGD", 2}, {"THB", 2}, {"TND", 3},
    {"TRY", 2}, {"TWD", 2}, {"USD", 2}, {"VND", 0}, {"ZAR", 2},
};

int money_exponent(const char *currency)
{
    for (size_t i = 0; i < sizeof CURRENCIES / sizeof CURRENCIES[0]; i++) {
        if (strcmp(CURRENCIES[i].code, currency) == 0) {
            return CURRENCIES[i].exponent;
        }
    }
    return -1;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One more digit. Counted downwards, so that the smallest int64 can be reached too. */
static bool push_digit(int64_t *value, int digit)
{
    return !__builtin_mul_overflow(*value, 10, value) &&
           !__builtin_sub_overflow(*value, digit, value);
}

/* Checks "-?digits(.digits)?" and how many digits follow the point; false if it isn't that. */
static bool amount_shape(const char *text, size_t n, int exponent, int *fraction)
{
    size_t at = n > 0 && text[0] == '-' ? 1 : 0;
    size_t whole = at;
    while (at < n && is_digit(text[at])) {
        at++;
    }
    if (at == whole) {
        return false;
    }
    *fraction = 0;
    if (at == n) {
        return true;
    }
    if (text[at] != '.') {
        return false;
    }
    size_t digits = n - at - 1;
    for (size_t i = at + 1; i < n; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
    }
    if (digits == 0 || digits > (size_t)exponent) {
        return false;
    }
    *fraction = (int)digits;
    return true;
}

struct error *money_parse(const char *text, size_t n, const char *currency, struct money *out)
{
    int exponent = money_exponent(currency);
    if (exponent < 0) {
        return error_refused("currency_unknown", "currency", "This currency is not known.");
    }
    int fraction = 0;
    if (!amount_shape(text, n, exponent, &fraction)) {
        return error_refused("amount_invalid", "amount",
                             "The amount must be digits with at most %d after the point.",
                             exponent);
    }
    bool negative = text[0] == '-';
    int64_t value = 0;
    bool fits = true;
    for (size_t i = negative ? 1 : 0; i < n && fits; i++) {
        if (text[i] != '.') {
            fits = push_digit(&value, text[i] - '0');
        }
    }
    for (int i = fraction; i < exponent && fits; i++) {
        fits = push_digit(&value, 0);
    }
    if (fits && !negative) {
        fits = !__builtin_sub_overflow((int64_t)0, value, &value);
    }
    if (!fits) {
        return error_refused("amount_out_of_range", "amount", "The amount is too large.");
    }
    out->minor = value;
    memcpy(out->currency, currency, sizeof out->currency);
    return NULL;
}

char *money_format(struct money m, char *buffer)
{
    int exponent = money_exponent(m.currency);
    uint64_t size = m.minor < 0 ? 0 - (uint64_t)m.minor : (uint64_t)m.minor;
    const char *sign = m.minor < 0 ? "-" : "";
    uint64_t scale = 1;
    for (int i = 0; i < exponent; i++) {
        scale *= 10;
    }
    int n = 0;
    if (exponent < 0) { /* never guess where the point belongs */
        n = snprintf(buffer, MONEY_TEXT_MAX, "%s%" PRIu64 " minor", sign, size);
    } else if (exponent == 0) {
        n = snprintf(buffer, MONEY_TEXT_MAX, "%s%" PRIu64, sign, size);
    } else {
        n = snprintf(buffer, MONEY_TEXT_MAX, "%s%" PRIu64 ".%0*" PRIu64, sign, size / scale,
                     exponent, size % scale);
    }
    assert(n > 0 && n < MONEY_TEXT_MAX);
    (void)n;
    return buffer;
}

static struct error *same_currency(struct money a, struct money b)
{
    if (memcmp(a.currency, b.currency, sizeof a.currency) != 0) {
        return error_refused("currency_mismatch", "currency",
                             "Amounts of two currencies can't be put together.");
    }
    return NULL;
}

struct error *money_add(struct money a, struct money b, struct money *out)
{
    struct error *e = same_currency(a, b);
    if (e != NULL) {
        return e;
    }
    struct money sum = a;
    if (__builtin_add_overflow(a.minor, b.minor, &sum.minor)) {
        return error_refused("amount_out_of_range", "amount", "The sum is too large.");
    }
    *out = sum;
    return NULL;
}

struct error *money_subtract(struct money a, struct money b, struct money *out)
{
    struct error *e = same_currency(a, b);
    if (e != NULL) {
        return e;
    }
    struct money difference = a;
    if (__builtin_sub_overflow(a.minor, b.minor, &difference.minor)) {
        return error_refused("amount_out_of_range", "amount", "The difference is too large.");
    }
    *out = difference;
    return NULL;
}
