/* The day's close. */
#ifndef SETTLED_CLOSE_H
#define SETTLED_CLOSE_H

#include "ipc/server.h"

/* context is struct settled. */
void day_close_requested(void *context, struct ipc_request *request, const void *message);
void close_days_requested(void *context, struct ipc_request *request, const void *message);

#endif
