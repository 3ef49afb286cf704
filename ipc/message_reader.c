/* JSON payload -> struct, strictly: what the table does not declare is refused, naming the field.
 * Must never accept the same payload with two meanings (duplicates, floats, nulls), put a value
 * into an error, or copy a secret anywhere but into locked memory. */
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/message.h"
#include "ipc/message_table.h"
#include "lib/secret.h"

#define UNKNOWN_NAME_MAX_BYTES 32

static struct error *read_record(const struct message_record *record, struct json *json, char *base,
                                 const struct message_place *place);

/* The payload may hold a card: its place is told, never its content. */
static struct error *refuse_json(const struct json *json)
{
    return error_refused("json_invalid", "", "The payload isn't one JSON object (byte %zu).",
                         (size_t)(json->at - json->start));
}

static struct error *refuse_type(struct json *json, const struct message_place *place,
                                 const char *sentence)
{
    return json_next(json) == JSON_IS_OTHER && (json->at == json->end || *json->at != 'n')
               ? refuse_json(json)
               : message_refuse("field_type", place, sentence);
}

static struct error *take_text(struct json *json, struct json_text *text,
                               const struct message_place *place)
{
    if (json_next(json) != JSON_IS_TEXT) {
        return refuse_type(json, place, "must be a text");
    }
    return json_text_take(json, text) ? NULL : refuse_json(json);
}

static struct error *read_text(const struct message_field *field, struct json *json, char *base,
                               const struct message_place *place)
{
    struct json_text text = {0};
    struct error *e = take_text(json, &text, place);
    if (e) {
        return e;
    }
    if (!message_text_fits(field, text.bytes, text.n)) {
        return message_refuse_bounds(field, place);
    }
    char *target = base + field->offset;
    if (field->type == FIELD_SECRET) {
        struct secret *secret = secret_new(text.bytes, text.n);
        *(struct secret **)(void *)target = secret;
        return secret
                   ? NULL
                   : error_failed("secret_memory_full", "The locked memory for card data is full.");
    }
    if (field->type == FIELD_LONG_TEXT) {
        char *copy = malloc(text.n + 1);
        if (!copy) {
            abort();
        }
        *(char **)(void *)target = copy;
        target = copy;
    }
    memcpy(target, text.bytes, text.n);
    target[text.n] = '\0';
    return NULL;
}

static struct error *read_int(const struct message_field *field, struct json *json, char *base,
                              const struct message_place *place)
{
    if (json_next(json) != JSON_IS_NUMBER) {
        return refuse_type(json, place, "must be a whole number");
    }
    int64_t value = 0;
    switch (json_integer_take(json, &value)) {
    case JSON_INTEGER:
        break;
    case JSON_NOT_INTEGER:
        return message_refuse("field_type", place, "must be a whole number");
    case JSON_NOT_NUMBER:
        return refuse_json(json);
    }
    if (value < field->low || value > field->high) {
        return message_refuse_bounds(field, place);
    }
    *(int64_t *)(void *)(base + field->offset) = value;
    return NULL;
}

static struct error *read_bool(const struct message_field *field, struct json *json, char *base,
                               const struct message_place *place)
{
    enum json_kind kind = json_next(json);
    if (kind != JSON_IS_TRUE && kind != JSON_IS_FALSE) {
        return refuse_type(json, place, "must be true or false");
    }
    if (!json_word(json, kind == JSON_IS_TRUE ? "true" : "false")) {
        return refuse_json(json);
    }
    *(bool *)(base + field->offset) = kind == JSON_IS_TRUE;
    return NULL;
}

static struct error *read_enum(const struct message_field *field, struct json *json, char *base,
                               const struct message_place *place)
{
    struct json_text text = {0};
    struct error *e = take_text(json, &text, place);
    if (e) {
        return e;
    }
    int value = message_choice_of(field->choices, (int)field->high, text.bytes, text.n);
    if (value == 0) {
        return message_refuse_bounds(field, place);
    }
    memcpy(base + field->offset, &value, sizeof(value));
    return NULL;
}

static struct error *read_list(const struct message_field *field, struct json *json, char *base,
                               const struct message_place *place)
{
    if (!json_take(json, '[')) {
        return refuse_type(json, place, "must be a list");
    }
    if (json_take(json, ']')) {
        return NULL;
    }
    struct message_place here = {.outer = place};
    do {
        char *item = message_list_grow(field, base);
        if (!item) {
            return message_refuse_bounds(field, place);
        }
        struct error *e = read_record(field->record, json, item, &here);
        if (e) {
            return e;
        }
        here.index++;
    } while (json_take(json, ','));
    return json_take(json, ']') ? NULL : refuse_json(json);
}

