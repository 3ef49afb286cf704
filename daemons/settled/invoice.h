/* Invoices from the ERP: one, many, listed. */
#ifndef SETTLED_INVOICE_H
#define SETTLED_INVOICE_H

#include "ipc/server.h"

/* context is struct settled. */
void invoice_put_requested(void *context, struct ipc_request *request, const void *message);
void invoice_list_requested(void *context, struct ipc_request *request, const void *message);
void invoice_import_requested(void *context, struct ipc_request *request, const void *message);
void invoice_import_end_requested(void *context, struct ipc_request *request, const void *message);

#endif
