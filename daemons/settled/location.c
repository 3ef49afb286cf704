/* Locations, changed by operators only. Must never change one without its row in the audit log:
 * books.location_put writes both. */
#include "daemons/settled/location.h"

#include <assert.h>

#include "daemons/settled/book_store.h"
#include "lib/text_copy.h"

void location_put_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_location_put *m = message;
    const char *parameters[] = {
        ipc_request_pos(request),
        m->code,
        m->name,
        m->time_zone,
        location_put_processor_text(m->processor),
        m->account,
        m->currency,
        m->enabled ? "true" : "false",
    };
    book_request(context, request, BOOK_LOCATION_PUT, parameters, book_answer_put);
}

static void location_rows_answer(struct ipc_request *request, const struct rows *rows)
{
    struct msg_location_rows *m = message_new(MESSAGE_LOCATION_ROWS);
    for (size_t i = 0; i < rows_count(rows); i++) {
        struct msg_location_row *r = message_list_add(MESSAGE_LOCATION_ROWS, m, "rows");
        assert(r != NULL);
        TEXT_COPY(r->code, rows_text(rows, i, "code"));
        TEXT_COPY(r->name, rows_text(rows, i, "name"));
        TEXT_COPY(r->time_zone, rows_text(rows, i, "time_zone"));
        TEXT_COPY(r->processor, rows_text(rows, i, "processor"));
        TEXT_COPY(r->account, rows_text(rows, i, "account"));
        TEXT_COPY(r->currency, rows_text(rows, i, "currency"));
        r->enabled = rows_bool(rows, i, "enabled");
    }
    ipc_answer(request, MESSAGE_LOCATION_ROWS, m);
    message_free(MESSAGE_LOCATION_ROWS, m);
}

void location_list_requested(void *context, struct ipc_request *request, const void *message)
{
    (void)message;
    book_request(context, request, BOOK_LOCATION_LIST, NULL, location_rows_answer);
}
