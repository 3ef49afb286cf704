/* The Clearent (Xplor Pay) connector: card payments of one terminal key. It has no idempotency key:
 * a money request must never be sent a second time. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_H

#include "daemons/gatewayd/connector.h"

extern const struct connector clearent_connector;

#endif
