/* An ERP's export as lines of invoices: CSV (RFC 4180) or one JSON object a line. A pure function
 * on bytes; every line is either good or has a fault told, of which INVOICE_FAULTS_MAX are kept.
 * Columns: invoice, customer, customer_name, location, invoice_date, due_date, amount, currency;
 * customer_name may be absent or empty. The amount is a decimal text ("80.00"), exact; a field
 * never holds a line break. */
#ifndef SETTLED_INVOICE_CSV_H
#define SETTLED_INVOICE_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define INVOICE_FAULTS_MAX 100
#define INVOICE_AMOUNT_MAX_MINOR 99999999

enum invoice_format {
    INVOICE_CSV,
    INVOICE_JSON,
};

struct invoice_span {
    const char *p;
    size_t n;
};

struct invoice_line {
    int64_t line; /* its number in the file */
    char invoice[41];
    char customer[41];
    char customer_name[81];
    char location[21];
    char invoice_date[11];
    char due_date[11];
    char amount[33]; /* as written */
    char currency[4];
    int64_t amount_minor;
};

struct invoice_fault {
    int64_t line;
    char field[41];
    char code[49];
    char sentence[257];
};

struct invoice_sheet {
    struct invoice_line *lines; /* the good ones; owned */
    size_t line_count;
    struct invoice_fault faults[INVOICE_FAULTS_MAX]; /* the first that were found */
    size_t fault_count;
    int64_t read; /* lines that hold something */
};

/* `header` is CSV's first line (n 0 for JSON); `lines` are the lines after it, `first_line` the
 * number of the first of them in the file. The caller owns *out (invoice_sheet_free).
 * Errors refused: header_missing, header_invalid, column_unknown, column_repeated, column_missing
 * (field "header"). */
struct error *invoice_sheet_read(enum invoice_format format, struct invoice_span header,
                                 struct invoice_span lines, int64_t first_line,
                                 struct invoice_sheet **out) MUST_CHECK;
void invoice_sheet_free(struct invoice_sheet *sheet); /* NULL is allowed */
/* Adds a fault unless the sheet is full of them. */
void invoice_sheet_fault(struct invoice_sheet *sheet, int64_t line, const char *field,
                         const char *code, const char *sentence, ...) PRINTF_LIKE(5, 6);

#endif
