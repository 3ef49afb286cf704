/* The one POST. Must never be done twice for an attempt, nor after the deadline the caller gave. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/mutant.h"
#include "daemons/gatewayd/outcome.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define CONNECT_TIMEOUT_MS 10000

void attempt_not_sent(struct attempt_job *job, const char *reason, const char *message)
{
    memset(&job->outcome, 0, sizeof job->outcome);
    job->outcome.outcome = OUTCOME_NOT_SENT;
    TEXT_COPY(job->outcome.reason, reason);
    TEXT_COPY(job->outcome.raw_message, message);
}

static void money_request_fill(struct attempt_job *job, const struct card *card,
                               const struct secret *credential)
{
    struct money_request *m = &job->money;
    memset(m, 0, sizeof *m);
    m->operation = job->operation;
    m->ref = job->ref;
    m->card = card;
    m->credential = credential;
    m->base_url = gatewayd_base_url(job->g, job->processor);
    if (job->sale) {
        m->amount_minor = job->sale->amount_minor;
        memcpy(m->currency, job->sale->currency, sizeof m->currency);
        memcpy(m->last_four, job->sale->last_four, sizeof m->last_four);
        m->description = job->sale->description;
        m->customer = job->sale->customer;
    } else {
        m->amount_minor = job->follow_up.amount_minor;
        memcpy(m->currency, job->follow_up.currency, sizeof m->currency);
        memcpy(m->last_four, job->follow_up.last_four, sizeof m->last_four);
        m->follows = job->follow_up.follows;
    }
}

bool attempt_request_build(struct attempt_job *job, const struct card *card)
{
    const struct connector *connector = connector_find(job->processor);
    const struct secret *credential = NULL;
    struct error *e = NULL;
    if (!connector) {
        e = error_failed("processor_unknown", "no connector is called %s", job->processor);
    } else {
        e = credential_of(job->processor, job->account, &credential);
    }
    if (!e) {
        money_request_fill(job, card, credential);
        e = connector->build_money(&job->money, &job->request);
        job->money.card = NULL; /* borrowed for the call only */
    }
    if (e) {
        log_error(LOG_REQUEST_FAILED, e, job->payment);
        attempt_not_sent(job, "SETUP", "The location's merchant account is not ready for payments");
        error_free(e);
        return false;
    }
    job->request->money = true;
    job->request->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    job->request->timeout_ms = job->g->send_timeout_ms;
    return true;
}

static void money_answered(void *context, const struct http_result *result)
{
    struct attempt_job *job = context;
    connector_find(job->processor)->parse_money(&job->money, result, &job->outcome);
    if (job->outcome.alarm || !result->sent_once) {
        log_event(LOG_PROCESSOR_ALARM, {"KOMETPAY_PAYMENT", job->payment},
                  {"KOMETPAY_ATTEMPT", job->ref}, {"KOMETPAY_REQUEST_ID", job->outcome.request_id},
                  {"KOMETPAY_REASON", job->outcome.raw_message});
    }
    if (job->outcome.outcome == OUTCOME_NOT_SENT) {
        TEXT_COPY(job->outcome.reason, "UNREACHABLE");
        log_event(LOG_PROCESSOR_UNREACHABLE, {"KOMETPAY_PAYMENT", job->payment},
                  {"KOMETPAY_REASON", result->error_text});
    }
    if (MUTANT("tell_before_commit")) {
        mutant_answer(job, outcome_state(&job->outcome));
    }
    attempt_resume(job, true);
}

void attempt_send(struct attempt_job *job)
{
    if (!job->sale && !attempt_request_build(job, NULL)) {
        attempt_resume(job, false);
        return;
    }
    if (job->deadline_boot_ms && clock_boot_ms() >= job->deadline_boot_ms) {
        attempt_not_sent(job, "DEADLINE", "The caller had stopped waiting before it was sent");
        attempt_resume(job, false);
        return;
    }
    assert(job->request);
    log_event(LOG_PAYMENT_SENT, {"KOMETPAY_PAYMENT", job->payment}, {"KOMETPAY_ATTEMPT", job->ref},
              {"KOMETPAY_PROCESSOR", job->processor});
    struct http_request *request = job->request;
    job->request = NULL;
    http_send(job->g->processors, request, money_answered, job);
}
