/* HMAC-SHA256 over length-prefixed fields. Must never fall back to a hash without a key: the
 * numbers of a bank are few enough to be tried one by one. */
#include "daemons/vaultd/fingerprint.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool add(EVP_MAC_CTX *context, const void *bytes, size_t n)
{
    assert(n <= UINT16_MAX);
    const uint8_t length[2] = {(uint8_t)(n >> 8), (uint8_t)(n & 0xff)};
    return EVP_MAC_update(context, length, sizeof length) == 1 &&
           EVP_MAC_update(context, bytes, n) == 1;
}

/* NULL when the locked heap, into which OpenSSL copies the key, is used up. */
static EVP_MAC_CTX *begin(const struct secret *key)
{
    static EVP_MAC *hmac; /* the algorithm; holds no key */
    if (hmac == NULL) {
        hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    }
    assert(hmac != NULL && secret_size(key) == FINGERPRINT_BYTES);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(hmac);
    if (context != NULL && EVP_MAC_init(context, (const uint8_t *)secret_expose(key),
                                        secret_size(key), parameters) != 1) {
        EVP_MAC_CTX_free(context);
        return NULL;
    }
    return context;
}

/* Ends and frees the context at once: it holds the key. */
static struct error *end(EVP_MAC_CTX *context, bool good, char out[FINGERPRINT_TEXT_BYTES])
{
    uint8_t mac[FINGERPRINT_BYTES];
    size_t n = 0;
    good = good && EVP_MAC_final(context, mac, &n, sizeof mac) == 1 && n == sizeof mac;
    EVP_MAC_CTX_free(context);
    if (!good) {
        return error_refused("busy", "", "Too many cards are in use at once. Try again.");
    }
    static const char HEX[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof mac; i++) {
        out[2 * i] = HEX[mac[i] >> 4];
        out[2 * i + 1] = HEX[mac[i] & 15];
    }
    out[2 * sizeof mac] = '\0';
    return NULL;
}

struct error *fingerprint_of_customer_card(const struct secret *key, const char *customer,
                                           const struct secret *pan,
                                           char out[FINGERPRINT_TEXT_BYTES])
{
    EVP_MAC_CTX *context = begin(key);
    const bool good = context != NULL && add(context, "customer", strlen("customer")) &&
                      add(context, customer, strlen(customer)) &&
                      add(context, secret_expose(pan), secret_size(pan));
    return end(context, good, out);
}

struct error *fingerprint_of_request(const struct secret *key, const struct secret *pan,
                                     const char *token, char out[FINGERPRINT_TEXT_BYTES])
{
    assert((pan != NULL) != (token != NULL));
    EVP_MAC_CTX *context = begin(key);
    bool good = context != NULL;
    if (pan != NULL) {
        good = good && add(context, "typed", strlen("typed")) &&
               add(context, secret_expose(pan), secret_size(pan));
    } else {
        good = good && add(context, "token", strlen("token")) && add(context, token, strlen(token));
    }
    return end(context, good, out);
}
