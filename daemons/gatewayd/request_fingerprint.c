/* Canonical form of a request and its hash. Must never take in a secret. */
#include "daemons/gatewayd/request_fingerprint.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* Length-prefixed, so that no two different requests have the same canonical text. */
static void add_text(EVP_MD_CTX *hash, const char *text)
{
    char length[24];
    int n = snprintf(length, sizeof length, "%zu:", strlen(text));
    assert(n > 0);
    int ok = EVP_DigestUpdate(hash, length, (size_t)n);
    assert(ok == 1);
    ok = EVP_DigestUpdate(hash, text, strlen(text));
    assert(ok == 1);
}

static void add_number(EVP_MD_CTX *hash, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    add_text(hash, text);
}

static EVP_MD_CTX *hash_new(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    assert(hash);
    int ok = EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    assert(ok == 1);
    return hash;
}

static void hash_finish(EVP_MD_CTX *hash, char out[FINGERPRINT_SIZE])
{
    unsigned char digest[32];
    unsigned n = 0;
    int ok = EVP_DigestFinal_ex(hash, digest, &n);
    assert(ok == 1 && n == sizeof digest);
    EVP_MD_CTX_free(hash);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

void request_fingerprint_sale(const struct msg_sale *sale, char out[FINGERPRINT_SIZE])
{
    EVP_MD_CTX *hash = hash_new();
    add_text(hash, "sale/1");
    add_text(hash, sale_kind_text(sale->kind));
    add_number(hash, sale->amount_minor);
    add_text(hash, sale->currency);
    add_text(hash, sale->location);
    add_text(hash, sale->customer);
    add_text(hash, sale->card_fingerprint);
    add_text(hash, sale->expiry);
    add_text(hash, sale->description);
    for (size_t i = 0; i < sale->invoices_count; i++) {
        add_text(hash, sale->invoices[i].invoice);
        add_number(hash, sale->invoices[i].amount_minor);
    }
    if (sale->oldest_first) {
        add_text(hash, "oldest first");
    }
    hash_finish(hash, out);
}

void request_fingerprint_follow_up(const char *kind, const char *payment, int64_t amount_minor,
                                   char out[FINGERPRINT_SIZE])
{
    EVP_MD_CTX *hash = hash_new();
    add_text(hash, "follow-up/1");
    add_text(hash, kind);
    add_text(hash, payment);
    add_number(hash, amount_minor);
    hash_finish(hash, out);
}
