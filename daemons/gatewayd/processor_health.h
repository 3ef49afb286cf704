/* Whether a merchant account's processor answers look-ups. While it doesn't, one attempt is the
 * probe and is asked every few seconds; the first answer makes all its unclear work due at once. */
#ifndef GATEWAYD_PROCESSOR_HEALTH_H
#define GATEWAYD_PROCESSOR_HEALTH_H

#include "daemons/gatewayd/gatewayd.h"

/* A look-up for `ref` got no clear answer. True if this attempt is the account's probe now. */
bool processor_failed(struct gatewayd *g, const char *processor, const char *account,
                      const char *ref);
/* A clear answer came. */
void processor_answered(struct gatewayd *g, const char *processor, const char *account);

#endif
