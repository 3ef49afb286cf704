/* Cuts a file into pieces at line ends. Must never cut a line in two or lose count of lines: faults
 * are told by line number. */
#include "daemons/kometpay/invoice_file.h"

#include <string.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static int64_t count_lines(const char *text, size_t n)
{
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        lines += text[i] == '\n' ? 1 : 0;
    }
    return lines;
}

struct error *invoice_cursor_next(struct invoice_cursor *cursor, struct invoice_piece *piece)
{
    const char *from = cursor->text + cursor->at;
    size_t left = cursor->size - cursor->at;
    *piece = (struct invoice_piece){from, left, cursor->line};
    if (left > INVOICE_PIECE_MAX_BYTES) {
        const char *end = memrchr(from, '\n', INVOICE_PIECE_MAX_BYTES);
        if (end == NULL) {
            return error_refused("line_too_long", "", "Line %lld is longer than %u bytes.",
                                 (long long)cursor->line, INVOICE_PIECE_MAX_BYTES);
        }
        piece->size = (size_t)(end - from) + 1;
    }
    cursor->at += piece->size;
    cursor->line += count_lines(from, piece->size);
    return NULL;
}

void invoice_cursor_skip_mark(struct invoice_cursor *cursor)
{
    size_t mark = strlen(BYTE_ORDER_MARK);
    if (cursor->at == 0 && cursor->size >= mark &&
        memcmp(cursor->text, BYTE_ORDER_MARK, mark) == 0) {
        cursor->at = mark;
    }
}

struct invoice_piece invoice_cursor_header(struct invoice_cursor *cursor)
{
    const char *from = cursor->text + cursor->at;
    size_t left = cursor->size - cursor->at;
    const char *end = left > 0 ? memchr(from, '\n', left) : NULL;
    struct invoice_piece header = {from, end != NULL ? (size_t)(end - from) : left, cursor->line};
    cursor->at += header.size + (end != NULL ? 1 : 0);
    cursor->line += end != NULL ? 1 : 0;
    if (header.size > 0 && header.text[header.size - 1] == '\r') {
        header.size--;
    }
    return header;
}
