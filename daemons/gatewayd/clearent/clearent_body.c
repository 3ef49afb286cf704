/* The JSON body of a money request, written by hand: a JSON tree would leave copies of the card
 * behind. The one buffer is wiped on every path. */
#include "daemons/gatewayd/clearent/clearent_body.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/clearent/clearent_request.h"
#include "lib/money.h"

#define BODY_MAX_BYTES 4096
#define TEXT_MAX_BYTES 50 /* the processor's own limit is not published */
#define AMOUNT_MAX_MINOR INT64_C(99999999999)
#define SOFTWARE_TYPE "KometPayments"
#define SOFTWARE_VERSION "1.0" /* as certified with the processor, not our build's version */

/* The text being written; `full` once something did not fit. */
struct json_text {
    char bytes[BODY_MAX_BYTES];
    size_t n;
    bool full;
    bool comma; /* a member came before in this object */
};

static void put(struct json_text *json, const char *bytes, size_t n)
{
    if (json->full || n > sizeof json->bytes - json->n) {
        json->full = true;
        return;
    }
    memcpy(json->bytes + json->n, bytes, n);
    json->n += n;
}

/* Bytes of the UTF-8 character at `text` (not at its end), 0 if it isn't well-formed. */
static size_t utf8_size(const unsigned char *text, size_t left)
{
    if (text[0] < 0x80) {
        return 1;
    }
    size_t size = text[0] >= 0xF0 && text[0] <= 0xF4   ? 4
                  : text[0] >= 0xE0 && text[0] <= 0xEF ? 3
                  : text[0] >= 0xC2 && text[0] <= 0xDF ? 2
                                                       : 0;
    if (size == 0 || size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xED && text[1] >= 0xA0;
    bool beyond = text[0] == 0xF4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : size;
}

static void put_character(struct json_text *json, const char *text, size_t size)
{
    unsigned char first = (unsigned char)text[0];
    if (size == 0) {
        put(json, "?", 1);
    } else if (first == '"' || first == '\\') {
        put(json, "\\", 1);
        put(json, text, 1);
    } else if (first < 0x20 || first == 0x7F) {
        char escaped[8];
        snprintf(escaped, sizeof escaped, "\\u%04x", first);
        put(json, escaped, 6);
    } else {
        put(json, text, size);
    }
}

/* At most `max` bytes of `text` in whole characters, quoted and escaped; malformed bytes become
 * '?'. */
static void put_string(struct json_text *json, const char *text, size_t n, size_t max)
{
    put(json, "\"", 1);
    size_t at = 0;
    while (at < n) {
        size_t size = utf8_size((const unsigned char *)text + at, n - at);
        size_t step = size != 0 ? size : 1;
        if (at + step > max) {
            break;
        }
        put_character(json, text + at, size);
        at += step;
    }
    put(json, "\"", 1);
}

static void put_name(struct json_text *json, const char *name)
{
    if (json->comma) {
        put(json, ",", 1);
    }
    json->comma = true;
    put_string(json, name, strlen(name), SIZE_MAX);
    put(json, ":", 1);
}

/* A member that is left out when there is nothing to say. */
static void put_member(struct json_text *json, const char *name, const char *value, size_t n)
{
    if (n > 0) {
        put_name(json, name);
        put_string(json, value, n, TEXT_MAX_BYTES);
    }
}

static void put_text(struct json_text *json, const char *name, const char *value)
{
    if (value != NULL) {
        put_member(json, name, value, strlen(value));
    }
}

static void put_secret(struct json_text *json, const char *name, const struct secret *value)
{
    if (value != NULL) {
        put_member(json, name, secret_expose(value), secret_size(value));
    }
}

/* The holder's last word is the last name, the rest the first name. */
static void put_holder(struct json_text *json, const char *holder)
{
    size_t n = holder != NULL ? strlen(holder) : 0;
    while (n > 0 && holder[n - 1] == ' ') {
        n--;
    }
    size_t last = n;
    while (last > 0 && holder[last - 1] != ' ') {
        last--;
    }
    size_t first = last;
    while (first > 0 && holder[first - 1] == ' ') {
        first--;
    }
    if (n > 0) {
        put_member(json, "first-name", holder, first);
        put_member(json, "last-name", holder + last, n - last);
    }
}

static void put_billing(struct json_text *json, const struct card *card)
{
    bool any = (card->holder != NULL && strspn(card->holder, " ") != strlen(card->holder)) ||
               (card->street != NULL && card->street[0] != '\0') ||
               (card->postal_code != NULL && card->postal_code[0] != '\0');
    if (!any) {
        return;
    }
    put_name(json, "billing");
    put(json, "{", 1);
    json->comma = false;
    put_holder(json, card->holder);
    put_text(json, "street", card->street);
    put_text(json, "zip", card->postal_code);
    put(json, "}", 1);
    json->comma = true;
}

static void write_body(struct json_text *json, const struct money_request *request)
{
    char amount[MONEY_TEXT_MAX];
    struct money money = {.minor = request->amount_minor};
    memcpy(money.currency, request->currency, sizeof money.currency);
    put(json, "{", 1);
    put_text(json, "type", clearent_type(request->operation));
    put_text(json, "id", request->follows);
    put_text(json, "amount", money_format(money, amount));
    if (request->card != NULL) {
        put_secret(json, "card", request->card->pan);
        put_text(json, "exp-date", request->card->expiry);
        put_secret(json, "csc", request->card->cvv);
    }
    put_text(json, "invoice", request->ref);
    put_text(json, "order-id", request->ref);
    put_text(json, "description", request->description);
    put_text(json, "customer-id", request->customer);
    put_text(json, "software-type", SOFTWARE_TYPE);
    put_text(json, "software-type-version", SOFTWARE_VERSION);
    put_text(json, "email-receipt", "false");
    if (request->card != NULL) {
        put_billing(json, request->card);
    }
    put(json, "}", 1);
}

/* ---- checks before anything is written ---- */

static bool all_digits(const char *text, size_t n, size_t min, size_t max)
{
    if (n < min || n > max) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

static bool is_expiry(const char *text)
{
    if (text == NULL || !all_digits(text, strlen(text), 4, 4)) {
        return false;
    }
    int month = (text[0] - '0') * 10 + (text[1] - '0');
    return month >= 1 && month <= 12;
}

static bool is_name(const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    return n > 0 && n < CONNECTOR_ID_SIZE;
}

static struct error *check_card(const struct card *card)
{
    if (card->pan == NULL ||
        !all_digits(secret_expose(card->pan), secret_size(card->pan), 12, 19)) {
        return error_refused("field_invalid", "card", "The card number is not complete.");
    }
    if (!is_expiry(card->expiry)) {
        return error_refused("field_invalid", "expiry", "The expiry date must be month and year.");
    }
    if (card->cvv != NULL && !all_digits(secret_expose(card->cvv), secret_size(card->cvv), 3, 4)) {
        return error_refused("field_invalid", "cvv", "The security code has 3 or 4 digits.");
    }
    return NULL;
}

static struct error *check(const struct money_request *request)
{
    bool begins = request->operation == OPERATION_SALE || request->operation == OPERATION_AUTH;
    assert(begins == (request->card != NULL));
    assert(begins == (request->follows == NULL));
    if (strcmp(request->currency, "USD") != 0) {
        return error_refused("currency_unsupported", "currency",
                             "This processor takes US dollars only.");
    }
    if (request->amount_minor <= 0 || request->amount_minor > AMOUNT_MAX_MINOR) {
        return error_refused("amount_out_of_range", "amount", "This amount is not possible.");
    }
    if (!is_name(request->ref)) {
        return error_refused("field_invalid", "ref", "The reference of the attempt is missing.");
    }
    if (!begins && !is_name(request->follows)) {
        return error_refused("field_invalid", "follows",
                             "The processor's id of the original payment is missing.");
    }
    return begins ? check_card(request->card) : NULL;
}

struct error *clearent_body_new(const struct money_request *request, struct secret **out)
{
    struct error *e = check(request);
    if (e != NULL) {
        return e;
    }
    struct json_text json;
    json.n = 0;
    json.full = false;
    json.comma = false;
    write_body(&json, request);
    /* Every member is cut to size above, so the buffer always suffices. */
    assert(!json.full);
    *out = secret_new(json.bytes, json.n);
    secret_wipe(&json, sizeof json);
    return *out != NULL ? NULL
                        : error_failed("secret_memory_full", "no locked memory for a request");
}
