/* The tables: result code -> class and reason, HTTP status -> how to read it, and both -> outcome.
 * No decision about a code may be taken anywhere else. */
#include "daemons/gatewayd/clearent/clearent_code.h"

#include <assert.h>
#include <stddef.h>

#define APPROVED CLEARENT_CLASS_APPROVED
#define DECLINE CLEARENT_CLASS_DECLINE
#define STATE CLEARENT_CLASS_STATE
#define SETUP CLEARENT_CLASS_SETUP
#define ELSEWHERE CLEARENT_CLASS_SETUP_ELSEWHERE
#define AMBIGUOUS CLEARENT_CLASS_AMBIGUOUS
#define DUPLICATE CLEARENT_CLASS_DUPLICATE

static const struct clearent_code codes[] = {
    {0, APPROVED, ""},       /* success */
    {1, AMBIGUOUS, ""},      /* cannot talk to the terminal */
    {2, AMBIGUOUS, ""},      /* force approval */
    {3, DECLINE, "EXPIRED"}, /* with 500 it means a batch failure: 500 reads as nothing */
    {4, DECLINE, "EXPIRED"},
    {5, DECLINE, "PICKUP"},        /* suspended */
    {6, DECLINE, "DECLINED_HARD"}, /* PIN tries */
    {7, DECLINE, "CALL"},
    {8, DECLINE, "DECLINED_HARD"}, /* invalid amount */
    {9, DECLINE, "BAD_NUMBER"},
    {10, DECLINE, "BAD_NUMBER"}, /* account not found */
    {11, ELSEWHERE, "SETUP"},
    {12, DECLINE, "NO_FUNDS"},
    {13, DECLINE, "DECLINED"}, /* not permitted */
    {14, DECLINE, "NO_FUNDS"}, /* exceeds limit */
    {15, DECLINE, "DECLINED"}, /* not permitted */
    {16, DECLINE, "TOO_OFTEN"},
    {17, DECLINE, "INACTIVE"},
    {18, DECLINE, "DECLINED_HARD"}, /* PIN */
    {19, ELSEWHERE, "SETUP"},       /* PIN key */
    {20, ELSEWHERE, "SETUP"},       /* currency */
    {21, DECLINE, "BAD_CVV"},
    {22, DECLINE, "DECLINED_HARD"}, /* cashback */
    {23, DECLINE, "DECLINED"},      /* declined by the issuer */
    {24, STATE, "ALREADY_REVERSED"},
    {25, STATE, "ABOVE_REFUNDABLE"},
    {26, DECLINE, "BAD_NUMBER"},
    {27, STATE, "ORIGINAL_UNKNOWN"},
    {28, SETUP, "SETUP"}, /* terminal */
    {29, SETUP, "SETUP"}, /* terminal */
    {30, SETUP, "SETUP"}, /* merchant id */
    {31, AMBIGUOUS, ""},  /* did not complete normally */
    {32, DUPLICATE, ""},
    {33, DECLINE, "PICKUP"},
    {34, DECLINE, "PICKUP"},
    {36, APPROVED, ""}, /* advice accepted */
    {40, STATE, "NO_BATCH"},
    {41, ELSEWHERE, "FIELD"}, /* field validation */
    {42, ELSEWHERE, "KEY"},
    {43, ELSEWHERE, "SETUP"}, /* amount limits */
    {44, ELSEWHERE, "SETUP"},
    {45, DUPLICATE, ""},
    {46, DECLINE, "BAD_ADDRESS"},
    {47, DECLINE, "BAD_CVV"},
    {48, DECLINE, "BAD_CVV"},
    {49, AMBIGUOUS, ""}, /* no response from server */
    {50, AMBIGUOUS, ""},
    {51, AMBIGUOUS, ""}, /* could not connect */
    {52, AMBIGUOUS, ""},
    {53, AMBIGUOUS, ""},
    {54, AMBIGUOUS, ""}, /* data element */
    {55, ELSEWHERE, "SETUP"},
    {56, AMBIGUOUS, ""},            /* destination */
    {57, AMBIGUOUS, "ISSUER_DOWN"}, /* the reason counts once a look-up found it declined */
    {58, AMBIGUOUS, "ISSUER_DOWN"},
    {59, DUPLICATE, ""}, /* duplicate transmission */
    {60, AMBIGUOUS, ""},
    {61, AMBIGUOUS, ""}, /* aborted */
    {62, ELSEWHERE, "SETUP"},
    {63, AMBIGUOUS, ""},
    {64, AMBIGUOUS, ""},
    {65, ELSEWHERE, "SETUP"},
    {66, ELSEWHERE, "SETUP"},
    {67, ELSEWHERE, "SETUP"},
    {68, ELSEWHERE, "SETUP"},
    {69, ELSEWHERE, "SETUP"},
    {70, ELSEWHERE, "SETUP"},
    {71, AMBIGUOUS, ""},
    {72, AMBIGUOUS, ""},
    {73, AMBIGUOUS, ""},
    {74, ELSEWHERE, "SETUP"},
    {86, SETUP, "SETUP"},
    {88, SETUP, "SETUP"},
    {90, ELSEWHERE, "FIELD"}, /* request format */
    {92, ELSEWHERE, "SETUP"},
    {280, AMBIGUOUS, ""}, /* bank accounts */
    {289, AMBIGUOUS, ""},
    {290, AMBIGUOUS, ""},
    {883, SETUP, "SETUP"},     /* terminal not connected */
    {890, ELSEWHERE, "FIELD"}, /* path and type disagree */
};

