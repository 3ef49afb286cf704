/* The loop: timers fire once and in order, 'soon' never runs inside the call, a stop is kept. */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/loop.h"

static struct loop *loop;
static char told[64];

static int start(void **state)
{
    (void)state;
    loop = loop_new();
    told[0] = '\0';
    return 0;
}

static int end(void **state)
{
    (void)state;
    loop_free(loop);
    return 0;
}

static void tell(void *context)
{
    strncat(told, context, sizeof told - strlen(told) - 1);
}

static void stop(void *context)
{
    tell(context);
    loop_stop(loop);
}

static void timers_fire_once_by_time(void **state)
{
    (void)state;
    char a[] = "a";
    char b[] = "b";
    char end_mark[] = ".";
    struct timer *late = timer_new(loop, tell, b);
    struct timer *early = timer_new(loop, tell, a);
    struct timer *last = timer_new(loop, stop, end_mark);
    timer_arm(late, 30);
    timer_arm(early, 10);
    timer_arm(last, 80);
    int64_t before = clock_boot_ms();
    loop_run(loop);
    assert_string_equal(told, "ab.");
    assert_in_range(clock_boot_ms() - before, 79, 5000);
    timer_free(late);
    timer_free(early);
    timer_free(last);
    timer_free(NULL);
}

static void a_timer_can_be_disarmed_and_armed_anew(void **state)
{
    (void)state;
    char a[] = "a";
    char b[] = "b";
    char end_mark[] = ".";
    struct timer *never = timer_new(loop, tell, a);
    struct timer *moved = timer_new(loop, tell, b);
    struct timer *last = timer_new(loop, stop, end_mark);
    timer_arm(never, 5);
    timer_disarm(never);
    timer_arm(moved, 5);
    timer_arm(moved, 60);
    timer_arm(last, 30);
    loop_run(loop);
    assert_string_equal(told, ".");
    timer_free(never);
    timer_free(moved);
    timer_free(last);
}

static void free_itself(void *context)
{
    struct timer **timer = context;
    timer_free(*timer);
    *timer = NULL;
    loop_stop(loop);
}

static void a_timer_may_free_itself(void **state)
{
    (void)state;
    struct timer *timer = NULL;
    timer = timer_new(loop, free_itself, &timer);
    timer_arm(timer, -5);
    loop_run(loop);
    assert_null(timer);
}

static void a_stop_before_run_is_kept(void **state)
{
    (void)state;
    char end_mark[] = ".";
    loop_stop(loop);
    loop_run(loop);
    struct timer *timer = timer_new(loop, stop, end_mark);
    timer_arm(timer, 0);
    loop_run(loop);
    assert_string_equal(told, ".");
    timer_free(timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_once_by_time, start, end),
        cmocka_unit_test_setup_teardown(a_timer_can_be_disarmed_and_armed_anew, start, end),
        cmocka_unit_test_setup_teardown(a_timer_may_free_itself, start, end),
        cmocka_unit_test_setup_teardown(a_stop_before_run_is_kept, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
