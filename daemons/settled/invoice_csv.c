/* Reads an ERP's export, byte by byte and strictly. Must never guess: a line is taken exactly as it
 * is written or refused with its number, field, code and a sentence; and must never do I/O. */
#include "daemons/settled/invoice_csv.h"

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ipc/text.h"
#include "lib/memory.h"
#include "lib/money.h"

enum column {
    COLUMN_INVOICE,
    COLUMN_CUSTOMER,
    COLUMN_CUSTOMER_NAME,
    COLUMN_LOCATION,
    COLUMN_INVOICE_DATE,
    COLUMN_DUE_DATE,
    COLUMN_AMOUNT,
    COLUMN_CURRENCY,
    COLUMN_COUNT,
};

static const struct column_rule {
    const char *name;
    size_t offset, size; /* of the text in struct invoice_line */
    bool required;
} COLUMNS[COLUMN_COUNT] = {
#define RULE(field, required)                                                                      \
    {                                                                                              \
#field, offsetof(struct invoice_line, field), sizeof(((struct invoice_line *)0)->field),   \
            required                                                                               \
    }
    [COLUMN_INVOICE] = RULE(invoice, true),
    [COLUMN_CUSTOMER] = RULE(customer, true),
    [COLUMN_CUSTOMER_NAME] = RULE(customer_name, false),
    [COLUMN_LOCATION] = RULE(location, true),
    [COLUMN_INVOICE_DATE] = RULE(invoice_date, true),
    [COLUMN_DUE_DATE] = RULE(due_date, true),
    [COLUMN_AMOUNT] = RULE(amount, true),
    [COLUMN_CURRENCY] = RULE(currency, true),
#undef RULE
};

#define CSV_COLUMNS_MAX COLUMN_COUNT
#define LINE_BYTES_MAX 4096 /* of one line's fields together, unquoted */

/* What is known while reading: the sheet, and the line under the pen. */
struct reading {
    struct invoice_sheet *sheet;
    size_t capacity;
    enum column order[CSV_COLUMNS_MAX]; /* of CSV */
    size_t order_count;
    struct invoice_line line;
    bool good;
};

void invoice_sheet_fault(struct invoice_sheet *sheet, int64_t line, const char *field,
                         const char *code, const char *sentence, ...)
{
    if (sheet->fault_count == INVOICE_FAULTS_MAX) {
        return;
    }
    struct invoice_fault *f = &sheet->faults[sheet->fault_count++];
    va_list arguments;
    f->line = line;
    (void)snprintf(f->field, sizeof f->field, "%s", field);
    (void)snprintf(f->code, sizeof f->code, "%s", code);
    va_start(arguments, sentence);
    (void)vsnprintf(f->sentence, sizeof f->sentence, sentence, arguments);
    va_end(arguments);
}

/* A fault of the line under the pen: it isn't taken. */
#define FAULT(reading, field, code, ...)                                                           \
    do {                                                                                           \
        (reading)->good = false;                                                                   \
        invoice_sheet_fault((reading)->sheet, (reading)->line.line, field, code, __VA_ARGS__);     \
    } while (0)

static int column_find(struct invoice_span name)
{
    for (int i = 0; i < COLUMN_COUNT; i++) {
        if (strlen(COLUMNS[i].name) == name.n &&
            strncasecmp(COLUMNS[i].name, name.p, name.n) == 0) {
            return i;
        }
    }
    return -1;
}

/* -- One line's fields ------------------------------------------------------------------------ */

static void line_begin(struct reading *r, int64_t number)
{
    memset(&r->line, 0, sizeof r->line);
    r->line.line = number;
    r->good = true;
    r->sheet->read++;
}

static void field_take(struct reading *r, enum column column, struct invoice_span text)
{
    const struct column_rule *rule = &COLUMNS[column];
    if (!text_valid(text.p, text.n, false)) {
        FAULT(r, rule->name, "text_invalid", "The text is not UTF-8, or has control characters.");
    } else if (text.n >= rule->size) {
        FAULT(r, rule->name, "text_too_long", "The text is longer than %zu bytes.", rule->size - 1);
    } else if (text.n > 0 && (text.p[0] == ' ' || text.p[text.n - 1] == ' ')) {
        FAULT(r, rule->name, "space_around", "Remove the spaces around the text.");
    } else if (text.n == 0 && rule->required) {
        FAULT(r, rule->name, "field_missing", "There must be something in this column.");
    } else if (text.n > 0) {
        memcpy((char *)&r->line + rule->offset, text.p, text.n);
    }
}

static void dates_check(struct reading *r)
{
    const struct invoice_line *l = &r->line;
    const struct {
        const char *text, *field;
    } dates[] = {{l->invoice_date, "invoice_date"}, {l->due_date, "due_date"}};
    bool good = true;
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        if (*dates[i].text == 0) {
            good = false; /* told by field_take */
        } else if (!text_is_date(dates[i].text, strlen(dates[i].text))) {
            FAULT(r, dates[i].field, "date_invalid", "Write a day of the calendar as YYYY-MM-DD.");
            good = false;
        }
    }
    if (good && strcmp(l->due_date, l->invoice_date) < 0) {
        FAULT(r, "due_date", "due_before_invoice",
              "The due date is before the date of the invoice.");
    }
}

