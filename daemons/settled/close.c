/* The day's close: one job through a table of steps. Fetches the processor's own list through
 * gatewayd, keeps it as it came, and lets books.close_match compare. Must never call a day balanced
 * from a list that wasn't read to its end. */
#include "daemons/settled/close.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/settled/book_store.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/text_copy.h"

#define GATEWAY_WAIT_MS 60000
#define PAGES_MAX 5000 /* of 200 items: more than a day can hold */

/* The ranges in the order they are asked for: the day first, so that an item on its border counts
 * as the day's. */
static const struct close_range {
    int part;
    int from, to; /* places in close_job.border */
} RANGES[] = {{0, 1, 2}, {-1, 0, 1}, {1, 2, 3}};
#define RANGE_COUNT (sizeof RANGES / sizeof *RANGES)

enum close_step {
    CLOSE_BEGIN,
    CLOSE_BATCH,
    CLOSE_FETCH,
    CLOSE_KEEP,
    CLOSE_MATCH,
    CLOSE_LIST,
    CLOSE_STEP_COUNT,
};

struct close_job {
    struct settled *s;
    struct ipc_request *request;
    enum close_step step;
    bool close_batch;
    char location[21], day[11], run[40];
    char border[4][17]; /* UTC minutes: before, begin, end, after */
    size_t range;
    int64_t page;
    unsigned pages;
    bool last_page;
    char *items;                     /* the page as JSON; owned */
    struct msg_close_answer *answer; /* owned */
};

static void close_resume(struct close_job *job, enum close_step step);

static void close_free(struct close_job *job)
{
    message_free(MESSAGE_CLOSE_ANSWER, job->answer);
    free(job->items);
    free(job);
}

/* Takes `e`. */
static void close_refuse(struct close_job *job, struct error *e)
{
    log_event(LOG_REQUEST_FAILED, {"KOMETPAY_LOCATION", job->location}, {"KOMETPAY_DAY", job->day},
              {"KOMETPAY_CODE", e->code}, {"KOMETPAY_REASON", e->sentence});
    ipc_refuse(job->request, e);
    close_free(job);
}

static void close_ask(struct close_job *job, enum book_statement statement,
                      const char *const *parameters, book_done *done)
{
    book_ask(job->s, statement, parameters, ipc_request_deadline_boot_ms(job->request), done, job);
}

static void close_call(struct close_job *job, enum message_type type, const void *message,
                       ipc_done *done)
{
    int64_t deadline = clock_boot_ms() + GATEWAY_WAIT_MS;
    int64_t asked = ipc_request_deadline_boot_ms(job->request);
    ipc_call(job->s->gatewayd, type, message, asked && asked < deadline ? asked : deadline, done,
             job);
}

/* -- Begin ------------------------------------------------------------------------------------ */

static void begun(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    if (rows == NULL) {
        close_refuse(job, error_copy(e));
        return;
    }
    TEXT_COPY(job->run, rows_text(rows, 0, "run"));
    TEXT_COPY(job->border[0], rows_text(rows, 0, "before_from"));
    TEXT_COPY(job->border[1], rows_text(rows, 0, "day_from"));
    TEXT_COPY(job->border[2], rows_text(rows, 0, "day_to"));
    TEXT_COPY(job->border[3], rows_text(rows, 0, "after_to"));
    close_resume(job, job->close_batch ? CLOSE_BATCH : CLOSE_FETCH);
}

static void begin(struct close_job *job)
{
    close_ask(job, BOOK_CLOSE_BEGIN, (const char *[]){job->location, job->day}, begun);
}

/* -- The processor's side --------------------------------------------------------------------- */

static void batch_closed(void *context, const struct error *e, enum message_type type,
                         const void *answer)
{
    struct close_job *job = context;
    if (e != NULL) {
        close_refuse(job, error_copy(e));
        return;
    }
    assert(type == MESSAGE_BATCH_STATE && answer != NULL);
    close_resume(job, CLOSE_FETCH);
}

static void batch(struct close_job *job)
{
    struct msg_batch_close m = {0};
    TEXT_COPY(m.location, job->location);
    close_call(job, MESSAGE_BATCH_CLOSE, &m, batch_closed);
}

static char *items_text(const struct msg_processor_page *page)
{
    json_t *items = json_array();
    assert(items != NULL);
    for (size_t i = 0; i < page->rows_count; i++) {
        const struct msg_processor_item *r = &page->rows[i];
        json_t *item = json_pack(
            "{s:s, s:s, s:s, s:b, s:I, s:s, s:s, s:s, s:s}", "processor_id", r->processor_id,
            "reference", r->reference, "kind", processor_item_kind_text(r->kind), "approved",
            r->approved, "amount_minor", (json_int_t)r->amount_minor, "last_four", r->last_four,
            "follows", r->follows, "batch", r->batch, "created", r->created);
        assert(item != NULL);
        int failed = json_array_append_new(items, item);
        assert(failed == 0);
    }
    char *text = json_dumps(items, JSON_COMPACT);
    assert(text != NULL);
    json_decref(items);
    return text;
}

static void fetched(void *context, const struct error *e, enum message_type type,
                    const void *answer)
{
    struct close_job *job = context;
    if (e != NULL) {
        close_refuse(job, error_copy(e));
        return;
    }
    assert(type == MESSAGE_PROCESSOR_PAGE && answer != NULL);
    const struct msg_processor_page *page = answer;
    job->items = items_text(page);
    job->last_page = page->last;
    job->page = page->next_page;
    if (++job->pages > PAGES_MAX) {
        close_refuse(job, error_failed("list_endless", "%s",
                                       "The processor's list has no end; nothing was compared."));
        return;
    }
    close_resume(job, CLOSE_KEEP);
}

