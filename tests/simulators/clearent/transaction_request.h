/* Checks the body of a money request as strictly as the gateway might: unknown names, types,
 * forms and lengths. It must never repeat a value it refuses: it could be a card number. */
#ifndef CLEARENT_SIM_TRANSACTION_REQUEST_H
#define CLEARENT_SIM_TRANSACTION_REQUEST_H

#include <stddef.h>

#include "transaction.h"

/* `op` is the typed path's operation, or OP_COUNT for the path without a type. Takes `body`. On
 * false `out` holds the refusal. */
bool transaction_read(json_t *body, enum operation op, uint32_t account, struct transaction *asked,
                      struct outcome *out);
/* Lets go of the body. */
void transaction_forget(struct transaction *asked);

#endif
