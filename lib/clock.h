/* Time, passed in so that tests own it. Deadlines use the boot clock; wall time is only data.
 * KOMETPAY_FAST_TIME=N (1..100000) divides every waiting interval by N, for tests and demos. */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_BOOTTIME. */
int64_t clock_boot_ms(void);
/* Microseconds since 1970 UTC. */
int64_t clock_wall_us(void);
/* An interval of business time in real milliseconds: ms / KOMETPAY_FAST_TIME, at least 1. */
int64_t clock_interval_ms(int64_t ms);
/* The reverse: real milliseconds that passed, in business time. */
int64_t clock_business_ms(int64_t real_ms);
/* Set by daemon_start from the environment; tests may set both. */
void clock_set_fast(int64_t divisor);
void clock_set_source(int64_t (*boot_ms)(void), int64_t (*wall_us)(void)); /* NULL: the real one */

#endif
