/* An ERP's export cut into pieces at line ends. */
#ifndef KOMETPAY_INVOICE_FILE_H
#define KOMETPAY_INVOICE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#ifdef KOMETPAY_FUZZ /* so that a small file has many pieces */
#define INVOICE_PIECE_MAX_BYTES 256u
#else
#define INVOICE_PIECE_MAX_BYTES (150u * 1024u)
#endif

/* A cursor over a text that outlives it. */
struct invoice_cursor {
    const char *text;
    size_t size;
    size_t at;    /* where the next piece begins */
    int64_t line; /* its line number in the file, from 1 */
};

struct invoice_piece {
    const char *text; /* into the file; not NUL-terminated */
    size_t size;
    int64_t first_line;
};

/* The next piece of whole lines, at most INVOICE_PIECE_MAX_BYTES; size 0 at the end.
 * Errors refused: line_too_long (the sentence says which line). */
struct error *invoice_cursor_next(struct invoice_cursor *cursor,
                                  struct invoice_piece *piece) MUST_CHECK;
/* Moves over a byte order mark at the beginning of the file. */
void invoice_cursor_skip_mark(struct invoice_cursor *cursor);
/* The first line, without its end, moved over: a CSV's header. */
struct invoice_piece invoice_cursor_header(struct invoice_cursor *cursor);

#endif
