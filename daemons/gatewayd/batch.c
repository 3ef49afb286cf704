/* Closing the open batch, and pages of the processor's own list. Must never guess: what the
 * processor didn't clearly answer is an error, and settled asks again. */
#include "daemons/gatewayd/batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/gatewayd.h"
#include "daemons/gatewayd/payment_store.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define REPORT_TIMEOUT_MS 30000
#define REPORT_CONNECT_TIMEOUT_MS 10000

struct report {
    struct gatewayd *g;
    struct ipc_request *request;
    void (*ready)(struct report *report); /* once the account is known */
    const struct connector *connector;
    const struct secret *credential;
    char processor[21], account[41], currency[4], batch[41];
    struct list_request list;
    struct batch_outcome open;
};

static void report_refuse(struct report *report, struct error *e)
{
    log_error(LOG_REQUEST_FAILED, e, NULL);
    ipc_refuse(report->request, e);
    free(report);
}

static struct error *processor_unclear(void)
{
    return error_failed("processor_unclear", "%s",
                        "The processor didn't answer clearly; run it again in a minute.");
}

static void report_send(struct report *report, struct http_request *request, struct error *e,
                        http_done *done)
{
    if (e) {
        report_refuse(report, e);
        return;
    }
    request->connect_timeout_ms = REPORT_CONNECT_TIMEOUT_MS;
    request->timeout_ms = REPORT_TIMEOUT_MS;
    http_send(report->g->processors, request, done, report);
}

static struct batch_request batch_request_of(const struct report *report)
{
    struct batch_request r = {.credential = report->credential,
                              .batch = *report->batch ? report->batch : NULL,
                              .base_url = gatewayd_base_url(report->g, report->processor)};
    memcpy(r.currency, report->currency, sizeof r.currency);
    return r;
}

static void account_found(void *context, enum database_outcome outcome, const struct rows *rows,
                          const struct error *e)
{
    struct report *report = context;
    if (outcome != DATABASE_DONE) {
        report_refuse(report, error_copy(e));
        return;
    }
    if (rows_count(rows) == 0) {
        report_refuse(report, error_refused("location_unknown", "location", "%s",
                                            "There is no such location, or it is disabled."));
        return;
    }
    TEXT_COPY(report->processor, rows_text(rows, 0, "processor"));
    TEXT_COPY(report->account, rows_text(rows, 0, "account"));
    TEXT_COPY(report->currency, rows_text(rows, 0, "currency"));
    report->connector = connector_find(report->processor);
    struct error *failed =
        report->connector
            ? credential_of(report->processor, report->account, &report->credential)
            : error_failed("processor_unknown", "no connector is called %s", report->processor);
    if (failed) {
        report_refuse(report, failed);
        return;
    }
    report->ready(report);
}

static void report_start(struct gatewayd *g, struct ipc_request *request, const char *location,
                         struct report template)
{
    struct report *report = malloc(sizeof *report);
    assert(report);
    *report = template;
    report->g = g;
    report->request = request;
    payment_store_location(g->db, location, account_found, report);
}

static const char *batch_state_text(enum batch_state state)
{
    switch (state) {
    case BATCH_OPEN:
        return "OPEN";
    case BATCH_PENDING:
        return "PENDING";
    case BATCH_CLOSED:
        return "CLOSED";
    case BATCH_FAILED:
        return "FAILED";
    case BATCH_NONE:
        return "NONE";
    case BATCH_UNCLEAR:
        return "UNCLEAR";
    }
    abort();
}

static void batch_answer(struct report *report, const struct batch_outcome *batch)
{
    if (batch->state == BATCH_UNCLEAR) {
        report_refuse(report, processor_unclear());
        return;
    }
    struct msg_batch_state *m = message_new(MESSAGE_BATCH_STATE);
    TEXT_COPY(m->batch, batch->id);
    TEXT_COPY(m->state, batch_state_text(batch->state));
    m->total_count = batch->total_count;
    m->net_minor = batch->net_minor;
    ipc_answer(report->request, MESSAGE_BATCH_STATE, m);
    message_free(MESSAGE_BATCH_STATE, m);
    free(report);
}

static void batch_closed(void *context, const struct http_result *result)
{
    struct report *report = context;
    struct batch_request request = batch_request_of(report);
    struct batch_outcome batch;
    report->connector->parse_batch(&request, result, &batch);
    batch_answer(report, &batch);
}

