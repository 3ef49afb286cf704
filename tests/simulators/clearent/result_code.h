/* The processor's result codes: HTTP status, class and words of each documented row.
 * A code that isn't listed is answered with 402 and a plain sentence. */
#ifndef CLEARENT_SIM_RESULT_CODE_H
#define CLEARENT_SIM_RESULT_CODE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CODE_APPROVED = 0,
    CODE_EXPIRED = 3,
    CODE_BAD_CARD = 9,
    CODE_NOT_PERMITTED = 13,
    CODE_REVERSED = 24,
    CODE_OVER_REFUNDABLE = 25,
    CODE_NOT_FOUND = 27,
    CODE_UNCLEAR = 31,
    CODE_DUPLICATE = 32,
    CODE_NOT_RECONCILED = 39,
    CODE_NO_BATCH = 40,
    CODE_FIELD = 41,
    CODE_KEY = 42,
    CODE_AMOUNT_LIMIT = 43,
    CODE_AVS_REFUSED = 46,
    CODE_CSC_REFUSED_LAST = 48,
    CODE_NOTHING_FOUND = 82,
    CODE_REQUEST_FORMAT = 90,
    CODE_METHOD = 92,
    CODE_PATH_TYPE = 890
};

struct result_code {
    uint16_t code;
    uint16_t http;
    bool decline; /* final, and kept as a declined row */
    const char *words;
};

/* Never NULL. Borrowed for the life of the program, or until the next call for an unlisted code. */
const struct result_code *result_code(unsigned code);
/* What the sandbox answers for an amount below 1.00; CODE_APPROVED for all others. */
unsigned result_code_of_amount(int64_t minor);

#endif
