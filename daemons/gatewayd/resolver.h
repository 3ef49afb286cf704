/* Finds the truth about attempts whose outcome isn't known, at the processor, for ever. */
#ifndef GATEWAYD_RESOLVER_H
#define GATEWAYD_RESOLVER_H

#include "daemons/gatewayd/gatewayd.h"

struct resolver *resolver_new(struct gatewayd *g);
void resolver_start(struct resolver *resolver); /* once this instance is registered */
/* Something will be due soon: look without waiting for the next turn. */
void resolver_expect(struct resolver *resolver);
void resolver_inquiry_ended(struct resolver *resolver); /* called by each inquiry, once */
unsigned resolver_running(const struct resolver *resolver);
void resolver_stop(struct resolver *resolver); /* claims nothing more */

#endif
