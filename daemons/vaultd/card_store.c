/* The statements of schema vault and how their rows are read. Must never see a card's number, nor
 * decide what the functions in sql/ decide under their locks. */
#include "daemons/vaultd/card_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct statement VAULT_STATEMENTS[VAULT_STATEMENT_COUNT] = {
    [VAULT_DATA_KEY_LIST] = {"vault_data_key_list",
                             "SELECT kid, kek, wrapped, check_value FROM vault.data_key_list()", 0,
                             4, STATEMENT_READ},
    [VAULT_DATA_KEY_CREATE] = {"vault_data_key_create",
                               "SELECT kid, kek, wrapped, check_value "
                               "FROM vault.data_key_create($1::int, $2, $3::bytea, $4::bytea)",
                               4, 4, STATEMENT_WRITE},
    [VAULT_SEAL_RESERVE] = {"vault_seal_reserve",
                            "SELECT granted "
                            "FROM vault.seal_reserve($1::int, $2::bigint, $3::bigint)",
                            3, 1, STATEMENT_WRITE},
    [VAULT_CARD_PUT] = {"vault_card_put",
                        "SELECT outcome, stored FROM vault.card_put($1, $2, $3, $4, $5::bytea, "
                        "$6::int, $7::bytea, $8::bytea, $9, $10, $11)",
                        11, 2, STATEMENT_WRITE},
    [VAULT_CARD_FIND] = {"vault_card_find",
                         "SELECT brand, last_four, expiry FROM vault.card_find($1, $2)", 2, 3,
                         STATEMENT_READ},
    [VAULT_REVEAL_GRANT] = {"vault_reveal_grant",
                            "SELECT outcome, why, payment, token, customer, kid, nonce, "
                            "ciphertext, expiry FROM vault.reveal_grant($1, $2, $3, $4)",
                            4, 9, STATEMENT_WRITE},
};

const char *hex_text(const uint8_t *bytes, size_t n, char *out)
{
    static const char HEX[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'x';
    for (size_t i = 0; i < n; i++) {
        out[2 + 2 * i] = HEX[bytes[i] >> 4];
        out[3 + 2 * i] = HEX[bytes[i] & 15];
    }
    out[2 + 2 * n] = '\0';
    return out;
}

void card_store_put(struct database *db, const struct stored_card *card, int64_t deadline_boot_ms,
                    database_done *done, void *context)
{
    char fingerprint[FINGERPRINT_TEXT_BYTES + 2], kid[24];
    char nonce[HEX_TEXT_BYTES(SEAL_NONCE_BYTES)];
    char ciphertext[HEX_TEXT_BYTES(SEAL_PLAIN_MAX_BYTES + SEAL_TAG_BYTES)];
    (void)snprintf(fingerprint, sizeof fingerprint, "\\x%s", card->fingerprint);
    (void)snprintf(kid, sizeof kid, "%" PRId64, card->place.kid);
    const char *parameters[11] = {
        card->attempt,
        card->asking,
        card->place.token,
        card->place.customer,
        fingerprint,
        kid,
        hex_text(card->sealed->nonce, SEAL_NONCE_BYTES, nonce),
        hex_text(card->sealed->bytes, card->sealed->size, ciphertext),
        card->face->brand,
        card->face->last_four,
        card->face->expiry,
    };
    database_call(db, &VAULT_STATEMENTS[VAULT_CARD_PUT], parameters, deadline_boot_ms, done,
                  context);
}

enum put_outcome card_put_read(const struct rows *rows, const char **stored)
{
    static const struct {
        const char *name;
        enum put_outcome outcome;
    } OUTCOMES[] = {
        {"STORED", PUT_STORED},
        {"OTHER", PUT_OTHER},
        {"AGAIN", PUT_AGAIN},
        {"NOT_REVEALED", PUT_NOT_REVEALED},
    };
    assert(rows_count(rows) == 1);
    *stored = rows_text(rows, 0, "stored");
    const char *name = rows_text(rows, 0, "outcome");
    assert(name != NULL);
    for (size_t i = 0; i < sizeof OUTCOMES / sizeof *OUTCOMES; i++) {
        if (strcmp(OUTCOMES[i].name, name) == 0) {
            return OUTCOMES[i].outcome;
        }
    }
    abort(); /* our function and our table disagree: a bug */
}

void card_store_find(struct database *db, const char *token, const char *customer,
                     int64_t deadline_boot_ms, database_done *done, void *context)
{
    const char *parameters[2] = {token, customer};
    database_call(db, &VAULT_STATEMENTS[VAULT_CARD_FIND], parameters, deadline_boot_ms, done,
                  context);
}

void card_find_read(const struct rows *rows, struct card_face *face)
{
    assert(rows_count(rows) == 1);
    (void)snprintf(face->brand, sizeof face->brand, "%s", rows_text(rows, 0, "brand"));
    (void)snprintf(face->last_four, sizeof face->last_four, "%s", rows_text(rows, 0, "last_four"));
    (void)snprintf(face->expiry, sizeof face->expiry, "%s", rows_text(rows, 0, "expiry"));
}

void card_store_grant(struct database *db, const char *attempt, const char *card_ref,
                      const char *token, const char *request, int64_t deadline_boot_ms,
                      database_done *done, void *context)
{
    const char *parameters[4] = {attempt, card_ref, token, request};
    database_call(db, &VAULT_STATEMENTS[VAULT_REVEAL_GRANT], parameters, deadline_boot_ms, done,
                  context);
}

struct error *grant_read(const struct rows *rows, struct grant *out)
{
    assert(rows_count(rows) == 1);
    const char *outcome = rows_text(rows, 0, "outcome");
    *out = (struct grant){
        .granted = outcome != NULL && strcmp(outcome, "GRANTED") == 0,
        .why = rows_text(rows, 0, "why"),
        .payment = rows_text(rows, 0, "payment"),
        .has_sealed = rows_text(rows, 0, "token") != NULL,
    };
    if (!out->granted || !out->has_sealed) {
        return NULL;
    }
    out->place = (struct seal_place){.token = rows_text(rows, 0, "token"),
                                     .kid = rows_int(rows, 0, "kid"),
                                     .customer = rows_text(rows, 0, "customer"),
                                     .expiry = rows_text(rows, 0, "expiry")};
    size_t nonce_n = 0, bytes_n = 0;
    uint8_t *nonce = rows_bytes(rows, 0, "nonce", &nonce_n);
    uint8_t *bytes = rows_bytes(rows, 0, "ciphertext", &bytes_n);
    const bool good = nonce != NULL && bytes != NULL && nonce_n == SEAL_NONCE_BYTES &&
                      bytes_n <= sizeof out->sealed.bytes;
    if (good) {
        memcpy(out->sealed.nonce, nonce, nonce_n);
        memcpy(out->sealed.bytes, bytes, bytes_n);
        out->sealed.size = bytes_n;
    }
    free(nonce);
    free(bytes);
    return good ? NULL : error_failed("seal_broken", "A stored card's row has a wrong form.");
}
