/* AES-256-GCM over card records. Must never reuse a context, nor keep one: a live one holds a copy
 * of the key outside the locked heap. */
#include "daemons/vaultd/seal.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define PLACE_FIELDS 5u
#define PLACE_MAX_BYTES 512u

/* The algorithm, not a context: it holds no key and may be kept. */
static const EVP_CIPHER *cipher(void)
{
    static EVP_CIPHER *fetched;
    if (fetched == NULL) {
        fetched = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    }
    assert(fetched != NULL);
    return fetched;
}

/* v1 | token | kid | customer | expiry, each behind its length in two bytes, so that no two places
 * give the same bytes. */
static size_t place_write(const struct seal_place *place, uint8_t out[PLACE_MAX_BYTES])
{
    char kid[24];
    (void)snprintf(kid, sizeof kid, "%" PRId64, place->kid);
    const char *fields[PLACE_FIELDS] = {"v1", place->token, kid, place->customer, place->expiry};
    size_t at = 0;
    for (size_t i = 0; i < PLACE_FIELDS; i++) {
        const size_t n = strlen(fields[i]);
        assert(n <= UINT16_MAX && at + 2 + n <= PLACE_MAX_BYTES);
        out[at] = (uint8_t)(n >> 8);
        out[at + 1] = (uint8_t)(n & 0xff);
        memcpy(out + at + 2, fields[i], n);
        at += 2 + n;
    }
    return at;
}

static const uint8_t *key_bytes(const struct secret *key)
{
    assert(secret_size(key) == SEAL_KEY_BYTES);
    return (const uint8_t *)secret_expose(key);
}

struct error *seal_record(const struct secret *key, const struct seal_place *place,
                          const struct secret *plain, struct sealed *out)
{
    uint8_t aad[PLACE_MAX_BYTES];
    const size_t aad_n = place_write(place, aad);
    const size_t n = secret_size(plain);
    assert(n >= 1 && n <= SEAL_PLAIN_MAX_BYTES);
    *out = (struct sealed){.size = n + SEAL_TAG_BYTES};
    int wrote = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const int good =
        context != NULL && RAND_priv_bytes(out->nonce, SEAL_NONCE_BYTES) == 1 &&
        EVP_EncryptInit_ex2(context, cipher(), key_bytes(key), out->nonce, NULL) == 1 &&
        EVP_EncryptUpdate(context, NULL, &wrote, aad, (int)aad_n) == 1 &&
        EVP_EncryptUpdate(context, out->bytes, &wrote, (const uint8_t *)secret_expose(plain),
                          (int)n) == 1 &&
        (size_t)wrote == n && EVP_EncryptFinal_ex(context, out->bytes + n, &wrote) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, out->bytes + n) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!good) {
        secret_wipe(out, sizeof *out);
        return error_failed("seal_failed", "A card could not be sealed.");
    }
    return NULL;
}

struct error *seal_open(const struct secret *key, const struct seal_place *place,
                        const struct sealed *sealed, struct secret **plain)
{
    *plain = NULL;
    if (sealed->size <= SEAL_TAG_BYTES || sealed->size > sizeof sealed->bytes) {
        return error_failed("seal_broken", "A stored card is broken: wrong length.");
    }
    uint8_t aad[PLACE_MAX_BYTES];
    const size_t aad_n = place_write(place, aad);
    const size_t n = sealed->size - SEAL_TAG_BYTES;
    uint8_t tag[SEAL_TAG_BYTES];
    memcpy(tag, sealed->bytes + n, sizeof tag);
    uint8_t opened[SEAL_PLAIN_MAX_BYTES];
    int wrote = 0, rest = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    const int good =
        context != NULL &&
        EVP_DecryptInit_ex2(context, cipher(), key_bytes(key), sealed->nonce, NULL) == 1 &&
        EVP_DecryptUpdate(context, NULL, &wrote, aad, (int)aad_n) == 1 &&
        EVP_DecryptUpdate(context, opened, &wrote, sealed->bytes, (int)n) == 1 &&
        (size_t)wrote == n &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, tag) == 1 &&
        EVP_DecryptFinal_ex(context, opened + n, &rest) == 1;
    EVP_CIPHER_CTX_free(context);
    if (good) {
        *plain = secret_new(opened, n);
    }
    secret_wipe(opened, sizeof opened);
    if (!good) {
        return error_failed("seal_broken", "A stored card does not open: it was changed, or "
                                           "belongs to another row or key.");
    }
    if (*plain == NULL) {
        return error_refused("busy", "", "Too many cards are in use at once. Try again.");
    }
    return NULL;
}
