/* Executes sale, auth, capture, void and refund against the rows, as the processor would.
 * It knows nothing of the wire: a request comes in checked, an outcome goes out. */
#ifndef CLEARENT_SIM_TRANSACTION_H
#define CLEARENT_SIM_TRANSACTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "row.h"
#include "view.h"

/* A checked request. The strings are borrowed from `body`. */
struct transaction {
    enum operation type;
    uint32_t account;
    uint32_t original; /* ROW_NONE when the id is unknown or there was none */
    bool unmatched;    /* a refund that brings a card instead of an id */
    bool expired;
    bool has_amount;
    int64_t amount_minor;
    const char *invoice, *order_id, *description, *customer_id;
    char last_four[5];
    char exp_date[5];
    char avs, csc;
    json_t *body; /* owned; without card and csc */
};

struct outcome {
    unsigned code; /* 0: approved */
    int http;
    const char *words;
    bool has_view;
    struct view view;
};

/* Executes at the simulated now and writes the ledger. */
void transaction_execute(const struct transaction *asked, const char *by, struct outcome *out);
/* Declines with the code; a final decline is kept as a declined row, anything else leaves none. */
void transaction_decline(const struct transaction *asked, unsigned code, const char *by,
                         struct outcome *out);
/* The approval this would have been, with an id of no row; executes nothing. */
void transaction_imagine(const struct transaction *asked, struct outcome *out);
/* A refusal or decline without any row. */
void outcome_refuse(struct outcome *out, unsigned code, const char *words);

/* Takes the effects of an executed row on its batch and original; also when reading the ledger. */
void transaction_apply(uint32_t place);
/* Hides the row from reports, or lets them show `shown_minor`. */
void transaction_report(uint32_t place, bool hide, int64_t shown_minor);

/* The earlier row a duplicate check finds, else ROW_NONE. */
uint32_t duplicate_find(const struct transaction *asked);

#endif
