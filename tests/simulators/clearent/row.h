/* The transactions the processor holds, in memory: approved ones and stored declines.
 * A row's id is its place, so finding by id costs nothing; references have an index. */
#ifndef CLEARENT_SIM_ROW_H
#define CLEARENT_SIM_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "operation.h"

#define ROW_NONE UINT32_MAX

struct row {
    const char *invoice; /* our reference; NULL when none was sent, like the next three */
    const char *order_id;
    const char *description;
    const char *customer_id;
    int64_t amount_minor;
    int64_t refunded_minor; /* of a sale or capture: what refunds took back */
    int64_t shown_minor;    /* what reports say instead, -1 when the truth */
    int64_t created_us;
    enum operation type;
    uint32_t account;
    uint32_t batch;    /* batch number, 0 for declines */
    uint32_t original; /* row a capture, void or refund follows, else ROW_NONE */
    uint32_t next_invoice, next_order, next_last_four;
    uint16_t code; /* result code, 0 when approved */
    char last_four[5];
    char auth_code[7];
    char avs, csc; /* 0 when not checked */
    bool approved;
    bool voided;
    bool captured;
    bool hidden; /* left out of reports */
};

/* Copies the draft with its strings; returns its place. Links are the callee's. */
uint32_t row_add(const struct row *draft);
/* Stays valid for the life of the program. */
struct row *row_at(uint32_t place);
uint32_t row_count(void);
uint64_t row_id(uint32_t place);
/* ROW_NONE when the text isn't the id of a row. */
uint32_t row_by_id(const char *id);

/* Newest first walks; begin with ROW_NONE, end with ROW_NONE. */
uint32_t row_next_by_invoice(const char *invoice, uint32_t after);
uint32_t row_next_by_order(const char *order_id, uint32_t after);
uint32_t row_next_by_last_four(const char *last_four, uint32_t after);

#endif
