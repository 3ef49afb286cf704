/* links: terminald */
/* Location and POS of a client certificate's subject: exactly one of each, or nobody. */
#include "tests/unit/unit.h"

#include <openssl/x509.h>
#include <string.h>

#include "daemons/terminald/pos_certificate.h"

/* A certificate with this subject: pairs of field and value, ends with NULL. Not signed: trust is
 * decided before its subject is read. */
static X509 *certificate_of(const char *const *pairs)
{
    X509 *certificate = X509_new();
    assert_non_null(certificate);
    X509_NAME *subject = X509_get_subject_name(certificate);
    for (; pairs[0] != NULL; pairs += 2) {
        assert_int_equal(X509_NAME_add_entry_by_txt(subject, pairs[0], MBSTRING_UTF8,
                                                    (const unsigned char *)pairs[1], -1, -1, 0),
                         1);
    }
    return certificate;
}

#define SUBJECT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void names(const char *const *pairs, const char *location, const char *pos)
{
    struct pos_identity who;
    X509 *certificate = certificate_of(pairs);
    assert_null(pos_certificate_read(certificate, &who));
    assert_string_equal(who.location, location);
    assert_string_equal(who.pos, pos);
    X509_free(certificate);
}

static void refused(const char *const *pairs, const char *code)
{
    struct pos_identity who;
    X509 *certificate = certificate_of(pairs);
    struct error *e = pos_certificate_read(certificate, &who);
    assert_true(error_is(e, code));
    error_free(e);
    X509_free(certificate);
}

static void test_good(void **state)
{
    (void)state;
    names(SUBJECT("OU", "MIA", "CN", "pos-miami"), "MIA", "pos-miami");
    names(SUBJECT("O", "Flowers", "CN", "Till 1", "OU", "A"), "A", "Till 1");
    names(SUBJECT("OU", "12345678901234567890", "CN", "1234567890123456789012345678901234567890"),
          "12345678901234567890", "1234567890123456789012345678901234567890");
}

static void test_location(void **state)
{
    (void)state;
    refused(SUBJECT("CN", "pos"), "certificate_location");
    refused(SUBJECT("OU", "MIA", "OU", "LAX", "CN", "pos"), "certificate_location");
    refused(SUBJECT("OU", "123456789012345678901", "CN", "pos"), "certificate_location");
    refused(SUBJECT("OU", "MIA/x", "CN", "pos"), "certificate_location");
    refused(SUBJECT("OU", " MIA", "CN", "pos"), "certificate_location");
    refused(SUBJECT("OU", "M\nA", "CN", "pos"), "certificate_location");
    refused(SUBJECT("OU", "Málaga", "CN", "pos"), "certificate_location");
}

static void test_pos(void **state)
{
    (void)state;
    refused(SUBJECT("OU", "MIA"), "certificate_pos");
    refused(SUBJECT("OU", "MIA", "CN", "a", "CN", "b"), "certificate_pos");
    refused(SUBJECT("OU", "MIA", "CN", "a/b"), "certificate_pos");
    refused(SUBJECT("OU", "MIA", "CN", "local"), "certificate_pos");
    refused(SUBJECT("OU", "MIA", "CN", "12345678901234567890123456789012345678901"),
            "certificate_pos");
}

/* "MIA\0LAX": what comes after a NUL must not be lost from sight. */
static void test_nul_inside(void **state)
{
    (void)state;
    X509 *certificate = certificate_of(SUBJECT("CN", "pos"));
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "OU",
                                                MBSTRING_UTF8, (const unsigned char *)"MIA\0LAX", 7,
                                                -1, 0),
                     1);
    struct pos_identity who;
    struct error *e = pos_certificate_read(certificate, &who);
    assert_true(error_is(e, "certificate_location"));
    error_free(e);
    X509_free(certificate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_location),
        cmocka_unit_test(test_pos),
        cmocka_unit_test(test_nul_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
