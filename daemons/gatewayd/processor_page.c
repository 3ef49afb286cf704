/* A page of the processor's list as the message that settled reads. Must never leave a row out: a
 * day could be called balanced without it. */
#include "daemons/gatewayd/processor_page.h"

#include "lib/text_copy.h"

static enum processor_item_kind item_kind_of(enum item_kind kind)
{
    static const enum processor_item_kind KINDS[] = {
        [ITEM_SALE] = PROCESSOR_ITEM_KIND_SALE,       [ITEM_AUTH] = PROCESSOR_ITEM_KIND_AUTH,
        [ITEM_CAPTURE] = PROCESSOR_ITEM_KIND_CAPTURE, [ITEM_VOID] = PROCESSOR_ITEM_KIND_VOID,
        [ITEM_REFUND] = PROCESSOR_ITEM_KIND_REFUND,   [ITEM_OTHER] = PROCESSOR_ITEM_KIND_OTHER,
    };
    return KINDS[kind];
}

static enum processor_item_result item_result_of(enum item_result result)
{
    static const enum processor_item_result RESULTS[] = {
        [ITEM_APPROVED] = PROCESSOR_ITEM_RESULT_APPROVED,
        [ITEM_DECLINED] = PROCESSOR_ITEM_RESULT_DECLINED,
        [ITEM_VOIDED] = PROCESSOR_ITEM_RESULT_VOIDED,
        [ITEM_UNFINISHED] = PROCESSOR_ITEM_RESULT_UNFINISHED,
    };
    return RESULTS[result];
}

bool processor_page_fill(struct msg_processor_page *m, const struct processor_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct processor_item *from = &list->items[i];
        struct msg_processor_item *to = message_list_add(MESSAGE_PROCESSOR_PAGE, m, "rows");
        if (!to) {
            return false;
        }
        TEXT_COPY(to->processor_id, from->id);
        TEXT_COPY(to->reference, from->ref);
        to->kind = item_kind_of(from->kind);
        to->result = item_result_of(from->result);
        to->amount_minor = from->amount_minor;
        TEXT_COPY(to->last_four, from->last_four);
        TEXT_COPY(to->follows, from->follows);
        TEXT_COPY(to->batch, from->batch);
        TEXT_COPY(to->created, from->created);
    }
    return true;
}
