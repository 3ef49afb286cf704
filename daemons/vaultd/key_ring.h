/* The vault's keys in locked memory: subkeys of the key-encryption key that systemd delivers, and
 * the data keys that PostgreSQL keeps wrapped. Knows nothing of the database. */
#ifndef VAULTD_KEY_RING_H
#define VAULTD_KEY_RING_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/secret.h"

#define KEY_BYTES 32u
#define KEY_WRAPPED_BYTES 40u
#define KEY_CHECK_BYTES 16u
#define KEY_KEK_NAME "vault-kek-1"
/* Seals under one key, at most: far below the 2^32 that random nonces of AES-GCM allow. */
#define KEY_SEALS_MAX (INT64_C(1) << 28)

struct key_ring; /* opaque */

/* A data key as the database keeps it. */
struct wrapped_key {
    int64_t kid;
    uint8_t wrapped[KEY_WRAPPED_BYTES];
    uint8_t check_value[KEY_CHECK_BYTES];
};

/* From the credential's text, 64 hex digits; the text is borrowed. Errors: kek_invalid. */
struct error *key_ring_new(const struct secret *kek_hex, struct key_ring **out) MUST_CHECK;
void key_ring_free(struct key_ring *ring); /* wipes; NULL is allowed */

/* A new random data key for `kid`, wrapped. It isn't on the ring until it is stored and loaded.
 * Errors: key_failed. */
struct error *key_ring_make(const struct key_ring *ring, int64_t kid,
                            struct wrapped_key *out) MUST_CHECK;
/* Unwraps a stored key and puts it on the ring; nothing if it is there already.
 * Errors: kek_wrong (it doesn't unwrap under our key-encryption key), key_check_failed (it is not
 * the key of this kid), key_failed. */
struct error *key_ring_load(struct key_ring *ring, const struct wrapped_key *wrapped) MUST_CHECK;
/* Borrowed; NULL if not loaded. */
const struct secret *key_ring_key(const struct key_ring *ring, int64_t kid);

/* `count` more seals were set aside in the database for the loaded key `kid`; what was left of the
 * one before is dropped. */
void key_ring_allow(struct key_ring *ring, int64_t kid, int64_t count);
/* How many seals are left before more must be set aside. */
int64_t key_ring_allowance(const struct key_ring *ring);
/* Uses up one seal (key_ring_allowance must not be 0): the key to seal with, borrowed, and its
 * kid. */
const struct secret *key_ring_spend(struct key_ring *ring, int64_t *kid);

/* Borrowed subkeys for fingerprint.h. */
const struct secret *key_ring_customer_key(const struct key_ring *ring);
const struct secret *key_ring_request_key(const struct key_ring *ring);

/* AES-256-WRAP-PAD (RFC 5649) of one key by another; for key_ring and its tests.
 * Errors: key_failed; unwrap: kek_wrong. */
struct error *key_wrap(const struct secret *by, const struct secret *key,
                       uint8_t out[KEY_WRAPPED_BYTES]) MUST_CHECK;
struct error *key_unwrap(const struct secret *by, const uint8_t wrapped[KEY_WRAPPED_BYTES],
                         struct secret **key) MUST_CHECK;

#endif
