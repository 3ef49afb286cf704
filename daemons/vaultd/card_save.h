/* Stores a typed card for a customer: sealed, put, and told under which token. Part of the reveal
 * of the payment that asked for it: nothing is stored for a payment that never began. */
#ifndef VAULTD_CARD_SAVE_H
#define VAULTD_CARD_SAVE_H

#include "daemons/vaultd/hold.h"
#include "daemons/vaultd/vaultd.h"

/* All of it borrowed until `card_saved` is called. */
struct card_to_save {
    const struct hold *hold; /* a typed card with save_for */
    const char *attempt;
    const char *asking; /* of the grant that gave the card to this attempt */
    int64_t deadline_boot_ms;
};
/* The customer's token for this card, or the error; both valid during the call. */
typedef void card_saved(void *context, const char *token, const struct error *e);

/* Idempotent: the same card of the same customer has one token, however often it is stored. */
void card_save(struct vaultd *vaultd, const struct card_to_save *card, card_saved *done,
               void *context);

#endif
