/* Struct -> JSON, written straight into a growing buffer since every payment passes here four
 * times; and the redacted print for people. Must never write a value the reader would refuse, nor
 * print a secret. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/frame.h"
#include "ipc/message.h"
#include "ipc/message_table.h"
#include "ipc/text.h"
#include "lib/id.h"
#include "lib/secret.h"

static struct error *write_record(const struct message_record *record, const char *base,
                                  struct buffer *out, const struct message_place *place);
static void print_record(const struct message_record *record, const char *base, struct buffer *out);

static void add_text(struct buffer *out, const char *text, size_t n)
{
    buffer_add_byte(out, '"');
    size_t start = 0;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c != '"' && c != '\\' && (unsigned char)c >= 0x20) {
            continue;
        }
        buffer_add(out, text + start, i - start);
        start = i + 1;
        char escaped[2] = {'\\', c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c};
        buffer_add(out, escaped, sizeof(escaped));
    }
    buffer_add(out, text + start, n - start);
    buffer_add_byte(out, '"');
}

static void add_int(struct buffer *out, int64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--n] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        buffer_add_byte(out, '-');
    }
    buffer_add(out, digits + n, sizeof(digits) - n);
}

static void add_name(struct buffer *out, const struct message_field *field, bool *first)
{
    char *start;
    size_t n = field->name_bytes;
    if (out->size - out->used < n + 4) {
        buffer_grow(out, n + 4);
    }
    assert(out->bytes); /* there is room for at least four bytes */
    start = out->bytes + out->used;
    *start = *first ? '{' : ',';
    start[1] = '"';
    memcpy(start + 2, field->name, n);
    start[2 + n] = '"';
    start[3 + n] = ':';
    out->used += n + 4;
    *first = false;
}

/* The text in a field of any textual type; NULL when a pointer is absent. A char array that lost
 * its NUL comes back longer than its bound and is refused. */
static const char *field_text(const struct message_field *field, const char *base, size_t *n)
{
    const void *place = base + field->offset;
    if (field->type == FIELD_SECRET) {
        const struct secret *secret = *(struct secret *const *)place;
        *n = secret ? secret_size(secret) : 0;
        return secret ? secret_expose(secret) : NULL;
    }
    if (field->type == FIELD_LONG_TEXT) {
        const char *text = *(char *const *)place;
        *n = text ? strlen(text) : 0;
        return text;
    }
    size_t room = field->type == FIELD_TEXT   ? (size_t)field->high + 1
                  : field->type == FIELD_ID   ? ID_MAX
                  : field->type == FIELD_DATE ? 11
                                              : 4;
    *n = strnlen(place, room);
    return place;
}

static int field_enum(const struct message_field *field, const char *base)
{
    int value;
    memcpy(&value, base + field->offset, sizeof(value));
    return value;
}

static int64_t field_int(const struct message_field *field, const char *base)
{
    return *(const int64_t *)(const void *)(base + field->offset);
}

static size_t list_count(const struct message_field *field, const char *base)
{
    return *(const size_t *)(const void *)(base + field->count_offset);
}

static const char *inner_items(const struct message_field *field, const char *base)
{
    return *(char *const *)(const void *)(base + field->offset);
}

static bool field_absent(const struct message_field *field, const char *base)
{
    size_t n;
    switch (field->type) {
    case FIELD_SECRET:
    case FIELD_LONG_TEXT:
        return field_text(field, base, &n) == NULL;
    case FIELD_TEXT:
    case FIELD_ID:
    case FIELD_DATE:
    case FIELD_CURRENCY:
        return base[field->offset] == '\0';
    case FIELD_INT:
        return field_int(field, base) == 0;
    case FIELD_BOOL:
        return !*(const bool *)(base + field->offset);
    case FIELD_ENUM:
        return field_enum(field, base) == 0;
    case FIELD_LIST:
        return list_count(field, base) == 0;
    case FIELD_RECORD:
        return inner_items(field, base) == NULL;
    }
    abort();
}

static struct error *write_list(const struct message_field *field, const char *base,
                                struct buffer *out, const struct message_place *place)
{
    size_t count = list_count(field, base);
    if (count > (size_t)field->high) {
        return message_refuse_bounds(field, place);
    }
    buffer_add_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        struct message_place here = {.outer = place, .index = i};
        if (i > 0) {
            buffer_add_byte(out, ',');
        }
        struct error *e = write_record(
            field->record, inner_items(field, base) + i * field->record->bytes, out, &here);
        if (e) {
            return e;
        }
    }
    buffer_add_byte(out, ']');
    return NULL;
}

static struct error *write_text(const struct message_field *field, const char *base,
                                struct buffer *out, const struct message_place *place)
{
    size_t n;
    const char *text = field_text(field, base, &n);
    if (!text) {
        return message_refuse("field_missing", place, "is missing");
    }
    if (!message_text_fits(field, text, n)) {
        return message_refuse_bounds(field, place);
    }
    add_text(out, text, n);
    return NULL;
}

