/* Errors as values: what they carry, how context is added, what happens to texts too long. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/error.h"

static void refused_carries_code_field_and_sentence(void **state)
{
    (void)state;
    struct error *e = error_refused("amount_out_of_range", "amount", "At most %d.", 7);
    assert_int_equal(e->kind, ERROR_REFUSED);
    assert_string_equal(e->code, "amount_out_of_range");
    assert_string_equal(e->field, "amount");
    assert_string_equal(e->sentence, "At most 7.");
    assert_string_equal(e->context, "");
    error_free(e);
}

static void failed_has_no_field(void **state)
{
    (void)state;
    struct error *e = error_failed("database_failed", "It said %s.", "no");
    assert_int_equal(e->kind, ERROR_FAILED);
    assert_string_equal(e->field, "");
    assert_string_equal(e->sentence, "It said no.");
    error_free(e);
}

static void context_is_put_in_front(void **state)
{
    (void)state;
    struct error *e = error_failed("x", "y");
    e = error_wrap(e, "reading row %d", 3);
    e = error_wrap(e, "closing %s", "day");
    assert_string_equal(e->context, "closing day: reading row 3");
    assert_string_equal(e->sentence, "y");
    error_free(e);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct error *e = error_refused(text, text, "%s", text);
    assert_int_equal(strlen(e->code), sizeof e->code - 1);
    assert_int_equal(strlen(e->field), sizeof e->field - 1);
    assert_int_equal(strlen(e->sentence), sizeof e->sentence - 1);
    for (int i = 0; i < 3; i++) {
        e = error_wrap(e, "%s", text + sizeof text - 300);
        e = error_wrap(e, "outer");
        assert_memory_equal(e->context, "outer: aaa", 10);
        assert_true(strlen(e->context) < sizeof e->context);
    }
    error_free(e);
}

static void a_copy_is_its_own(void **state)
{
    (void)state;
    struct error *e = error_wrap(error_refused("a_code", "f", "s"), "c");
    struct error *copy = error_copy(e);
    assert_ptr_not_equal(e, copy);
    error_free(e);
    assert_string_equal(copy->code, "a_code");
    assert_string_equal(copy->context, "c");
    assert_int_equal(copy->kind, ERROR_REFUSED);
    error_free(copy);
}

static void is_compares_the_whole_code(void **state)
{
    (void)state;
    struct error *e = error_failed("timed_out", "s");
    assert_true(error_is(e, "timed_out"));
    assert_false(error_is(e, "timed"));
    assert_false(error_is(e, "timed_out_again"));
    assert_false(error_is(NULL, "timed_out"));
    error_free(e);
    error_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_carries_code_field_and_sentence),
        cmocka_unit_test(failed_has_no_field),
        cmocka_unit_test(context_is_put_in_front),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(a_copy_is_its_own),
        cmocka_unit_test(is_compares_the_whole_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
