/* An unclear void: asked for its original, and repeated while the original lives. Must never repeat
 * anything but a void, which by the original's id is harmless. */
#include <string.h>

#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/inquiry_state.h"
#include "daemons/gatewayd/outcome.h"
#include "daemons/gatewayd/resolution.h"
#include "lib/log.h"
#include "lib/text_copy.h"

static void void_repeated(void *context, const struct http_result *result)
{
    struct inquiry *q = context;
    q->connector->parse_money(&q->money, result, &q->outcome);
    const char *state = outcome_state(&q->outcome);
    if (strcmp(state, "APPROVED") == 0) {
        inquiry_record(q, state);
    } else {
        inquiry_later(q, resolution_delay_ms(q->tries));
    }
}

/* A void by the original's id is harmless to repeat; its reference stays the same. */
static void repeat_void(struct inquiry *q, const struct secret *credential)
{
    struct money_request *m = &q->money;
    m->operation = OPERATION_VOID;
    m->ref = q->ref;
    m->amount_minor = q->amount_minor;
    memcpy(m->currency, q->currency, sizeof m->currency);
    memcpy(m->last_four, q->last_four, sizeof m->last_four);
    m->follows = q->follows;
    m->credential = credential;
    m->base_url = gatewayd_base_url(q->g, q->processor);
    struct http_request *request = NULL;
    struct error *e = q->connector->build_money(m, &request);
    if (e) {
        log_error(LOG_REQUEST_FAILED, e, q->payment);
        error_free(e);
        inquiry_later(q, resolution_delay_ms(q->tries));
        return;
    }
    request->money = true;
    request->connect_timeout_ms = LOOKUP_CONNECT_TIMEOUT_MS;
    request->timeout_ms = q->g->send_timeout_ms;
    http_send(q->g->processors, request, void_repeated, q);
}

static void original_answered(void *context, const struct http_result *result)
{
    struct inquiry *q = context;
    const struct secret *credential = NULL;
    struct error *e = credential_of(q->processor, q->account, &credential);
    struct original_request request = {.follows = q->follows,
                                       .credential = credential,
                                       .base_url = gatewayd_base_url(q->g, q->processor)};
    memcpy(request.currency, q->currency, sizeof request.currency);
    struct original_outcome original;
    q->connector->parse_original(&request, result, &original);
    error_free(e);
    memset(&q->outcome, 0, sizeof q->outcome);
    switch (original.original) {
    case ORIGINAL_VOIDED:
        TEXT_COPY(q->outcome.processor_id, original.void_id);
        inquiry_record(q, "APPROVED");
        return;
    case ORIGINAL_SETTLED:
        TEXT_COPY(q->outcome.reason, "BATCH_CLOSED");
        inquiry_record(q, "DECLINED");
        return;
    case ORIGINAL_LIVE:
        if (credential) {
            repeat_void(q, credential);
            return;
        }
        inquiry_later(q, resolution_delay_ms(q->tries));
        return;
    case ORIGINAL_ABSENT:
    case ORIGINAL_UNCLEAR:
        inquiry_later(q, resolution_delay_ms(q->tries));
        return;
    }
}

void inquiry_ask_original(struct inquiry *q)
{
    const struct secret *credential = NULL;
    struct http_request *request = NULL;
    struct error *e = credential_of(q->processor, q->account, &credential);
    if (!e) {
        struct original_request original = {.follows = q->follows,
                                            .credential = credential,
                                            .base_url = gatewayd_base_url(q->g, q->processor)};
        memcpy(original.currency, q->currency, sizeof original.currency);
        e = q->connector->build_original(&original, &request);
    }
    if (e) {
        log_error(LOG_REQUEST_FAILED, e, q->payment);
        error_free(e);
        inquiry_later(q, resolution_delay_ms(q->tries));
        return;
    }
    request->connect_timeout_ms = LOOKUP_CONNECT_TIMEOUT_MS;
    request->timeout_ms = q->g->lookup_timeout_ms;
    http_send(q->g->processors, request, original_answered, q);
}
