/* links: vaultd */
/* Fingerprints: known answers, and that customer, card, kind and key each change them. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "daemons/vaultd/fingerprint.h"

static int start(void **state)
{
    (void)state;
    return secret_memory_start(1u << 16) == NULL ? 0 : -1;
}

static struct secret *key_of(char byte)
{
    char bytes[FINGERPRINT_BYTES];
    memset(bytes, byte, sizeof bytes);
    return secret_new(bytes, sizeof bytes);
}

static void of_customer(char key_byte, const char *customer, const char *pan, char *out)
{
    struct secret *key = key_of(key_byte), *s = secret_new(pan, strlen(pan));
    assert_null(fingerprint_of_customer_card(key, customer, s, out));
    assert_int_equal(strlen(out), 64);
    assert_int_equal(strspn(out, "0123456789abcdef"), 64);
    secret_free(key);
    secret_free(s);
}

static void of_request(const char *pan, const char *token, char *out)
{
    struct secret *key = key_of(1), *s = pan == NULL ? NULL : secret_new(pan, strlen(pan));
    assert_null(fingerprint_of_request(key, s, token, out));
    secret_free(key);
    secret_free(s);
}

static void test_known_answer(void **state)
{
    (void)state;
    /* Computed by OpenSSL's one-shot HMAC over the bytes written out. */
    static const char INPUT[] = "\0\x08"
                                "customer\0\x03"
                                "C-1\0\x10"
                                "4242424242424242";
    char key[FINGERPRINT_BYTES], out[FINGERPRINT_TEXT_BYTES], expected[FINGERPRINT_TEXT_BYTES];
    memset(key, 1, sizeof key);
    uint8_t mac[FINGERPRINT_BYTES];
    unsigned n = 0;
    assert_non_null(
        HMAC(EVP_sha256(), key, sizeof key, (const uint8_t *)INPUT, sizeof INPUT - 1, mac, &n));
    assert_int_equal(n, sizeof mac);
    for (size_t i = 0; i < sizeof mac; i++) {
        (void)snprintf(expected + 2 * i, 3, "%02x", mac[i]);
    }
    of_customer(1, "C-1", "4242424242424242", out);
    assert_string_equal(out, expected);
}

static void test_scopes(void **state)
{
    (void)state;
    char one[FINGERPRINT_TEXT_BYTES], two[FINGERPRINT_TEXT_BYTES];
    of_customer(1, "C-1", "4242424242424242", one);
    of_customer(1, "C-1", "4242424242424242", two);
    assert_string_equal(one, two);
    of_customer(1, "C-2", "4242424242424242", two);
    assert_string_not_equal(one, two);
    of_customer(1, "C-1", "4111111111111111", two);
    assert_string_not_equal(one, two);
    of_customer(2, "C-1", "4242424242424242", two);
    assert_string_not_equal(one, two);
    of_customer(1, "C-14", "242424242424242", two); /* same characters, other fields */
    assert_string_not_equal(one, two);
}

static void test_requests(void **state)
{
    (void)state;
    char typed[FINGERPRINT_TEXT_BYTES], other[FINGERPRINT_TEXT_BYTES];
    of_request("4242424242424242", NULL, typed);
    of_request("4242424242424242", NULL, other);
    assert_string_equal(typed, other);
    of_request("4111111111111111", NULL, other);
    assert_string_not_equal(typed, other);
    of_request(NULL, "4242424242424242", other); /* a token is never taken for a number */
    assert_string_not_equal(typed, other);
    of_customer(1, "", "4242424242424242", other);
    assert_string_not_equal(typed, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answer),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
