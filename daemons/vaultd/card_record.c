/* Packs and unpacks the sealed part of a stored card. Must never hold a CVV: there is no place for
 * one in the record. */
#include "daemons/vaultd/card_record.h"

#include <assert.h>
#include <string.h>

#define RECORD_VERSION 1u

_Static_assert(1 + (1 + 19) + (1 + 60) + (1 + 12) <= CARD_RECORD_BYTES, "a full record fits");

static size_t put(uint8_t *packed, size_t at, const char *text, size_t n)
{
    assert(n <= UINT8_MAX && at + 1 + n <= CARD_RECORD_BYTES);
    packed[at] = (uint8_t)n;
    memcpy(packed + at + 1, text, n);
    return at + 1 + n;
}

struct secret *card_record_pack(const struct secret *pan, const char *holder,
                                const char *postal_code)
{
    uint8_t packed[CARD_RECORD_BYTES] = {RECORD_VERSION};
    size_t at = put(packed, 1, secret_expose(pan), secret_size(pan));
    at = put(packed, at, holder, strlen(holder));
    (void)put(packed, at, postal_code, strlen(postal_code));
    struct secret *result = secret_new(packed, sizeof packed);
    secret_wipe(packed, sizeof packed);
    return result;
}

/* The length of the field at *at, 0xff if it doesn't fit `max`; *at moves behind it. */
static size_t take(const uint8_t *packed, size_t *at, size_t max, const uint8_t **text)
{
    if (*at >= CARD_RECORD_BYTES) {
        return UINT8_MAX;
    }
    const size_t n = packed[*at];
    if (n > max || *at + 1 + n > CARD_RECORD_BYTES) {
        return UINT8_MAX;
    }
    *text = packed + *at + 1;
    *at += 1 + n;
    return n;
}

struct error *card_record_unpack(const struct secret *packed, struct card_record *out)
{
    *out = (struct card_record){0};
    const uint8_t *bytes = (const uint8_t *)secret_expose(packed);
    const uint8_t *pan = NULL, *holder = NULL, *postal_code = NULL;
    size_t at = 1;
    if (secret_size(packed) != CARD_RECORD_BYTES || bytes[0] != RECORD_VERSION) {
        return error_failed("record_broken", "A stored card has an unknown form.");
    }
    const size_t pan_n = take(bytes, &at, 19, &pan);
    const size_t holder_n = take(bytes, &at, sizeof out->holder - 1, &holder);
    const size_t postal_n = take(bytes, &at, sizeof out->postal_code - 1, &postal_code);
    if (pan_n < 12 || pan_n == UINT8_MAX || holder_n == UINT8_MAX || postal_n == UINT8_MAX) {
        return error_failed("record_broken", "A stored card has a broken form.");
    }
    memcpy(out->holder, holder, holder_n);
    memcpy(out->postal_code, postal_code, postal_n);
    out->pan = secret_new(pan, pan_n);
    if (out->pan == NULL) {
        card_record_clear(out);
        return error_refused("busy", "", "Too many cards are in use at once. Try again.");
    }
    return NULL;
}

void card_record_clear(struct card_record *record)
{
    secret_free(record->pan);
    secret_wipe(record, sizeof *record);
}