static const struct clearent_code unlisted = {CLEARENT_CODE_NONE, CLEARENT_CLASS_UNLISTED, ""};

static const struct clearent_status statuses[] = {
    {200, 299, CLEARENT_READ_TRANSACTION, "", false},
    {300, 399, CLEARENT_READ_NOTHING, "", false},
    {400, 400, CLEARENT_READ_400, "FIELD", false},
    {401, 401, CLEARENT_READ_REFUSED, "KEY", true},
    {402, 402, CLEARENT_READ_402, "", false},
    {403, 403, CLEARENT_READ_REFUSED, "KEY", true},
    {404, 404, CLEARENT_READ_REFUSED, "SETUP", true},
    {405, 405, CLEARENT_READ_REFUSED, "SETUP", true},
    {408, 408, CLEARENT_READ_NOTHING, "", false},
    {409, 409, CLEARENT_READ_NOTHING, "", false},
    {415, 415, CLEARENT_READ_REFUSED, "SETUP", true},
    {425, 425, CLEARENT_READ_NOTHING, "", false},
    {429, 429, CLEARENT_READ_NOTHING, "", false},
    {500, 599, CLEARENT_READ_NOTHING, "", false},
};

static const struct clearent_status other_status = {0, 0, CLEARENT_READ_NOTHING, "", false};

/* Rows: how the status reads. Columns: the code's class. APPROVED is never a verdict here: that
 * needs the echo checks. */
static const enum outcome verdicts[CLEARENT_READINGS][CLEARENT_CLASSES] = {
    [CLEARENT_READ_TRANSACTION] = {OUTCOME_UNKNOWN, OUTCOME_DECLINED, OUTCOME_REFUSED,
                                   OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN,
                                   OUTCOME_UNKNOWN, OUTCOME_UNKNOWN},
    [CLEARENT_READ_400] = {OUTCOME_UNKNOWN, OUTCOME_DECLINED, OUTCOME_REFUSED, OUTCOME_REFUSED,
                           OUTCOME_REFUSED, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_REFUSED},
    [CLEARENT_READ_402] = {OUTCOME_UNKNOWN, OUTCOME_DECLINED, OUTCOME_REFUSED, OUTCOME_REFUSED,
                           OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN},
    [CLEARENT_READ_REFUSED] = {OUTCOME_REFUSED, OUTCOME_REFUSED, OUTCOME_REFUSED, OUTCOME_REFUSED,
                               OUTCOME_REFUSED, OUTCOME_REFUSED, OUTCOME_REFUSED, OUTCOME_REFUSED},
    [CLEARENT_READ_NOTHING] = {OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN,
                               OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN, OUTCOME_UNKNOWN},
};

static const int not_found_codes[] = {82, 91};

const struct clearent_code *clearent_code_find(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].code == code) {
            return &codes[i];
        }
    }
    return &unlisted;
}

const struct clearent_status *clearent_status_find(long status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (status >= statuses[i].low && status <= statuses[i].high) {
            return &statuses[i];
        }
    }
    return &other_status;
}

enum outcome clearent_verdict(enum clearent_reading reading, enum clearent_class class)
{
    assert(reading < CLEARENT_READINGS && class < CLEARENT_CLASSES);
    return verdicts[reading][class];
}

bool clearent_code_is_not_found(int code)
{
    for (size_t i = 0; i < sizeof not_found_codes / sizeof not_found_codes[0]; i++) {
        if (not_found_codes[i] == code) {
            return true;
        }
    }
    return false;
}
