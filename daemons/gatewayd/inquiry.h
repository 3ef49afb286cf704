/* One attempt being looked into: claimed, asked about at the processor, decided, recorded. */
#ifndef GATEWAYD_INQUIRY_H
#define GATEWAYD_INQUIRY_H

#include "daemons/gatewayd/gatewayd.h"
#include "daemons/gatewayd/payment_store.h"

struct inquiry; /* ends by itself and then tells the resolver */

/* From row `row` of payment.due. */
void inquiry_start(struct gatewayd *g, const struct rows *rows, size_t row);

/* The account's processor answers again: questions that hang there are put anew. */
void inquiries_ask_anew(struct gatewayd *g, const char *processor, const char *account);

#endif
