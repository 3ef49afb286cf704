/* The operations the simulator serves, by one name each: in fault rules, statistics and the
 * ledger. It must never know what an operation does. */
#include "operation.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    const char *type;
} OPERATIONS[OP_COUNT] = {
    [OP_SALE] = {"sale", "SALE"},           [OP_AUTH] = {"auth", "AUTH"},
    [OP_CAPTURE] = {"capture", "CAPTURE"},  [OP_VOID] = {"void", "VOID"},
    [OP_REFUND] = {"refund", "REFUND"},     [OP_SEARCH] = {"search", NULL},
    [OP_BATCH_OPEN] = {"batch_open", NULL}, [OP_BATCH_CLOSE] = {"batch_close", NULL},
    [OP_BATCH_LIST] = {"batch_list", NULL}, [OP_OTHER] = {"other", NULL},
};

const char *operation_name(enum operation op)
{
    assert(op < OP_COUNT);
    return OPERATIONS[op].name;
}

const char *operation_type(enum operation op)
{
    assert((int)op < OP_MONEY_COUNT);
    return OPERATIONS[op].type;
}

enum operation operation_of_type(const char *type)
{
    for (int op = 0; op < OP_MONEY_COUNT; op++) {
        if (strcmp(OPERATIONS[op].type, type) == 0) {
            return (enum operation)op;
        }
    }
    return OP_COUNT;
}

enum operation operation_of_name(const char *name)
{
    for (int op = 0; op < OP_MONEY_COUNT; op++) {
        if (strcmp(OPERATIONS[op].name, name) == 0) {
            return (enum operation)op;
        }
    }
    return OP_COUNT;
}

unsigned operation_mask(const char *name)
{
    if (strcmp(name, "any") == 0) {
        return (1u << OP_COUNT) - 1;
    }
    if (strcmp(name, "batch") == 0) {
        return 1u << OP_BATCH_OPEN | 1u << OP_BATCH_CLOSE | 1u << OP_BATCH_LIST;
    }
    for (int op = 0; op < OP_COUNT; op++) {
        if (strcmp(OPERATIONS[op].name, name) == 0) {
            return 1u << op;
        }
    }
    return 0;
}
