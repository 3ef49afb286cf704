/* Batches: one open per terminal, opened by its first transaction, closed by hand, call or hour.
 * It must never move a transaction from one batch to another. */
#include "batch.h"

#include <assert.h>
#include <stdlib.h>

#include "account.h"
#include "clock.h"

enum { FIRST_NUMBER = 101 };

static struct batch *batches;
static uint32_t batches_count;

static struct batch *batch_make(uint32_t account, int64_t opened_us)
{
    struct batch *batch;

    batches = realloc(batches, (batches_count + 1) * sizeof *batches);
    if (batches == NULL) {
        abort();
    }
    batch = &batches[batches_count];
    *batch = (struct batch){.number = FIRST_NUMBER + batches_count,
                            .account = account,
                            .status = BATCH_OPEN,
                            .opened_us = opened_us};
    batches_count++;
    account_at(account)->open_batch = batch->number;
    return batch;
}

uint32_t batch_join(uint32_t account, int64_t now_us)
{
    struct account *owner = account_at(account);

    if (owner->open_batch == 0) {
        batch_make(account, now_us);
    }
    return owner->open_batch;
}

void batch_restore(uint32_t number, uint32_t account, int64_t opened_us)
{
    if (number == 0 || number < FIRST_NUMBER + batches_count) {
        return;
    }
    assert(number == FIRST_NUMBER + batches_count);
    batch_make(account, opened_us);
}

struct batch *batch_at(uint32_t number)
{
    struct batch *batch;

    if (number < FIRST_NUMBER || number - FIRST_NUMBER >= batches_count) {
        return NULL;
    }
    batch = &batches[number - FIRST_NUMBER];
    if (batch->status == BATCH_PENDING && clock_now_us() >= batch->settles_us) {
        batch->status = BATCH_CLOSED;
    }
    return batch;
}

uint32_t batch_first(void)
{
    return FIRST_NUMBER;
}

uint32_t batch_last(void)
{
    return FIRST_NUMBER + batches_count - 1;
}

static void totals_add(struct batch_totals *totals, enum operation type, int64_t minor, int sign)
{
    uint32_t one = sign > 0 ? 1 : UINT32_MAX;

    if (type == OP_SALE || type == OP_CAPTURE) {
        totals->sales_minor += sign * minor;
        totals->sales_count += one;
    } else if (type == OP_REFUND) {
        totals->refund_minor += sign * minor;
        totals->refund_count += one;
    }
}

void batch_count(const struct row *row, int sign)
{
    struct batch *batch = batch_at(row->batch);

    assert(batch != NULL && row->approved);
    totals_add(&batch->totals, row->type, row->amount_minor, sign);
}

void batch_leave(struct batch *batch, enum batch_status status, int64_t now_us, int64_t settles_us)
{
    struct account *owner = account_at(batch->account);

    assert(batch->status == BATCH_OPEN || batch->status == BATCH_FAILED);
    assert(status != BATCH_OPEN);
    batch->status = status;
    batch->closed_us = now_us;
    batch->settles_us = settles_us;
    if (owner->open_batch == batch->number) {
        owner->open_batch = 0;
    }
}

struct batch_totals batch_shown(const struct batch *batch)
{
    struct batch_totals totals = {0};

    if (!batch->touched) {
        return batch->totals;
    }
    for (uint32_t i = 0; i < row_count(); i++) {
        const struct row *row = row_at(i);

        if (row->batch == batch->number && row->approved && !row->voided && !row->hidden) {
            int64_t minor = row->shown_minor >= 0 ? row->shown_minor : row->amount_minor;

            totals_add(&totals, row->type, minor, 1);
        }
    }
    return totals;
}

const char *batch_status_name(enum batch_status status)
{
    static const char *const NAMES[] = {"OPEN", "PENDING", "CLOSED", "FAILED"};

    assert(status <= BATCH_FAILED);
    return NAMES[status];
}
