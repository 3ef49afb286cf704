/* Messages as objects: made, freed, looked up by the generated descriptors. Must never leave a
 * freed message's bytes behind. */
#include "ipc/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message_table.h"
#include "lib/secret.h"

const struct message_row *message_row(unsigned type)
{
    size_t low = 0;
    size_t high = MESSAGE_TYPE_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        unsigned found = MESSAGE_ROWS[middle].type;
        if (found == type) {
            return &MESSAGE_ROWS[middle];
        }
        if (found < type) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const char *message_name(enum message_type type)
{
    const struct message_row *row = message_row(type);
    return row ? row->record->name : NULL;
}

const char *message_choice_text(const char *const *choices, int count, int value)
{
    return value >= 1 && value <= count ? choices[value - 1] : "";
}

int message_choice_of(const char *const *choices, int count, const char *text, size_t n)
{
    for (int i = 0; i < count; i++) {
        if (strlen(choices[i]) == n && memcmp(choices[i], text, n) == 0) {
            return i + 1;
        }
    }
    return 0;
}

void *message_new(enum message_type type)
{
    const struct message_row *row = message_row(type);
    assert(row);
    void *message = calloc(1, row->record->bytes);
    if (!message) {
        abort();
    }
    return message;
}

static void record_clear(const struct message_record *record, char *base);

static void record_free(const struct message_record *record, char *items, size_t count)
{
    if (!items) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        record_clear(record, items + i * record->bytes);
    }
    free(items);
}

static void record_clear(const struct message_record *record, char *base)
{
    for (unsigned i = 0; i < record->field_count; i++) {
        const struct message_field *field = &record->fields[i];
        void *place = base + field->offset;
        if (field->type == FIELD_SECRET) {
            secret_free(*(struct secret **)place);
        } else if (field->type == FIELD_LONG_TEXT && *(char **)place) {
            secret_wipe(*(char **)place, strlen(*(char **)place));
            free(*(char **)place);
        } else if (field->type == FIELD_RECORD) {
            record_free(field->record, *(char **)place, 1);
        } else if (field->type == FIELD_LIST) {
            record_free(field->record, *(char **)place,
                        *(size_t *)(void *)(base + field->count_offset));
        }
    }
    secret_wipe(base, record->bytes);
}

void message_free(enum message_type type, void *message)
{
    const struct message_row *row = message_row(type);
    assert(row || !message);
    if (message) {
        record_free(row->record, message, 1);
    }
}

static const struct message_field *list_field(const struct message_record *record, const char *name)
{
    for (unsigned i = 0; i < record->field_count; i++) {
        if (record->fields[i].type == FIELD_LIST && strcmp(record->fields[i].name, name) == 0) {
            return &record->fields[i];
        }
    }
    return NULL;
}

void *message_list_grow(const struct message_field *field, char *base)
{
    char **items = (char **)(void *)(base + field->offset);
    size_t *count = (size_t *)(void *)(base + field->count_offset);
    size_t bytes = field->record->bytes;
    if (*count >= (size_t)field->high) {
        return NULL;
    }
    /* Room doubles at powers of two; copied and wiped, since realloc may leave a copy behind. */
    if ((*count & (*count - 1)) == 0) {
        char *room = calloc(*count ? *count * 2 : 1, bytes);
        if (!room) {
            abort();
        }
        if (*items) {
            memcpy(room, *items, *count * bytes);
            secret_wipe(*items, *count * bytes);
            free(*items);
        }
        *items = room;
    }
    return *items + (*count)++ * bytes;
}

void *message_list_add(enum message_type type, void *message, const char *name)
{
    const struct message_row *row = message_row(type);
    assert(row);
    const struct message_field *field = list_field(row->record, name);
    assert(field);
    return message_list_grow(field, message);
}
