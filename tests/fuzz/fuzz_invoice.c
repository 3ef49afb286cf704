/* links: settled kometpay */
/* Fuzzes the import of an ERP's export: an input is "csv" or "json", a line break and the file. Cut
 * into pieces it must read as it does whole; what is taken must fit the books and read back the
 * same; each fault must fit the answer that tells it. */
#include <inttypes.h>

#include "daemons/kometpay/invoice_file.h"
#include "daemons/settled/invoice_csv.h"
#include "ipc/message.h"
#include "lib/money.h"
#include "lib/text_copy.h"
#include "tests/fuzz/fuzz.h"

#define CSV_HEADER "invoice,customer,customer_name,location,invoice_date,due_date,amount,currency"
#define CSV_LINE_MAX_BYTES 1024

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_secret_memory();
    return 0;
}

/* A message that can't be written would leave kometpay without an answer. */
static void must_encode(enum message_type type, void *message)
{
    char *payload;
    size_t n;
    struct error *e = message_encode(type, message, &payload, &n);
    MUST(e == NULL);
    message_payload_free(payload, n);
    message_free(type, message);
}

static void check_faults(const struct invoice_sheet *sheet)
{
    struct msg_import_answer *m = message_new(MESSAGE_IMPORT_ANSWER);
    m->read = sheet->read;
    for (size_t i = 0; i < sheet->fault_count; i++) {
        struct msg_import_fault *fault = message_list_add(MESSAGE_IMPORT_ANSWER, m, "faults");
        MUST(fault != NULL);
        fault->line = sheet->faults[i].line;
        TEXT_COPY(fault->field, sheet->faults[i].field);
        TEXT_COPY(fault->code, sheet->faults[i].code);
        TEXT_COPY(fault->sentence, sheet->faults[i].sentence);
    }
    must_encode(MESSAGE_IMPORT_ANSWER, m);
}

/* What one may import, one may also put by hand, and the customer's name with it. */
static void check_line(const struct invoice_line *line)
{
    struct msg_invoice_put *m = message_new(MESSAGE_INVOICE_PUT);
    TEXT_COPY(m->invoice, line->invoice);
    TEXT_COPY(m->customer, line->customer);
    TEXT_COPY(m->location, line->location);
    TEXT_COPY(m->invoice_date, line->invoice_date);
    TEXT_COPY(m->due_date, line->due_date);
    TEXT_COPY(m->currency, line->currency);
    m->amount_minor = line->amount_minor;
    must_encode(MESSAGE_INVOICE_PUT, m);
    struct msg_customer_put *customer = message_new(MESSAGE_CUSTOMER_PUT);
    TEXT_COPY(customer->customer, line->customer);
    TEXT_COPY(customer->name, *line->customer_name != 0 ? line->customer_name : line->customer);
    must_encode(MESSAGE_CUSTOMER_PUT, customer);
    MUST(strcmp(line->invoice_date, line->due_date) <= 0);
}

static void check_same(const struct invoice_line *a, const struct invoice_line *b)
{
    MUST(a->line == b->line && a->amount_minor == b->amount_minor);
    MUST(strcmp(a->invoice, b->invoice) == 0 && strcmp(a->customer, b->customer) == 0);
    MUST(strcmp(a->customer_name, b->customer_name) == 0);
    MUST(strcmp(a->location, b->location) == 0 && strcmp(a->currency, b->currency) == 0);
    MUST(strcmp(a->invoice_date, b->invoice_date) == 0 && strcmp(a->due_date, b->due_date) == 0);
}

static size_t add_quoted(char *out, size_t at, const char *text)
{
    out[at++] = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            out[at++] = '"';
        }
        out[at++] = *text;
    }
    out[at++] = '"';
    return at;
}

/* Written as RFC 4180 has it, every field quoted, the amount anew, and the customer's name put in
 * quotes as far as there is room: read back, it is the same. */
