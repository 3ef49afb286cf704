/* The only place where time is read. Tests put their own source in.
 * Must never use wall time for a deadline. */
#include "lib/clock.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

static int64_t fast_divisor = 1;
static int64_t (*boot_source)(void);
static int64_t (*wall_source)(void);

static struct timespec now(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) {
        abort();
    }
    return t;
}

int64_t clock_boot_ms(void)
{
    if (boot_source != NULL) {
        return boot_source();
    }
    struct timespec t = now(CLOCK_BOOTTIME);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_us(void)
{
    if (wall_source != NULL) {
        return wall_source();
    }
    struct timespec t = now(CLOCK_REALTIME);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_interval_ms(int64_t ms)
{
    int64_t interval = ms / fast_divisor;
    return interval < 1 ? 1 : interval;
}

int64_t clock_business_ms(int64_t real_ms)
{
    return real_ms * fast_divisor;
}

void clock_set_fast(int64_t divisor)
{
    assert(divisor >= 1);
    fast_divisor = divisor;
}

void clock_set_source(int64_t (*boot_ms)(void), int64_t (*wall_us)(void))
{
    boot_source = boot_ms;
    wall_source = wall_us;
}
