/* Identifiers: their shape, their randomness, and what is not one. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/id.h"

#define MANY 20000

static void has_prefix_and_26_characters(void **state)
{
    (void)state;
    char id[ID_MAX];
    id_new("pay_", id);
    assert_int_equal(strlen(id), 4 + ID_RANDOM_CHARS);
    assert_memory_equal(id, "pay_", 4);
    assert_true(id_valid("pay_", id));
    assert_false(id_valid("att_", id));
    assert_false(id_valid("", id));
    id_new("", id);
    assert_int_equal(strlen(id), ID_RANDOM_CHARS);
    assert_true(id_valid("", id));
}

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, ID_MAX);
}

static void never_repeats_and_uses_every_bit(void **state)
{
    (void)state;
    static char ids[MANY][ID_MAX];
    unsigned seen[ID_RANDOM_CHARS] = {0}; /* bit i: the alphabet's i-th character was here */
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (size_t i = 0; i < MANY; i++) {
        id_new("", ids[i]);
        for (size_t at = 0; at < ID_RANDOM_CHARS; at++) {
            const char *where = strchr(alphabet, ids[i][at]);
            assert_non_null(where);
            seen[at] |= 1u << (where - alphabet);
        }
    }
    assert_int_equal(seen[0], 0xff); /* 128 bits: three are left for the first of 26 */
    for (size_t at = 1; at < ID_RANDOM_CHARS; at++) {
        assert_int_equal(seen[at], 0xffffffffu);
    }
    qsort(ids, MANY, ID_MAX, by_text);
    for (size_t i = 1; i < MANY; i++) {
        assert_string_not_equal(ids[i - 1], ids[i]);
    }
}

static void refuses_what_is_none(void **state)
{
    (void)state;
    assert_true(id_valid("pay_", "pay_0123456789ABCDEFGHJKMNPQRS"));
    assert_false(id_valid("pay_", "pay_0123456789ABCDEFGHJKMNPQR"));   /* short */
    assert_false(id_valid("pay_", "pay_0123456789ABCDEFGHJKMNPQRST")); /* long */
    assert_false(id_valid("pay_", "pay_0123456789abcdefghjkmnpqrs"));  /* lower case */
    assert_false(id_valid("pay_", "pay_0123456789ABCDEFGHIKMNPQRS"));  /* I */
    assert_false(id_valid("pay_", "pay_0123456789ABCDEFGHLKMNPQRS"));  /* L */
    assert_false(id_valid("pay_", "pay_O123456789ABCDEFGHJKMNPQRS"));  /* O */
    assert_false(id_valid("pay_", "pay_0123456789ABCDEFGHJKMNPQRU"));  /* U */
    assert_false(id_valid("pay_", "pay_"));
    assert_false(id_valid("pay_", "pa"));
    assert_false(id_valid("pay_", ""));
    assert_false(id_valid("pay_", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_prefix_and_26_characters),
        cmocka_unit_test(never_repeats_and_uses_every_bit),
        cmocka_unit_test(refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
