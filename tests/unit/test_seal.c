/* links: vaultd */
/* Sealing: what was changed, moved to another row or sealed by another key doesn't open; nonces
 * differ; wrapping of keys agrees with an implementation of RFC 5649 written here, which itself is
 * held against that document's examples. */
#include "tests/unit/unit.h"

#include <string.h>

#include <openssl/evp.h>

#include "daemons/vaultd/key_ring.h"
#include "daemons/vaultd/seal.h"

#define KEK_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"

static const struct seal_place PLACE = {"tok_00000000000000000000000001", 1, "C-1", "1230"};

static int start(void **state)
{
    (void)state;
    return secret_memory_start(1u << 18) == NULL ? 0 : -1;
}

static struct secret *key_of(uint8_t first)
{
    uint8_t bytes[SEAL_KEY_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(first + i);
    }
    return secret_new(bytes, sizeof bytes);
}

static struct sealed seal(const struct secret *key, const struct seal_place *place,
                          const char *text)
{
    struct secret *plain = secret_new(text, strlen(text));
    struct sealed sealed;
    assert_null(seal_record(key, place, plain, &sealed));
    secret_free(plain);
    return sealed;
}

static void opens(const struct secret *key, const struct seal_place *place,
                  const struct sealed *sealed, const char *text)
{
    struct secret *plain = NULL;
    assert_null(seal_open(key, place, sealed, &plain));
    assert_int_equal(secret_size(plain), strlen(text));
    assert_memory_equal(secret_expose(plain), text, strlen(text));
    secret_free(plain);
}

static void stays_shut(const struct secret *key, const struct seal_place *place,
                       const struct sealed *sealed)
{
    struct secret *plain = NULL;
    struct error *e = seal_open(key, place, sealed, &plain);
    assert_true(error_is(e, "seal_broken"));
    assert_null(plain);
    error_free(e);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct secret *key = key_of(1);
    char text[SEAL_PLAIN_MAX_BYTES + 1];
    for (size_t n = 1; n <= SEAL_PLAIN_MAX_BYTES; n += 17) {
        memset(text, 'x', n);
        text[n] = '\0';
        const struct sealed sealed = seal(key, &PLACE, text);
        assert_int_equal(sealed.size, n + SEAL_TAG_BYTES);
        opens(key, &PLACE, &sealed, text);
    }
    const struct sealed sealed = seal(key, &PLACE, "4242424242424242");
    assert_null(memmem(sealed.bytes, sealed.size, "4242", 4));
    secret_free(key);
}

static void test_wrong_place(void **state)
{
    (void)state;
    struct secret *key = key_of(1);
    const struct sealed sealed = seal(key, &PLACE, "4242424242424242");
    const struct seal_place others[] = {
        {"tok_00000000000000000000000002", PLACE.kid, PLACE.customer, PLACE.expiry},
        {PLACE.token, 2, PLACE.customer, PLACE.expiry},
        {PLACE.token, PLACE.kid, "C-2", PLACE.expiry},
        {PLACE.token, PLACE.kid, PLACE.customer, "1231"},
        {PLACE.token, PLACE.kid, "C-11", "230"}, /* same characters, other fields */
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        stays_shut(key, &others[i], &sealed);
    }
    struct secret *other_key = key_of(2);
    stays_shut(other_key, &PLACE, &sealed);
    secret_free(other_key);
    opens(key, &PLACE, &sealed, "4242424242424242");
    secret_free(key);
}

static void test_tampered(void **state)
{
    (void)state;
    struct secret *key = key_of(1);
    const struct sealed good = seal(key, &PLACE, "4242424242424242");
    for (size_t bit = 0; bit < good.size * 8; bit++) {
        struct sealed bad = good;
        bad.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        stays_shut(key, &PLACE, &bad);
    }
    for (size_t bit = 0; bit < SEAL_NONCE_BYTES * 8; bit++) {
        struct sealed bad = good;
        bad.nonce[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        stays_shut(key, &PLACE, &bad);
    }
    for (size_t size = 0; size < good.size; size++) {
        struct sealed bad = good;
        bad.size = size;
        stays_shut(key, &PLACE, &bad);
    }
    struct sealed longer = good;
    longer.size++;
    stays_shut(key, &PLACE, &longer);
    longer.size = sizeof longer.bytes + 1;
    stays_shut(key, &PLACE, &longer);
    secret_free(key);
}

static void test_swapped_rows(void **state)
{
    (void)state;
    struct secret *key = key_of(1);
    const struct seal_place one = PLACE;
    const struct seal_place two = {"tok_00000000000000000000000002", 1, "C-1", "1230"};
    const struct sealed of_one = seal(key, &one, "4242424242424242");
    const struct sealed of_two = seal(key, &two, "5555555555554444");
    stays_shut(key, &one, &of_two);
    stays_shut(key, &two, &of_one);
    secret_free(key);
}

static void test_nonces_differ(void **state)
{
    (void)state;
    enum { SEALS = 256 };
    static struct sealed sealed[SEALS];
    struct secret *key = key_of(1);
    for (size_t i = 0; i < SEALS; i++) {
        sealed[i] = seal(key, &PLACE, "4242424242424242");
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(sealed[i].nonce, sealed[j].nonce, SEAL_NONCE_BYTES);
        }
    }
    secret_free(key);
}

