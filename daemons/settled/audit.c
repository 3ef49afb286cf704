/* The chains of payments' events and of the audit log, verified by the database. Must never call a
 * chain whole that wasn't read to its end. */
#include "daemons/settled/audit.h"

#include <assert.h>

#include "daemons/settled/book_store.h"
#include "lib/text_copy.h"

static void audit_answer(struct ipc_request *request, const struct rows *rows)
{
    struct msg_audit_state *m = message_new(MESSAGE_AUDIT_STATE);
    for (size_t i = 0; i < rows_count(rows); i++) {
        struct msg_audit_break *r = message_list_add(MESSAGE_AUDIT_STATE, m, "rows");
        assert(r != NULL);
        r->chain = audit_break_chain_from_text(rows_text(rows, i, "chain"));
        TEXT_COPY(r->place, rows_text(rows, i, "place"));
        TEXT_COPY(r->problem, rows_text(rows, i, "problem"));
    }
    ipc_answer(request, MESSAGE_AUDIT_STATE, m);
    message_free(MESSAGE_AUDIT_STATE, m);
}

void audit_verify_requested(void *context, struct ipc_request *request, const void *message)
{
    (void)message;
    book_request(context, request, BOOK_AUDIT_VERIFY, NULL, audit_answer);
}
