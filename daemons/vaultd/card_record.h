/* The plaintext of a stored card: its number, the holder's name and the postal code, packed to one
 * fixed size so that a ciphertext's length tells nothing. */
#ifndef VAULTD_CARD_RECORD_H
#define VAULTD_CARD_RECORD_H

#include "lib/error.h"
#include "lib/secret.h"

#define CARD_RECORD_BYTES 112u

struct card_record {
    struct secret *pan; /* owned by who fills it */
    char holder[61];
    char postal_code[13];
};

/* The packed record, owned by the caller; NULL when locked memory is used up. */
struct secret *card_record_pack(const struct secret *pan, const char *holder,
                                const char *postal_code);
/* Fills `out`, which the caller ends with card_record_clear. Errors: record_broken, busy. */
struct error *card_record_unpack(const struct secret *packed, struct card_record *out) MUST_CHECK;
void card_record_clear(struct card_record *record); /* wipes */

#endif