/* -- Keys ------------------------------------------------------------------------------------- */

static void aes_block(const uint8_t *key, size_t key_n, const uint8_t in[16], uint8_t out[16])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0;
    assert_int_equal(EVP_EncryptInit_ex(context,
                                        key_n == 24 ? EVP_aes_192_ecb() : EVP_aes_256_ecb(), NULL,
                                        key, NULL),
                     1);
    assert_int_equal(EVP_CIPHER_CTX_set_padding(context, 0), 1);
    assert_int_equal(EVP_EncryptUpdate(context, out, &n, in, 16), 1);
    assert_int_equal(n, 16);
    EVP_CIPHER_CTX_free(context);
}

/* RFC 5649, section 4.1, by the letter. `out` has room for n rounded up to 8, and 8 more. */
static size_t rfc5649_wrap(const uint8_t *key, size_t key_n, const uint8_t *plain, size_t n,
                           uint8_t *out)
{
    const size_t blocks = (n + 7) / 8;
    uint8_t a[8] = {0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, (uint8_t)n}, b[16], r[8 * 8] = {0};
    assert_true(n < 64);
    memcpy(r, plain, n);
    if (blocks == 1) {
        memcpy(b, a, 8);
        memcpy(b + 8, r, 8);
        aes_block(key, key_n, b, out);
        return 16;
    }
    for (size_t j = 0; j < 6; j++) {
        for (size_t i = 1; i <= blocks; i++) {
            memcpy(b, a, 8);
            memcpy(b + 8, r + 8 * (i - 1), 8);
            aes_block(key, key_n, b, b);
            memcpy(a, b, 8);
            a[7] ^= (uint8_t)(blocks * j + i);
            memcpy(r + 8 * (i - 1), b + 8, 8);
        }
    }
    memcpy(out, a, 8);
    memcpy(out + 8, r, 8 * blocks);
    return 8 * blocks + 8;
}

static void test_wrap_vectors(void **state)
{
    (void)state;
    /* RFC 5649, section 6 */
    static const uint8_t KEK[24] = {0x58, 0x40, 0xdf, 0x6e, 0x29, 0xb0, 0x2a, 0xf1,
                                    0xab, 0x49, 0x3b, 0x70, 0x5b, 0xf1, 0x6e, 0xa1,
                                    0xae, 0x83, 0x38, 0xf4, 0xdc, 0xc1, 0x76, 0xa8};
    static const uint8_t TWENTY[20] = {0xc3, 0x7b, 0x7e, 0x64, 0x92, 0x58, 0x43, 0x40, 0xbe, 0xd1,
                                       0x22, 0x07, 0x80, 0x89, 0x41, 0x15, 0x50, 0x68, 0xf7, 0x38};
    static const uint8_t TWENTY_WRAPPED[32] = {0x13, 0x8b, 0xde, 0xaa, 0x9b, 0x8f, 0xa7, 0xfc,
                                               0x61, 0xf9, 0x77, 0x42, 0xe7, 0x22, 0x48, 0xee,
                                               0x5a, 0xe6, 0xae, 0x53, 0x60, 0xd1, 0xae, 0x6a,
                                               0x5f, 0x54, 0xf3, 0x73, 0xfa, 0x54, 0x3b, 0x6a};
    static const uint8_t SEVEN[7] = {0x46, 0x6f, 0x72, 0x50, 0x61, 0x73, 0x69};
    static const uint8_t SEVEN_WRAPPED[16] = {0xaf, 0xbe, 0xb0, 0xf0, 0x7d, 0xfb, 0xf5, 0x41,
                                              0x92, 0x00, 0xf2, 0xcc, 0xb5, 0x0b, 0xb2, 0x4f};
    uint8_t out[72];
    assert_int_equal(rfc5649_wrap(KEK, sizeof KEK, TWENTY, sizeof TWENTY, out), 32);
    assert_memory_equal(out, TWENTY_WRAPPED, 32);
    assert_int_equal(rfc5649_wrap(KEK, sizeof KEK, SEVEN, sizeof SEVEN, out), 16);
    assert_memory_equal(out, SEVEN_WRAPPED, 16);

    struct secret *by = key_of(7), *key = key_of(99), *back = NULL;
    uint8_t wrapped[KEY_WRAPPED_BYTES];
    assert_null(key_wrap(by, key, wrapped));
    assert_int_equal(rfc5649_wrap((const uint8_t *)secret_expose(by), 32,
                                  (const uint8_t *)secret_expose(key), 32, out),
                     KEY_WRAPPED_BYTES);
    assert_memory_equal(wrapped, out, KEY_WRAPPED_BYTES);
    assert_null(key_unwrap(by, wrapped, &back));
    assert_true(secret_equal(back, key));
    secret_free(back);
    for (size_t i = 0; i < sizeof wrapped; i++) {
        wrapped[i] ^= 1;
        struct error *e = key_unwrap(by, wrapped, &back);
        assert_true(error_is(e, "kek_wrong"));
        assert_null(back);
        error_free(e);
        wrapped[i] ^= 1;
    }
    secret_free(by);
    secret_free(key);
}