static void amount_check(struct reading *r)
{
    struct invoice_line *l = &r->line;
    struct money money;
    if (*l->currency == 0 || *l->amount == 0) {
        return; /* told by field_take */
    }
    struct error *e = money_parse(l->amount, strlen(l->amount), l->currency, &money);
    if (e != NULL) {
        FAULT(r, e->field, e->code, "%s", e->sentence);
        error_free(e);
    } else if (money.minor < 1 || money.minor > INVOICE_AMOUNT_MAX_MINOR) {
        FAULT(r, "amount", "amount_out_of_range",
              "The amount must be above nothing and at most %d of the smallest unit.",
              INVOICE_AMOUNT_MAX_MINOR);
    } else {
        l->amount_minor = money.minor;
    }
}

static void line_end(struct reading *r)
{
    dates_check(r);
    amount_check(r);
    if (!r->good) {
        return;
    }
    struct invoice_sheet *s = r->sheet;
    if (s->line_count == r->capacity) {
        r->capacity = r->capacity ? 2 * r->capacity : 64;
        s->lines = reallocarray(s->lines, r->capacity, sizeof *s->lines);
        assert(s->lines != NULL);
    }
    s->lines[s->line_count++] = r->line;
}

/* -- CSV -------------------------------------------------------------------------------------- */

/* One line of CSV cut into fields; quoted ones are unquoted into `store`. */
struct csv_line {
    struct invoice_span fields[CSV_COLUMNS_MAX];
    size_t count; /* may be more than fields hold */
    const char *fault, *sentence;
    char store[LINE_BYTES_MAX];
    size_t stored;
};

static void csv_fault(struct csv_line *c, const char *code, const char *sentence)
{
    c->fault = code;
    c->sentence = sentence;
}

/* A quoted field; `at` is after the opening quote. Gives where it ends, after the closing one. */
static size_t csv_quoted(struct csv_line *c, struct invoice_span line, size_t at)
{
    struct invoice_span field = {c->store + c->stored, 0};
    for (;; at++) {
        if (at == line.n) {
            csv_fault(c, "quote_open", "A quote is not closed on its line.");
            return at;
        }
        if (line.p[at] == '"') {
            if (at + 1 == line.n || line.p[at + 1] != '"') {
                break;
            }
            at++; /* "" is one quote */
        }
        if (c->stored == sizeof c->store) {
            csv_fault(c, "line_too_long", "The line is too long.");
            return line.n;
        }
        c->store[c->stored++] = line.p[at];
        field.n++;
    }
    if (c->count < CSV_COLUMNS_MAX) {
        c->fields[c->count] = field;
    }
    return at + 1;
}

static size_t csv_plain(struct csv_line *c, struct invoice_span line, size_t at)
{
    size_t from = at;
    while (at < line.n && line.p[at] != ',') {
        if (line.p[at] == '"') {
            csv_fault(c, "quote_misplaced",
                      "A quote inside a field: put the whole field in quotes and double it.");
            return line.n;
        }
        at++;
    }
    if (c->count < CSV_COLUMNS_MAX) {
        c->fields[c->count] = (struct invoice_span){line.p + from, at - from};
    }
    return at;
}

static void csv_cut(struct csv_line *c, struct invoice_span line)
{
    size_t at = 0;
    c->count = c->stored = 0;
    c->fault = NULL;
    for (;;) {
        at =
            at < line.n && line.p[at] == '"' ? csv_quoted(c, line, at + 1) : csv_plain(c, line, at);
        c->count++;
        if (c->fault != NULL || at == line.n) {
            return;
        }
        if (line.p[at] != ',') {
            csv_fault(c, "quote_misplaced", "There is text after a closing quote.");
            return;
        }
        at++;
    }
}

