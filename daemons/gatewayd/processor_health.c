/* Failing accounts and their probes. Must never hold work back, nor decide anything about the
 * attempt that a probe asks about: it only brings work forward. */
#include "daemons/gatewayd/processor_health.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/inquiry.h"
#include "daemons/gatewayd/payment_store.h"
#include "daemons/gatewayd/resolver.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define PROBE_MS 1000
#define PROBE_TIMEOUT_MS 3000 /* a processor that is merely slow answers the resolver's own */

struct health {
    struct gatewayd *g;
    char processor[21], account[41];
    bool failing, asking;
    struct lookup_request question; /* its texts are below */
    char ref[ID_MAX], follows[CONNECTOR_ID_SIZE], processor_id[CONNECTOR_ID_SIZE];
    struct timer *probe;
    struct health *next;
};
static struct health *accounts;

static void probe(void *context);

static struct health *health_of(struct gatewayd *g, const char *processor, const char *account)
{
    for (struct health *h = accounts; h; h = h->next) {
        if (strcmp(h->processor, processor) == 0 && strcmp(h->account, account) == 0) {
            return h;
        }
    }
    struct health *h = calloc(1, sizeof *h);
    assert(h);
    h->g = g;
    TEXT_COPY(h->processor, processor);
    TEXT_COPY(h->account, account);
    h->probe = timer_new(g->loop, probe, h);
    h->next = accounts;
    accounts = h;
    return h;
}

bool processor_reached(const struct http_result *result)
{
    return result->curl_code == 0 && result->status != 429 && result->status < 500;
}

static void question_copy(struct health *h, const struct lookup_request *question)
{
    h->question = *question;
    TEXT_COPY(h->ref, question->ref);
    TEXT_COPY(h->follows, question->follows ? question->follows : "");
    TEXT_COPY(h->processor_id, question->processor_id ? question->processor_id : "");
    h->question.ref = h->ref;
    h->question.follows = *h->follows ? h->follows : NULL;
    h->question.processor_id = *h->processor_id ? h->processor_id : NULL;
    h->question.step = 0;
    h->question.cursor = NULL;
    h->question.credential = NULL;
}

void processor_failed(struct gatewayd *g, const char *processor, const char *account,
                      const struct lookup_request *question)
{
    struct health *h = health_of(g, processor, account);
    if (h->failing) {
        return;
    }
    h->failing = true;
    log_event(LOG_PROCESSOR_UNREACHABLE, {"KOMETPAY_PROCESSOR", processor},
              {"KOMETPAY_ACCOUNT", account});
    question_copy(h, question);
    timer_arm(h->probe, clock_interval_ms(PROBE_MS));
}

static void probe_answered(void *context, const struct http_result *result)
{
    struct health *h = context;
    h->asking = false;
    if (processor_reached(result)) {
        processor_answered(h->g, h->processor, h->account);
    } else if (h->failing) {
        timer_arm(h->probe, clock_interval_ms(PROBE_MS));
    }
}

static void probe(void *context)
{
    struct health *h = context;
    struct http_request *request = NULL;
    struct lookup_request question = h->question;
    if (!h->failing || h->asking) {
        return;
    }
    struct error *e = credential_of(h->processor, h->account, &question.credential);
    if (!e) {
        e = connector_find(h->processor)->build_lookup(&question, &request);
    }
    if (e) {
        log_error(LOG_REQUEST_FAILED, e, NULL);
        error_free(e);
        timer_arm(h->probe, clock_interval_ms(PROBE_MS));
        return;
    }
    request->connect_timeout_ms = PROBE_TIMEOUT_MS;
    request->timeout_ms = PROBE_TIMEOUT_MS;
    h->asking = true;
    http_send(h->g->processors, request, probe_answered, h);
}

static void woken(void *context, enum database_outcome outcome, const struct rows *rows,
                  const struct error *e)
{
    struct health *h = context;
    (void)rows, (void)e;
    if (outcome == DATABASE_DONE) {
        resolver_expect(h->g->resolver);
    } else if (!daemon_draining(h->g->daemon)) {
        payment_store_wake(h->g->db, h->processor, h->account, woken, h);
    }
}

void processor_answered(struct gatewayd *g, const char *processor, const char *account)
{
    struct health *h = health_of(g, processor, account);
    if (h->failing) {
        h->failing = false;
        timer_disarm(h->probe);
        inquiries_ask_anew(g, processor, account);
        payment_store_wake(g->db, processor, account, woken, h);
    }
}
