/* Money: int64 minor units plus an ISO 4217 currency. Exact or refused; floats never. */
#ifndef LIB_MONEY_H
#define LIB_MONEY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define MONEY_TEXT_MAX 32

struct money {
    int64_t minor;
    char currency[4]; /* "USD" */
};

/* Number of digits after the point for a known currency (USD 2, JPY 0, ...), -1 if unknown. */
int money_exponent(const char *currency);
/* Parses "80.00", "80", "-5.10" exactly (no grouping, no exponent, at most the currency's digits).
 * Errors: amount_invalid, amount_out_of_range, currency_unknown (field "amount"/"currency"). */
struct error *money_parse(const char *text, size_t n, const char *currency,
                          struct money *out) MUST_CHECK;
/* "80.00"; buffer of MONEY_TEXT_MAX bytes; returns the buffer. */
char *money_format(struct money m, char *buffer);
/* Errors: amount_out_of_range (overflow), currency_mismatch. */
struct error *money_add(struct money a, struct money b, struct money *out) MUST_CHECK;
struct error *money_subtract(struct money a, struct money b, struct money *out) MUST_CHECK;

#endif