static struct key_ring *ring_of(const char *hex)
{
    struct secret *kek = secret_new(hex, strlen(hex));
    struct key_ring *ring = NULL;
    assert_null(key_ring_new(kek, &ring));
    secret_free(kek);
    return ring;
}

static void load_fails(struct key_ring *ring, const struct wrapped_key *key, const char *code)
{
    struct error *e = key_ring_load(ring, key);
    assert_true(error_is(e, code));
    error_free(e);
    assert_null(key_ring_key(ring, key->kid));
}

static void test_ring(void **state)
{
    (void)state;
    struct key_ring *ring = ring_of(KEK_HEX), *same = ring_of(KEK_HEX);
    struct key_ring *other = ring_of("ff0102030405060708090a0b0c0d0e0f"
                                     "101112131415161718191a1b1c1d1e1f");
    struct wrapped_key one, two;
    assert_null(key_ring_make(ring, 1, &one));
    assert_null(key_ring_make(ring, 2, &two));
    assert_null(key_ring_key(ring, 1)); /* not before it is stored and loaded */
    assert_null(key_ring_load(ring, &one));
    assert_null(key_ring_load(ring, &one));
    assert_null(key_ring_load(ring, &two));
    assert_null(key_ring_load(same, &one)); /* after a restart */
    assert_true(secret_equal(key_ring_key(ring, 1), key_ring_key(same, 1)));
    assert_false(secret_equal(key_ring_key(ring, 1), key_ring_key(ring, 2)));
    assert_false(secret_equal(key_ring_customer_key(ring), key_ring_request_key(ring)));
    assert_true(secret_equal(key_ring_request_key(ring), key_ring_request_key(same)));

    load_fails(other, &one, "kek_wrong");
    struct wrapped_key moved = two; /* a row passed off as another */
    moved.kid = 3;
    load_fails(ring, &moved, "key_check_failed");

    assert_int_equal(key_ring_allowance(ring), 0);
    key_ring_allow(ring, 1, 2);
    int64_t kid = 0;
    assert_ptr_equal(key_ring_spend(ring, &kid), key_ring_key(ring, 1));
    assert_int_equal(kid, 1);
    assert_int_equal(key_ring_allowance(ring), 1);
    key_ring_allow(ring, 2, 5); /* what was left of key 1 is dropped */
    assert_int_equal(key_ring_allowance(ring), 5);
    assert_ptr_equal(key_ring_spend(ring, &kid), key_ring_key(ring, 2));
    assert_int_equal(kid, 2);
    key_ring_free(ring);
    key_ring_free(same);
    key_ring_free(other);
}

static void test_kek_text(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "", "00", (KEK_HEX "00"),
        "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "0001020304050607 8090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct secret *kek = secret_new(BAD[i], strlen(BAD[i]));
        struct key_ring *ring = NULL;
        struct error *e = key_ring_new(kek, &ring);
        assert_true(error_is(e, "kek_invalid"));
        assert_null(ring);
        error_free(e);
        secret_free(kek);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_wrong_place),
        cmocka_unit_test(test_tampered),      cmocka_unit_test(test_swapped_rows),
        cmocka_unit_test(test_nonces_differ), cmocka_unit_test(test_wrap_vectors),
        cmocka_unit_test(test_ring),          cmocka_unit_test(test_kek_text),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
