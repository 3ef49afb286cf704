/* Batches: one open per terminal, opened by its first transaction, closed by hand, call or hour.
 * Totals count sales, captures and refunds that stand; an uncaptured auth is in no total. */
#ifndef CLEARENT_SIM_BATCH_H
#define CLEARENT_SIM_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "row.h"

enum batch_status { BATCH_OPEN, BATCH_PENDING, BATCH_CLOSED, BATCH_FAILED };

struct batch_totals {
    int64_t sales_minor, refund_minor;
    uint32_t sales_count, refund_count;
};

struct batch {
    uint32_t number; /* what the wire calls id and batch-string-id */
    uint32_t account;
    enum batch_status status;
    int64_t opened_us;
    int64_t closed_us; /* when the close was taken; 0 while open */
    int64_t settles_us;
    struct batch_totals totals; /* the truth */
    bool touched;               /* a row of it is hidden or altered in reports */
};

/* Number of the account's open batch, opened at `now_us` if there was none. */
uint32_t batch_join(uint32_t account, int64_t now_us);
/* At start: makes batch `number` exist and be the account's open one. */
void batch_restore(uint32_t number, uint32_t account, int64_t opened_us);
/* NULL when there is none of that number. A PENDING one whose time has come is CLOSED. */
struct batch *batch_at(uint32_t number);
uint32_t batch_first(void);
uint32_t batch_last(void);
/* Takes the row's amount into (sign 1) or out of (sign -1) its batch's totals. */
void batch_count(const struct row *row, int sign);
/* Moves the open batch out: PENDING until settles_us, then CLOSED; or FAILED. */
void batch_leave(struct batch *batch, enum batch_status status, int64_t now_us, int64_t settles_us);
/* What reports show: the truth less hidden rows, with altered amounts. */
struct batch_totals batch_shown(const struct batch *batch);
const char *batch_status_name(enum batch_status status);

#endif