static struct error *write_value(const struct message_field *field, const char *base,
                                 struct buffer *out, const struct message_place *place)
{
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_LONG_TEXT:
    case FIELD_ID:
    case FIELD_DATE:
    case FIELD_CURRENCY:
    case FIELD_SECRET:
        return write_text(field, base, out, place);
    case FIELD_INT:
        if (field_int(field, base) < field->low || field_int(field, base) > field->high) {
            return message_refuse_bounds(field, place);
        }
        add_int(out, field_int(field, base));
        return NULL;
    case FIELD_BOOL:
        if (*(const bool *)(base + field->offset)) {
            buffer_add(out, "true", 4);
        } else {
            buffer_add(out, "false", 5);
        }
        return NULL;
    case FIELD_ENUM: {
        int value = field_enum(field, base);
        if (value < 1 || value > field->high) {
            return message_refuse_bounds(field, place);
        }
        add_text(out, field->choices[value - 1], strlen(field->choices[value - 1]));
        return NULL;
    }
    case FIELD_LIST:
        return write_list(field, base, out, place);
    case FIELD_RECORD:
        return write_record(field->record, inner_items(field, base), out, place);
    }
    abort();
}

static struct error *write_record(const struct message_record *record, const char *base,
                                  struct buffer *out, const struct message_place *place)
{
    bool first = true;
    for (unsigned i = 0; i < record->field_count; i++) {
        const struct message_field *field = &record->fields[i];
        if (field->optional && field_absent(field, base)) {
            continue;
        }
        struct message_place here = {.outer = place, .name = field->name};
        add_name(out, field, &first);
        struct error *e = write_value(field, base, out, &here);
        if (e) {
            return e;
        }
    }
    buffer_add(out, first ? "{}" : "}", first ? 2 : 1);
    return NULL;
}

struct error *message_write(enum message_type type, const void *message, struct buffer *out)
{
    const struct message_row *row = message_row(type);
    if (!row) {
        return error_refused("message_unknown", "", "Message %u isn't known.", (unsigned)type);
    }
    size_t before = out->used;
    struct error *e = write_record(row->record, message, out, NULL);
    if (!e && out->used - before > FRAME_PAYLOAD_MAX_BYTES) {
        e = error_refused("frame_too_long", "", "The message is longer than %u bytes.",
                          FRAME_PAYLOAD_MAX_BYTES);
    }
    return e;
}

struct error *message_encode(enum message_type type, const void *message, char **payload, size_t *n)
{
    struct buffer out = {0};
    struct error *e = message_write(type, message, &out);
    if (e) {
        buffer_free(&out);
        *payload = NULL;
        *n = 0;
        return e;
    }
    *payload = out.bytes;
    *n = out.used;
    return NULL;
}

void message_payload_free(char *payload, size_t n)
{
    if (payload) {
        secret_wipe(payload, n);
        free(payload);
    }
}

/* For people: shows even what the writer would refuse, with ? for bytes that are no text. */
static void print_text(const struct message_field *field, const char *base, struct buffer *out)
{
    if (field->type == FIELD_SECRET || field->type == FIELD_LONG_TEXT) {
        buffer_add(out, "\"***\"", 5);
        return;
    }
    size_t n;
    const char *text = field_text(field, base, &n);
    buffer_add_byte(out, '"');
    for (size_t i = 0; i < n;) {
        size_t length = text_character(text + i, n - i);
        if (length == 1 && (text[i] == '"' || text[i] == '\\')) {
            buffer_add_byte(out, '\\');
        }
        buffer_add(out, length ? text + i : "?", length ? length : 1);
        i += length ? length : 1;
    }
    buffer_add_byte(out, '"');
}

static void print_value(const struct message_field *field, const char *base, struct buffer *out)
{
    if (field->type == FIELD_LIST) {
        const char *items = inner_items(field, base);
        buffer_add_byte(out, '[');
        for (size_t i = 0; i < list_count(field, base); i++) {
            buffer_add(out, ",", i > 0 ? 1 : 0);
            print_record(field->record, items + i * field->record->bytes, out);
        }
        buffer_add_byte(out, ']');
    } else if (field->type == FIELD_RECORD) {
        print_record(field->record, inner_items(field, base), out);
    } else if (field->type == FIELD_INT) {
        add_int(out, field_int(field, base));
    } else if (field->type == FIELD_BOOL) {
        const char *word = *(const bool *)(base + field->offset) ? "true" : "false";
        buffer_add(out, word, strlen(word));
    } else if (field->type == FIELD_ENUM) {
        const char *word =
            message_choice_text(field->choices, (int)field->high, field_enum(field, base));
        add_text(out, word, strlen(word));
    } else {
        print_text(field, base, out);
    }
}

static void print_record(const struct message_record *record, const char *base, struct buffer *out)
{
    bool first = true;
    for (unsigned i = 0; i < record->field_count; i++) {
        const struct message_field *field = &record->fields[i];
        bool pointer = field->type == FIELD_SECRET || field->type == FIELD_LONG_TEXT;
        if (field_absent(field, base) && (field->optional || pointer)) {
            continue;
        }
        add_name(out, field, &first);
        print_value(field, base, out);
    }
    buffer_add(out, first ? "{}" : "}", first ? 2 : 1);
}

char *message_print(enum message_type type, const void *message)
{
    const struct message_row *row = message_row(type);
    struct buffer out = {0};
    if (row) {
        print_record(row->record, message, &out);
    }
    buffer_add_byte(&out, '\0');
    return out.bytes;
}
