/* A strict scanner of JSON. It keeps no state but its place. */
#include "ipc/json.h"

#include <string.h>

static void skip_space(struct json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t')) {
        json->at++;
    }
}

enum json_kind json_next(struct json *json)
{
    skip_space(json);
    if (json->at == json->end) {
        return JSON_IS_OTHER;
    }
    switch (*json->at) {
    case '"':
        return JSON_IS_TEXT;
    case '{':
        return JSON_IS_OBJECT;
    case '[':
        return JSON_IS_LIST;
    case 't':
        return JSON_IS_TRUE;
    case 'f':
        return JSON_IS_FALSE;
    default:
        return *json->at == '-' || (*json->at >= '0' && *json->at <= '9') ? JSON_IS_NUMBER
                                                                          : JSON_IS_OTHER;
    }
}

bool json_take(struct json *json, char c)
{
    skip_space(json);
    if (json->at == json->end || *json->at != c) {
        return false;
    }
    json->at++;
    return true;
}

bool json_word(struct json *json, const char *word)
{
    size_t n = strlen(word);
    skip_space(json);
    if ((size_t)(json->end - json->at) < n || memcmp(json->at, word, n) != 0) {
        return false;
    }
    json->at += n;
    return true;
}

/* Four hexadecimal digits, or -1. */
static int32_t read_hex(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

static void add_character(struct buffer *out, uint32_t code)
{
    char bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t FIRST[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--) {
        bytes[i] = (char)(0x80u | (code & 0x3Fu));
        code >>= 6;
    }
    bytes[0] = (char)(FIRST[n] | code);
    buffer_add(out, bytes, n);
}

/* After "\u": the character of one escape or of a pair. Returns where it ends, NULL if broken. */
static const char *unescape_unicode(struct buffer *out, const char *at, const char *end)
{
    int32_t code = read_hex(at, end);
    at += 4;
    if (code <= 0 || (code >= 0xDC00 && code <= 0xDFFF)) {
        return NULL;
    }
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (end - at < 6 || at[0] != '\\' || at[1] != 'u') {
            return NULL;
        }
        int32_t low = read_hex(at + 2, end);
        if (low < 0xDC00 || low > 0xDFFF) {
            return NULL;
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        at += 6;
    }
    add_character(out, (uint32_t)code);
    return at;
}

static bool unescape(struct buffer *out, const char *at, const char *end)
{
    static const char FROM[] = "\"\\/bfnrt";
    static const char TO[] = "\"\\/\b\f\n\r\t";
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        const char *plain_end = slash ? slash : end;
        buffer_add(out, at, (size_t)(plain_end - at));
        if (!slash) {
            break;
        }
        at = slash + 2; /* the text's end was found beyond every backslash's companion */
        const char *known = slash[1] ? strchr(FROM, slash[1]) : NULL;
        if (known) {
            buffer_add_byte(out, TO[known - FROM]);
        } else if (slash[1] == 'u') {
            at = unescape_unicode(out, at, end);
            if (!at) {
                return false;
            }
        } else {
            return false;
        }
    }
    return true;
}

bool json_text_take(struct json *json, struct json_text *out)
{
    if (!json_take(json, '"')) {
        return false;
    }
    const char *start = json->at;
    const char *at = start;
    bool escaped = false;
    for (; at < json->end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) {
            return false;
        }
        if (*at == '\\') {
            escaped = true;
            if (++at == json->end) {
                return false;
            }
        }
    }
    if (at == json->end) {
        return false;
    }
    json->at = at + 1;
    *out = (struct json_text){.bytes = start, .n = (size_t)(at - start)};
    if (escaped) {
        buffer_empty(&json->scratch);
        if (!unescape(&json->scratch, start, at)) {
            return false;
        }
        *out = (struct json_text){.bytes = json->scratch.bytes, .n = json->scratch.used};
    }
    return true;
}

static bool is_digit(const struct json *json)
{
    return json->at < json->end && *json->at >= '0' && *json->at <= '9';
}

enum json_number json_integer_take(struct json *json, int64_t *out)
{
    bool negative = json_take(json, '-');
    if (!is_digit(json)) {
        return JSON_NOT_NUMBER;
    }
    bool zero = *json->at == '0';
    bool fits = true;
    int64_t value = 0; /* kept negative: the negative side holds one more */
    for (size_t digits = 0; is_digit(json); digits++, json->at++) {
        if (zero && digits > 0) {
            return JSON_NOT_NUMBER;
        }
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_sub_overflow(value, *json->at - '0', &value);
    }
    if (json->at < json->end && (*json->at == '.' || *json->at == 'e' || *json->at == 'E')) {
        return JSON_NOT_INTEGER;
    }
    if (!fits || (!negative && value == INT64_MIN)) {
        return JSON_NOT_INTEGER;
    }
    *out = negative ? value : -value;
    return JSON_INTEGER;
}

bool json_at_end(struct json *json)
{
    skip_space(json);
    return json->at == json->end;
}

void json_end(struct json *json)
{
    buffer_free(&json->scratch);
}
