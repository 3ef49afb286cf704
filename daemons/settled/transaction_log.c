/* The transaction log. Must never show more of a card than its brand and last four. */
#include "daemons/settled/transaction_log.h"

#include <assert.h>

#include "daemons/settled/book_store.h"
#include "lib/text_copy.h"

static void log_row_read(const struct rows *rows, size_t i, struct msg_log_row *r)
{
    TEXT_COPY(r->at, rows_text(rows, i, "at"));
    TEXT_COPY(r->payment, rows_text(rows, i, "payment"));
    TEXT_COPY(r->attempt, rows_text(rows, i, "attempt"));
    TEXT_COPY(r->kind, rows_text(rows, i, "kind"));
    TEXT_COPY(r->state, rows_text(rows, i, "state"));
    TEXT_COPY(r->location, rows_text(rows, i, "location"));
    TEXT_COPY(r->pos, rows_text(rows, i, "pos"));
    TEXT_COPY(r->actor, rows_text(rows, i, "actor"));
    TEXT_COPY(r->customer, rows_text(rows, i, "customer"));
    TEXT_COPY(r->invoices, rows_text(rows, i, "invoices"));
    TEXT_COPY(r->currency, rows_text(rows, i, "currency"));
    TEXT_COPY(r->method, rows_text(rows, i, "method"));
    TEXT_COPY(r->brand, rows_text(rows, i, "brand"));
    TEXT_COPY(r->last_four, rows_text(rows, i, "last_four"));
    TEXT_COPY(r->authorisation_code, rows_text(rows, i, "authorisation_code"));
    TEXT_COPY(r->reason, rows_text(rows, i, "reason"));
    TEXT_COPY(r->batch, rows_text(rows, i, "batch"));
    r->amount_minor = rows_int(rows, i, "amount_minor");
    r->to_reconcile = rows_bool(rows, i, "to_reconcile");
}

static void log_answer(struct ipc_request *request, const struct rows *rows)
{
    const struct msg_log *question = ipc_request_message(request);
    size_t limit = (size_t)(question->limit ? question->limit : LIST_LIMIT_DEFAULT);
    struct msg_log_rows *m = message_new(MESSAGE_LOG_ROWS);
    for (size_t i = 0; i < rows_count(rows) && i < limit; i++) {
        struct msg_log_row *r = message_list_add(MESSAGE_LOG_ROWS, m, "rows");
        assert(r != NULL);
        log_row_read(rows, i, r);
    }
    if (rows_count(rows) > limit) {
        TEXT_COPY(m->next, rows_text(rows, limit - 1, "cursor"));
    }
    ipc_answer(request, MESSAGE_LOG_ROWS, m);
    message_free(MESSAGE_LOG_ROWS, m);
}

void log_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_log *m = message;
    char amount[BOOK_NUMBER_BYTES], limit[BOOK_NUMBER_BYTES];
    const char *parameters[] = {
        m->location,
        m->pos,
        m->from,
        m->to,
        m->customer,
        m->invoice,
        m->state,
        m->kind,
        m->method,
        m->last_four,
        m->authorisation_code,
        book_number(m->amount_minor, amount),
        m->after,
        book_number(m->limit ? m->limit : LIST_LIMIT_DEFAULT, limit),
    };
    book_request(context, request, BOOK_TRANSACTION_LOG, parameters, log_answer);
}
