/* Locations: where payments are taken, in which currency and time zone, by which account. */
#ifndef SETTLED_LOCATION_H
#define SETTLED_LOCATION_H

#include "ipc/server.h"

/* context is struct settled. */
void location_put_requested(void *context, struct ipc_request *request, const void *message);
void location_list_requested(void *context, struct ipc_request *request, const void *message);

#endif