static struct error *read_inner(const struct message_field *field, struct json *json, char *base,
                                const struct message_place *place)
{
    char *inner = calloc(1, field->record->bytes);
    if (!inner) {
        abort();
    }
    *(char **)(void *)(base + field->offset) = inner;
    return read_record(field->record, json, inner, place);
}

static struct error *read_field(const struct message_field *field, struct json *json, char *base,
                                const struct message_place *place)
{
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_LONG_TEXT:
    case FIELD_ID:
    case FIELD_DATE:
    case FIELD_CURRENCY:
    case FIELD_SECRET:
        return read_text(field, json, base, place);
    case FIELD_INT:
        return read_int(field, json, base, place);
    case FIELD_BOOL:
        return read_bool(field, json, base, place);
    case FIELD_ENUM:
        return read_enum(field, json, base, place);
    case FIELD_LIST:
        return read_list(field, json, base, place);
    case FIELD_RECORD:
        return read_inner(field, json, base, place);
    }
    abort();
}

/* The name came from outside: only what looks like one of ours is repeated. */
static struct error *refuse_unknown(struct json_text name, const struct message_place *outer)
{
    char shown[UNKNOWN_NAME_MAX_BYTES + 1] = "?";
    bool plain = name.n > 0 && name.n <= UNKNOWN_NAME_MAX_BYTES;
    for (size_t i = 0; i < name.n && plain; i++) {
        plain = (name.bytes[i] >= 'a' && name.bytes[i] <= 'z') || name.bytes[i] == '_';
    }
    if (plain) {
        memcpy(shown, name.bytes, name.n);
        shown[name.n] = '\0';
    }
    struct message_place place = {.outer = outer, .name = shown};
    return message_refuse("field_unknown", &place, "isn't a field of this message");
}

/* Our own writer keeps the table's order, so the search begins after the last field found. */
static unsigned find_field(const struct message_record *record, struct json_text name,
                           unsigned hint)
{
    for (unsigned i = 0; i < record->field_count; i++) {
        unsigned at = hint + i < record->field_count ? hint + i : hint + i - record->field_count;
        const struct message_field *field = &record->fields[at];
        if (field->name_bytes == name.n && memcmp(field->name, name.bytes, name.n) == 0) {
            return at;
        }
    }
    return record->field_count;
}

/* One "name": value. */
static struct error *read_member(const struct message_record *record, struct json *json, char *base,
                                 const struct message_place *place, uint64_t *seen, unsigned *hint)
{
    struct json_text name;
    if (!json_text_take(json, &name)) {
        return refuse_json(json);
    }
    unsigned at = find_field(record, name, *hint);
    if (at == record->field_count) {
        return refuse_unknown(name, place);
    }
    if (*seen >> at & 1 || !json_take(json, ':')) {
        return refuse_json(json);
    }
    struct message_place here = {.outer = place, .name = record->fields[at].name};
    *seen |= UINT64_C(1) << at;
    *hint = at + 1;
    return read_field(&record->fields[at], json, base, &here);
}

static struct error *read_record(const struct message_record *record, struct json *json, char *base,
                                 const struct message_place *place)
{
    uint64_t seen = 0;
    unsigned hint = 0;
    if (!json_take(json, '{')) {
        return refuse_type(json, place, "must be an object");
    }
    if (!json_take(json, '}')) {
        do {
            struct error *e = read_member(record, json, base, place, &seen, &hint);
            if (e) {
                return e;
            }
        } while (json_take(json, ','));
        if (!json_take(json, '}')) {
            return refuse_json(json);
        }
    }
    for (unsigned i = 0; i < record->field_count; i++) {
        if (!(seen >> i & 1) && !record->fields[i].optional) {
            struct message_place here = {.outer = place, .name = record->fields[i].name};
            return message_refuse("field_missing", &here, "is missing");
        }
    }
    return NULL;
}

struct error *message_decode(enum message_type type, const char *payload, size_t n, void **out)
{
    *out = NULL;
    const struct message_row *row = message_row(type);
    if (!row) {
        return error_refused("message_unknown", "", "Message %u isn't known here.", (unsigned)type);
    }
    struct json json = {.start = payload, .at = payload, .end = payload + n};
    void *message = message_new(type);
    struct error *e = json_next(&json) == JSON_IS_OBJECT
                          ? read_record(row->record, &json, message, NULL)
                          : refuse_json(&json);
    if (!e && !json_at_end(&json)) {
        e = refuse_json(&json);
    }
    json_end(&json);
    if (e) {
        message_free(type, message);
        return e;
    }
    *out = message;
    return NULL;
}
