/* Requests that are answered now and executed later, on the simulated clock.
 * They live in memory only: one that is still due dies with the simulator. */
#ifndef CLEARENT_SIM_LATE_H
#define CLEARENT_SIM_LATE_H

#include <stddef.h>
#include <stdint.h>

#include "transaction.h"

/* Takes the transaction's body. */
void late_add(const struct transaction *asked, int64_t due_us);
/* Executes what is due. */
void late_execute(void);
/* When the next is due, INT64_MAX if none. */
int64_t late_next_us(void);
size_t late_count(void);

#endif
