/* Customers: set up and listed. Must never hold anything of their cards: that is vaultd's. */
#include "daemons/settled/customer.h"

#include <assert.h>

#include "daemons/settled/book_store.h"
#include "lib/text_copy.h"

void customer_put_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_customer_put *m = message;
    book_request(context, request, BOOK_CUSTOMER_PUT,
                 (const char *[]){m->customer, m->name, m->email}, book_answer_put);
}

static void customer_rows_answer(struct ipc_request *request, const struct rows *rows)
{
    const struct msg_customer_list *question = ipc_request_message(request);
    size_t limit = (size_t)(question->limit ? question->limit : LIST_LIMIT_DEFAULT);
    struct msg_customer_rows *m = message_new(MESSAGE_CUSTOMER_ROWS);
    m->more = rows_count(rows) > limit;
    for (size_t i = 0; i < rows_count(rows) && i < limit; i++) {
        struct msg_customer_row *r = message_list_add(MESSAGE_CUSTOMER_ROWS, m, "rows");
        assert(r != NULL);
        TEXT_COPY(r->customer, rows_text(rows, i, "customer"));
        TEXT_COPY(r->name, rows_text(rows, i, "name"));
        TEXT_COPY(r->email, rows_text(rows, i, "email"));
        TEXT_COPY(r->currency, rows_text(rows, i, "currency"));
        r->open_minor = rows_int(rows, i, "open_minor");
    }
    ipc_answer(request, MESSAGE_CUSTOMER_ROWS, m);
    message_free(MESSAGE_CUSTOMER_ROWS, m);
}

void customer_list_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_customer_list *m = message;
    char limit[BOOK_NUMBER_BYTES];
    book_request(context, request, BOOK_CUSTOMER_LIST,
                 (const char *[]){m->after, m->after_currency,
                                  book_number(m->limit ? m->limit : LIST_LIMIT_DEFAULT, limit)},
                 customer_rows_answer);
}
