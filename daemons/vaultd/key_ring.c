/* One purpose, one key: HKDF makes the subkeys of the key-encryption key, AES-256-WRAP-PAD wraps
 * data keys. Must never let a key out of locked memory, but wrapped. */
#include "daemons/vaultd/key_ring.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 4096u

struct data_key {
    int64_t kid;
    struct secret *key;
};

struct key_ring {
    struct secret *wrap, *customer, *request; /* subkeys of the key-encryption key */
    struct data_key *keys;
    size_t count;
    int64_t active_kid;
    int64_t allowance; /* seals left of what was set aside for active_kid */
};

static struct error *key_failed(void)
{
    return error_failed("key_failed", "A key of the vault could not be made or used.");
}

/* HKDF-SHA256 without salt (the input is a uniform key); info names purpose and key. */
static struct error *derive(const struct secret *from, const char *purpose, const char *name,
                            size_t n, struct secret **out)
{
    *out = NULL;
    char info[96];
    const int info_n = snprintf(info, sizeof info, "pay/v1/%s/%s", purpose, name);
    assert(info_n > 0 && (size_t)info_n < sizeof info && n <= KEY_BYTES);
    uint8_t input[KEY_BYTES], output[KEY_BYTES];
    assert(secret_size(from) == sizeof input);
    memcpy(input, secret_expose(from), sizeof input);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, input, sizeof input),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)info_n),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = hkdf == NULL ? NULL : EVP_KDF_CTX_new(hkdf);
    if (context != NULL && EVP_KDF_derive(context, output, n, parameters) == 1) {
        *out = secret_new(output, n);
    }
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(hkdf);
    secret_wipe(input, sizeof input);
    secret_wipe(output, sizeof output);
    return *out == NULL ? key_failed() : NULL;
}

/* Wraps or unwraps `n` bytes; how many bytes came out, 0 if it failed. `out` has room for n + 16.
 */
static size_t wrap_pad(const struct secret *by, int encrypt, const uint8_t *in, size_t n,
                       uint8_t *out)
{
    assert(secret_size(by) == KEY_BYTES);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-WRAP-PAD", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int wrote = 0, rest = 0;
    int good = cipher != NULL && context != NULL;
    if (good) {
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
        good = EVP_CipherInit_ex2(context, cipher, (const uint8_t *)secret_expose(by), NULL,
                                  encrypt, NULL) == 1 &&
               EVP_CipherUpdate(context, out, &wrote, in, (int)n) == 1 &&
               EVP_CipherFinal_ex(context, out + wrote, &rest) == 1;
    }
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return good ? (size_t)(wrote + rest) : 0;
}

struct error *key_wrap(const struct secret *by, const struct secret *key,
                       uint8_t out[KEY_WRAPPED_BYTES])
{
    uint8_t buffer[KEY_BYTES + 16];
    assert(secret_size(key) == KEY_BYTES);
    const size_t n = wrap_pad(by, 1, (const uint8_t *)secret_expose(key), KEY_BYTES, buffer);
    if (n != KEY_WRAPPED_BYTES) {
        return key_failed();
    }
    memcpy(out, buffer, KEY_WRAPPED_BYTES);
    return NULL;
}