static void fetch(struct close_job *job)
{
    const struct close_range *range = &RANGES[job->range];
    struct msg_processor_items m = {.page = job->page};
    TEXT_COPY(m.location, job->location);
    TEXT_COPY(m.from_utc, job->border[range->from]);
    TEXT_COPY(m.to_utc, job->border[range->to]);
    close_call(job, MESSAGE_PROCESSOR_ITEMS, &m, fetched);
}

static void kept(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    if (rows == NULL) {
        close_refuse(job, error_copy(e));
        return;
    }
    free(job->items);
    job->items = NULL;
    if (job->last_page) {
        job->range++;
        job->page = 0;
    }
    close_resume(job, job->range < RANGE_COUNT ? CLOSE_FETCH : CLOSE_MATCH);
}

static void keep(struct close_job *job)
{
    char part[BOOK_NUMBER_BYTES];
    close_ask(job, BOOK_CLOSE_ITEMS_PUT,
              (const char *[]){job->location, job->day, job->run,
                               book_number(RANGES[job->range].part, part), job->items},
              kept);
}

/* -- The comparison --------------------------------------------------------------------------- */

static void matched(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    if (rows == NULL) {
        close_refuse(job, error_copy(e));
        return;
    }
    assert(rows_count(rows) == 1);
    struct msg_close_answer *a = job->answer = message_new(MESSAGE_CLOSE_ANSWER);
    TEXT_COPY(a->location, job->location);
    TEXT_COPY(a->day, job->day);
    a->balanced = rows_bool(rows, 0, "balanced");
    a->ours_count = rows_int(rows, 0, "ours_count");
    a->ours_gross_minor = rows_int(rows, 0, "ours_gross_minor");
    a->ours_refund_minor = rows_int(rows, 0, "ours_refund_minor");
    a->theirs_count = rows_int(rows, 0, "theirs_count");
    a->theirs_gross_minor = rows_int(rows, 0, "theirs_gross_minor");
    a->theirs_refund_minor = rows_int(rows, 0, "theirs_refund_minor");
    a->net_minor = rows_int(rows, 0, "net_minor");
    TEXT_COPY(a->currency, rows_text(rows, 0, "currency"));
    TEXT_COPY(a->batches, rows_text(rows, 0, "batches"));
    close_resume(job, CLOSE_LIST);
}

static void match(struct close_job *job)
{
    close_ask(job, BOOK_CLOSE_MATCH, (const char *[]){job->location, job->day, job->run}, matched);
}

static void listed(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    if (rows == NULL) {
        close_refuse(job, error_copy(e));
        return;
    }
    for (size_t i = 0; i < rows_count(rows); i++) {
        struct msg_close_difference *d =
            message_list_add(MESSAGE_CLOSE_ANSWER, job->answer, "differences");
        assert(d != NULL);
        d->kind = close_difference_kind_from_text(rows_text(rows, i, "kind"));
        TEXT_COPY(d->payment, rows_text(rows, i, "payment"));
        TEXT_COPY(d->attempt, rows_text(rows, i, "attempt"));
        TEXT_COPY(d->processor_id, rows_text(rows, i, "processor_id"));
        d->ours_minor = rows_int(rows, i, "ours_minor");
        d->theirs_minor = rows_int(rows, i, "theirs_minor");
        TEXT_COPY(d->sentence, rows_text(rows, i, "sentence"));
    }
    char differences[BOOK_NUMBER_BYTES];
    log_event(job->answer->balanced ? LOG_CLOSE_DONE : LOG_CLOSE_DIFFERS,
              {"KOMETPAY_LOCATION", job->location}, {"KOMETPAY_DAY", job->day},
              {"KOMETPAY_DIFFERENCES",
               book_number((int64_t)job->answer->differences_count, differences)});
    ipc_answer(job->request, MESSAGE_CLOSE_ANSWER, job->answer);
    close_free(job);
}

static void list(struct close_job *job)
{
    close_ask(job, BOOK_CLOSE_DIFFERENCES, (const char *[]){job->location, job->day}, listed);
}

/* -- The job ---------------------------------------------------------------------------------- */

/* The close, read from top to bottom. FETCH and KEEP repeat, a page at a time. */
static void (*const STEPS[CLOSE_STEP_COUNT])(struct close_job *job) = {
    [CLOSE_BEGIN] = begin, /* our books: the day's borders in UTC */
    [CLOSE_BATCH] = batch, /* gatewayd: close the open batch, if asked for */
    [CLOSE_FETCH] = fetch, /* gatewayd: a page of the processor's list */
    [CLOSE_KEEP] = keep,   /* our books: its raw copy */
    [CLOSE_MATCH] = match, /* our books: compare, keep the result */
    [CLOSE_LIST] = list,   /* our books: the differences; answer */
};

static void close_resume(struct close_job *job, enum close_step step)
{
    assert(step < CLOSE_STEP_COUNT);
    job->step = step;
    STEPS[step](job);
}

void day_close_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_day_close *m = message;
    struct close_job *job = memory_new(sizeof *job);
    job->s = context;
    job->request = request;
    job->close_batch = m->close_batch;
    TEXT_COPY(job->location, m->location);
    TEXT_COPY(job->day, m->day);
    close_resume(job, CLOSE_BEGIN);
}
