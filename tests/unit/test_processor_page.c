/* links: gatewayd */
/* The processor's page as settled hears of it: every row with what became of it, or nothing. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemons/gatewayd/processor_page.h"

#define ROWS_MAX 200u

static struct processor_list list_of(size_t rows)
{
    struct processor_list list = {.items = calloc(rows, sizeof *list.items), .count = rows};
    assert_non_null(list.items);
    for (size_t i = 0; i < rows; i++) {
        snprintf(list.items[i].id, sizeof list.items[i].id, "%zu", i);
        list.items[i].kind = ITEM_SALE;
    }
    return list;
}

static void test_results_are_carried(void **state)
{
    (void)state;
    static const struct {
        enum item_result from;
        enum processor_item_result to;
    } RESULTS[] = {{ITEM_APPROVED, PROCESSOR_ITEM_RESULT_APPROVED},
                   {ITEM_DECLINED, PROCESSOR_ITEM_RESULT_DECLINED},
                   {ITEM_VOIDED, PROCESSOR_ITEM_RESULT_VOIDED},
                   {ITEM_UNFINISHED, PROCESSOR_ITEM_RESULT_UNFINISHED}};
    const size_t count = sizeof RESULTS / sizeof *RESULTS;
    struct processor_list list = list_of(count);
    for (size_t i = 0; i < count; i++) {
        list.items[i].result = RESULTS[i].from;
    }
    struct msg_processor_page *m = message_new(MESSAGE_PROCESSOR_PAGE);
    assert_true(processor_page_fill(m, &list));
    assert_int_equal(m->rows_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(m->rows[i].result, RESULTS[i].to);
    }
    message_free(MESSAGE_PROCESSOR_PAGE, m);
    free(list.items);
}

static void test_a_full_page_fits(void **state)
{
    (void)state;
    struct processor_list list = list_of(ROWS_MAX);
    struct msg_processor_page *m = message_new(MESSAGE_PROCESSOR_PAGE);
    assert_true(processor_page_fill(m, &list));
    assert_int_equal(m->rows_count, ROWS_MAX);
    assert_string_equal(m->rows[ROWS_MAX - 1].processor_id, "199");
    message_free(MESSAGE_PROCESSOR_PAGE, m);
    free(list.items);
}

static void test_a_page_that_is_too_long_is_no_page(void **state)
{
    (void)state;
    struct processor_list list = list_of(ROWS_MAX + 1);
    struct msg_processor_page *m = message_new(MESSAGE_PROCESSOR_PAGE);
    assert_false(processor_page_fill(m, &list));
    message_free(MESSAGE_PROCESSOR_PAGE, m);
    free(list.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_carried),
        cmocka_unit_test(test_a_full_page_fits),
        cmocka_unit_test(test_a_page_that_is_too_long_is_no_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
