/* links: kometpay */
/* An export in pieces: whole lines only, every byte once, line numbers right. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/kometpay/invoice_file.h"

static void test_header(void **state)
{
    (void)state;
    const char text[] = "\xef\xbb\xbfinvoice,amount\r\nA,1\nB,2";
    struct invoice_cursor cursor = {text, sizeof text - 1, 0, 1};
    invoice_cursor_skip_mark(&cursor);
    invoice_cursor_skip_mark(&cursor); /* it stands only at the beginning */
    struct invoice_piece header = invoice_cursor_header(&cursor);
    assert_int_equal(header.size, strlen("invoice,amount"));
    assert_memory_equal(header.text, "invoice,amount", header.size);
    struct invoice_piece piece;
    assert_null(invoice_cursor_next(&cursor, &piece));
    assert_int_equal(piece.first_line, 2);
    assert_int_equal(piece.size, strlen("A,1\nB,2"));
    assert_null(invoice_cursor_next(&cursor, &piece));
    assert_int_equal(piece.size, 0);
}

static void test_header_only(void **state)
{
    (void)state;
    struct invoice_cursor cursor = {"invoice", 7, 0, 1};
    assert_int_equal(invoice_cursor_header(&cursor).size, 7);
    assert_int_equal(cursor.at, 7);
    assert_int_equal(invoice_cursor_header(&cursor).size, 0);
}

/* A file of lines of changing length: the pieces, put together, are the file. */
static void test_pieces(void **state)
{
    (void)state;
    const size_t lines = 60000;
    char *text = malloc(lines * 32);
    assert_non_null(text);
    size_t size = 0;
    for (size_t i = 0; i < lines; i++) {
        size += (size_t)sprintf(text + size, "I%zu,%.*s\n", i, (int)(i % 17), "0123456789abcdefg");
    }
    struct invoice_cursor cursor = {text, size, 0, 1};
    size_t seen = 0;
    int64_t line = 1;
    unsigned pieces = 0;
    while (cursor.at < cursor.size) {
        struct invoice_piece piece;
        assert_null(invoice_cursor_next(&cursor, &piece));
        assert_true(piece.size > 0 && piece.size <= INVOICE_PIECE_MAX_BYTES);
        assert_ptr_equal(piece.text, text + seen);
        assert_int_equal(piece.first_line, line);
        assert_int_equal(piece.text[piece.size - 1], '\n');
        for (size_t i = 0; i < piece.size; i++) {
            line += piece.text[i] == '\n' ? 1 : 0;
        }
        seen += piece.size;
        pieces++;
    }
    assert_int_equal(seen, size);
    assert_int_equal(line, (int64_t)lines + 1);
    assert_true(pieces > 3);
    free(text);
}

static void test_line_too_long(void **state)
{
    (void)state;
    size_t size = INVOICE_PIECE_MAX_BYTES + 10;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    static const char LINES[] = {'a', '\n', 'b', '\n'}; /* a text has no end of its own */
    memcpy(text, LINES, sizeof LINES);
    struct invoice_cursor cursor = {text, size, 0, 1};
    struct invoice_piece piece;
    assert_null(invoice_cursor_next(&cursor, &piece));
    assert_int_equal(piece.size, 4);
    cursor.text = text;
    memset(text + 4, 'x', size - 4);
    cursor = (struct invoice_cursor){text + 4, size - 4, 0, 3};
    struct error *e = invoice_cursor_next(&cursor, &piece);
    assert_true(error_is(e, "line_too_long"));
    assert_non_null(strstr(e->sentence, "Line 3"));
    error_free(e);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_only),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_line_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
