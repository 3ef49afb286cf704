/* What reader and writer of messages share: the checks of one field, and refusals that name the
 * field, its bounds and never its value. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ipc/message_table.h"
#include "ipc/text.h"
#include "lib/id.h"

#define PATH_BYTES 64

static size_t path_write(const struct message_place *place, char *out, size_t room)
{
    size_t used = place->outer ? path_write(place->outer, out, room) : 0;
    int n = 0;
    if (place->name) {
        n = snprintf(out + used, room - used, "%s%s", used ? "." : "", place->name);
    } else {
        n = snprintf(out + used, room - used, "[%zu]", place->index);
    }
    size_t end = used + (size_t)n;
    return end < room ? end : room - 1;
}

struct error *message_refuse(const char *code, const struct message_place *place,
                             const char *sentence)
{
    char path[PATH_BYTES] = "";
    if (place) {
        path_write(place, path, sizeof(path));
    }
    return error_refused(code, path, "%s%s%s.", path, place ? " " : "", sentence);
}

struct error *message_refuse_bounds(const struct message_field *field,
                                    const struct message_place *place)
{
    char sentence[128];
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_LONG_TEXT:
    case FIELD_SECRET:
        snprintf(sentence, sizeof(sentence),
                 "must be text of %" PRId64 " to %" PRId64 " bytes without control characters",
                 field->low, field->high);
        break;
    case FIELD_INT:
        snprintf(sentence, sizeof(sentence), "must be between %" PRId64 " and %" PRId64, field->low,
                 field->high);
        break;
    case FIELD_ID:
        snprintf(sentence, sizeof(sentence), "must be an identifier that begins with %s",
                 field->prefix);
        break;
    case FIELD_DATE:
        snprintf(sentence, sizeof(sentence), "must be a day as YYYY-MM-DD");
        break;
    case FIELD_CURRENCY:
        snprintf(sentence, sizeof(sentence), "must be a currency of three capitals");
        break;
    case FIELD_LIST:
        snprintf(sentence, sizeof(sentence), "must have at most %" PRId64 " items", field->high);
        break;
    case FIELD_ENUM:
        snprintf(sentence, sizeof(sentence), "must be one of its %" PRId64 " values, such as %s",
                 field->high, field->choices[0]);
        break;
    case FIELD_BOOL:
    case FIELD_RECORD:
        snprintf(sentence, sizeof(sentence), "is out of bounds");
        break;
    }
    return message_refuse("field_bounds", place, sentence);
}

static bool id_fits(const struct message_field *field, const char *text, size_t n)
{
    char id[ID_MAX];
    if (n >= sizeof(id)) {
        return false;
    }
    memcpy(id, text, n);
    id[n] = '\0';
    return strlen(id) == n && id_valid(field->prefix, id);
}

bool message_text_fits(const struct message_field *field, const char *text, size_t n)
{
    switch (field->type) {
    case FIELD_ID:
        return id_fits(field, text, n);
    case FIELD_DATE:
        return text_is_date(text, n);
    case FIELD_CURRENCY:
        return text_is_currency(text, n);
    case FIELD_TEXT:
    case FIELD_SECRET:
    case FIELD_LONG_TEXT:
        return n >= (size_t)field->low && n <= (size_t)field->high &&
               text_valid(text, n, field->type == FIELD_LONG_TEXT);
    case FIELD_INT:
    case FIELD_BOOL:
    case FIELD_ENUM:
    case FIELD_LIST:
    case FIELD_RECORD:
        break;
    }
    return false;
}
