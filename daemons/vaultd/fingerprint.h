/* Keyed fingerprints of cards: HMAC-SHA256 of the full number, each kind under a key of its own.
 * One finds a customer's same card again; the other compares two requests. */
#ifndef VAULTD_FINGERPRINT_H
#define VAULTD_FINGERPRINT_H

#include "lib/error.h"
#include "lib/secret.h"

#define FINGERPRINT_BYTES 32u
#define FINGERPRINT_TEXT_BYTES (2 * FINGERPRINT_BYTES + 1) /* hex and NUL */

/* The same card of another customer has another fingerprint, so that rows of two customers can't be
 * matched. Writes 64 hex digits and a NUL. Errors of both: busy (locked memory used up). */
struct error *fingerprint_of_customer_card(const struct secret *key, const char *customer,
                                           const struct secret *pan,
                                           char out[FINGERPRINT_TEXT_BYTES]) MUST_CHECK;
/* For telling whether a request repeated under its idempotency key names the same card: the typed
 * number, or (`pan` NULL) the stored card's token. The CVV is never in it, as the result is
 * stored. */
struct error *fingerprint_of_request(const struct secret *key, const struct secret *pan,
                                     const char *token,
                                     char out[FINGERPRINT_TEXT_BYTES]) MUST_CHECK;

#endif