struct error *key_unwrap(const struct secret *by, const uint8_t wrapped[KEY_WRAPPED_BYTES],
                         struct secret **key)
{
    *key = NULL;
    uint8_t buffer[KEY_WRAPPED_BYTES + 16];
    const size_t n = wrap_pad(by, 0, wrapped, KEY_WRAPPED_BYTES, buffer);
    struct error *e = NULL;
    if (n != KEY_BYTES) {
        e = error_failed("kek_wrong",
                         "A data key of the vault does not unwrap: the credential "
                         "%s is not the one it was wrapped with, or the row was "
                         "changed.",
                         KEY_KEK_NAME);
    } else {
        *key = secret_new(buffer, n);
        e = *key == NULL ? key_failed() : NULL;
    }
    secret_wipe(buffer, sizeof buffer);
    return e;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static struct error *kek_read(const struct secret *hex, struct secret **kek)
{
    uint8_t bytes[KEY_BYTES];
    const char *text = secret_expose(hex);
    bool good = secret_size(hex) == 2 * sizeof bytes;
    for (size_t i = 0; good && i < sizeof bytes; i++) {
        const int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        good = high >= 0 && low >= 0;
        bytes[i] = good ? (uint8_t)(high * 16 + low) : 0;
    }
    struct error *e = NULL;
    if (!good) {
        e = error_failed("kek_invalid",
                         "The credential %s must be 32 random bytes as 64 hex "
                         "digits.",
                         KEY_KEK_NAME);
    } else {
        *kek = secret_new(bytes, sizeof bytes);
        e = *kek == NULL ? key_failed() : NULL;
    }
    secret_wipe(bytes, sizeof bytes);
    return e;
}

struct error *key_ring_new(const struct secret *kek_hex, struct key_ring **out)
{
    *out = NULL;
    struct secret *kek = NULL;
    struct error *e = kek_read(kek_hex, &kek);
    if (e != NULL) {
        return e;
    }
    struct key_ring *ring = calloc(1, sizeof *ring);
    assert(ring != NULL);
    e = derive(kek, "wrap", KEY_KEK_NAME, KEY_BYTES, &ring->wrap);
    if (e == NULL) {
        e = derive(kek, "fingerprint", KEY_KEK_NAME, KEY_BYTES, &ring->customer);
    }
    if (e == NULL) {
        e = derive(kek, "request-fingerprint", KEY_KEK_NAME, KEY_BYTES, &ring->request);
    }
    secret_free(kek);
    if (e != NULL) {
        key_ring_free(ring);
        return e;
    }
    *out = ring;
    return NULL;
}

void key_ring_free(struct key_ring *ring)
{
    if (ring == NULL) {
        return;
    }
    for (size_t i = 0; i < ring->count; i++) {
        secret_free(ring->keys[i].key);
    }
    free(ring->keys);
    secret_free(ring->wrap);
    secret_free(ring->customer);
    secret_free(ring->request);
    free(ring);
}

/* Says that a key is the key of this kid; tells nothing of the key itself. */
static struct error *check_value(const struct secret *key, int64_t kid, struct secret **out)
{
    char name[24];
    (void)snprintf(name, sizeof name, "%" PRId64, kid);
    return derive(key, "check", name, KEY_CHECK_BYTES, out);
}

struct error *key_ring_make(const struct key_ring *ring, int64_t kid, struct wrapped_key *out)
{
    *out = (struct wrapped_key){.kid = kid};
    uint8_t bytes[KEY_BYTES];
    struct secret *key = NULL, *check = NULL;
    if (RAND_priv_bytes(bytes, sizeof bytes) == 1) {
        key = secret_new(bytes, sizeof bytes);
    }
    secret_wipe(bytes, sizeof bytes);
    if (key == NULL) {
        return key_failed();
    }
    struct error *e = key_wrap(ring->wrap, key, out->wrapped);
    if (e == NULL) {
        e = check_value(key, kid, &check);
    }
    if (e == NULL) {
        memcpy(out->check_value, secret_expose(check), KEY_CHECK_BYTES);
    }
    secret_free(check);
    secret_free(key);
    return e;
}

static struct error *check_matches(const struct secret *key, const struct wrapped_key *wrapped)
{
    struct secret *expected = NULL;
    struct error *e = check_value(key, wrapped->kid, &expected);
    if (e == NULL &&
        CRYPTO_memcmp(secret_expose(expected), wrapped->check_value, KEY_CHECK_BYTES) != 0) {
        e = error_failed("key_check_failed",
                         "Data key %" PRId64 " of the vault is not the key of that number.",
                         wrapped->kid);
    }
    secret_free(expected);
    return e;
}

struct error *key_ring_load(struct key_ring *ring, const struct wrapped_key *wrapped)
{
    if (key_ring_key(ring, wrapped->kid) != NULL) {
        return NULL;
    }
    if (ring->count == KEYS_MAX) {
        return key_failed();
    }
    struct secret *key = NULL;
    struct error *e = key_unwrap(ring->wrap, wrapped->wrapped, &key);
    if (e == NULL) {
        e = check_matches(key, wrapped);
    }
    if (e != NULL) {
        secret_free(key);
        return e;
    }
    struct data_key *keys = realloc(ring->keys, (ring->count + 1) * sizeof *keys);
    assert(keys != NULL);
    keys[ring->count] = (struct data_key){wrapped->kid, key};
    ring->keys = keys;
    ring->count++;
    return NULL;
}

const struct secret *key_ring_key(const struct key_ring *ring, int64_t kid)
{
    for (size_t i = ring->count; i > 0; i--) { /* the newest is asked for most */
        if (ring->keys[i - 1].kid == kid) {
            return ring->keys[i - 1].key;
        }
    }
    return NULL;
}

void key_ring_allow(struct key_ring *ring, int64_t kid, int64_t count)
{
    assert(count > 0 && count <= KEY_SEALS_MAX && key_ring_key(ring, kid) != NULL);
    if (ring->active_kid != kid) {
        assert(kid > ring->active_kid);
        ring->active_kid = kid;
        ring->allowance = 0;
    }
    ring->allowance += count;
}

int64_t key_ring_allowance(const struct key_ring *ring)
{
    return ring->allowance;
}

const struct secret *key_ring_spend(struct key_ring *ring, int64_t *kid)
{
    assert(ring->allowance > 0);
    ring->allowance--;
    *kid = ring->active_kid;
    const struct secret *key = key_ring_key(ring, *kid);
    assert(key != NULL);
    return key;
}

const struct secret *key_ring_customer_key(const struct key_ring *ring)
{
    return ring->customer;
}

const struct secret *key_ring_request_key(const struct key_ring *ring)
{
    return ring->request;
}
