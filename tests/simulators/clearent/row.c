/* The transactions the processor holds, in memory: approved ones and stored declines.
 * It must never forget or reorder one; only flags and refunded sums change. */
#include "row.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_ROWS = 4096,
    CHUNKS_MAX = 65536,
    ARENA_BYTES = 65536,
    LAST_FOURS = 10000,
    FIRST_BUCKETS = 4096
};
#define FIRST_ID UINT64_C(117000001)

static struct row *chunks[CHUNKS_MAX];
static uint32_t rows_count;
static uint32_t *by_invoice, *by_order, buckets_count;
static uint32_t by_last_four[LAST_FOURS];
static char *arena;
static size_t arena_left;

static const char *keep(const char *string)
{
    size_t size;
    char *kept;

    if (string == NULL) {
        return NULL;
    }
    size = strlen(string) + 1;
    if (size > arena_left) {
        arena_left = size > ARENA_BYTES ? size : ARENA_BYTES;
        arena = malloc(arena_left);
        if (arena == NULL) {
            abort();
        }
    }
    kept = arena;
    memcpy(kept, string, size);
    arena += size;
    arena_left -= size;
    return kept;
}

static uint32_t bucket_of(const char *string)
{
    uint64_t hash = UINT64_C(1469598103934665603);

    for (; *string != '\0'; string++) {
        hash = (hash ^ (unsigned char)*string) * UINT64_C(1099511628211);
    }
    return (uint32_t)(hash ^ hash >> 32) & (buckets_count - 1);
}

static void link_references(uint32_t place)
{
    struct row *row = row_at(place);

    row->next_invoice = row->next_order = ROW_NONE;
    if (row->invoice != NULL) {
        uint32_t bucket = bucket_of(row->invoice);

        row->next_invoice = by_invoice[bucket];
        by_invoice[bucket] = place;
    }
    if (row->order_id != NULL) {
        uint32_t bucket = bucket_of(row->order_id);

        row->next_order = by_order[bucket];
        by_order[bucket] = place;
    }
}

static unsigned last_four_value(const char *last_four)
{
    unsigned value = 0;

    assert(strlen(last_four) == 4);
    for (int i = 0; i < 4; i++) {
        assert(last_four[i] >= '0' && last_four[i] <= '9');
        value = value * 10 + (unsigned)(last_four[i] - '0');
    }
    return value;
}

static void grow_buckets(void)
{
    uint32_t count = buckets_count == 0 ? FIRST_BUCKETS : buckets_count * 4;

    free(by_invoice);
    free(by_order);
    by_invoice = malloc(count * sizeof *by_invoice);
    by_order = malloc(count * sizeof *by_order);
    if (by_invoice == NULL || by_order == NULL) {
        abort();
    }
    memset(by_invoice, 0xff, count * sizeof *by_invoice);
    memset(by_order, 0xff, count * sizeof *by_order);
    if (buckets_count == 0) {
        memset(by_last_four, 0xff, sizeof by_last_four);
    }
    buckets_count = count;
    for (uint32_t i = 0; i < rows_count; i++) {
        link_references(i);
    }
}

uint32_t row_add(const struct row *draft)
{
    uint32_t place = rows_count;
    struct row *row;

    assert((int)draft->type < OP_MONEY_COUNT && draft->amount_minor >= 0);
    assert(place / CHUNK_ROWS < CHUNKS_MAX);
    if (place % CHUNK_ROWS == 0) {
        chunks[place / CHUNK_ROWS] = malloc(CHUNK_ROWS * sizeof(struct row));
        if (chunks[place / CHUNK_ROWS] == NULL) {
            abort();
        }
    }
    if (place >= buckets_count) {
        grow_buckets();
    }
    row = &chunks[place / CHUNK_ROWS][place % CHUNK_ROWS];
    *row = *draft;
    row->invoice = keep(draft->invoice);
    row->order_id = keep(draft->order_id);
    row->description = keep(draft->description);
    row->customer_id = keep(draft->customer_id);
    rows_count++;
    link_references(place);
    row->next_last_four = ROW_NONE;
    if (row->last_four[0] != '\0') {
        unsigned value = last_four_value(row->last_four);

        row->next_last_four = by_last_four[value];
        by_last_four[value] = place;
    }
    return place;
}

struct row *row_at(uint32_t place)
{
    assert(place < rows_count);
    return &chunks[place / CHUNK_ROWS][place % CHUNK_ROWS];
}

uint32_t row_count(void)
{
    return rows_count;
}

uint64_t row_id(uint32_t place)
{
    return FIRST_ID + place;
}

uint32_t row_by_id(const char *id)
{
    char *end;
    unsigned long long number;

    if (id[0] < '1' || id[0] > '9' || strlen(id) > 18) {
        return ROW_NONE;
    }
    number = strtoull(id, &end, 10);
    if (*end != '\0' || number < FIRST_ID || number - FIRST_ID >= rows_count) {
        return ROW_NONE;
    }
    return (uint32_t)(number - FIRST_ID);
}

uint32_t row_next_by_invoice(const char *invoice, uint32_t after)
{
    uint32_t place;

    if (rows_count == 0) {
        return ROW_NONE;
    }
    place = after == ROW_NONE ? by_invoice[bucket_of(invoice)] : row_at(after)->next_invoice;
    while (place != ROW_NONE && strcmp(row_at(place)->invoice, invoice) != 0) {
        place = row_at(place)->next_invoice;
    }
    return place;
}

uint32_t row_next_by_order(const char *order_id, uint32_t after)
{
    uint32_t place;

    if (rows_count == 0) {
        return ROW_NONE;
    }
    place = after == ROW_NONE ? by_order[bucket_of(order_id)] : row_at(after)->next_order;
    while (place != ROW_NONE && strcmp(row_at(place)->order_id, order_id) != 0) {
        place = row_at(place)->next_order;
    }
    return place;
}

uint32_t row_next_by_last_four(const char *last_four, uint32_t after)
{
    if (rows_count == 0) {
        return ROW_NONE;
    }
    return after == ROW_NONE ? by_last_four[last_four_value(last_four)]
                             : row_at(after)->next_last_four;
}
