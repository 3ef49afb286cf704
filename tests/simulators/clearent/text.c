/* A growing run of bytes for answers and ledger lines, with the few printers they need.
 * It must never hold a card number: callers hand it last fours only. */
#include "text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MONEY_WHOLE_DIGITS_MAX = 9 };

void text_reserve(struct text *text, size_t more)
{
    size_t room = text->room == 0 ? 512 : text->room;

    if (text->size + more <= text->room) {
        return;
    }
    while (room < text->size + more) {
        room *= 2;
    }
    text->bytes = realloc(text->bytes, room);
    if (text->bytes == NULL) {
        abort();
    }
    text->room = room;
}

void text_add(struct text *text, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    text_reserve(text, size);
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

void text_puts(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list arguments;
    int size;

    text_reserve(text, 256);
    va_start(arguments, format);
    size = vsnprintf(text->bytes + text->size, text->room - text->size, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    if ((size_t)size >= text->room - text->size) {
        text_reserve(text, (size_t)size + 1);
        va_start(arguments, format);
        size = vsnprintf(text->bytes + text->size, text->room - text->size, format, arguments);
        va_end(arguments);
    }
    text->size += (size_t)size;
}

void text_json(struct text *text, const char *string)
{
    const char *plain = string;

    text_add(text, "\"", 1);
    for (; *string != '\0'; string++) {
        unsigned char byte = (unsigned char)*string;

        if (byte >= 0x20 && byte != '"' && byte != '\\') {
            continue;
        }
        text_add(text, plain, (size_t)(string - plain));
        plain = string + 1;
        if (byte < 0x20) {
            text_printf(text, "\\u%04x", byte);
        } else {
            text_printf(text, "\\%c", byte);
        }
    }
    text_add(text, plain, (size_t)(string - plain));
    text_add(text, "\"", 1);
}

void text_json_field(struct text *text, const char *name, const char *value)
{
    if (value == NULL || value[0] == '\0') {
        return;
    }
    text_add(text, ",\"", 2);
    text_puts(text, name);
    text_add(text, "\":", 2);
    text_json(text, value);
}

void text_money(struct text *text, int64_t minor)
{
    uint64_t size = minor < 0 ? (uint64_t)-minor : (uint64_t)minor;

    text_printf(text, "%s%llu.%02llu", minor < 0 ? "-" : "", (unsigned long long)(size / 100),
                (unsigned long long)(size % 100));
}

_Bool text_replace(struct text *text, const char *from, const char *to)
{
    size_t from_size = strlen(from);
    size_t to_size = strlen(to);
    char *place;
    size_t before;

    if (text->size == 0) {
        return 0;
    }
    place = memmem(text->bytes, text->size, from, from_size);
    if (place == NULL) {
        return 0;
    }
    before = (size_t)(place - text->bytes);
    text_reserve(text, to_size);
    place = text->bytes + before;
    memmove(place + to_size, place + from_size, text->size - before - from_size);
    /* Bytes, not a string: the rest follows. */
    memcpy(place, to, to_size); // NOLINT(bugprone-not-null-terminated-result)
    text->size = text->size + to_size - from_size;
    return 1;
}

void text_clear(struct text *text)
{
    text->size = 0;
}

void text_free(struct text *text)
{
    free(text->bytes);
    memset(text, 0, sizeof *text);
}

int64_t money_parse(const char *string)
{
    int64_t minor = 0;
    int digits = 0;

    if (string[0] == '0' && string[1] != '.') {
        return -1;
    }
    for (; *string >= '0' && *string <= '9' && digits <= MONEY_WHOLE_DIGITS_MAX; string++) {
        minor = minor * 10 + (*string - '0');
        digits++;
    }
    if (digits == 0 || digits > MONEY_WHOLE_DIGITS_MAX || *string != '.') {
        return -1;
    }
    string++;
    for (digits = 0; digits < 2; digits++, string++) {
        if (*string < '0' || *string > '9') {
            return -1;
        }
        minor = minor * 10 + (*string - '0');
    }
    return *string == '\0' ? minor : -1;
}
