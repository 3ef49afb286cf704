/* The fault script: rules that say which request meets which fault, and how often.
 * It decides only; what a fault does to truth, view, answer and wire is done elsewhere. */
#ifndef CLEARENT_SIM_FAULT_H
#define CLEARENT_SIM_FAULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "operation.h"

enum fault_effect {
    /* on the connection, before a request is known */
    FAULT_TLS_SILENT,
    FAULT_TLS_CLOSE,
    FAULT_ACCEPT_CLOSE,
    /* while the request arrives */
    FAULT_RESET_AFTER_HEADERS,
    FAULT_RESET_MID_REQUEST,
    /* in place of the answer */
    FAULT_CLOSE,
    FAULT_RESET,
    FAULT_RESET_MID_ANSWER,
    FAULT_SILENT,
    FAULT_SLOW_FIRST_BYTE,
    FAULT_BYTE_PER_SECOND,
    FAULT_HEADERS_THEN_PAUSE,
    FAULT_LATE_EXECUTION,
    /* another answer */
    FAULT_HTTP_500,
    FAULT_HTML_ERROR,
    FAULT_HTTP_429,
    FAULT_HTTP_302,
    FAULT_HTTP_400,
    FAULT_HTTP_401,
    FAULT_HTML_200,
    FAULT_EMPTY_200,
    FAULT_BIG_BODY,
    FAULT_GZIP_BOMB,
    FAULT_DEEP_NESTING,
    FAULT_CODE,
    FAULT_PREVIOUS_OTHER_CARD,
    /* the answer, damaged */
    FAULT_TRUNCATED_JSON,
    FAULT_WRONG_LENGTH,
    FAULT_BAD_CHUNK,
    FAULT_BOM,
    FAULT_NAN,
    FAULT_DUPLICATE_KEYS,
    FAULT_INVALID_UTF8,
    /* the answer, of something else */
    FAULT_FOREIGN_ANSWER,
    FAULT_AMOUNT_DIFFERS,
    FAULT_LAST_FOUR_DIFFERS,
    FAULT_PENDING_RESULT,
    /* reports */
    FAULT_SEARCH_LAG,
    FAULT_NOT_FOUND,
    FAULT_NOT_FOUND_THEN_FOUND,
    FAULT_TWO_ROWS,
    FAULT_PAGE_REPEATED,
    FAULT_WRONG_PAGE_END,
    /* batches */
    FAULT_BATCH_PENDING,
    FAULT_BATCH_FAILED
};

enum fault_phase { PHASE_CONNECT, PHASE_HEADERS, PHASE_REQUEST };

/* What is known of a request; NULL and -1 for what isn't. */
struct fault_subject {
    enum operation op;
    const char *ref;      /* invoice, else order-id */
    const char *order_id; /* matched as a reference too */
    const char *last_four;
    int64_t amount_minor;
};

struct fault_hit {
    enum fault_effect effect;
    bool executed; /* whether the truth happens although the answer is what it is */
    bool silent;   /* of a late execution: silence instead of 504 */
    int64_t delay_ms;
    unsigned code;
    int http; /* of FAULT_CODE and FAULT_HTML_ERROR; 0: as listed */
};

/* Adds a rule; on refusal returns a sentence (static) and adds none. */
const char *fault_add(json_t *given, unsigned *number);
/* Removes one rule, or all with number 0; false when there is no such rule. */
bool fault_remove(unsigned number);
/* Owned by the caller. */
json_t *fault_list(void);
/* The first rule that matches in this phase; uses up one of its count. */
bool fault_take(enum fault_phase phase, const struct fault_subject *subject, struct fault_hit *hit);

#endif
