/* Fuzzes every message's strict decoder: an input is a message's name, a line break and a payload.
 * What is taken must be JSON, must be written and read back to the same bytes, and its print must
 * not depend on a secret. */
#include <jansson.h>

#include "ipc/frame.h"
#include "ipc/message.h"
#include "ipc/message_table.h"
#include "ipc/text.h"
#include "lib/error.h"
#include "tests/fuzz/fuzz.h"

#define CANARY "~canary~"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_secret_memory();
    return 0;
}

/* A name nobody knows chooses by its first byte, so that a change there still does something. */
static const struct message_row *row_of(struct fuzz_text name)
{
    for (size_t i = 0; i < MESSAGE_TYPE_COUNT; i++) {
        if (fuzz_is(name, MESSAGE_ROWS[i].record->name)) {
            return &MESSAGE_ROWS[i];
        }
    }
    return &MESSAGE_ROWS[name.n > 0 ? (unsigned char)name.p[0] % MESSAGE_TYPE_COUNT : 0];
}

/* A refusal names one of our codes and a place made of our own words, and is itself text. */
static void check_refusal(const struct error *e)
{
    static const char *const CODES[] = {"json_invalid",  "field_unknown", "field_missing",
                                        "field_type",    "field_bounds",  "secret_memory_full",
                                        "frame_too_long"};
    bool known = false;
    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
        known = known || error_is(e, CODES[i]);
    }
    MUST(known);
    MUST(strspn(e->field, "abcdefghijklmnopqrstuvwxyz0123456789_.[]?") == strlen(e->field));
    MUST(text_valid(e->sentence, strlen(e->sentence), false));
}

static void hide_record(const struct message_record *record, char *base);

/* Puts the canary where nobody may look: secrets, and texts that are never printed. */
static void hide_field(const struct message_field *field, char *base)
{
    void *place = base + field->offset;
    if (field->type == FIELD_SECRET && *(struct secret **)place != NULL) {
        secret_free(*(struct secret **)place);
        *(struct secret **)place = secret_new(CANARY, strlen(CANARY));
        MUST(*(struct secret **)place != NULL);
    } else if (field->type == FIELD_LONG_TEXT && *(char **)place != NULL) {
        free(*(char **)place);
        *(char **)place = strdup(CANARY);
        MUST(*(char **)place != NULL);
    } else if (field->type == FIELD_RECORD && *(char **)place != NULL) {
        hide_record(field->record, *(char **)place);
    } else if (field->type == FIELD_LIST) {
        size_t count = *(size_t *)(void *)(base + field->count_offset);
        for (size_t i = 0; i < count; i++) {
            hide_record(field->record, *(char **)place + i * field->record->bytes);
        }
    }
}

static void hide_record(const struct message_record *record, char *base)
{
    for (unsigned i = 0; i < record->field_count; i++) {
        hide_field(&record->fields[i], base);
    }
}

/* The print is JSON, and the same whatever the secrets are. Ends the message's good contents. */
static void check_print(const struct message_row *row, void *message)
{
    char *before = message_print(row->type, message);
    hide_record(row->record, message);
    char *after = message_print(row->type, message);
    MUST(strcmp(before, after) == 0);
    json_t *json = json_loads(after, JSON_REJECT_DUPLICATES, NULL);
    MUST(json_is_object(json));
    json_decref(json);
    free(before);
    free(after);
}

/* Written, read and written again: the same bytes. An optional field that was given as absent
 * ("" or 0) is left out, so the first text may differ from the payload. */
static void check_round_trip(const struct message_row *row, const void *message)
{
    char *first = NULL;
    char *second = NULL;
    void *again = NULL;
    size_t first_size;
    size_t second_size;
    struct error *e = message_encode(row->type, message, &first, &first_size);
    MUST(e == NULL && first_size <= FRAME_PAYLOAD_MAX_BYTES);
    e = message_decode(row->type, first, first_size, &again);
    MUST(e == NULL);
    e = message_encode(row->type, again, &second, &second_size);
    MUST(e == NULL && second_size == first_size && memcmp(first, second, first_size) == 0);
    message_payload_free(first, first_size);
    message_payload_free(second, second_size);
    message_free(row->type, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz_text input = {(const char *)bytes, n};
    const struct message_row *row = row_of(fuzz_take(&input, '\n'));
    char *payload = fuzz_exact(input);
    void *message = NULL;
    struct error *e = message_decode(row->type, payload, input.n, &message);
    if (e != NULL) {
        MUST(message == NULL);
        check_refusal(e);
    } else {
        json_t *json = json_loadb(payload, input.n, JSON_REJECT_DUPLICATES, NULL);
        MUST(json_is_object(json));
        json_decref(json);
        check_round_trip(row, message);
        check_print(row, message);
    }
    error_free(e);
    message_free(row->type, message);
    free(payload);
    return 0;
}
