/* A payment's story from its append-only events. Must never leave a step out. */
#include "daemons/settled/story.h"

#include <assert.h>

#include "daemons/settled/book_store.h"
#include "lib/text_copy.h"

static void story_answer(struct ipc_request *request, const struct rows *rows)
{
    struct msg_story_rows *m = message_new(MESSAGE_STORY_ROWS);
    for (size_t i = 0; i < rows_count(rows); i++) {
        struct msg_event_row *r = message_list_add(MESSAGE_STORY_ROWS, m, "rows");
        assert(r != NULL);
        TEXT_COPY(r->at, rows_text(rows, i, "at"));
        TEXT_COPY(r->attempt, rows_text(rows, i, "attempt"));
        TEXT_COPY(r->kind, rows_text(rows, i, "kind"));
        TEXT_COPY(r->from_state, rows_text(rows, i, "from_state"));
        TEXT_COPY(r->to_state, rows_text(rows, i, "to_state"));
        TEXT_COPY(r->actor, rows_text(rows, i, "actor"));
        TEXT_COPY(r->note, rows_text(rows, i, "note"));
    }
    ipc_answer(request, MESSAGE_STORY_ROWS, m);
    message_free(MESSAGE_STORY_ROWS, m);
}

void story_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_payment_story *m = message;
    book_request(context, request, BOOK_PAYMENT_STORY, (const char *[]){m->payment}, story_answer);
}
