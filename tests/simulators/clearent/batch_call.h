/* The three batch calls of the wire, and closes that come from elsewhere (portal, hour).
 * It moves no money; it moves batches out of OPEN and writes that to the ledger. */
#ifndef CLEARENT_SIM_BATCH_CALL_H
#define CLEARENT_SIM_BATCH_CALL_H

#include <jansson.h>

#include "answer.h"
#include "batch.h"
#include "fault.h"

/* GET batches/open */
void batch_open_answer(uint32_t account, struct answer *answer);
/* PUT batches/open; `body` is borrowed. */
void batch_close_answer(uint32_t account, json_t *body, const struct fault_hit *hit,
                        struct answer *answer);
/* GET batches */
void batch_list_answer(uint32_t account, const char *query, struct answer *answer);

/* Closes the account's open batch and any FAILED one; false when there was none. */
bool batch_close(uint32_t account, const struct fault_hit *hit, const char *by);
/* Closes what the auto-close hour asks for since it was last called; next time in *next_us. */
void batch_auto_close(int64_t *next_us);

#endif
