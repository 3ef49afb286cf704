/* The fingerprint by which a repeated request is compared with the first: the same key with another
 * fingerprint is a CONFLICT. */
#ifndef GATEWAYD_REQUEST_FINGERPRINT_H
#define GATEWAYD_REQUEST_FINGERPRINT_H

#include "ipc/message.h"

#define FINGERPRINT_SIZE 65

/* SHA-256 in hex over the length-prefixed fields. The card is in it by vaultd's keyed fingerprint,
 * so nothing of a PAN can be found from it; CVV and 'save' are not part of it. */
void request_fingerprint_sale(const struct msg_sale *sale, char out[FINGERPRINT_SIZE]);
void request_fingerprint_follow_up(const char *kind, const char *payment, int64_t amount_minor,
                                   char out[FINGERPRINT_SIZE]);

#endif
