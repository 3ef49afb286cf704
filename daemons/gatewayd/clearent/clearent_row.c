/* Reads the members of one Clearent row. What is too long, not printable or not exact is absent,
 * and no long run of digits gets out: it could be a card number. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemons/gatewayd/clearent/clearent_envelope.h"
#include "lib/money.h"

#define CARD_DIGITS_MIN 12

bool clearent_has(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return value != NULL && !json_is_null(value) &&
           !(json_is_string(value) && json_string_length(value) == 0);
}

bool clearent_text(const json_t *object, const char *name, char *out, size_t size, bool *bad)
{
    out[0] = '\0';
    if (!clearent_has(object, name)) {
        return false;
    }
    const json_t *value = json_object_get(object, name);
    char number[32] = "";
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        text = number;
    }
    size_t n = text != NULL ? strlen(text) : 0;
    bool good = n > 0 && n < size;
    for (size_t i = 0; good && i < n; i++) {
        good = text[i] >= ' ' && text[i] <= '~';
    }
    if (!good) {
        *bad = true;
        return false;
    }
    memcpy(out, text, n + 1);
    return true;
}

bool clearent_twin(const json_t *object, const char *name, char *out, size_t size, bool *bad)
{
    if (clearent_has(object, name)) {
        return clearent_text(object, name, out, size, bad);
    }
    char twin[32];
    snprintf(twin, sizeof twin, "%s", name);
    for (char *c = twin; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
    return clearent_text(object, twin, out, size, bad);
}

bool clearent_amount(const json_t *object, const char *name, const char *currency, int64_t *minor)
{
    char text[MONEY_TEXT_MAX];
    bool bad = false;
    struct money money;
    if (!json_is_string(json_object_get(object, name)) ||
        !clearent_text(object, name, text, sizeof text, &bad)) {
        return false;
    }
    struct error *e = money_parse(text, strlen(text), currency, &money);
    if (e != NULL) {
        error_free(e);
        return false;
    }
    *minor = money.minor;
    return true;
}

bool clearent_last_four(const json_t *object, char out[5])
{
    char text[65];
    bool bad = false;
    out[0] = '\0';
    if (!clearent_text(object, "card", text, sizeof text, &bad)) {
        return false;
    }
    size_t found = 0;
    for (size_t i = strlen(text); i > 0 && found < 4; i--) {
        if (text[i - 1] >= '0' && text[i - 1] <= '9') {
            out[3 - found] = text[i - 1];
            found++;
        }
    }
    out[found == 4 ? 4 : 0] = '\0';
    return found == 4;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the digits at `text`, single spaces, dots and dashes between them included; *digits
 * says how many of it are digits. */
static size_t digit_run(const char *text, size_t *digits)
{
    size_t n = 0;
    *digits = 0;
    for (size_t i = 0; is_digit(text[i]) || (i > 0 && is_digit(text[i - 1]) && text[i] != '\0' &&
                                             strchr(" .-", text[i]) != NULL);
         i++) {
        if (is_digit(text[i])) {
            (*digits)++;
            n = i + 1;
        }
    }
    return n;
}

