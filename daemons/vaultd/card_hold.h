/* card_hold: a typed card, or a stored card's token, becomes a reference that a payment can name.
 * card_release: a hold that will not be used. */
#ifndef VAULTD_CARD_HOLD_H
#define VAULTD_CARD_HOLD_H

#include "ipc/server.h"

/* Handlers of ipc/server.h; the context is struct vaultd. */
void card_hold_requested(void *context, struct ipc_request *request, const void *message);
void card_release_requested(void *context, struct ipc_request *request, const void *message);

#endif
