/* Checks the body of a money request as strictly as the gateway might: unknown names, types,
 * forms and lengths. It must never repeat a value it refuses: it could be a card number. */
#include "transaction_request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "result_code.h"
#include "settings.h"

enum form {
    FORM_TEXT,
    FORM_MONEY,
    FORM_CARD,
    FORM_EXPIRY,
    FORM_CSC,
    FORM_ID,
    FORM_BOOL,
    FORM_ADDRESS
};

enum {
    FOR_SALE = 1 << OP_SALE,
    FOR_AUTH = 1 << OP_AUTH,
    FOR_CAPTURE = 1 << OP_CAPTURE,
    FOR_VOID = 1 << OP_VOID,
    FOR_REFUND = 1 << OP_REFUND,
    FOR_CARD = FOR_SALE | FOR_AUTH,
    FOR_FOLLOW_UP = FOR_CAPTURE | FOR_VOID | FOR_REFUND,
    FOR_ALL = FOR_CARD | FOR_FOLLOW_UP
};

enum { AMOUNT_MAX_MINOR = 99999999, REASON_BYTES = 120 };

struct field {
    const char *name;
    enum form form;
    size_t size_max;
    int allowed;
    int required;
};

static const struct field FIELDS[] = {
    {"type", FORM_TEXT, 20, FOR_ALL, 0},
    {"amount", FORM_MONEY, 12, FOR_ALL, FOR_CARD | FOR_CAPTURE | FOR_REFUND},
    {"card", FORM_CARD, 19, FOR_CARD | FOR_REFUND, FOR_CARD},
    {"exp-date", FORM_EXPIRY, 4, FOR_CARD | FOR_REFUND, FOR_CARD},
    {"csc", FORM_CSC, 4, FOR_CARD, 0},
    {"id", FORM_ID, 18, FOR_FOLLOW_UP, FOR_CAPTURE | FOR_VOID},
    {"invoice", FORM_TEXT, 100, FOR_ALL, 0},
    {"order-id", FORM_TEXT, 50, FOR_ALL, 0},
    {"purchase-order", FORM_TEXT, 100, FOR_ALL, 0},
    {"customer-id", FORM_TEXT, 50, FOR_ALL, 0},
    {"description", FORM_TEXT, 50, FOR_ALL, 0},
    {"comments", FORM_TEXT, 50, FOR_ALL, 0},
    {"software-type", FORM_TEXT, 50, FOR_ALL, FOR_ALL},
    {"software-type-version", FORM_TEXT, 50, FOR_ALL, FOR_ALL},
    {"email-address", FORM_TEXT, 100, FOR_ALL, 0},
    {"email-receipt", FORM_BOOL, 5, FOR_ALL, 0},
    {"client-ip", FORM_TEXT, 45, FOR_ALL, 0},
    {"billing", FORM_ADDRESS, 0, FOR_ALL, 0},
    {"shipping", FORM_ADDRESS, 0, FOR_ALL, 0},
    {"billing-is-shipping", FORM_BOOL, 5, FOR_ALL, 0},
    {"create-token", FORM_BOOL, 5, FOR_CARD, 0},
    {"card-inquiry", FORM_BOOL, 5, FOR_CARD, 0},
    {"token-description", FORM_TEXT, 50, FOR_CARD, 0},
    {"check-field", FORM_TEXT, 50, FOR_ALL, 0},
    {"check-field-mid", FORM_BOOL, 5, FOR_ALL, 0},
    {"secure3d", FORM_TEXT, 200, FOR_CARD, 0},
    {"secure3d-eci", FORM_TEXT, 2, FOR_CARD, 0},
    {"secure3d-platform", FORM_TEXT, 50, FOR_CARD, 0},
};

static const char *const ADDRESS_FIELDS[] = {"first-name", "last-name", "company", "street",
                                             "street2",    "city",      "state",   "zip",
                                             "country",    "phone"};

