/* Clearent's result codes and HTTP statuses as tables. A code that is not listed as a decline must
 * never become one: it is UNKNOWN until the look-up says otherwise. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_CODE_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_CODE_H

#include <stdbool.h>

#include "daemons/gatewayd/connector.h"

#define CLEARENT_CODE_NONE (-1) /* the answer had no readable result-code */

enum clearent_class {
    CLEARENT_CLASS_APPROVED,
    CLEARENT_CLASS_DECLINE,         /* final */
    CLEARENT_CLASS_STATE,           /* final: the original's state forbids it */
    CLEARENT_CLASS_SETUP,           /* not executed */
    CLEARENT_CLASS_SETUP_ELSEWHERE, /* not executed, documented with a status other than 402 */
    CLEARENT_CLASS_AMBIGUOUS,
    CLEARENT_CLASS_DUPLICATE, /* the original may have been approved */
    CLEARENT_CLASS_UNLISTED,
    CLEARENT_CLASSES,
};

enum clearent_reading {
    CLEARENT_READ_TRANSACTION, /* 2xx: payload.transaction decides */
    CLEARENT_READ_400,
    CLEARENT_READ_402,
    CLEARENT_READ_REFUSED, /* 401 403 404 405 415 */
    CLEARENT_READ_NOTHING, /* UNKNOWN whatever it says */
    CLEARENT_READINGS,
};

struct clearent_code {
    int code;
    enum clearent_class class;
    const char *reason; /* class of decline.h, "" = none */
};

struct clearent_status {
    long low;
    long high;
    enum clearent_reading reading;
    const char *reason; /* when REFUSED without a listed code */
    bool alarm;
};

/* The row of a code; an unlisted code has class UNLISTED. Never NULL. */
const struct clearent_code *clearent_code_find(int code);
/* The row of an HTTP status; unlisted ones read as NOTHING. Never NULL. */
const struct clearent_status *clearent_status_find(long status);
/* What an answer of that status with that code means when it is not an approval. */
enum outcome clearent_verdict(enum clearent_reading reading, enum clearent_class class);
/* True for the codes that a search answers when it finds nothing. */
bool clearent_code_is_not_found(int code);

#endif
