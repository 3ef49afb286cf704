/* The day's close: one job through a table of steps. close_processor.c fetches the processor's
 * side, books.close_match compares. Must never call a day balanced from a list that wasn't read to
 * its end, nor close one day twice at a time. */
#include "daemons/settled/close.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/settled/close_job.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/text_copy.h"

static void close_free(struct close_job *job)
{
    struct close_job **at = &job->s->closes;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    message_free(MESSAGE_CLOSE_ANSWER, job->answer);
    free(job->batches);
    free(job->items);
    free(job);
}

void close_refuse(struct close_job *job, struct error *e)
{
    log_event(LOG_REQUEST_FAILED, {"KOMETPAY_LOCATION", job->location}, {"KOMETPAY_DAY", job->day},
              {"KOMETPAY_CODE", e->code}, {"KOMETPAY_REASON", e->sentence});
    ipc_refuse(job->request, e);
    close_free(job);
}

bool close_failed(struct close_job *job, const struct error *e)
{
    if (e != NULL) {
        close_refuse(job, error_copy(e));
    }
    return e != NULL;
}

void close_ask(struct close_job *job, enum book_statement statement, const char *const *parameters,
               book_done *done)
{
    book_ask(job->s, statement, parameters, ipc_request_deadline_boot_ms(job->request), done, job);
}

/* -- Begin ------------------------------------------------------------------------------------ */

static void begun(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    if (close_failed(job, e)) {
        return;
    }
    job->account_count = rows_count(rows);
    assert(job->account_count > 0);
    if (job->account_count > CLOSE_ACCOUNTS_MAX) {
        close_refuse(job, error_failed("accounts_too_many", "%zu accounts took payments on %s",
                                       job->account_count, job->day));
        return;
    }
    TEXT_COPY(job->run, rows_text(rows, 0, "run"));
    TEXT_COPY(job->border[0], rows_text(rows, 0, "before_from"));
    TEXT_COPY(job->border[1], rows_text(rows, 0, "day_from"));
    TEXT_COPY(job->border[2], rows_text(rows, 0, "day_to"));
    TEXT_COPY(job->border[3], rows_text(rows, 0, "after_to"));
    for (size_t i = 0; i < job->account_count; i++) {
        TEXT_COPY(job->accounts[i].processor, rows_text(rows, i, "processor"));
        TEXT_COPY(job->accounts[i].account, rows_text(rows, i, "account"));
    }
    close_resume(job, job->close_batch ? CLOSE_BATCH : CLOSE_FETCH);
}

static void begin(struct close_job *job)
{
    close_ask(job, BOOK_CLOSE_BEGIN, (const char *[]){job->location, job->day}, begun);
}

/* -- The comparison --------------------------------------------------------------------------- */

static void matched(void *context, const struct rows *rows, const struct error *e)
{
    struct close_job *job = context;
    if (close_failed(job, e)) {
        return;
    }
    assert(rows_count(rows) == 1);
    struct msg_close_answer *a = job->answer = message_new(MESSAGE_CLOSE_ANSWER);
    TEXT_COPY(a->location, job->location);
    TEXT_COPY(a->day, job->day);
    a->balanced = rows_bool(rows, 0, "balanced");
    a->day_over = rows_bool(rows, 0, "day_over");
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
    if (close_failed(job, e)) {
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
    job->answer->differences_total = rows_count(rows) > 0 ? rows_int(rows, 0, "total") : 0;
    char differences[BOOK_NUMBER_BYTES];
    log_event(job->answer->balanced ? LOG_CLOSE_DONE : LOG_CLOSE_DIFFERS,
              {"KOMETPAY_LOCATION", job->location}, {"KOMETPAY_DAY", job->day},
              {"KOMETPAY_DIFFERENCES", book_number(job->answer->differences_total, differences)});
    ipc_answer(job->request, MESSAGE_CLOSE_ANSWER, job->answer);
    close_free(job);
}

static void list(struct close_job *job)
{
    close_ask(job, BOOK_CLOSE_DIFFERENCES, (const char *[]){job->location, job->day, job->run},
              listed);
}

/* -- The job ---------------------------------------------------------------------------------- */

/* The close, read from top to bottom. BATCH and BATCH_KEEP repeat, an account at a time, FETCH and
 * KEEP a page, FIND and FIND_KEEP a batch. */
static void (*const STEPS[CLOSE_STEP_COUNT])(struct close_job *job) = {
    [CLOSE_BEGIN] = begin,                      /* our books: the day's borders, its accounts */
    [CLOSE_BATCH] = close_step_batch,           /* gatewayd: close the open batch, if asked for */
    [CLOSE_BATCH_KEEP] = close_step_batch_keep, /* our books: what became of it */
    [CLOSE_FETCH] = close_step_fetch,           /* gatewayd: a page of the processor's list */
    [CLOSE_KEEP] = close_step_keep,             /* our books: its raw copy */
    [CLOSE_BATCHES] = close_step_batches,       /* our books: the batches that the money is in */
    [CLOSE_FIND] = close_step_find,             /* gatewayd: the state of one */
    [CLOSE_FIND_KEEP] = close_step_find_keep,   /* our books: that state */
    [CLOSE_MATCH] = match,                      /* our books: compare, keep the result */
    [CLOSE_LIST] = list,                        /* our books: the differences; answer */
};

void close_resume(struct close_job *job, enum close_step step)
{
    assert(step < CLOSE_STEP_COUNT);
    STEPS[step](job);
}

static bool runs_already(const struct settled *s, const struct msg_day_close *m)
{
    const struct close_job *job = s->closes;
    while (job != NULL &&
           (strcmp(job->location, m->location) != 0 || strcmp(job->day, m->day) != 0)) {
        job = job->next;
    }
    return job != NULL;
}

void day_close_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_day_close *m = message;
    struct settled *s = context;
    if (runs_already(s, m)) {
        ipc_refuse(request,
                   error_refused("close_running", "day", "%s is being closed for %s already.",
                                 m->location, m->day));
        return;
    }
    struct close_job *job = memory_new(sizeof *job);
    job->s = s;
    job->next = s->closes;
    s->closes = job;
    job->request = request;
    job->close_batch = m->close_batch;
    TEXT_COPY(job->location, m->location);
    TEXT_COPY(job->day, m->day);
    close_resume(job, CLOSE_BEGIN);
}

/* -- The days that the night has to close ----------------------------------------------------- */

static void days_answer(struct ipc_request *request, const struct rows *rows)
{
    struct msg_close_day_rows *m = message_new(MESSAGE_CLOSE_DAY_ROWS);
    for (size_t i = 0; i < rows_count(rows); i++) {
        struct msg_close_day *d = message_list_add(MESSAGE_CLOSE_DAY_ROWS, m, "rows");
        assert(d != NULL);
        TEXT_COPY(d->day, rows_text(rows, i, "day"));
    }
    ipc_answer(request, MESSAGE_CLOSE_DAY_ROWS, m);
    message_free(MESSAGE_CLOSE_DAY_ROWS, m);
}

void close_days_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_close_days *m = message;
    book_request(context, request, BOOK_CLOSE_DAYS, (const char *[]){m->location}, days_answer);
}