void clearent_redact(const char *text, char *out, size_t size)
{
    size_t n = 0;
    while (text != NULL && *text != '\0' && n + 1 < size) {
        size_t digits;
        size_t run = digit_run(text, &digits);
        if (digits >= CARD_DIGITS_MIN) {
            out[n++] = '*';
            text += run;
        } else if (run > 0) {
            size_t room = size - 1 - n;
            size_t part = run < room ? run : room;
            memcpy(out + n, text, part);
            n += part;
            text += run;
        } else {
            /* Bytes above ASCII could be cut in the middle of a character. */
            out[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
            text++;
        }
    }
    out[n] = '\0';
}

void clearent_message(const json_t *object, const char *name, char *out, size_t size)
{
    clearent_redact(json_string_value(json_object_get(object, name)), out, size);
}

void clearent_sentence(const json_t *object, const char *name, char *out, size_t size)
{
    clearent_message(object, name, out, size);
    for (char *at = out; *at != '\0';) {
        size_t run = strspn(at, "0123456789");
        if (run == 3 || run == 4) {
            memset(at, '*', run);
        }
        at += run > 0 ? run : 1;
    }
}

static const struct kind_row {
    const char *type;
    enum item_kind kind;
    bool ours; /* what one of our own requests makes */
} kinds[] = {
    {"SALE", ITEM_SALE, true},          {"AUTH", ITEM_AUTH, true},
    {"AUTHORIZATION", ITEM_AUTH, true}, {"CAPTURE", ITEM_CAPTURE, true},
    {"VOID", ITEM_VOID, true},          {"REFUND", ITEM_REFUND, true},
    {"FORCED SALE", ITEM_SALE, false},  {"UNMATCHED REFUND", ITEM_REFUND, false},
};

static const struct kind_row *kind_row_of(const json_t *row)
{
    const char *type = json_string_value(json_object_get(row, "type"));
    for (size_t i = 0; type != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcasecmp(kinds[i].type, type) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

enum item_kind clearent_kind(const json_t *row)
{
    const struct kind_row *kind = kind_row_of(row);
    return kind != NULL ? kind->kind : ITEM_OTHER;
}

bool clearent_is_ours(const json_t *row, enum connector_operation operation)
{
    static const enum item_kind made_by[] = {
        [OPERATION_SALE] = ITEM_SALE,       [OPERATION_AUTH] = ITEM_AUTH,
        [OPERATION_CAPTURE] = ITEM_CAPTURE, [OPERATION_VOID] = ITEM_VOID,
        [OPERATION_REFUND] = ITEM_REFUND,
    };
    const struct kind_row *kind = kind_row_of(row);
    return kind != NULL && kind->ours && kind->kind == made_by[operation];
}

static bool word_in(const json_t *row, const char *name, const char *const *words)
{
    const char *text = json_string_value(json_object_get(row, name));
    for (size_t i = 0; text != NULL && words[i] != NULL; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool clearent_result_is(const json_t *row, const char *word)
{
    return word_in(row, "result", (const char *const[]){word, NULL});
}

bool clearent_is_voided(const json_t *row)
{
    return word_in(row, "status", (const char *const[]){"VOIDED", "VOID", "REVERSED", NULL});
}

bool clearent_is_settled(const json_t *row)
{
    if (word_in(row, "status", (const char *const[]){"SETTLED", NULL})) {
        return true;
    }
    /* true, "true" or the time it was settled. */
    const json_t *settled = json_object_get(row, "settled");
    return json_is_true(settled) ||
           (json_string_length(settled) > 0 &&
            !word_in(row, "settled", (const char *const[]){"false", "no", NULL}));
}

enum clearent_ref clearent_ref_of(const json_t *row, const char *ref)
{
    static const char *const places[] = {"invoice", "order-id"};
    bool ours = false;
    bool other = false;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (clearent_has(row, places[i])) {
            const char *text = json_string_value(json_object_get(row, places[i]));
            bool same = text != NULL && strcmp(text, ref) == 0;
            ours = ours || same;
            other = other || !same;
        }
    }
    if (ours) {
        return other ? CLEARENT_REF_HALF : CLEARENT_REF_OURS;
    }
    return other ? CLEARENT_REF_OTHER : CLEARENT_REF_NONE;
}

/* The last four asked for: of the card that is sent, else as the payment knows them. */
static void expected_last_four(const struct money_request *request, char out[5])
{
    memcpy(out, request->last_four, 5);
    const struct card *card = request->card;
    if (out[0] == '\0' && card != NULL && card->pan != NULL && secret_size(card->pan) >= 4) {
        memcpy(out, secret_expose(card->pan) + secret_size(card->pan) - 4, 4);
        out[4] = '\0';
    }
}

enum clearent_echo clearent_echo_of(const json_t *row, const struct money_request *request,
                                    bool complete)
{
    bool begins = request->operation == OPERATION_SALE || request->operation == OPERATION_AUTH;
    if (clearent_has(row, "type") || complete) {
        if (!clearent_is_ours(row, request->operation)) {
            return CLEARENT_ECHO_OTHER;
        }
    }
    char expected[5];
    char shown[5];
    expected_last_four(request, expected);
    if (expected[0] != '\0' && (clearent_has(row, "card") || (complete && begins))) {
        if (!clearent_last_four(row, shown) || strcmp(shown, expected) != 0) {
            return CLEARENT_ECHO_OTHER;
        }
    }
    if (clearent_has(row, "amount") || (complete && request->operation != OPERATION_VOID)) {
        int64_t minor;
        if (!clearent_amount(row, "amount", request->currency, &minor) || minor <= 0 ||
            minor > request->amount_minor) {
            return CLEARENT_ECHO_OTHER;
        }
        if (minor < request->amount_minor) {
            return begins ? CLEARENT_ECHO_LESS : CLEARENT_ECHO_OTHER;
        }
    }
    return CLEARENT_ECHO_OURS;
}

/* A number with 12 to 19 digits, the check digit right and ending in our last four, is a card. */
static bool is_card_number(const char *text, const char *last_four)
{
    size_t n = strlen(text);
    if (n < CARD_DIGITS_MIN || n > 19 || strspn(text, "0123456789") != n) {
        return false;
    }
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = text[n - 1 - i] - '0';
        digit = i % 2 == 1 ? digit * 2 : digit;
        sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0 && (last_four[0] == '\0' || strcmp(text + n - 4, last_four) == 0);
}

bool clearent_id(const json_t *object, const char *name, const char *last_four, char *out,
                 size_t size, bool *bad)
{
    if (!clearent_text(object, name, out, size, bad)) {
        return false;
    }
    if (is_card_number(out, last_four)) {
        out[0] = '\0';
        *bad = true;
        return false;
    }
    return true;
}

void clearent_shown(const json_t *object, const char *name, char *out, size_t size)
{
    char text[41];
    bool ignored = false;
    clearent_twin(object, name, text, sizeof text, &ignored);
    clearent_redact(text, out, size);
}

bool clearent_transaction_read(const json_t *row, const char *currency, const char *last_four,
                               struct money_outcome *out)
{
    bool ignored = false;
    bool has_id =
        clearent_id(row, "id", last_four, out->processor_id, sizeof out->processor_id, &ignored);
    clearent_shown(row, "authorization-code", out->authorisation_code,
                   sizeof out->authorisation_code);
    clearent_shown(row, "batch-string-id", out->batch, sizeof out->batch);
    clearent_text(row, "avs-result-code", out->avs, sizeof out->avs, &ignored);
    clearent_text(row, "csc-result-code", out->csc, sizeof out->csc, &ignored);
    clearent_text(row, "result-code", out->raw_code, sizeof out->raw_code, &ignored);
    clearent_sentence(row, "display-message", out->raw_message, sizeof out->raw_message);
    if (!clearent_amount(row, "amount", currency, &out->approved_minor)) {
        out->approved_minor = 0;
    }
    return has_id;
}
