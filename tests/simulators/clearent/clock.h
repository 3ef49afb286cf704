/* The simulator's clock: can be put forward and run at another rate, never back.
 * Wire delays of faults run on real time; everything the processor 'does' runs on this clock. */
#ifndef CLEARENT_SIM_CLOCK_H
#define CLEARENT_SIM_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define SECOND_US INT64_C(1000000)
#define DAY_US (INT64_C(86400) * SECOND_US)

/* Simulated microseconds since 1970. */
int64_t clock_now_us(void);
/* How far the simulated time is ahead of the host's, in microseconds. */
int64_t clock_ahead_us(void);
/* Thousandths: 1000 is real time, 0 a stopped clock. */
int64_t clock_rate_permille(void);
/* Steps forward by `step_us` (>= 0) and goes on at `rate_permille` (>= 0). */
void clock_change(int64_t step_us, int64_t rate_permille);
/* At start: makes the clock at least this far ahead / not earlier than `us`. */
void clock_restore(int64_t ahead_us, int64_t rate_permille);
void clock_not_before(int64_t us);
/* Real microseconds until simulated `due_us`; 0 if it is past, -1 if the clock stands still. */
int64_t clock_wait_us(int64_t due_us);

/* '2024-04-09 14:53:24.148' in a zone `offset_minutes` from UTC; `out` holds 24 bytes. */
void clock_print(int64_t us, int offset_minutes, char *out, size_t size);
/* '2020-05-02T19:48:04.993Z'; `out` holds 25 bytes. */
void clock_print_iso(int64_t us, char *out, size_t size);
/* Reads one of the five date forms of the search pages; -1 when none fits. Forms without a zone
 * are read in the zone `offset_minutes` from UTC. */
int64_t clock_parse(const char *date, int offset_minutes);

#endif
