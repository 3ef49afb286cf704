/* The operations the simulator serves, by one name each: in fault rules, statistics and the
 * ledger. The first five move money and are also the types of ledger rows. */
#ifndef CLEARENT_SIM_OPERATION_H
#define CLEARENT_SIM_OPERATION_H

enum operation {
    OP_SALE,
    OP_AUTH,
    OP_CAPTURE,
    OP_VOID,
    OP_REFUND,
    OP_SEARCH,
    OP_BATCH_OPEN,
    OP_BATCH_CLOSE,
    OP_BATCH_LIST,
    OP_OTHER,
    OP_COUNT
};

enum { OP_MONEY_COUNT = OP_REFUND + 1 };

/* Lower-case name: sale, ..., batch_close, other. */
const char *operation_name(enum operation op);
/* The processor's word for the types of transactions: SALE, AUTH, CAPTURE, VOID, REFUND. */
const char *operation_type(enum operation op);
/* One of the five money operations by the processor's word, else OP_COUNT. */
enum operation operation_of_type(const char *type);
/* One of the five money operations by its lower-case name, else OP_COUNT. */
enum operation operation_of_name(const char *name);
/* Bit mask of operations for a fault rule's `op` (batch and any stand for several), 0 if unknown.
 */
unsigned operation_mask(const char *name);

#endif