static bool digits(const char *text, size_t minimum, size_t maximum)
{
    size_t size = strspn(text, "0123456789");

    return text[size] == '\0' && size >= minimum && size <= maximum;
}

static bool luhn(const char *number)
{
    size_t size = strlen(number);
    int sum = 0;

    for (size_t i = 0; i < size; i++) {
        int digit = number[size - 1 - i] - '0';

        digit = i % 2 == 1 ? digit * 2 : digit;
        sum += digit > 9 ? digit - 9 : digit;
    }
    return sum % 10 == 0;
}

static bool month_and_year(const char *text)
{
    int month = (text[0] - '0') * 10 + (text[1] - '0');

    return month >= 1 && month <= 12;
}

static bool address(json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        bool known = false;

        for (size_t i = 0; i < sizeof ADDRESS_FIELDS / sizeof ADDRESS_FIELDS[0]; i++) {
            known = known || strcmp(ADDRESS_FIELDS[i], name) == 0;
        }
        if (!known || !json_is_string(value) || json_string_length(value) > 100) {
            return false;
        }
    }
    return json_is_object(object);
}

static bool form_fits(const struct field *field, json_t *value)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);

    if (field->form == FORM_ADDRESS) {
        return address(value);
    }
    if (text == NULL || size == 0 || size > field->size_max || strlen(text) != size) {
        return false;
    }
    switch (field->form) {
    case FORM_MONEY:
        return money_parse(text) >= 0;
    case FORM_CARD:
        return digits(text, 12, 19);
    case FORM_EXPIRY:
        return digits(text, 4, 4) && month_and_year(text);
    case FORM_CSC:
        return digits(text, 3, 4);
    case FORM_ID:
        return digits(text, 1, 18);
    case FORM_BOOL:
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    case FORM_TEXT:
        return true;
    case FORM_ADDRESS:
        break;
    }
    return false;
}

static bool refuse(struct outcome *out, unsigned code, const char *name, const char *what)
{
    static char words[REASON_BYTES];

    snprintf(words, sizeof words, "%.60s: %s", name, what);
    outcome_refuse(out, code, words);
    return false;
}

static const struct field *field_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        if (strcmp(FIELDS[i].name, name) == 0) {
            return &FIELDS[i];
        }
    }
    return NULL;
}

static bool fields_good(json_t *body, int op_bit, struct outcome *out)
{
    int required = 0;
    const char *name;
    json_t *value;

    json_object_foreach(body, name, value)
    {
        const struct field *field = field_by_name(name);

        if (field == NULL) {
            return refuse(out, CODE_FIELD, name, "is not a field of this request");
        }
        if ((field->allowed & op_bit) == 0) {
            return refuse(out, CODE_FIELD, name, "does not go with this type");
        }
        if (!form_fits(field, value)) {
            return refuse(out, CODE_FIELD, name, "has the wrong type, form or length");
        }
        required += (field->required & op_bit) != 0;
    }
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        required -= (FIELDS[i].required & op_bit) != 0;
        if ((FIELDS[i].required & op_bit) != 0 && json_object_get(body, FIELDS[i].name) == NULL) {
            return refuse(out, CODE_FIELD, FIELDS[i].name, "is required");
        }
    }
    assert(required == 0);
    return true;
}

static bool type_good(json_t *body, enum operation *op, struct outcome *out)
{
    json_t *type = json_object_get(body, "type");
    enum operation named = OP_COUNT;

    if (type != NULL) {
        if (!json_is_string(type)) {
            return refuse(out, CODE_FIELD, "type", "must be a string");
        }
        named = operation_of_type(json_string_value(type));
        if (named == OP_COUNT) {
            return refuse(out, CODE_FIELD, "type", "is not a type this terminal takes");
        }
        if (*op != OP_COUNT && named != *op) {
            return refuse(out, CODE_PATH_TYPE, "type", "does not agree with the path");
        }
        *op = named;
    }
    return *op != OP_COUNT ? true : refuse(out, CODE_FIELD, "type", "is required");
}