static struct error *csv_header(struct reading *r, struct invoice_span header)
{
    struct csv_line cut;
    bool seen[COLUMN_COUNT] = {false};
    if (header.n > 0 && header.p[header.n - 1] == '\r') {
        header.n--;
    }
    if (header.n == 0) {
        return error_refused("header_missing", "header", "The first line must name the columns.");
    }
    csv_cut(&cut, header);
    if (cut.fault != NULL || !text_valid(header.p, header.n, false)) {
        return error_refused("header_invalid", "header", "The line that names the columns: %s",
                             cut.fault != NULL ? cut.sentence : "it is not plain text.");
    }
    for (size_t i = 0; i < cut.count && i < CSV_COLUMNS_MAX; i++) {
        int column = column_find(cut.fields[i]);
        if (column < 0) {
            return error_refused("column_unknown", "header",
                                 "Column %zu of the first line is not one of: invoice, customer, "
                                 "customer_name, location, invoice_date, due_date, amount, "
                                 "currency.",
                                 i + 1);
        }
        if (seen[column]) {
            return error_refused("column_repeated", "header", "Column %s is named twice.",
                                 COLUMNS[column].name);
        }
        seen[column] = true;
        r->order[r->order_count++] = (enum column)column;
    }
    if (cut.count > CSV_COLUMNS_MAX) {
        return error_refused("column_unknown", "header", "There are more columns than %d.",
                             COLUMN_COUNT);
    }
    for (int i = 0; i < COLUMN_COUNT; i++) {
        if (COLUMNS[i].required && !seen[i]) {
            return error_refused("column_missing", "header", "There is no column %s.",
                                 COLUMNS[i].name);
        }
    }
    return NULL;
}

static void csv_line_read(struct reading *r, struct invoice_span line)
{
    struct csv_line cut;
    csv_cut(&cut, line);
    if (cut.fault != NULL) {
        FAULT(r, "", cut.fault, "%s", cut.sentence);
        return;
    }
    if (cut.count != r->order_count) {
        FAULT(r, "", "field_count", "The line has %zu fields, the header %zu.", cut.count,
              r->order_count);
        return;
    }
    for (size_t i = 0; i < cut.count; i++) {
        field_take(r, r->order[i], cut.fields[i]);
    }
    line_end(r);
}

/* -- JSON ------------------------------------------------------------------------------------- */

static void json_field(struct reading *r, const char *key, const json_t *value, bool *seen)
{
    int column = column_find((struct invoice_span){key, strlen(key)});
    char number[32];
    if (column < 0 || strcmp(COLUMNS[column].name, key) != 0) {
        FAULT(r, text_valid(key, strlen(key), false) && strlen(key) <= 40 ? key : "",
              "field_unknown", "There is no such field.");
        return;
    }
    seen[column] = true;
    if (json_is_string(value)) {
        field_take(r, (enum column)column,
                   (struct invoice_span){json_string_value(value), json_string_length(value)});
    } else if (column == COLUMN_AMOUNT && json_is_integer(value)) {
        int n = snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        assert(n > 0 && (size_t)n < sizeof number);
        field_take(r, COLUMN_AMOUNT, (struct invoice_span){number, (size_t)n});
    } else if (column == COLUMN_AMOUNT && json_is_real(value)) {
        FAULT(r, "amount", "amount_not_exact",
              "Write the amount as a text, \"80.00\": a number with a point is not exact.");
    } else if (!json_is_null(value) || COLUMNS[column].required) {
        FAULT(r, COLUMNS[column].name, "field_type", "The value must be a text.");
    }
}

static void json_line_read(struct reading *r, struct invoice_span line)
{
    bool seen[COLUMN_COUNT] = {false};
    const char *key;
    json_t *value;
    json_error_t why;
    json_t *object = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &why);
    if (!json_is_object(object)) {
        FAULT(r, "", "json_invalid", "The line is not one JSON object.");
        json_decref(object);
        return;
    }
    json_object_foreach(object, key, value)
    {
        json_field(r, key, value, seen);
    }
    for (int i = 0; i < COLUMN_COUNT; i++) {
        if (COLUMNS[i].required && !seen[i]) {
            FAULT(r, COLUMNS[i].name, "field_missing", "This field is missing.");
        }
    }
    line_end(r);
    json_decref(object);
}

/* -- Lines ------------------------------------------------------------------------------------ */

struct error *invoice_sheet_read(enum invoice_format format, struct invoice_span header,
                                 struct invoice_span lines, int64_t first_line,
                                 struct invoice_sheet **out)
{
    struct reading r = {.sheet = memory_new(sizeof *r.sheet)};
    struct error *e = format == INVOICE_CSV ? csv_header(&r, header) : NULL;
    if (e != NULL) {
        invoice_sheet_free(r.sheet);
        return e;
    }
    int64_t number = first_line;
    for (size_t at = 0; at < lines.n; number++) {
        const char *end = memchr(lines.p + at, '\n', lines.n - at);
        size_t n = end != NULL ? (size_t)(end - (lines.p + at)) : lines.n - at;
        struct invoice_span line = {lines.p + at, n};
        at += n + (end != NULL ? 1 : 0);
        if (line.n > 0 && line.p[line.n - 1] == '\r') {
            line.n--;
        }
        if (line.n == 0) {
            continue; /* an empty line says nothing */
        }
        line_begin(&r, number);
        if (format == INVOICE_CSV) {
            csv_line_read(&r, line);
        } else {
            json_line_read(&r, line);
        }
    }
    *out = r.sheet;
    return NULL;
}

void invoice_sheet_free(struct invoice_sheet *sheet)
{
    if (sheet != NULL) {
        free(sheet->lines);
        free(sheet);
    }
}
