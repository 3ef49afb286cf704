/* A table of text for people (aligned, coloured on a terminal) or for spreadsheets (CSV). */
#ifndef KOMETPAY_TABLE_H
#define KOMETPAY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum column_kind {
    COLUMN_LEFT,
    COLUMN_RIGHT, /* amounts and counts */
    COLUMN_STATE, /* left, coloured by its word */
};

struct column {
    const char *title; /* NULL ends the columns */
    enum column_kind kind;
};

struct table;

struct table *table_new(const struct column *columns); /* borrowed for the table's life */
void table_free(struct table *table);
/* One cell for each column, copied; NULL is an empty cell. */
void table_row(struct table *table, const char *const *cells);
size_t table_rows(const struct table *table);
/* Aligned; a column without any content is left out. */
void table_print(const struct table *table, FILE *out, bool colour);
/* RFC 4180, with a header line. */
void table_print_csv(const struct table *table, FILE *out);

/* May this stream be coloured? A terminal, and NO_COLOR isn't set. */
bool table_colour_wanted(FILE *out);
/* The escape sequence for a word such as APPROVED or REVIEW, or "". */
const char *table_state_colour(const char *word);
#define TABLE_COLOUR_END "\x1b[0m"

#endif
