/* The proof that nothing was changed behind our back. */
#ifndef SETTLED_AUDIT_H
#define SETTLED_AUDIT_H

#include "ipc/server.h"

/* context is struct settled. */
void audit_verify_requested(void *context, struct ipc_request *request, const void *message);

#endif
