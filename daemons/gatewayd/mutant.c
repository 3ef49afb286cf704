/* Money requests of mutants. Must never be in a program but those of the kill tests' own proof. */
#include "daemons/gatewayd/mutant.h"

#ifdef KOMETPAY_MUTANTS

#include <assert.h>

#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/outcome.h"
#include "lib/secret.h"
#include "lib/text_copy.h"

#define TEST_PAN "4111111111111111"
#define TIMEOUT_MS 1000

static void answered(void *context, const struct http_result *result)
{
    (void)context, (void)result;
}

void mutant_send(struct gatewayd *g, const char *processor, const char *account,
                 const struct money_request *money)
{
    struct secret *pan = secret_new(TEST_PAN, sizeof TEST_PAN - 1);
    const struct card card = {
        .pan = pan, .expiry = "1230", .holder = "", .street = "", .postal_code = ""};
    struct money_request m = *money;
    struct http_request *request = NULL;
    struct error *e = credential_of(processor, account, &m.credential);
    assert(!e);
    m.base_url = gatewayd_base_url(g, processor);
    m.card = m.operation == OPERATION_SALE ? &card : NULL;
    e = connector_find(processor)->build_money(&m, &request);
    assert(!e);
    secret_free(pan);
    request->money = true;
    request->connect_timeout_ms = TIMEOUT_MS;
    request->timeout_ms = TIMEOUT_MS;
    http_send(g->processors, request, answered, NULL);
}

void mutant_answer(struct attempt_job *job, const char *state)
{
    struct msg_payment_answer *a = message_new(MESSAGE_PAYMENT_ANSWER);
    TEXT_COPY(job->state, state);
    TEXT_COPY(a->state, state);
    TEXT_COPY(a->payment, job->payment);
    TEXT_COPY(a->attempt, job->ref);
    a->kind = payment_answer_kind_from_text(operation_text(job->operation));
    a->outcome = (enum payment_answer_outcome)state_told(state);
    a->amount_minor = job->sale->amount_minor;
    TEXT_COPY(a->currency, job->sale->currency);
    TEXT_COPY(a->last_four, job->sale->last_four);
    job->answer = a;
}

#endif
