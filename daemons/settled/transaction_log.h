/* The transaction log: every attempt, newest first, by filters and pages. */
#ifndef SETTLED_TRANSACTION_LOG_H
#define SETTLED_TRANSACTION_LOG_H

#include "ipc/server.h"

/* context is struct settled. */
void log_requested(void *context, struct ipc_request *request, const void *message);

#endif
