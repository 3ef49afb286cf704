/* GET transactions: which rows the parameters ask for, and the page of them.
 * It reads rows only; lag, hidden rows and faults make it differ from the truth. */
#ifndef CLEARENT_SIM_SEARCH_H
#define CLEARENT_SIM_SEARCH_H

#include "answer.h"
#include "fault.h"
#include "query.h"

enum search_name {
    SEARCH_ID,
    SEARCH_INVOICE,
    SEARCH_ORDER_ID,
    SEARCH_AMOUNT,
    SEARCH_TYPE,
    SEARCH_STATUS,
    SEARCH_LAST_FOUR,
    SEARCH_AUTHORIZATION_CODE,
    SEARCH_DISPLAY_MESSAGE,
    SEARCH_START_DATE,
    SEARCH_END_DATE,
    SEARCH_LEVEL,
    SEARCH_PAGE,
    SEARCH_PAGE_SIZE,
    SEARCH_IS_DESCENDING
};

struct search {
    struct query query;
    struct page page;
    uint32_t account;
    bool merchant_level;
    int64_t start_us, end_us;
    int64_t amount_minor; /* -1: any */
    enum operation type;  /* OP_COUNT: any */
};

/* On false `out` holds the refusal; the query's values can be used all the same. */
bool search_read(const char *query, uint32_t account, struct search *search, struct outcome *out);
/* `hit` is NULL, or a fault; those that change reports are done here. */
void search_answer(const struct search *search, const struct fault_hit *hit, struct answer *answer);

#endif
