/* One payment's story. */
#ifndef SETTLED_STORY_H
#define SETTLED_STORY_H

#include "ipc/server.h"

/* context is struct settled. */
void story_requested(void *context, struct ipc_request *request, const void *message);

#endif
