/* Invoices: put and listed. Must never decide what may be changed: the books do. */
#include "daemons/settled/invoice.h"

#include <assert.h>
#include <string.h>

#include "daemons/settled/book_store.h"
#include "lib/text_copy.h"

void invoice_put_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_invoice_put *m = message;
    char amount[BOOK_NUMBER_BYTES];
    const char *parameters[] = {
        m->invoice,      m->customer, m->location,
        m->invoice_date, m->due_date, book_number(m->amount_minor, amount),
        m->currency,
    };
    book_request(context, request, BOOK_INVOICE_PUT, parameters, book_answer_put);
}

static void invoice_rows_answer(struct ipc_request *request, const struct rows *rows)
{
    const struct msg_invoice_list *question = ipc_request_message(request);
    size_t limit = (size_t)(question->limit ? question->limit : LIST_LIMIT_DEFAULT);
    struct msg_invoice_rows *m = message_new(MESSAGE_INVOICE_ROWS);
    m->more = rows_count(rows) > limit;
    for (size_t i = 0; i < rows_count(rows) && i < limit; i++) {
        struct msg_invoice_row *r = message_list_add(MESSAGE_INVOICE_ROWS, m, "rows");
        assert(r != NULL);
        TEXT_COPY(r->invoice, rows_text(rows, i, "invoice"));
        TEXT_COPY(r->customer, rows_text(rows, i, "customer"));
        TEXT_COPY(r->location, rows_text(rows, i, "location"));
        TEXT_COPY(r->invoice_date, rows_text(rows, i, "invoice_date"));
        TEXT_COPY(r->due_date, rows_text(rows, i, "due_date"));
        TEXT_COPY(r->currency, rows_text(rows, i, "currency"));
        r->amount_minor = rows_int(rows, i, "amount_minor");
        r->open_minor = rows_int(rows, i, "open_minor");
        r->state = invoice_row_state_from_text(rows_text(rows, i, "state"));
    }
    ipc_answer(request, MESSAGE_INVOICE_ROWS, m);
    message_free(MESSAGE_INVOICE_ROWS, m);
}

void invoice_list_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_invoice_list *m = message;
    char limit[BOOK_NUMBER_BYTES];
    book_request(context, request, BOOK_INVOICE_LIST,
                 (const char *[]){m->customer, m->state, m->after,
                                  book_number(m->limit ? m->limit : LIST_LIMIT_DEFAULT, limit)},
                 invoice_rows_answer);
}
