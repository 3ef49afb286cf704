/* Jobs and the tables of their steps. Must never send a money request before its intent is
 * committed, nor answer before the result is. */
#include "daemons/gatewayd/attempt.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mutant.h"
#include "lib/secret.h"
#include "lib/text_copy.h"

#define COMMIT_RETRY_MS 200

struct attempt_path {
    struct {
        void (*start)(struct attempt_job *job);
        enum attempt_step next;    /* when the step did what it is for */
        enum attempt_step instead; /* when it did not */
    } steps[STEP_END];
};

/* A sale or an authorisation. */
static const struct attempt_path SALE_PATH = {{
    [STEP_INTEND] = {attempt_intend, STEP_REVEAL, STEP_RELEASE},
    [STEP_REVEAL] = {attempt_reveal, STEP_SEND, STEP_RECORD},
    [STEP_SEND] = {attempt_send, STEP_RECORD, STEP_RECORD},
    [STEP_RECORD] = {attempt_record, STEP_TELL, STEP_TELL},
    [STEP_RELEASE] = {attempt_release, STEP_TELL, STEP_TELL},
    [STEP_TELL] = {attempt_tell, STEP_END, STEP_END},
}};

/* A capture, void or refund: it follows a transaction that the processor knows; no card. */
static const struct attempt_path FOLLOW_UP_PATH = {{
    [STEP_INTEND] = {attempt_intend, STEP_SEND, STEP_TELL},
    [STEP_SEND] = {attempt_send, STEP_RECORD, STEP_RECORD},
    [STEP_RECORD] = {attempt_record, STEP_TELL, STEP_TELL},
    [STEP_RELEASE] = {attempt_release, STEP_TELL, STEP_TELL},
    [STEP_TELL] = {attempt_tell, STEP_END, STEP_END},
}};

/* Of mutants (lib/mutant.h): the same steps in an order that breaks a promise. */
static const struct attempt_path TELL_BEFORE_COMMIT_PATH = {{
    [STEP_INTEND] = {attempt_intend, STEP_REVEAL, STEP_TELL},
    [STEP_REVEAL] = {attempt_reveal, STEP_SEND, STEP_RECORD},
    [STEP_SEND] = {attempt_send, STEP_TELL, STEP_TELL},
    [STEP_TELL] = {attempt_tell, STEP_RECORD, STEP_RECORD},
    [STEP_RECORD] = {attempt_record, STEP_END, STEP_END},
}};
static const struct attempt_path SEND_BEFORE_ROW_PATH = {{
    [STEP_REVEAL] = {attempt_reveal, STEP_SEND, STEP_RECORD},
    [STEP_SEND] = {attempt_send, STEP_INTEND, STEP_INTEND},
    [STEP_INTEND] = {attempt_intend, STEP_RECORD, STEP_TELL},
    [STEP_RECORD] = {attempt_record, STEP_TELL, STEP_TELL},
    [STEP_TELL] = {attempt_tell, STEP_END, STEP_END},
}};

/* An unclear void sent once more; the inquiry that looks into it decides what the answer means. */
static const struct attempt_path REPEAT_PATH = {{
    [STEP_INTEND] = {attempt_intend_repeat, STEP_SEND, STEP_END},
    [STEP_SEND] = {attempt_send, STEP_END, STEP_END},
}};

const char *operation_text(enum connector_operation operation)
{
    switch (operation) {
    case OPERATION_SALE:
        return "SALE";
    case OPERATION_AUTH:
        return "AUTH";
    case OPERATION_CAPTURE:
        return "CAPTURE";
    case OPERATION_VOID:
        return "VOID";
    case OPERATION_REFUND:
        return "REFUND";
    }
    abort();
}

void attempt_scope(char *out, size_t size, const char *location, const char *pos)
{
    int n = snprintf(out, size, "%s/%s", location, pos);
    assert(n > 0 && (size_t)n < size);
}

void attempt_actor(char out[ACTOR_BYTES], const struct ipc_request *request, const char *told)
{
    const bool terminald = (ipc_request_peers(request) & PEER_TERMINALD) != 0;
    snprintf(out, ACTOR_BYTES, "%s", terminald && *told ? told : ipc_request_pos(request));
}

static void attempt_retry(void *context)
{
    struct attempt_job *job = context;
    job->path->steps[job->step].start(job);
}

