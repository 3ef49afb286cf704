/* Customers, by their number in the ERP. */
#ifndef SETTLED_CUSTOMER_H
#define SETTLED_CUSTOMER_H

#include "ipc/server.h"

/* context is struct settled. */
void customer_put_requested(void *context, struct ipc_request *request, const void *message);
void customer_list_requested(void *context, struct ipc_request *request, const void *message);

#endif