static void check_read_back(const struct invoice_line *read)
{
    struct invoice_line copy = *read;
    struct invoice_line *line = &copy;
    if (strlen(read->customer_name) + 2 < sizeof copy.customer_name) {
        (void)snprintf(copy.customer_name, sizeof copy.customer_name, "\"%.*s\"",
                       (int)(sizeof copy.customer_name - 3), read->customer_name);
    }
    char text[CSV_LINE_MAX_BYTES];
    char amount[MONEY_TEXT_MAX];
    struct money money = {.minor = line->amount_minor};
    TEXT_COPY(money.currency, line->currency);
    const char *const fields[] = {
        line->invoice,      line->customer, line->customer_name,         line->location,
        line->invoice_date, line->due_date, money_format(money, amount), line->currency};
    size_t n = 0;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (i > 0) {
            text[n++] = ',';
        }
        n = add_quoted(text, n, fields[i]);
    }
    struct invoice_sheet *sheet = NULL;
    struct error *e =
        invoice_sheet_read(INVOICE_CSV, (struct invoice_span){CSV_HEADER, strlen(CSV_HEADER)},
                           (struct invoice_span){text, n}, line->line, &sheet);
    MUST(e == NULL && sheet->fault_count == 0 && sheet->line_count == 1);
    check_same(line, &sheet->lines[0]);
    invoice_sheet_free(sheet);
}

static struct invoice_sheet *read_sheet(enum invoice_format format, struct invoice_span header,
                                        struct invoice_piece piece)
{
    struct invoice_sheet *sheet = NULL;
    char *exact = fuzz_exact((struct fuzz_text){piece.text, piece.size});
    struct error *e = invoice_sheet_read(format, header, (struct invoice_span){exact, piece.size},
                                         piece.first_line, &sheet);
    MUST((e == NULL) == (sheet != NULL));
    error_free(e);
    free(exact);
    return sheet;
}

/* The pieces, one after the other, hold the lines and faults of the whole. */
static void check_pieces(enum invoice_format format, struct invoice_span header,
                         struct invoice_cursor cursor, const struct invoice_sheet *whole)
{
    int64_t read = 0;
    size_t lines = 0;
    size_t faults = 0;
    while (cursor.at < cursor.size) {
        struct invoice_piece piece;
        struct error *e = invoice_cursor_next(&cursor, &piece);
        if (e != NULL) {
            MUST(error_is(e, "line_too_long"));
            error_free(e);
            return;
        }
        MUST(piece.size > 0 && piece.size <= INVOICE_PIECE_MAX_BYTES);
        struct invoice_sheet *part = read_sheet(format, header, piece);
        MUST(part != NULL && lines + part->line_count <= whole->line_count);
        for (size_t i = 0; i < part->line_count; i++) {
            check_same(&whole->lines[lines++], &part->lines[i]);
        }
        for (size_t i = 0; i < part->fault_count && faults < whole->fault_count; i++, faults++) {
            MUST(whole->faults[faults].line == part->faults[i].line);
            MUST(strcmp(whole->faults[faults].code, part->faults[i].code) == 0);
        }
        read += part->read;
        invoice_sheet_free(part);
    }
    MUST(read == whole->read && lines == whole->line_count && faults == whole->fault_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz_text input = {(const char *)bytes, n};
    enum invoice_format format =
        fuzz_is(fuzz_take(&input, '\n'), "json") ? INVOICE_JSON : INVOICE_CSV;
    char *file = fuzz_exact(input);
    struct invoice_cursor cursor = {file, input.n, 0, 1};
    struct invoice_span header = {NULL, 0};
    if (format == INVOICE_CSV) {
        struct invoice_piece first = invoice_cursor_header(&cursor);
        header = (struct invoice_span){first.text, first.size};
    }
    struct invoice_sheet *whole =
        read_sheet(format, header,
                   (struct invoice_piece){file + cursor.at, cursor.size - cursor.at, cursor.line});
    if (whole != NULL) {
        check_faults(whole);
        for (size_t i = 0; i < whole->line_count; i++) {
            check_line(&whole->lines[i]);
            check_read_back(&whole->lines[i]);
        }
        check_pieces(format, header, cursor, whole);
        invoice_sheet_free(whole);
    }
    free(file);
    return 0;
}