static void open_batch_found(void *context, const struct http_result *result)
{
    struct report *report = context;
    struct batch_request request = batch_request_of(report);
    report->connector->parse_batch(&request, result, &report->open);
    if (report->open.state != BATCH_OPEN) {
        batch_answer(report, &report->open);
        return;
    }
    TEXT_COPY(report->batch, report->open.id);
    request = batch_request_of(report);
    struct http_request *close = NULL;
    struct error *e = report->connector->build_close_batch(&request, &close);
    report_send(report, close, e, batch_closed);
}

static void open_batch_ask(struct report *report)
{
    struct batch_request request = batch_request_of(report);
    struct http_request *open = NULL;
    struct error *e = report->connector->build_open_batch
                          ? report->connector->build_open_batch(&request, &open)
                          : error_refused("no_batches", "location", "%s",
                                          "This processor has no batches to close.");
    report_send(report, open, e, open_batch_found);
}

void batch_close_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_batch_close *m = message;
    report_start(context, request, m->location, (struct report){.ready = open_batch_ask});
}

static enum processor_item_kind item_kind_of(enum item_kind kind)
{
    static const enum processor_item_kind KINDS[] = {
        [ITEM_SALE] = PROCESSOR_ITEM_KIND_SALE,       [ITEM_AUTH] = PROCESSOR_ITEM_KIND_AUTH,
        [ITEM_CAPTURE] = PROCESSOR_ITEM_KIND_CAPTURE, [ITEM_VOID] = PROCESSOR_ITEM_KIND_VOID,
        [ITEM_REFUND] = PROCESSOR_ITEM_KIND_REFUND,   [ITEM_OTHER] = PROCESSOR_ITEM_KIND_OTHER,
    };
    return KINDS[kind];
}

static void page_answer(struct report *report, const struct processor_list *list)
{
    struct msg_processor_page *m = message_new(MESSAGE_PROCESSOR_PAGE);
    for (size_t i = 0; i < list->count; i++) {
        const struct processor_item *from = &list->items[i];
        struct msg_processor_item *to = message_list_add(MESSAGE_PROCESSOR_PAGE, m, "rows");
        assert(to); /* CONNECTOR_PAGE_ROWS_MAX; a row left out would make a false balance */
        TEXT_COPY(to->processor_id, from->id);
        TEXT_COPY(to->reference, from->ref);
        to->kind = item_kind_of(from->kind);
        to->approved = from->result == ITEM_APPROVED || from->result == ITEM_VOIDED;
        to->amount_minor = from->amount_minor;
        TEXT_COPY(to->last_four, from->last_four);
        TEXT_COPY(to->follows, from->follows);
        TEXT_COPY(to->batch, from->batch);
        TEXT_COPY(to->created, from->created);
    }
    m->last = list->last;
    m->next_page = report->list.page + 1;
    ipc_answer(report->request, MESSAGE_PROCESSOR_PAGE, m);
    message_free(MESSAGE_PROCESSOR_PAGE, m);
    free(report);
}

static void list_found(void *context, const struct http_result *result)
{
    struct report *report = context;
    struct processor_list list = {0};
    struct error *e = report->connector->parse_list(&report->list, result, &list);
    if (e) {
        report_refuse(report, e);
        return;
    }
    page_answer(report, &list);
    processor_list_clear(&list);
}

static void list_ask(struct report *report)
{
    report->list.credential = report->credential;
    report->list.base_url = gatewayd_base_url(report->g, report->processor);
    memcpy(report->list.currency, report->currency, sizeof report->list.currency);
    struct http_request *request = NULL;
    struct error *e = report->connector->build_list(&report->list, &request);
    report_send(report, request, e, list_found);
}

/* "YYYY-MM-DD HH:MM" in UTC to Unix seconds; -1 if it isn't one. */
static int64_t utc_seconds(const char *text)
{
    struct tm t = {0};
    const char *end = strptime(text, "%Y-%m-%d %H:%M", &t);
    return end && *end == 0 ? (int64_t)timegm(&t) : -1;
}

void items_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_processor_items *m = message;
    struct report template = {.ready = list_ask,
                              .list = {.from_utc = utc_seconds(m->from_utc),
                                       .to_utc = utc_seconds(m->to_utc),
                                       .page = (int)m->page}};
    if (template.list.from_utc < 0 || template.list.to_utc < 0) {
        ipc_refuse(request, error_refused("time_invalid", "from_utc", "%s",
                                          "Times are YYYY-MM-DD HH:MM in UTC."));
        return;
    }
    report_start(context, request, m->location, template);
}
