/* The rules of card numbers. Must never put a digit of a number, but the last four, into an error,
 * a log or anything it returns. */
#include "daemons/vaultd/card.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct brand_range {
    uint32_t from, to; /* the first six digits, inclusive */
    unsigned digits_min, digits_max;
    const char *brand;
};

/* The first range that fits decides, so the narrow ones come before the wide. */
static const struct brand_range RANGES[] = {
    {222100, 272099, 16, 16, "MASTERCARD"}, {300000, 305999, 14, 19, "DINERS"},
    {309500, 309599, 14, 19, "DINERS"},     {340000, 349999, 15, 15, "AMEX"},
    {352800, 358999, 16, 19, "JCB"},        {360000, 369999, 14, 19, "DINERS"},
    {370000, 379999, 15, 15, "AMEX"},       {380000, 399999, 14, 19, "DINERS"},
    {400000, 499999, 13, 19, "VISA"},       {500000, 509999, 12, 19, "MAESTRO"},
    {510000, 559999, 16, 16, "MASTERCARD"}, {560000, 589999, 12, 19, "MAESTRO"},
    {601100, 601199, 16, 19, "DISCOVER"},   {620000, 629999, 16, 19, "UNIONPAY"},
    {630400, 630499, 12, 19, "MAESTRO"},    {644000, 659999, 16, 19, "DISCOVER"},
    {675900, 676399, 12, 19, "MAESTRO"},    {810000, 819999, 16, 19, "UNIONPAY"},
};

static const struct brand_range *range_of(const char *digits)
{
    uint32_t prefix = 0;
    for (size_t i = 0; i < 6; i++) {
        assert(digits[i] >= '0' && digits[i] <= '9');
        prefix = prefix * 10u + (uint32_t)(digits[i] - '0');
    }
    for (size_t i = 0; i < sizeof RANGES / sizeof *RANGES; i++) {
        if (prefix >= RANGES[i].from && prefix <= RANGES[i].to) {
            return &RANGES[i];
        }
    }
    return NULL;
}

bool card_luhn(const char *digits, size_t n)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        const char c = digits[n - 1 - i];
        if (c < '0' || c > '9') {
            return false;
        }
        unsigned value = (unsigned)(c - '0');
        if (i % 2 == 1) {
            value *= 2;
            if (value > 9) {
                value -= 9;
            }
        }
        sum += value;
    }
    return n > 0 && sum % 10 == 0;
}

const char *card_brand(const char *digits)
{
    const struct brand_range *range = range_of(digits);
    return range == NULL ? "OTHER" : range->brand;
}

/* A card is good to the end of its last month where the payment is taken; the last place on earth
 * to leave a month does so 12 hours after UTC. What we let pass in those hours the issuer
 * decides. */
static bool has_expired(int64_t month, int64_t year, int64_t wall_us)
{
    const time_t behind = (time_t)(wall_us / 1000000 - 12 * 3600);
    struct tm now;
    if (gmtime_r(&behind, &now) == NULL) {
        return true;
    }
    return year * 12 + (month - 1) < (int64_t)(now.tm_year + 1900) * 12 + now.tm_mon;
}

static struct error *pan_invalid(void)
{
    return error_refused("pan_invalid", "card.pan",
                         "The card number is not valid. Check it and type it again.");
}

struct error *card_check(const struct secret *pan, int64_t month, int64_t year, int64_t wall_us,
                         struct card_face *face)
{
    const char *digits = secret_expose(pan);
    const size_t n = secret_size(pan);
    if (n < CARD_PAN_DIGITS_MIN || n > CARD_PAN_DIGITS_MAX || !card_luhn(digits, n) ||
        strspn(digits, "0") == n) {
        return pan_invalid();
    }
    const struct brand_range *range = range_of(digits);
    if (range != NULL && (n < range->digits_min || n > range->digits_max)) {
        return pan_invalid();
    }
    if (month < 1 || month > 12 || year < 2000 || year > 2099) {
        return error_refused("expiry_invalid",
                             month < 1 || month > 12 ? "card.expiry_month" : "card.expiry_year",
                             "The card's expiry date is not valid.");
    }
    if (has_expired(month, year, wall_us)) {
        return error_refused("card_expired", "card.expiry_year",
                             "The card has expired. Ask for another card.");
    }
    *face = (struct card_face){0};
    (void)snprintf(face->brand, sizeof face->brand, "%s", range == NULL ? "OTHER" : range->brand);
    memcpy(face->last_four, digits + n - 4, 4);
    (void)snprintf(face->expiry, sizeof face->expiry, "%02u%02u", (unsigned)month % 100u,
                   (unsigned)year % 100u);
    return NULL;
}

struct error *card_check_stored(const char *expiry, int64_t wall_us)
{
    assert(strlen(expiry) == 4 && strspn(expiry, "0123456789") == 4);
    const int64_t month = (expiry[0] - '0') * 10 + (expiry[1] - '0');
    const int64_t year = 2000 + (expiry[2] - '0') * 10 + (expiry[3] - '0');
    if (has_expired(month, year, wall_us)) {
        return error_refused("card_expired", "token",
                             "The stored card has expired. Ask for another card.");
    }
    return NULL;
}

struct error *card_check_cvv(const struct secret *cvv, const char *brand, const char *field)
{
    if (cvv == NULL) {
        return NULL;
    }
    const char *digits = secret_expose(cvv);
    const size_t n = secret_size(cvv);
    bool good = strspn(digits, "0123456789") == n;
    if (strcmp(brand, "AMEX") == 0) {
        good = good && n == 4;
    } else if (strcmp(brand, "OTHER") == 0) {
        good = good && (n == 3 || n == 4);
    } else {
        good = good && n == 3;
    }
    return good ? NULL
                : error_refused("cvv_invalid", field,
                                "The security code is not valid: 3 digits on the back, or 4 on the "
                                "front of an American Express.");
}