struct attempt_job *attempt_new(struct gatewayd *g, enum connector_operation operation)
{
    struct attempt_job *job = calloc(1, sizeof *job);
    assert(job);
    job->g = g;
    job->operation = operation;
    job->path =
        operation == OPERATION_SALE || operation == OPERATION_AUTH ? &SALE_PATH : &FOLLOW_UP_PATH;
    job->epoch = 1;
    id_new("", job->ref);
    job->retry = timer_new(g->loop, attempt_retry, job);
    job->patience = timer_new(g->loop, attempt_patience_over, job);
    job->next = g->jobs;
    if (g->jobs) {
        g->jobs->previous = job;
    }
    g->jobs = job;
    g->job_count++;
    return job;
}

struct attempt_job *attempt_new_repeat(struct gatewayd *g, const char *ref, int64_t epoch)
{
    struct attempt_job *job = attempt_new(g, OPERATION_VOID);
    job->path = &REPEAT_PATH;
    job->epoch = epoch;
    job->outcome.outcome = OUTCOME_UNKNOWN;
    TEXT_COPY(job->ref, ref);
    return job;
}

static void attempt_free(struct attempt_job *job)
{
    assert(job->waiter_count == 0);
    struct gatewayd *g = job->g;
    if (job->on_end.ended) {
        job->on_end.ended(job->on_end.context, job);
    }
    if (job->previous) {
        job->previous->next = job->next;
    } else {
        g->jobs = job->next;
    }
    if (job->next) {
        job->next->previous = job->previous;
    }
    g->job_count--;
    timer_free(job->retry);
    timer_free(job->patience);
    error_free(job->refusal);
    message_free(MESSAGE_PAYMENT_ANSWER, job->answer);
    if (job->sale) {
        free(job->sale->invoices);
        free(job->sale);
    }
    http_request_free(job->request);
    free(job);
}

void attempt_start(struct attempt_job *job, struct ipc_request *request)
{
    assert(job->step == STEP_INTEND);
    if (request && attempt_wait_until(job, request) <= clock_boot_ms()) {
        ipc_refuse(request, error_refused("deadline_passed", "", "%s",
                                          "The time left was over before it was begun. Nothing "
                                          "was charged."));
        attempt_free(job);
        return;
    }
    if (request) {
        attempt_wait(job, request);
        job->deadline_boot_ms = job->waiters[0].deadline_boot_ms;
    }
    if (MUTANT("tell_before_commit") && job->sale) {
        job->path = &TELL_BEFORE_COMMIT_PATH;
    }
    if (MUTANT("send_before_row") && job->sale) {
        job->path = &SEND_BEFORE_ROW_PATH;
        job->step = STEP_REVEAL;
        TEXT_COPY(job->processor, "clearent");
        TEXT_COPY(job->account, "main");
    }
    job->path->steps[job->step].start(job);
}

void attempt_resume(struct attempt_job *job, bool went_on)
{
    assert(job->step < STEP_END);
    job->step = went_on ? job->path->steps[job->step].next : job->path->steps[job->step].instead;
    job->tries = 0;
    if (job->step == STEP_END) {
        attempt_free(job);
        return;
    }
    job->path->steps[job->step].start(job);
}

struct attempt_job *attempt_find(struct gatewayd *g, const char *ref)
{
    for (struct attempt_job *job = g->jobs; job; job = job->next) {
        if (strcmp(job->ref, ref) == 0 && job->path != &REPEAT_PATH) { /* a repeat tells nobody */
            return job;
        }
    }
    return NULL;
}

bool attempt_has_room(const struct gatewayd *g)
{
    return g->job_count < ATTEMPT_JOBS_MAX &&
           secret_memory_left() >= ((size_t)g->job_count + 1) * ATTEMPT_SECRET_BYTES;
}

bool attempt_shed(struct gatewayd *g, struct ipc_request *request)
{
    bool away = !g->serving || gatewayd_database_away(g);
    if (!away && !daemon_draining(g->daemon) && attempt_has_room(g)) {
        return false;
    }
    log_event(LOG_REQUEST_SHED, {"KOMETPAY_REQUEST", message_name(ipc_request_type(request))});
    ipc_refuse(request, error_refused("busy", "", "%s",
                                      away ? "The database isn't ready; try again shortly."
                                           : "Too much to do at the moment; try again shortly."));
    return true;
}

/* A commit in doubt is never guessed: the same idempotent question again, until it is answered. */
void attempt_ask_again(struct attempt_job *job, const struct error *e)
{
    log_error(LOG_COMMIT_UNKNOWN, e, job->payment);
    job->tries++;
    timer_arm(job->retry, COMMIT_RETRY_MS * (job->tries < 10 ? job->tries : 10));
}
