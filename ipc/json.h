/* A strict scanner of JSON (RFC 8259) over one payload: the reader of messages walks it straight
 * into the struct, so that a card is never copied outside locked memory. Must never read beyond the
 * payload, nor take what jansson would not (fuzzed against it). */
#ifndef IPC_JSON_H
#define IPC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buffer.h"

struct json {
    const char *start, *at, *end;
    struct buffer scratch; /* a text with escapes, unescaped; wiped by json_end */
};

struct json_text {
    const char *bytes; /* not NUL-terminated; valid until the next json_text_take */
    size_t n;
};

enum json_kind {
    JSON_IS_TEXT,
    JSON_IS_NUMBER,
    JSON_IS_TRUE,
    JSON_IS_FALSE,
    JSON_IS_OBJECT,
    JSON_IS_LIST,
    JSON_IS_OTHER, /* null, or nothing that JSON knows */
};

enum json_kind json_next(struct json *json); /* skips space; takes nothing */
/* Takes this one character, and space before it. */
bool json_take(struct json *json, char c);
bool json_word(struct json *json, const char *word); /* true, false */
/* Takes a text; false if it isn't one. Of a text without escapes UTF-8 is not yet checked, and
 * "\u0000" is never one. */
bool json_text_take(struct json *json, struct json_text *out);
enum json_number {
    JSON_INTEGER,
    JSON_NOT_INTEGER, /* a fraction, an exponent, or beyond int64 */
    JSON_NOT_NUMBER,
};
enum json_number json_integer_take(struct json *json, int64_t *out);
bool json_at_end(struct json *json);
void json_end(struct json *json);

#endif
