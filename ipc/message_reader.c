/* JSON payload -> struct, strictly: what the table does not declare is refused, naming the field.
 * Must never accept the same payload with two meanings (duplicates, floats, nulls), nor put a value
 * into an error. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "ipc/message_table.h"
#include "lib/secret.h"

#define DEPTH_MAX 8 /* the table itself nests three deep */
#define UNKNOWN_NAME_MAX_BYTES 32

static struct error *read_record(const struct message_record *record, const json_t *json,
                                 char *base, const struct message_place *place);

/* Brackets are counted before the parser sees them, since it recurses. */
static bool too_deep(const char *payload, size_t n)
{
    unsigned depth = 0;
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        char c = payload[i];
        if (inside) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                inside = false;
            }
        } else if (c == '"') {
            inside = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX) {
                return true;
            }
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static struct error *read_text(const struct message_field *field, const json_t *json, char *base,
                               const struct message_place *place)
{
    if (!json_is_string(json)) {
        return message_refuse("field_type", place, "must be a text");
    }
    const char *text = json_string_value(json);
    size_t n = json_string_length(json);
    if (!message_text_fits(field, text, n)) {
        return message_refuse_bounds(field, place);
    }
    void *target = base + field->offset;
    if (field->type == FIELD_SECRET) {
        *(struct secret **)target = secret_new(text, n);
        if (!*(struct secret **)target) {
            return error_failed("secret_memory_full", "The locked memory for card data is full.");
        }
    } else if (field->type == FIELD_LONG_TEXT) {
        char *copy = malloc(n + 1);
        if (!copy) {
            abort();
        }
        memcpy(copy, text, n + 1);
        *(char **)target = copy;
    } else {
        memcpy(target, text, n + 1);
    }
    return NULL;
}

static struct error *read_int(const struct message_field *field, const json_t *json, char *base,
                              const struct message_place *place)
{
    if (!json_is_integer(json)) {
        return message_refuse("field_type", place, "must be a whole number");
    }
    int64_t value = json_integer_value(json);
    if (value < field->low || value > field->high) {
        return message_refuse_bounds(field, place);
    }
    *(int64_t *)(void *)(base + field->offset) = value;
    return NULL;
}

static struct error *read_bool(const struct message_field *field, const json_t *json, char *base,
                               const struct message_place *place)
{
    if (!json_is_boolean(json)) {
        return message_refuse("field_type", place, "must be true or false");
    }
    *(bool *)(base + field->offset) = json_is_true(json);
    return NULL;
}

static struct error *read_enum(const struct message_field *field, const json_t *json, char *base,
                               const struct message_place *place)
{
    if (!json_is_string(json)) {
        return message_refuse("field_type", place, "must be a text");
    }
    int value = message_choice_of(field->choices, (int)field->high, json_string_value(json));
    if (value == 0) {
        return message_refuse_bounds(field, place);
    }
    memcpy(base + field->offset, &value, sizeof(value));
    return NULL;
}

static struct error *read_list(const struct message_field *field, const json_t *json, char *base,
                               const struct message_place *place)
{
    if (!json_is_array(json)) {
        return message_refuse("field_type", place, "must be a list");
    }
    size_t count = json_array_size(json);
    if (count > (size_t)field->high) {
        return message_refuse_bounds(field, place);
    }
    for (size_t i = 0; i < count; i++) {
        struct message_place here = {.outer = place, .index = i};
        char *item = message_list_grow(field, base);
        struct error *e = read_record(field->record, json_array_get(json, i), item, &here);
        if (e) {
            return e;
        }
    }
    return NULL;
}

static struct error *read_inner(const struct message_field *field, const json_t *json, char *base,
                                const struct message_place *place)
{
    char *inner = calloc(1, field->record->bytes);
    if (!inner) {
        abort();
    }
    *(char **)(void *)(base + field->offset) = inner;
    return read_record(field->record, json, inner, place);
}

static struct error *read_field(const struct message_field *field, const json_t *json, char *base,
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
static struct error *refuse_unknown(const char *name, const struct message_place *outer)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");
    bool plain = name[n] == '\0' && n > 0 && n <= UNKNOWN_NAME_MAX_BYTES;
    struct message_place place = {.outer = outer, .name = plain ? name : "?"};
    return message_refuse("field_unknown", &place, "isn't a field of this message");
}

/* Our own writer keeps the table's order, so the search begins after the last field found. */
static unsigned find_field(const struct message_record *record, const char *name, unsigned hint)
{
    for (unsigned i = 0; i < record->field_count; i++) {
        unsigned at = hint + i < record->field_count ? hint + i : hint + i - record->field_count;
        if (strcmp(record->fields[at].name, name) == 0) {
            return at;
        }
    }
    return record->field_count;
}

static struct error *read_record(const struct message_record *record, const json_t *json,
                                 char *base, const struct message_place *place)
{
    if (!json_is_object(json)) {
        return message_refuse("field_type", place, "must be an object");
    }
    uint64_t seen = 0;
    unsigned hint = 0;
    const char *name;
    json_t *value;
    /* The iterator does not write; jansson merely lacks const in its signature. */
    json_t *object = (json_t *)(uintptr_t)json;
    json_object_foreach(object, name, value) {
        unsigned at = find_field(record, name, hint);
        if (at == record->field_count) {
            return refuse_unknown(name, place);
        }
        struct message_place here = {.outer = place, .name = record->fields[at].name};
        struct error *e = read_field(&record->fields[at], value, base, &here);
        if (e) {
            return e;
        }
        seen |= UINT64_C(1) << at;
        hint = at + 1 < record->field_count ? at + 1 : 0;
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
    if (too_deep(payload, n)) {
        return error_refused("json_invalid", "", "The payload is nested too deep.");
    }
    json_error_t fault;
    json_t *json = json_loadb(payload, n, JSON_REJECT_DUPLICATES, &fault);
    if (!json) {
        /* The parser's own words quote the payload, which may hold a card. */
        return error_refused("json_invalid", "", "The payload isn't one JSON object (byte %d).",
                             fault.position);
    }
    void *message = message_new(type);
    struct error *e = read_record(row->record, json, message, NULL);
    json_decref(json);
    if (e) {
        message_free(type, message);
        return e;
    }
    *out = message;
    return NULL;
}
