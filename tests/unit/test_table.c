/* links: kometpay */
/* Tables: aligned by what is seen, empty columns left out, no control character passed on. */
#include "tests/unit/unit.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/kometpay/table.h"

static const struct column COLUMNS[] = {
    {"name", COLUMN_LEFT},   {"amount", COLUMN_RIGHT}, {"none", COLUMN_LEFT},
    {"state", COLUMN_STATE}, {NULL, COLUMN_LEFT},
};

/* What the table prints; the caller frees. */
static char *printed(const struct table *table, bool csv, bool colour)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    if (csv) {
        table_print_csv(table, out);
    } else {
        table_print(table, out, colour);
    }
    fclose(out);
    return text;
}

static void prints(const struct table *table, bool csv, bool colour, const char *expected)
{
    char *text = printed(table, csv, colour);
    assert_string_equal(text, expected);
    free(text);
}

static struct table *two_rows(void)
{
    struct table *table = table_new(COLUMNS);
    table_row(table, (const char *[]){"Rosé", "80.00", NULL, "APPROVED"});
    table_row(table, (const char *[]){"B", "1234.50", "", "odd"});
    return table;
}

static void test_aligned(void **state)
{
    (void)state;
    struct table *table = two_rows();
    assert_int_equal(table_rows(table), 2);
    prints(table, false, false,
           "name   amount  state\n"
           "Rosé    80.00  APPROVED\n"
           "B     1234.50  odd\n");
    table_free(table);
}

static void test_colour_of_states_only(void **state)
{
    (void)state;
    struct table *table = two_rows();
    prints(table, false, true,
           "name   amount  state\n"
           "Rosé    80.00  \x1b[32mAPPROVED\x1b[0m\n"
           "B     1234.50  odd\n");
    table_free(table);
}

static void test_csv(void **state)
{
    (void)state;
    struct table *table = table_new(COLUMNS);
    table_row(table, (const char *[]){"a,b", "1", "say \"x\"", NULL});
    prints(table, true, false, "name,amount,none,state\r\n\"a,b\",1,\"say \"\"x\"\"\",\r\n");
    table_free(table);
}

static void test_control_characters(void **state)
{
    (void)state;
    struct table *table = table_new(COLUMNS);
    table_row(table, (const char *[]){"a\x1b[2J", "1\n2", "\xc2\x9b", "x"});
    char *text = printed(table, false, false);
    assert_null(strchr(text, '\x1b'));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_non_null(strstr(text, "a?[2J"));
    assert_non_null(strstr(text, "1?2"));
    free(text);
    table_free(table);
}

static void test_many_rows(void **state)
{
    (void)state;
    struct table *table = table_new(COLUMNS);
    for (int i = 0; i < 1000; i++) {
        table_row(table, (const char *[]){"n", "1", "", "s"});
    }
    assert_int_equal(table_rows(table), 1000);
    table_free(table);
}

static int start(void **state)
{
    (void)state;
    return setlocale(LC_CTYPE, "C.UTF-8") != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned),   cmocka_unit_test(test_colour_of_states_only),
        cmocka_unit_test(test_csv),       cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_many_rows),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
