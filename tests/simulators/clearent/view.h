/* One transaction as an answer shows it. Faults may change a view; they never change a row. */
#ifndef CLEARENT_SIM_VIEW_H
#define CLEARENT_SIM_VIEW_H

#include <stdint.h>

#include "row.h"
#include "text.h"

struct view {
    uint64_t id;
    const char *type;
    const char *result; /* APPROVED, DECLINED or PENDING */
    unsigned code;
    const char *words;
    int64_t amount_minor;
    int64_t created_us;
    const char *invoice, *order_id, *description, *customer_id; /* borrowed */
    uint64_t ref_id;                                            /* 0 for none */
    uint32_t batch;                                             /* 0 for none */
    char last_four[5];
    char auth_code[7];
    char exp_date[5]; /* only in the answer to the request that brought it */
    char avs, csc;
    _Bool settled;
};

/* What reports say of the row, altered amounts included. */
struct view view_of(uint32_t place);
/* Adds the JSON object. */
void view_write(struct text *text, const struct view *view);

#endif
