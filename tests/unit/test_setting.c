/* Settings: defaults, bounds and the refusal that names the setting. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/setting.h"

static struct setting table[] = {
    {.name = "KOMETPAY_T_COUNT",
     .type = SETTING_INTEGER,
     .fallback = "7",
     .minimum = -2,
     .maximum = 100,
     .sentence = "How many."},
    {.name = "KOMETPAY_T_PATH",
     .type = SETTING_TEXT,
     .fallback = NULL,
     .minimum = 1,
     .maximum = 8,
     .sentence = "Where."},
    {.name = NULL},
};

static int prepare(void **state)
{
    (void)state;
    return unsetenv("KOMETPAY_T_COUNT") + setenv("KOMETPAY_T_PATH", "/a", 1);
}

static void refused(const char *field)
{
    struct error *e = settings_read(table);
    assert_true(error_is(e, "setting_invalid"));
    assert_int_equal(e->kind, ERROR_REFUSED);
    assert_string_equal(e->field, field);
    assert_non_null(strstr(e->sentence, field));
    error_free(e);
}

static void takes_default_and_environment(void **state)
{
    (void)state;
    assert_null(settings_read(table));
    assert_int_equal(setting_integer(table, "KOMETPAY_T_COUNT"), 7);
    assert_string_equal(setting_text(table, "KOMETPAY_T_COUNT"), "7");
    assert_string_equal(setting_text(table, "KOMETPAY_T_PATH"), "/a");
    assert_int_equal(setenv("KOMETPAY_T_COUNT", "-2", 1), 0);
    assert_null(settings_read(table));
    assert_int_equal(setting_integer(table, "KOMETPAY_T_COUNT"), -2);
    assert_int_equal(setenv("KOMETPAY_T_COUNT", "100", 1), 0);
    assert_null(settings_read(table));
    assert_int_equal(setting_integer(table, "KOMETPAY_T_COUNT"), 100);
}

static void refuses_what_is_no_number_or_out_of_bounds(void **state)
{
    (void)state;
    static const char *const values[] = {"",
                                         "-",
                                         "-3",
                                         "101",
                                         "1x",
                                         " 1",
                                         "0x1",
                                         "1.0",
                                         "+1",
                                         "1 ",
                                         "9223372036854775808",
                                         "1e1",
                                         "--1",
                                         "99999999999999999999999"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(setenv("KOMETPAY_T_COUNT", values[i], 1), 0);
        refused("KOMETPAY_T_COUNT");
    }
}

static void refuses_a_missing_or_overlong_text(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("KOMETPAY_T_PATH"), 0);
    refused("KOMETPAY_T_PATH");
    assert_int_equal(setenv("KOMETPAY_T_PATH", "", 1), 0);
    refused("KOMETPAY_T_PATH");
    assert_int_equal(setenv("KOMETPAY_T_PATH", "/23456789", 1), 0);
    refused("KOMETPAY_T_PATH");
    assert_int_equal(setenv("KOMETPAY_T_PATH", "/2345678", 1), 0);
    assert_null(settings_read(table));
}

static void help_names_each_with_default_and_bounds(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    settings_help(table, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "KOMETPAY_T_COUNT"));
    assert_non_null(strstr(text, "How many."));
    assert_non_null(strstr(text, "-2 to 100; default '7'"));
    assert_non_null(strstr(text, "must be set"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(takes_default_and_environment, prepare),
        cmocka_unit_test_setup(refuses_what_is_no_number_or_out_of_bounds, prepare),
        cmocka_unit_test_setup(refuses_a_missing_or_overlong_text, prepare),
        cmocka_unit_test_setup(help_names_each_with_default_and_bounds, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
