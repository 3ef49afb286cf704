/* A typed card: is the number a card's number, whose brand, has it expired. Works on what it is
 * given and keeps nothing. */
#ifndef VAULTD_CARD_H
#define VAULTD_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/secret.h"

#define CARD_PAN_DIGITS_MIN 12u
#define CARD_PAN_DIGITS_MAX 19u
#define CARD_CVV_DIGITS_MAX 4u

/* What may be shown of a card. */
struct card_face {
    char brand[21];    /* "VISA"; "OTHER" when the number is in no range we know */
    char last_four[5]; /* "1111" */
    char expiry[5];    /* MMYY */
};

/* True if `digits` are all digits and pass Luhn's check. */
bool card_luhn(const char *digits, size_t n);
/* "VISA", "MASTERCARD", "AMEX", "DISCOVER", "DINERS", "JCB", "UNIONPAY", "MAESTRO" or "OTHER", from
 * the first digits; a static text. `digits` holds at least 12 digits. */
const char *card_brand(const char *digits);
/* Checks a typed card's number and expiry against the clock and fills `face`.
 * Errors: pan_invalid, expiry_invalid, card_expired (fields card.pan, card.expiry_month,
 * card.expiry_year). */
struct error *card_check(const struct secret *pan, int64_t month, int64_t year, int64_t wall_us,
                         struct card_face *face) MUST_CHECK;
/* A stored card's expiry, MMYY. Errors: card_expired (field token). */
struct error *card_check_stored(const char *expiry, int64_t wall_us) MUST_CHECK;
/* The security code's length against the brand; NULL is good. Errors: cvv_invalid with `field`. */
struct error *card_check_cvv(const struct secret *cvv, const char *brand,
                             const char *field) MUST_CHECK;

#endif
