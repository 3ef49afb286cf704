/* links: terminald */
/* Which clients count as one for the limits of the TLS door. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <string.h>

#include "daemons/terminald/pos_address.h"

static struct pos_address address_of(const char *text)
{
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&from, &v4, sizeof v4);
    } else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(&from, &v6, sizeof v6);
    }
    struct pos_address address;
    pos_address_read(&from, &address);
    return address;
}

static bool same(const char *one, const char *other)
{
    struct pos_address a = address_of(one), b = address_of(other);
    return pos_address_same(&a, &b);
}

static void test_each_v4_address_counts_by_itself(void **state)
{
    (void)state;
    assert_true(same("192.0.2.1", "192.0.2.1"));
    assert_false(same("192.0.2.1", "192.0.2.2"));
    assert_false(same("192.0.2.1", "198.51.100.1"));
    assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    assert_string_equal(address_of("192.0.2.1").text, "192.0.2.1");
}

static void test_a_v6_network_counts_as_one(void **state)
{
    (void)state;
    assert_true(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
    assert_false(same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_string_equal(address_of("2001:db8::1").text, "2001:db8::1");
}

static void test_who_has_no_address_is_one(void **state)
{
    (void)state;
    assert_true(same("none", "neither"));
    assert_false(same("none", "192.0.2.1"));
    assert_string_equal(address_of("none").text, "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_v4_address_counts_by_itself),
        cmocka_unit_test(test_a_v6_network_counts_as_one),
        cmocka_unit_test(test_who_has_no_address_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
