/* The questions to the processor: about one attempt by our reference, and about a transaction by
 * the processor's id. Must never take silence, or an answer that isn't clear, for 'not found'. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/inquiry_state.h"
#include "daemons/gatewayd/processor_health.h"
#include "lib/clock.h"

#define HANGING_MS 3000 /* without an answer so long, the processor may be down */

static enum connector_operation operation_of(const char *kind)
{
    for (int op = OPERATION_SALE; op <= OPERATION_REFUND; op++) {
        if (strcmp(operation_text((enum connector_operation)op), kind) == 0) {
            return (enum connector_operation)op;
        }
    }
    assert(!"a kind that the schema doesn't have");
    abort();
}

static struct lookup_request lookup_request_of(const struct inquiry *q,
                                               const struct secret *credential)
{
    int64_t now = clock_wall_us() / 1000000;
    struct lookup_request r = {
        .operation = operation_of(q->kind),
        .ref = q->ref,
        .step = q->question,
        .amount_minor = q->amount_minor,
        .follows = *q->follows ? q->follows : NULL,
        .processor_id = *q->processor_id ? q->processor_id : NULL,
        .sent_at = now - q->age_ms / 1000,
        .closed_at = now - q->closed_ms / 1000,
        .cursor = *q->cursor ? q->cursor : NULL,
        .credential = credential,
        .base_url = gatewayd_base_url(q->g, q->processor),
    };
    memcpy(r.currency, q->currency, sizeof r.currency);
    memcpy(r.last_four, q->last_four, sizeof r.last_four);
    return r;
}

static void suspect_processor(struct inquiry *q)
{
    struct lookup_request question = lookup_request_of(q, NULL);
    processor_failed(q->g, q->processor, q->account, &question);
}

/* 'Not found' must be said to every question by reference. Where a search stays unclear though the
 * processor answers, the connector's roundabout question may find, but never prove absence. */
static bool another_question(struct inquiry *q, bool answers)
{
    const struct connector *c = q->connector;
    if (q->found.lookup == LOOKUP_ABSENT && q->question + 1 < c->lookup_steps) {
        q->question++;
        return true;
    }
    if (q->found.lookup == LOOKUP_UNCLEAR && answers && c->fallback_step >= 0 &&
        q->question != c->fallback_step) {
        q->question = c->fallback_step;
        return true;
    }
    return false;
}

static void looked_up(void *context, const struct http_result *result)
{
    struct inquiry *q = context;
    timer_disarm(q->hanging);
    q->hangs = false;
    if (q->given_up) {
        inquiry_later_in(q, 0);
        return;
    }
    struct lookup_request request = lookup_request_of(q, NULL);
    q->connector->parse_lookup(&request, result, &q->found);
    q->reached = processor_reached(result);
    if (q->reached) {
        processor_answered(q->g, q->processor, q->account);
    } else {
        suspect_processor(q);
    }
    if (*q->found.next && ++q->pages < CONNECTOR_PAGES_MAX) {
        memcpy(q->cursor, q->found.next, sizeof q->cursor);
        inquiry_go(q, INQUIRY_ASK);
    } else if (another_question(q, result->curl_code == 0)) {
        *q->cursor = 0;
        inquiry_go(q, INQUIRY_ASK);
    } else {
        inquiry_go(q, INQUIRY_DECIDE);
    }
}

static void hanging(void *context)
{
    struct inquiry *q = context;
    q->hangs = true;
    suspect_processor(q);
}

struct timer *inquiry_hanging_timer(struct inquiry *q)
{
    return timer_new(q->g->loop, hanging, q);
}

void inquiry_give_up(struct inquiry *q)
{
    q->given_up = true;
    http_cancel(q->g->processors, looked_up, q);
}

void inquiry_ask_anew(struct inquiry *q)
{
    q->question = 0;
    q->pages = 0;
    *q->cursor = 0;
    inquiry_go(q, INQUIRY_ASK);
}

void inquiry_ask(struct inquiry *q)
{
    const struct secret *credential = NULL;
    struct http_request *request = NULL;
    struct error *e = credential_of(q->processor, q->account, &credential);
    if (!e) {
        struct lookup_request lookup = lookup_request_of(q, credential);
        e = q->connector->build_lookup(&lookup, &request);
    }
    if (e) {
        inquiry_unable(q, e);
        return;
    }
    request->connect_timeout_ms = LOOKUP_CONNECT_TIMEOUT_MS;
    request->timeout_ms = q->g->lookup_timeout_ms;
    timer_arm(q->hanging, HANGING_MS);
    http_send(q->g->processors, request, looked_up, q);
}

static struct original_request original_request_of(const struct inquiry *q, const char *id,
                                                   const struct secret *credential)
{
    struct original_request r = {
        .follows = id, .credential = credential, .base_url = gatewayd_base_url(q->g, q->processor)};
    memcpy(r.currency, q->currency, sizeof r.currency);
    return r;
}

void inquiry_original_ask(struct inquiry *q, const char *id, http_done *done)
{
    const struct secret *credential = NULL;
    struct http_request *request = NULL;
    struct error *e = credential_of(q->processor, q->account, &credential);
    if (!e) {
        struct original_request original = original_request_of(q, id, credential);
        e = q->connector->build_original(&original, &request);
    }
    if (e) {
        inquiry_unable(q, e);
        return;
    }
    request->connect_timeout_ms = LOOKUP_CONNECT_TIMEOUT_MS;
    request->timeout_ms = q->g->lookup_timeout_ms;
    http_send(q->g->processors, request, done, q);
}

struct original_outcome inquiry_original_read(const struct inquiry *q, const char *id,
                                              const struct http_result *result)
{
    struct original_request request = original_request_of(q, id, NULL);
    struct original_outcome original;
    q->connector->parse_original(&request, result, &original);
    return original;
}
