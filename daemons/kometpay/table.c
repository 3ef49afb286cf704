/* Prints rows as an aligned table or CSV. Must never pass a control character of a cell on to the
 * terminal. */
#include "daemons/kometpay/table.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "lib/memory.h"

#define COLUMNS_MAX 24
#define GAP "  "

struct table {
    const struct column *columns;
    size_t width; /* number of columns */
    char **cells; /* rows x width */
    size_t rows, room;
};

struct table *table_new(const struct column *columns)
{
    struct table *table = memory_new(sizeof *table);
    table->columns = columns;
    while (columns[table->width].title != NULL) {
        table->width++;
    }
    assert(table->width > 0 && table->width <= COLUMNS_MAX);
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->rows * table->width; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
}

/* A copy without control characters (C0, DEL, and C1 as UTF-8). */
static char *cell_copy(const char *text)
{
    char *copy = strdup(text != NULL ? text : "");
    assert(copy != NULL);
    for (unsigned char *c = (unsigned char *)copy; *c != '\0'; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            *c = '?';
        } else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) {
            c[0] = c[1] = '?';
        }
    }
    return copy;
}

void table_row(struct table *table, const char *const *cells)
{
    if (table->rows == table->room) {
        table->room = table->room == 0 ? 32 : table->room * 2;
        char **more = realloc(table->cells, table->room * table->width * sizeof *more);
        assert(more != NULL);
        table->cells = more;
    }
    for (size_t i = 0; i < table->width; i++) {
        table->cells[table->rows * table->width + i] = cell_copy(cells[i]);
    }
    table->rows++;
}

size_t table_rows(const struct table *table)
{
    return table->rows;
}

/* Columns that the text takes on a terminal; bytes that aren't UTF-8 count as one each. */
static size_t display_width(const char *text)
{
    size_t width = 0;
    mbstate_t state = {0};
    for (size_t left = strlen(text); left > 0;) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        if (n == (size_t)-1 || n == (size_t)-2 || n == 0) {
            memset(&state, 0, sizeof state);
            n = 1;
            width++;
        } else {
            int columns = wcwidth(c);
            width += columns > 0 ? (size_t)columns : 0;
        }
        text += n;
        left -= n;
    }
    return width;
}

static void measure(const struct table *table, size_t *widths)
{
    for (size_t i = 0; i < table->width; i++) {
        widths[i] = 0;
        for (size_t row = 0; row < table->rows; row++) {
            size_t n = display_width(table->cells[row * table->width + i]);
            widths[i] = n > widths[i] ? n : widths[i];
        }
        size_t title = display_width(table->columns[i].title);
        if (widths[i] > 0 && widths[i] < title) {
            widths[i] = title;
        }
    }
}

static void print_spaces(FILE *out, size_t n)
{
    fprintf(out, "%*s", (int)n, "");
}

static void print_line(const struct table *table, const char *const *cells, const size_t *widths,
                       FILE *out, bool colour)
{
    size_t owed = 0; /* spaces before the next cell: none hang at the end of a line */
    for (size_t i = 0; i < table->width; i++) {
        if (widths[i] == 0) {
            continue;
        }
        size_t n = display_width(cells[i]);
        size_t pad = widths[i] - n;
        bool right = table->columns[i].kind == COLUMN_RIGHT;
        if (n > 0) {
            print_spaces(out, owed + (right ? pad : 0));
            owed = right ? 0 : pad;
            const char *escape = colour && table->columns[i].kind == COLUMN_STATE
                                     ? table_state_colour(cells[i])
                                     : "";
            fprintf(out, "%s%s%s", escape, cells[i], escape[0] != '\0' ? TABLE_COLOUR_END : "");
        } else {
            owed += widths[i];
        }
        owed += strlen(GAP);
    }
    fputc('\n', out);
}

void table_print(const struct table *table, FILE *out, bool colour)
{
    size_t widths[COLUMNS_MAX];
    const char *titles[COLUMNS_MAX];
    measure(table, widths);
    for (size_t i = 0; i < table->width; i++) {
        titles[i] = table->columns[i].title;
    }
    if (table->rows > 0) {
        print_line(table, titles, widths, out, false);
    }
    for (size_t row = 0; row < table->rows; row++) {
        const char *cells[COLUMNS_MAX];
        for (size_t i = 0; i < table->width; i++) {
            cells[i] = table->cells[row * table->width + i];
        }
        print_line(table, cells, widths, out, colour);
    }
}

static void print_csv_cell(const char *text, FILE *out)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"') {
            fputc('"', out);
        }
        fputc(*c, out);
    }
    fputc('"', out);
}

void table_print_csv(const struct table *table, FILE *out)
{
    for (size_t i = 0; i < table->width; i++) {
        fputs(i > 0 ? "," : "", out);
        print_csv_cell(table->columns[i].title, out);
    }
    fputs("\r\n", out);
    for (size_t i = 0; i < table->rows * table->width; i++) {
        fputs(i % table->width > 0 ? "," : "", out);
        print_csv_cell(table->cells[i], out);
        if (i % table->width == table->width - 1) {
            fputs("\r\n", out);
        }
    }
}

bool table_colour_wanted(FILE *out)
{
    const char *no = getenv("NO_COLOR");
    return (no == NULL || no[0] == '\0') && isatty(fileno(out)) == 1;
}

const char *table_state_colour(const char *word)
{
    static const struct {
        const char *word, *escape;
    } colours[] = {
        {"APPROVED", "\x1b[32m"},    {"yes", "\x1b[32m"},         {"PAID", "\x1b[32m"},
        {"applied", "\x1b[32m"},     {"ready", "\x1b[32m"},       {"DECLINED", "\x1b[31m"},
        {"NOT_CHARGED", "\x1b[31m"}, {"unreachable", "\x1b[31m"}, {"changed", "\x1b[31m"},
        {"missing", "\x1b[31m"},     {"PENDING", "\x1b[33m"},     {"SENDING", "\x1b[33m"},
        {"UNKNOWN", "\x1b[33m"},     {"REVERSING", "\x1b[33m"},   {"pending", "\x1b[33m"},
        {"not ready", "\x1b[33m"},   {"REVIEW", "\x1b[1;35m"},
    };
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++) {
        if (strcmp(word, colours[i].word) == 0) {
            return colours[i].escape;
        }
    }
    return "";
}
