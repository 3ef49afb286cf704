/* card_reveal: the card itself, to gatewayd, once for each attempt that is being sent. */
#ifndef VAULTD_REVEAL_H
#define VAULTD_REVEAL_H

#include "ipc/server.h"

/* A handler of ipc/server.h; the context is struct vaultd. */
void card_reveal_requested(void *context, struct ipc_request *request, const void *message);

#endif
