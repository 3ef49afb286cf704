/* Sealing of card records: AES-256-GCM, a fresh random 96-bit nonce and a fresh context each time,
 * bound to the place where the record belongs so that it opens nowhere else. */
#ifndef VAULTD_SEAL_H
#define VAULTD_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/secret.h"

#define SEAL_KEY_BYTES 32u
#define SEAL_NONCE_BYTES 12u
#define SEAL_TAG_BYTES 16u
#define SEAL_PLAIN_MAX_BYTES 256u

/* Where a record belongs; all of it is authenticated. Texts are borrowed during the call. */
struct seal_place {
    const char *token;
    int64_t kid;
    const char *customer;
    const char *expiry; /* MMYY */
};

struct sealed {
    uint8_t nonce[SEAL_NONCE_BYTES];
    size_t size;                                          /* of bytes */
    uint8_t bytes[SEAL_PLAIN_MAX_BYTES + SEAL_TAG_BYTES]; /* ciphertext, then tag */
};

/* Seals 1..SEAL_PLAIN_MAX_BYTES bytes under a key of SEAL_KEY_BYTES. Never draws a nonce from
 * anything but the private random generator. Errors: seal_failed. */
struct error *seal_record(const struct secret *key, const struct seal_place *place,
                          const struct secret *plain, struct sealed *out) MUST_CHECK;
/* The plaintext, owned by the caller. Errors: seal_broken (tampered with, another row's, another
 * key), busy (locked memory used up). */
struct error *seal_open(const struct secret *key, const struct seal_place *place,
                        const struct sealed *sealed, struct secret **plain) MUST_CHECK;

#endif
