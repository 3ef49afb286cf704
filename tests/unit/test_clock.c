/* Time: the real sources, the tests' own, and fast time. */
#include "tests/unit/unit.h"

#include <time.h>

#include "lib/clock.h"

static int64_t boot_of_test(void)
{
    return 1234;
}

static int64_t wall_of_test(void)
{
    return 1795489200123456;
}

static int restore(void **state)
{
    (void)state;
    clock_set_source(NULL, NULL);
    clock_set_fast(1);
    return 0;
}

static void real_time_has_the_right_unit(void **state)
{
    (void)state;
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &t), 0);
    assert_in_range(clock_boot_ms() - ((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000), 0, 5000);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
    assert_in_range(clock_wall_us() - (int64_t)t.tv_sec * 1000000, 0, 6000000);
    int64_t before = clock_boot_ms();
    const struct timespec nap = {.tv_nsec = 20000000};
    assert_int_equal(nanosleep(&nap, NULL), 0);
    assert_in_range(clock_boot_ms() - before, 19, 5000);
}

static void tests_own_it(void **state)
{
    (void)state;
    clock_set_source(boot_of_test, wall_of_test);
    assert_int_equal(clock_boot_ms(), 1234);
    assert_int_equal(clock_wall_us(), 1795489200123456);
    clock_set_source(NULL, wall_of_test);
    assert_int_not_equal(clock_boot_ms(), 1234);
    assert_int_equal(clock_wall_us(), 1795489200123456);
}

static void fast_time_divides_intervals_but_never_to_nothing(void **state)
{
    (void)state;
    assert_int_equal(clock_interval_ms(60000), 60000);
    assert_int_equal(clock_interval_ms(0), 1);
    clock_set_fast(100);
    assert_int_equal(clock_interval_ms(60000), 600);
    assert_int_equal(clock_interval_ms(99), 1);
    assert_int_equal(clock_interval_ms(-5), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(real_time_has_the_right_unit, restore),
        cmocka_unit_test_teardown(tests_own_it, restore),
        cmocka_unit_test_teardown(fast_time_divides_intervals_but_never_to_nothing, restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
