/* What the POS is told when the call to another daemon didn't end well. The one rule: an error may
 * only be said when certainly nothing was begun; all else is PENDING. */
#ifndef TERMINALD_POS_ANSWER_H
#define TERMINALD_POS_ANSWER_H

#include <stdbool.h>

#include "ipc/server.h"
#include "lib/error.h"

#define POS_RETRY_AFTER_MS 2000

/* True when the called daemon may have executed what it never answered. */
bool pos_outcome_open(const struct error *e);
/* Answers PENDING: the POS asks payment_status with the same key. `kind` as far as we know it;
 * `payment`, `currency` may be "". Ends the request. */
void pos_answer_pending(struct ipc_request *request, enum payment_answer_kind kind,
                        const char *payment, int64_t amount_minor, const char *currency);
/* Answers the error of a call that began nothing that lasts, or certainly not this time: a refusal
 * as it came, anything else as "busy", the same key again later. An open error (see above) of a
 * call that may have begun a payment is pos_answer_pending's. `e` is borrowed. Ends the request. */
void pos_answer_error(struct ipc_request *request, const struct error *e);
/* When the call to the other daemon must end so that the POS still hears from us in time: boot
 * clock, milliseconds. */
int64_t pos_answer_deadline(const struct ipc_request *request, int64_t patience_ms);

#endif
