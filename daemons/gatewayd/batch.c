/* Closing the open batch, looking one up, and pages of the processor's own list. Must never guess:
 * what the processor didn't clearly answer is an error, and settled asks again; nor answer a part
 * of a page. */
#include "daemons/gatewayd/batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/gatewayd.h"
#include "daemons/gatewayd/payment_store.h"
#include "daemons/gatewayd/processor_page.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define REPORT_TIMEOUT_MS 30000
#define REPORT_CONNECT_TIMEOUT_MS 10000
#define DAY_SECONDS 86400
#define BATCH_LIFE_DAYS 31 /* a batch is listed by the days it was opened or closed on */
#define BATCH_PAGES_MAX 100

struct report {
    struct gatewayd *g;
    struct ipc_request *request;
    void (*ready)(struct report *report); /* once the account is known */
    const struct connector *connector;
    const struct secret *credential;
    char processor[21], account[41], currency[4], batch[41];
    struct list_request list;
    int64_t batch_from_utc, batch_to_utc;
    int batch_page;
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
                              .from_utc = report->batch_from_utc,
                              .to_utc = report->batch_to_utc,
                              .page = report->batch_page,
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
                                            "There is no such location."));
        return;
    }
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

/* `template` has what is asked, and of which account: an old day's may not be today's. */
static void report_start(struct gatewayd *g, struct ipc_request *request, const char *location,
                         const struct report *template)
{
    struct report *report = malloc(sizeof *report);
    assert(report);
    *report = *template;
    report->g = g;
    report->request = request;
    payment_store_location(g->db, location, account_found, report);
}

/* "YYYY-MM-DD HH:MM" in UTC to Unix seconds; -1 if it isn't one. */
static int64_t utc_seconds(const char *text)
{
    struct tm t = {0};
    const char *end = strptime(text, "%Y-%m-%d %H:%M", &t);
    return end && *end == 0 ? (int64_t)timegm(&t) : -1;
}

static bool times_good(struct ipc_request *request, int64_t from_utc, int64_t to_utc)
{
    if (from_utc >= 0 && to_utc >= 0) {
        return true;
    }
    ipc_refuse(request, error_refused("time_invalid", "from_utc", "%s",
                                      "Times are YYYY-MM-DD HH:MM in UTC."));
    return false;
}

/* ---- batches ---- */

