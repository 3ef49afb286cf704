/* Query strings of the two reports, and the pages they are answered in.
 * A parameter that isn't documented is refused, as is one given twice. */
#ifndef CLEARENT_SIM_QUERY_H
#define CLEARENT_SIM_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"
#include "transaction.h"

enum { QUERY_VALUES_MAX = 16, QUERY_BYTES = 2048 };

struct query {
    const char *values[QUERY_VALUES_MAX]; /* by place in the list of names; NULL when not given */
    char room[QUERY_BYTES];
};

/* `names` ends with NULL; `text` may be NULL. On false `out` holds the refusal. */
bool query_read(const char *text, const char *const *names, struct query *query,
                struct outcome *out);

struct page {
    size_t number; /* from 0, whatever the base on the wire */
    size_t size;
    bool descending;
};

/* Values as given, NULL for the default. */
bool page_read(const char *number, const char *size, const char *descending, struct page *page,
               struct outcome *out);
/* Adds `,"page":{...}`; `last` says what the answer claims. */
void page_write(struct text *text, const struct page *page, size_t shown, size_t total, bool last);

/* Reads a date parameter; NULL gives `otherwise`. */
bool date_read(const char *date, const char *name, int64_t otherwise, int64_t *us,
               struct outcome *out);
/* 'merchant' or nothing. */
bool level_read(const char *level, bool *merchant_level, struct outcome *out);

#endif
