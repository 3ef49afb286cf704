/* links: kometpay */
/* Arguments by a table: what is given, what is refused, and that no value is ever repeated. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/option.h"

static const struct option_row TABLE[] = {
    {"location", OPTION_REQUIRED, "CODE", ""}, {"key", OPTION_TEXT, "KEY", ""},
    {"invoice", OPTION_LIST, "N=A", ""},       {"save", OPTION_FLAG, NULL, ""},
    {"limit", OPTION_TEXT, "ROWS", ""},        OPTION_END,
};

/* Arguments as main gives them; at most 15. */
static struct error *parse(const char *const *words, unsigned min, unsigned max,
                           struct options **out)
{
    static char text[16][64];
    static char *argv[16];
    int argc = 0;
    for (; words[argc] != NULL; argc++) {
        assert_in_range(argc, 0, 15);
        int n = snprintf(text[argc], sizeof text[argc], "%s", words[argc]);
        assert_in_range(n, 0, sizeof text[argc] - 1);
        argv[argc] = text[argc];
    }
    return options_parse(TABLE, min, max, argc, argv, out);
}

static void refused(const char *const *words, unsigned min, unsigned max, const char *code)
{
    struct options *o = NULL;
    struct error *e = parse(words, min, max, &o);
    assert_non_null(e);
    assert_string_equal(e->code, code);
    assert_null(strstr(e->sentence, "4111"));
    assert_null(o);
    error_free(e);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_all_kinds(void **state)
{
    (void)state;
    struct options *o = NULL;
    assert_null(parse(WORDS("--location", "MIA", "one", "--invoice=A=1", "--save", "--invoice",
                            "B=2", "--", "--two"),
                      1, 2, &o));
    assert_string_equal(options_text(o, "location"), "MIA");
    assert_true(options_given(o, "save"));
    assert_false(options_given(o, "key"));
    assert_null(options_text(o, "key"));
    assert_int_equal(options_list_count(o, "invoice"), 2);
    assert_string_equal(options_list_at(o, "invoice", 0), "A=1");
    assert_string_equal(options_list_at(o, "invoice", 1), "B=2");
    assert_null(options_list_at(o, "invoice", 2));
    assert_string_equal(options_word(o, 0), "one");
    assert_string_equal(options_word(o, 1), "--two");
    assert_null(options_word(o, 2));
    options_free(o);
}

static void test_refusals(void **state)
{
    (void)state;
    refused(WORDS("--save"), 0, 0, "option_missing");
    refused(WORDS("--location", "A", "--location", "B"), 0, 0, "option_twice");
    refused(WORDS("--location"), 0, 0, "option_value_missing");
    refused(WORDS("--location", "A", "--save=yes"), 0, 0, "option_value_unwanted");
    refused(WORDS("--location", "A", "--locations", "B"), 0, 0, "option_unknown");
    refused(WORDS("--location", "A"), 1, 1, "word_missing");
    refused(WORDS("--location", "A", "x", "y"), 1, 1, "word_unwanted");
}

static void test_card_number_is_not_repeated(void **state)
{
    (void)state;
    refused(WORDS("--location", "A", "4111111111111111"), 0, 0, "word_unwanted");
    refused(WORDS("--location", "A", "--4111111111111111"), 0, 0, "option_unknown");
    refused(WORDS("--location", "A", "--card=4111111111111111"), 0, 0, "option_unknown");
}

static void number_is(const char *text, const char *code, int64_t expected)
{
    struct options *o = NULL;
    int64_t number = 0;
    assert_null(parse(WORDS("--location", "A", "--limit", text), 0, 0, &o));
    struct error *e = options_integer(o, "limit", 1, 100, 50, &number);
    if (code != NULL) {
        assert_true(error_is(e, code));
        error_free(e);
    } else {
        assert_null(e);
        assert_int_equal(number, expected);
    }
    options_free(o);
}

static void test_numbers(void **state)
{
    (void)state;
    number_is("1", NULL, 1);
    number_is("100", NULL, 100);
    number_is("0", "option_number", 0);
    number_is("101", "option_number", 0);
    number_is("7x", "option_number", 0);
    number_is("", "option_number", 0);
    number_is("99999999999999999999", "option_number", 0);
}

static void test_copy_has_bounds(void **state)
{
    (void)state;
    char five[6];
    assert_null(option_copy_text("12345", "x", five, sizeof five));
    assert_string_equal(five, "12345");
    struct error *e = option_copy_text("123456", "x", five, sizeof five);
    assert_true(error_is(e, "option_too_long"));
    error_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_card_number_is_not_repeated),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_copy_has_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