static enum batch_state_state batch_state_of(enum batch_state state)
{
    switch (state) {
    case BATCH_OPEN:
        return BATCH_STATE_STATE_OPEN;
    case BATCH_PENDING:
        return BATCH_STATE_STATE_PENDING;
    case BATCH_CLOSED:
        return BATCH_STATE_STATE_CLOSED;
    case BATCH_FAILED:
        return BATCH_STATE_STATE_FAILED;
    case BATCH_NONE:
        return BATCH_STATE_STATE_NONE;
    case BATCH_UNCLEAR:
        break;
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
    TEXT_COPY(m->batch, report->batch);
    m->state = batch_state_of(batch->state);
    m->total_count = batch->total_count;
    m->net_minor = batch->net_minor;
    ipc_answer(report->request, MESSAGE_BATCH_STATE, m);
    message_free(MESSAGE_BATCH_STATE, m);
    free(report);
}

static void batch_seek(struct report *report);

static void batches_found(void *context, const struct http_result *result)
{
    struct report *report = context;
    struct batch_request request = batch_request_of(report);
    struct batch_outcome batch;
    report->connector->parse_batches(&request, result, &batch);
    if (batch.state == BATCH_NONE && !batch.last && ++report->batch_page < BATCH_PAGES_MAX) {
        batch_seek(report);
        return;
    }
    if (batch.state == BATCH_NONE && !batch.last) {
        batch.state = BATCH_UNCLEAR; /* a list without an end proves nothing */
    }
    batch_answer(report, &batch);
}

/* Looks the batch up by its id, page by page. */
static void batch_seek(struct report *report)
{
    struct batch_request request = batch_request_of(report);
    struct http_request *list = NULL;
    struct error *e = report->connector->build_batches(&request, &list);
    report_send(report, list, e, batches_found);
}

static void batch_closed(void *context, const struct http_result *result)
{
    struct report *report = context;
    struct batch_request request = batch_request_of(report);
    struct batch_outcome batch;
    report->connector->parse_batch(&request, result, &batch);
    /* A lost or odd answer: the list says what became of the batch that was to be closed. */
    if (batch.state == BATCH_UNCLEAR) {
        int64_t now = clock_wall_us() / 1000000;
        report->batch_from_utc = now - BATCH_LIFE_DAYS * DAY_SECONDS;
        report->batch_to_utc = now + DAY_SECONDS;
        batch_seek(report);
        return;
    }
    batch_answer(report, &batch);
}

static void open_batch_found(void *context, const struct http_result *result)
{
    struct report *report = context;
    struct batch_request request = batch_request_of(report);
    struct batch_outcome open;
    report->connector->parse_batch(&request, result, &open);
    if (open.state != BATCH_OPEN) {
        TEXT_COPY(report->batch, open.id);
        batch_answer(report, &open);
        return;
    }
    TEXT_COPY(report->batch, open.id);
    request = batch_request_of(report);
    struct http_request *close = NULL;
    struct error *e = report->connector->build_close_batch(&request, &close);
    report_send(report, close, e, batch_closed);
}

static bool has_batches(struct report *report)
{
    if (report->connector->build_open_batch != NULL && report->connector->build_batches != NULL) {
        return true;
    }
    report_refuse(report, error_refused("no_batches", "location", "%s",
                                        "This processor has no batches to close."));
    return false;
}

static void open_batch_ask(struct report *report)
{
    if (!has_batches(report)) {
        return;
    }
    struct batch_request request = batch_request_of(report);
    struct http_request *open = NULL;
    struct error *e = report->connector->build_open_batch(&request, &open);
    report_send(report, open, e, open_batch_found);
}

static void batch_find_ask(struct report *report)
{
    if (has_batches(report)) {
        batch_seek(report);
    }
}

void batch_close_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_batch_close *m = message;
    struct report template = {.ready = open_batch_ask};
    TEXT_COPY(template.processor, m->processor);
    TEXT_COPY(template.account, m->account);
    report_start(context, request, m->location, &template);
}

void batch_find_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_batch_find *m = message;
    struct report template = {.ready = batch_find_ask};
    int64_t from_utc = utc_seconds(m->from_utc), to_utc = utc_seconds(m->to_utc);
    if (!times_good(request, from_utc, to_utc)) {
        return;
    }
    template.batch_from_utc = from_utc - BATCH_LIFE_DAYS *DAY_SECONDS;
    template.batch_to_utc = to_utc + BATCH_LIFE_DAYS *DAY_SECONDS;
    TEXT_COPY(template.processor, m->processor);
    TEXT_COPY(template.account, m->account);
    TEXT_COPY(template.batch, m->batch);
    report_start(context, request, m->location, &template);
}

/* ---- the day's list ---- */

static void page_answer(struct report *report, const struct processor_list *list)
{
    struct msg_processor_page *m = message_new(MESSAGE_PROCESSOR_PAGE);
    if (!processor_page_fill(m, list)) {
        message_free(MESSAGE_PROCESSOR_PAGE, m);
        report_refuse(report,
                      error_failed("list_unclear", "page %d has %zu rows: more than were asked for",
                                   report->list.page, list->count));
        return;
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

void items_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_processor_items *m = message;
    struct report template = {.ready = list_ask,
                              .list = {.from_utc = utc_seconds(m->from_utc),
                                       .to_utc = utc_seconds(m->to_utc),
                                       .page = (int)m->page}};
    if (!times_good(request, template.list.from_utc, template.list.to_utc)) {
        return;
    }
    TEXT_COPY(template.processor, m->processor);
    TEXT_COPY(template.account, m->account);
    report_start(context, request, m->location, &template);
}
