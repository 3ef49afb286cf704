/* Whether a merchant account's processor answers look-ups. While it doesn't, one question is put
 * every second or few, apart from the resolver's own; the first answer makes all the account's
 * unclear work due at once. */
#ifndef GATEWAYD_PROCESSOR_HEALTH_H
#define GATEWAYD_PROCESSOR_HEALTH_H

#include "daemons/gatewayd/gatewayd.h"

/* A look-up got no answer, or none for long; `question` (copied) becomes the probe. */
void processor_failed(struct gatewayd *g, const char *processor, const char *account,
                      const struct lookup_request *question);
/* Whether this is the processor's own answer, clear or not: no transport fault, not 429, not 5xx.
 * An odd answer about one payment says nothing about the others. */
bool processor_reached(const struct http_result *result);
/* It answered. */
void processor_answered(struct gatewayd *g, const char *processor, const char *account);

#endif