static bool card_expired(const char *exp_date)
{
    time_t seconds = (time_t)(clock_now_us() / SECOND_US);
    struct tm now;
    int month = (exp_date[0] - '0') * 10 + (exp_date[1] - '0');
    int year = (exp_date[2] - '0') * 10 + (exp_date[3] - '0');

    gmtime_r(&seconds, &now);
    return year * 12 + month < (now.tm_year - 100) * 12 + now.tm_mon + 1;
}

static bool card_take(json_t *body, struct transaction *asked, struct outcome *out)
{
    const char *card = json_string_value(json_object_get(body, "card"));
    const char *exp_date = json_string_value(json_object_get(body, "exp-date"));

    if (card == NULL || exp_date == NULL) {
        return refuse(out, CODE_FIELD, card == NULL ? "card" : "exp-date", "is required");
    }
    if (!luhn(card)) {
        outcome_refuse(out, CODE_BAD_CARD, NULL);
        return false;
    }
    memcpy(asked->last_four, card + strlen(card) - 4, 5);
    memcpy(asked->exp_date, exp_date, 5);
    asked->expired = card_expired(exp_date);
    asked->csc = json_object_get(body, "csc") != NULL ? 'M' : '\0';
    return true;
}

static char avs_letter(json_t *body)
{
    json_t *billing = json_object_get(body, "billing");
    const char *zip = json_string_value(json_object_get(billing, "zip"));
    bool street = json_object_get(billing, "street") != NULL;

    if (zip == NULL || zip[0] == '\0') {
        return street ? 'A' : '\0';
    }
    if (strlen(zip) > 5) {
        return street ? 'X' : 'W';
    }
    return street ? 'Y' : 'Z';
}

static bool amount_good(struct transaction *asked, struct outcome *out)
{
    if (asked->has_amount && asked->amount_minor == 0) {
        return refuse(out, 44, "amount", "must be above zero");
    }
    if (asked->amount_minor > AMOUNT_MAX_MINOR) {
        outcome_refuse(out, CODE_AMOUNT_LIMIT, NULL);
        return false;
    }
    return true;
}

bool transaction_read(json_t *body, enum operation op, uint32_t account, struct transaction *asked,
                      struct outcome *out)
{
    const char *amount, *id;
    bool good;

    *asked = (struct transaction){.account = account, .original = ROW_NONE, .body = body};
    if (!type_good(body, &op, out) || !fields_good(body, 1 << op, out)) {
        return false;
    }
    asked->type = op;
    amount = json_string_value(json_object_get(body, "amount"));
    asked->has_amount = amount != NULL;
    asked->amount_minor = amount == NULL ? 0 : money_parse(amount);
    if (op == OP_VOID && !asked->has_amount && settings.void_amount_required) {
        return refuse(out, CODE_FIELD, "amount", "is required");
    }
    id = json_string_value(json_object_get(body, "id"));
    asked->original = id == NULL ? ROW_NONE : row_by_id(id);
    asked->unmatched = op == OP_REFUND && id == NULL;
    if (id != NULL && json_object_get(body, "card") != NULL) {
        return refuse(out, CODE_FIELD, "card", "does not go with id");
    }
    asked->invoice = json_string_value(json_object_get(body, "invoice"));
    asked->order_id = json_string_value(json_object_get(body, "order-id"));
    asked->description = json_string_value(json_object_get(body, "description"));
    asked->customer_id = json_string_value(json_object_get(body, "customer-id"));
    asked->avs = op == OP_SALE || op == OP_AUTH ? avs_letter(body) : '\0';
    good = amount_good(asked, out);
    if (good && (op == OP_SALE || op == OP_AUTH || asked->unmatched)) {
        good = card_take(body, asked, out);
    }
    json_object_del(body, "card");
    json_object_del(body, "csc");
    return good;
}

void transaction_forget(struct transaction *asked)
{
    json_decref(asked->body);
    asked->body = NULL;
}
