/* What counts as text on the wire: UTF-8 without control characters. */
#include "ipc/text.h"

#include <stdint.h>
#include <string.h>

static bool continuation(const char *text, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (((uint8_t)text[i] & 0xC0u) != 0x80u) {
            return false;
        }
    }
    return true;
}

size_t text_character(const char *text, size_t n)
{
    uint8_t first = (uint8_t)text[0];
    if (first < 0x80) {
        return first >= 0x20 && first != 0x7F ? 1 : 0;
    }
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || length > n || !continuation(text, 1, length)) {
        return 0;
    }
    uint8_t second = (uint8_t)text[1];
    bool broken = (first == 0xC2 && second < 0xA0)      /* control characters U+0080..9F */
                  || (first == 0xE0 && second < 0xA0)   /* overlong */
                  || (first == 0xED && second >= 0xA0)  /* surrogates */
                  || (first == 0xF0 && second < 0x90)   /* overlong */
                  || (first == 0xF4 && second >= 0x90); /* above U+10FFFF */
    return broken ? 0 : length;
}

bool text_valid(const char *text, size_t n, bool lines)
{
    for (size_t i = 0; i < n;) {
        size_t length = text_character(text + i, n - i);
        if (length == 0) {
            if (!lines || (text[i] != '\n' && text[i] != '\r' && text[i] != '\t')) {
                return false;
            }
            length = 1;
        }
        i += length;
    }
    return true;
}

static int number(const char *text, size_t digits)
{
    int value = 0;
    for (size_t i = 0; i < digits; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

bool text_is_date(const char *text, size_t n)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (n != 10 || text[4] != '-' || text[7] != '-') {
        return false;
    }
    int year = number(text, 4);
    int month = number(text + 5, 2);
    int day = number(text + 8, 2);
    if (year < 1900 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
}

bool text_is_currency(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] < 'A' || text[i] > 'Z') {
            return false;
        }
    }
    return n == 3;
}

void text_copy_valid(char *out, size_t room, const char *text)
{
    size_t used = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n && used + 1 < room;) {
        size_t length = text_character(text + i, n - i);
        if (length == 0) {
            out[used++] = '?';
            i++;
        } else if (used + length < room) {
            memcpy(out + used, text + i, length);
            used += length;
            i += length;
        } else {
            break;
        }
    }
    out[used] = '\0';
}
