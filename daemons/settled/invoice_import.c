/* An ERP's export, whole or in pieces whose lines wait in the books for the end. Must never take a
 * part of an export, nor one with a faulty line. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/settled/book_store.h"
#include "daemons/settled/invoice.h"
#include "daemons/settled/invoice_csv.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/text_copy.h"

/* Lines on their way to the books. */
struct import {
    struct ipc_request *request;
    struct invoice_sheet *sheet; /* owned */
    bool piece;                  /* of many: its good lines wait for the end */
    bool check_only;
};

static void import_lines_text(const struct invoice_sheet *sheet, char **out)
{
    json_t *lines = json_array();
    assert(lines != NULL);
    for (size_t i = 0; i < sheet->line_count; i++) {
        const struct invoice_line *l = &sheet->lines[i];
        json_t *line = json_pack(
            "{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "line", (json_int_t)l->line, "invoice",
            l->invoice, "customer", l->customer, "customer_name", l->customer_name, "location",
            l->location, "invoice_date", l->invoice_date, "due_date", l->due_date, "amount_minor",
            (json_int_t)l->amount_minor, "currency", l->currency);
        assert(line != NULL);
        int failed = json_array_append_new(lines, line);
        assert(failed == 0);
    }
    *out = json_dumps(lines, JSON_COMPACT);
    assert(*out != NULL);
    json_decref(lines);
}

static int fault_order(const void *a, const void *b)
{
    const struct invoice_fault *x = a, *y = b;
    return x->line < y->line ? -1 : x->line > y->line ? 1 : 0;
}

static void faults_of_books(struct invoice_sheet *sheet, const struct rows *rows)
{
    for (size_t i = 0; i < rows_count(rows); i++) {
        if (rows_text(rows, i, "code") != NULL) {
            invoice_sheet_fault(sheet, rows_int(rows, i, "line"), rows_text(rows, i, "field"),
                                rows_text(rows, i, "code"), "%s", rows_text(rows, i, "sentence"));
        }
    }
    qsort(sheet->faults, sheet->fault_count, sizeof *sheet->faults, fault_order);
}

static void faults_tell(const struct invoice_sheet *sheet, struct msg_import_answer *m)
{
    for (size_t i = 0; i < sheet->fault_count; i++) {
        const struct invoice_fault *f = &sheet->faults[i];
        struct msg_import_fault *r = message_list_add(MESSAGE_IMPORT_ANSWER, m, "faults");
        assert(r != NULL);
        r->line = f->line;
        TEXT_COPY(r->field, f->field);
        TEXT_COPY(r->code, f->code);
        TEXT_COPY(r->sentence, f->sentence);
    }
}

static void log_done(const struct msg_import_answer *m, bool check_only)
{
    if (!check_only && m->faults_count == 0) {
        char read[BOOK_NUMBER_BYTES];
        log_event(LOG_IMPORT_DONE, {"KOMETPAY_COUNT", book_number(m->read, read)});
    }
}

static void import_answer(struct import *import, const struct rows *rows)
{
    struct invoice_sheet *sheet = import->sheet;
    struct msg_import_answer *m = message_new(MESSAGE_IMPORT_ANSWER);
    m->read = sheet->read;
    if (import->piece) {
        m->kept = rows_int(rows, 0, "kept");
        faults_tell(sheet, m);
    } else {
        faults_of_books(sheet, rows);
        faults_tell(sheet, m);
        if (sheet->fault_count == 0) {
            m->created = rows_int(rows, 0, "created");
            m->changed = rows_int(rows, 0, "changed");
            m->same = rows_int(rows, 0, "same");
        }
        log_done(m, import->check_only);
    }
    ipc_answer(import->request, MESSAGE_IMPORT_ANSWER, m);
    message_free(MESSAGE_IMPORT_ANSWER, m);
}

static void import_done(void *context, const struct rows *rows, const struct error *e)
{
    struct import *import = context;
    if (rows == NULL) {
        ipc_refuse(import->request, error_copy(e));
    } else {
        import_answer(import, rows);
    }
    invoice_sheet_free(import->sheet);
    free(import);
}

void invoice_import_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_invoice_import *m = message;
    struct invoice_sheet *sheet = NULL;
    char *lines = NULL;
    struct error *e = invoice_sheet_read(
        m->format == INVOICE_IMPORT_FORMAT_CSV ? INVOICE_CSV : INVOICE_JSON,
        (struct invoice_span){m->header, strlen(m->header)},
        (struct invoice_span){m->lines, strlen(m->lines)}, m->first_line, &sheet);
    if (e != NULL) {
        ipc_refuse(request, e);
        return;
    }
    struct import *import = memory_new(sizeof *import);
    import->request = request;
    import->sheet = sheet;
    import->check_only = m->check_only;
    import->piece = m->import[0] != '\0';
    import_lines_text(sheet, &lines);
    if (import->piece) {
        book_ask(context, BOOK_IMPORT_PUT, (const char *[]){m->import, lines},
                 ipc_request_deadline_boot_ms(request), import_done, import);
    } else {
        /* faulty lines are told together with what the books say of the good ones */
        bool check = m->check_only || sheet->fault_count > 0;
        book_ask(context, BOOK_INVOICE_IMPORT, (const char *[]){lines, check ? "true" : "false"},
                 ipc_request_deadline_boot_ms(request), import_done, import);
    }
    free(lines);
}

static void end_answer(struct ipc_request *request, const struct rows *rows)
{
    const struct msg_invoice_import_end *question = ipc_request_message(request);
    struct invoice_sheet sheet = {0};
    struct msg_import_answer *m = message_new(MESSAGE_IMPORT_ANSWER);
    m->read = rows_int(rows, 0, "read");
    m->created = rows_int(rows, 0, "created");
    m->changed = rows_int(rows, 0, "changed");
    m->same = rows_int(rows, 0, "same");
    faults_of_books(&sheet, rows);
    faults_tell(&sheet, m);
    log_done(m, question->check_only);
    ipc_answer(request, MESSAGE_IMPORT_ANSWER, m);
    message_free(MESSAGE_IMPORT_ANSWER, m);
}

void invoice_import_end_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_invoice_import_end *m = message;
    char lines[BOOK_NUMBER_BYTES];
    book_request(
        context, request, BOOK_IMPORT_END,
        (const char *[]){m->import, book_number(m->lines, lines), m->check_only ? "true" : "false"},
        end_answer);
}
