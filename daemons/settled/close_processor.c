/* The processor's side of a day's close, through gatewayd: batches closed and looked up, the list
 * of items fetched page by page and kept as it came. Must never go on to the comparison with a page
 * or a batch unread. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

#include "daemons/settled/close_job.h"
#include "lib/clock.h"
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

static void close_call(struct close_job *job, enum message_type type, const void *message,
                       ipc_done *done)
{
    int64_t deadline = clock_boot_ms() + GATEWAY_WAIT_MS;
    int64_t asked = ipc_request_deadline_boot_ms(job->request);
    ipc_call(job->s->gatewayd, type, message, asked && asked < deadline ? asked : deadline, done,
             job);
}

/* -- The open batches ------------------------------------------------------------------------- */

/* The next account's batch, or on to the lists. */
static void next_account_batch(struct close_job *job)
{
    job->account++;
    bool more = job->account < job->account_count;
    job->account = more ? job->account : 0;
    close_resume(job, more ? CLOSE_BATCH : CLOSE_FETCH);
}

static void batch_closed(void *context, const struct error *e, enum message_type type,
                         const void *answer)
{
    struct close_job *job = context;
    if (close_failed(job, e)) {
        return;
    }
    assert(type == MESSAGE_BATCH_STATE && answer != NULL);
    const struct msg_batch_state *m = answer;
    if (m->state == BATCH_STATE_STATE_OPEN) {
        close_refuse(job, error_refused("batch_open", "",
                                        "Batch %s could not be closed; it is "
                                        "still open. Run it again in five minutes.",
                                        m->batch));
        return;
    }
    if (m->batch[0] == '\0' || m->state == BATCH_STATE_STATE_NONE) {
        next_account_batch(job);
        return;
    }
    job->closed = (struct close_batch){.of = job->accounts[job->account],
                                       .state = batch_state_state_text(m->state)};
    TEXT_COPY(job->closed.batch, m->batch);
    close_resume(job, CLOSE_BATCH_KEEP);
}

void close_step_batch(struct close_job *job)
{
    const struct close_account *a = &job->accounts[job->account];
    struct msg_batch_close m = {0};
    TEXT_COPY(m.location, job->location);
    TEXT_COPY(m.processor, a->processor);
    TEXT_COPY(m.account, a->account);
    close_call(job, MESSAGE_BATCH_CLOSE, &m, batch_closed);
}

static void keep_batch(struct close_job *job, const struct close_batch *b, book_done *done)
{
    close_ask(job, BOOK_CLOSE_BATCH_PUT,
              (const char *[]){job->location, job->day, job->run, b->of.processor, b->of.account,
                               b->batch, b->state},
              done);
}

static void batch_kept(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    (void)rows;
    if (!close_failed(job, e)) {
        next_account_batch(job);
    }
}

void close_step_batch_keep(struct close_job *job)
{
    keep_batch(job, &job->closed, batch_kept);
}

/* -- The list --------------------------------------------------------------------------------- */

static char *items_text(const struct msg_processor_page *page)
{
    json_t *items = json_array();
    assert(items != NULL);
    for (size_t i = 0; i < page->rows_count; i++) {
        const struct msg_processor_item *r = &page->rows[i];
        json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s}", "processor_id",
                                 r->processor_id, "reference", r->reference, "kind",
                                 processor_item_kind_text(r->kind), "result",
                                 processor_item_result_text(r->result), "amount_minor",
                                 (json_int_t)r->amount_minor, "last_four", r->last_four, "follows",
                                 r->follows, "batch", r->batch, "created", r->created);
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
    if (close_failed(job, e)) {
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

void close_step_fetch(struct close_job *job)
{
    const struct close_range *range = &RANGES[job->range];
    const struct close_account *a = &job->accounts[job->account];
    struct msg_processor_items m = {.page = job->page};
    TEXT_COPY(m.location, job->location);
    TEXT_COPY(m.processor, a->processor);
    TEXT_COPY(m.account, a->account);
    TEXT_COPY(m.from_utc, job->border[range->from]);
    TEXT_COPY(m.to_utc, job->border[range->to]);
    close_call(job, MESSAGE_PROCESSOR_ITEMS, &m, fetched);
}

/* Pages, then accounts, then ranges: the day of every account comes before what is beside it. */
static void kept(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    (void)rows;
    if (close_failed(job, e)) {
        return;
    }
    free(job->items);
    job->items = NULL;
    if (job->last_page) {
        job->page = 0;
        job->account++;
    }
    if (job->account == job->account_count) {
        job->account = 0;
        job->range++;
    }
    close_resume(job, job->range < RANGE_COUNT ? CLOSE_FETCH : CLOSE_BATCHES);
}

void close_step_keep(struct close_job *job)
{
    const struct close_account *a = &job->accounts[job->account];
    char part[BOOK_NUMBER_BYTES];
    close_ask(job, BOOK_CLOSE_ITEMS_PUT,
              (const char *[]){job->location, job->day, job->run,
                               book_number(RANGES[job->range].part, part), a->processor, a->account,
                               job->items},
              kept);
}

/* -- The batches of the day's money ----------------------------------------------------------- */

static void batches_listed(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    if (close_failed(job, e)) {
        return;
    }
    job->batch_count = rows_count(rows);
    job->batches = memory_new((job->batch_count + 1) * sizeof *job->batches);
    for (size_t i = 0; i < job->batch_count; i++) {
        struct close_batch *b = &job->batches[i];
        TEXT_COPY(b->of.processor, rows_text(rows, i, "processor"));
        TEXT_COPY(b->of.account, rows_text(rows, i, "account"));
        TEXT_COPY(b->batch, rows_text(rows, i, "batch"));
    }
    close_resume(job, job->batch_count > 0 ? CLOSE_FIND : CLOSE_MATCH);
}

void close_step_batches(struct close_job *job)
{
    close_ask(job, BOOK_CLOSE_BATCHES, (const char *[]){job->location, job->day, job->run},
              batches_listed);
}

static void found(void *context, const struct error *e, enum message_type type, const void *answer)
{
    struct close_job *job = context;
    if (close_failed(job, e)) {
        return;
    }
    assert(type == MESSAGE_BATCH_STATE && answer != NULL);
    const struct msg_batch_state *m = answer;
    job->batches[job->batch].state = batch_state_state_text(m->state);
    close_resume(job, CLOSE_FIND_KEEP);
}

void close_step_find(struct close_job *job)
{
    const struct close_batch *b = &job->batches[job->batch];
    struct msg_batch_find m = {0};
    TEXT_COPY(m.location, job->location);
    TEXT_COPY(m.processor, b->of.processor);
    TEXT_COPY(m.account, b->of.account);
    TEXT_COPY(m.batch, b->batch);
    TEXT_COPY(m.from_utc, job->border[0]);
    TEXT_COPY(m.to_utc, job->border[3]);
    close_call(job, MESSAGE_BATCH_FIND, &m, found);
}

static void found_kept(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    (void)rows;
    if (close_failed(job, e)) {
        return;
    }
    job->batch++;
    close_resume(job, job->batch < job->batch_count ? CLOSE_FIND : CLOSE_MATCH);
}

void close_step_find_keep(struct close_job *job)
{
    keep_batch(job, &job->batches[job->batch], found_kept);
}
