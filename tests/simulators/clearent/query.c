/* Query strings of the two reports, and the pages they are answered in.
 * It must refuse what isn't documented rather than pass over it. */
#include "query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "result_code.h"
#include "settings.h"

enum { PAGE_SIZE_MAX = 100, PAGE_DIGITS_MAX = 6 };

static bool refuse(struct outcome *out, const char *name, const char *what)
{
    static char words[120];

    snprintf(words, sizeof words, "%.40s: %s", name, what);
    outcome_refuse(out, CODE_FIELD, words);
    return false;
}

static int hex(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Decodes up to `stop`; returns the end of what was read, or NULL when badly encoded or too long.
 */
static const char *decode(const char *from, const char *stop, char *out, size_t *used)
{
    for (; *from != '\0' && strchr(stop, *from) == NULL; from++) {
        char byte = *from == '+' ? ' ' : *from;

        if (byte == '%') {
            if (hex(from[1]) < 0 || hex(from[2]) < 0) {
                return NULL;
            }
            byte = (char)(hex(from[1]) * 16 + hex(from[2]));
            from += 2;
        }
        if (*used + 2 > QUERY_BYTES || byte == '\0') {
            return NULL;
        }
        out[(*used)++] = byte;
    }
    out[(*used)++] = '\0';
    return from;
}

bool query_read(const char *text, const char *const *names, struct query *query,
                struct outcome *out)
{
    size_t used = 0;

    memset(query->values, 0, sizeof query->values);
    while (text != NULL && *text != '\0') {
        const char *name = query->room + used;
        const char *value;
        size_t place = 0;

        text = decode(text, "=&", query->room, &used);
        if (text == NULL || *text != '=') {
            return refuse(out, "query", "is not name=value&name=value");
        }
        value = query->room + used;
        text = used < QUERY_BYTES - 2 ? decode(text + 1, "&", query->room, &used) : NULL;
        if (text == NULL) {
            return refuse(out, name, "is badly encoded or too long");
        }
        text += *text == '&';
        while (names[place] != NULL && strcmp(names[place], name) != 0) {
            place++;
        }
        if (names[place] == NULL || query->values[place] != NULL) {
            return refuse(out, name, "is not a parameter, or is there twice");
        }
        query->values[place] = value;
    }
    return true;
}

static bool small_number(const char *text, size_t *number)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > PAGE_DIGITS_MAX || text[digits] != '\0') {
        return false;
    }
    *number = strtoul(text, NULL, 10);
    return true;
}

bool page_read(const char *number, const char *size, const char *descending, struct page *page,
               struct outcome *out)
{
    *page = (struct page){.size = (size_t)settings.page_size, .descending = true};
    if (number != NULL && !small_number(number, &page->number)) {
        return refuse(out, "page", "must be a number");
    }
    if (settings.page_base == 1 && page->number > 0) {
        page->number--;
    }
    if (size != NULL && (!small_number(size, &page->size) || page->size == 0)) {
        return refuse(out, "page-size", "must be a number above zero");
    }
    if (page->size > PAGE_SIZE_MAX) {
        page->size = PAGE_SIZE_MAX;
    }
    if (descending != NULL) {
        page->descending = strcmp(descending, "true") == 0;
        if (!page->descending && strcmp(descending, "false") != 0) {
            return refuse(out, "isDescending", "must be true or false");
        }
    }
    return true;
}

void page_write(struct text *text, const struct page *page, size_t shown, size_t total, bool last)
{
    text_printf(text,
                ",\"page\":{\"first\":%s,\"last\":%s,\"number\":%zu,\"number-of-elements\":%zu,"
                "\"size\":%zu,\"sort\":[{\"property\":\"created\",\"direction\":\"%s\"}],"
                "\"total-elements\":%zu,\"total-pages\":%zu}",
                page->number == 0 ? "true" : "false", last ? "true" : "false",
                page->number + (size_t)settings.page_base, shown, page->size,
                page->descending ? "DESC" : "ASC", total, (total + page->size - 1) / page->size);
}

bool date_read(const char *date, const char *name, int64_t otherwise, int64_t *us,
               struct outcome *out)
{
    *us = otherwise;
    if (date == NULL) {
        return true;
    }
    *us = clock_parse(date, settings.created_offset_minutes);
    return *us >= 0 ? true : refuse(out, name, "is not in one of the date formats");
}

bool level_read(const char *level, bool *merchant_level, struct outcome *out)
{
    *merchant_level = level != NULL;
    if (level != NULL && strcmp(level, "merchant") != 0) {
        return refuse(out, "level", "can only be merchant");
    }
    return true;
}
