/* Stored cards in PostgreSQL, and the statements of schema vault. Sees sealed records only. */
#ifndef VAULTD_CARD_STORE_H
#define VAULTD_CARD_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "daemons/vaultd/card.h"
#include "daemons/vaultd/fingerprint.h"
#include "daemons/vaultd/seal.h"
#include "lib/database.h"

enum vault_statement {
    VAULT_DATA_KEY_LIST,
    VAULT_DATA_KEY_CREATE,
    VAULT_SEAL_RESERVE,
    VAULT_CARD_PUT,
    VAULT_CARD_FIND,
    VAULT_REVEAL_GRANT,
    VAULT_STATEMENT_COUNT,
};
extern const struct statement VAULT_STATEMENTS[VAULT_STATEMENT_COUNT];

#define HEX_TEXT_BYTES(n) (2 * (n) + 3)
/* `n` bytes as PostgreSQL reads them, \x and hex digits; `out` has HEX_TEXT_BYTES(n). Returns it.
 */
const char *hex_text(const uint8_t *bytes, size_t n, char *out);

/* A sealed card and where it belongs; texts are borrowed during the call. */
struct stored_card {
    const char *attempt; /* whose reveal, named by `asking`, it is a part of */
    const char *asking;
    struct seal_place place;
    const char *fingerprint; /* of the customer's card, 64 hex digits */
    const struct card_face *face;
    const struct sealed *sealed;
};
enum put_outcome {
    PUT_STORED,
    PUT_OTHER, /* the customer has this card under another token */
    PUT_AGAIN,
    PUT_NOT_REVEALED, /* the attempt was not given it, or its payment has another customer */
};
/* Idempotent: after DATABASE_UNKNOWN ask again with the same. Read the answer with card_put_read.
 */
void card_store_put(struct database *db, const struct stored_card *card, int64_t deadline_boot_ms,
                    database_done *done, void *context);
/* `stored`: the customer's token for this card, or NULL; valid during the callback. */
enum put_outcome card_put_read(const struct rows *rows, const char **stored);

/* One row (brand, last_four, expiry), or none: unknown, deleted, another customer's. */
void card_store_find(struct database *db, const char *token, const char *customer,
                     int64_t deadline_boot_ms, database_done *done, void *context);
void card_find_read(const struct rows *rows, struct card_face *face);

/* May the attempt have its card? `token` is the stored card behind card_ref, or NULL for a typed
 * one. `request` names this asking, so that it can be repeated after DATABASE_UNKNOWN. */
void card_store_grant(struct database *db, const char *attempt, const char *card_ref,
                      const char *token, const char *request, int64_t deadline_boot_ms,
                      database_done *done, void *context);
struct grant {
    bool granted;
    const char *why;         /* when refused: attempt_not_sending ...; valid during the callback */
    const char *payment;     /* may be NULL; valid during the callback */
    bool has_sealed;         /* a stored card: */
    struct seal_place place; /* texts valid during the callback */
    struct sealed sealed;
};
/* Errors: seal_broken (the row has a wrong form). */
struct error *grant_read(const struct rows *rows, struct grant *out) MUST_CHECK;

#endif
