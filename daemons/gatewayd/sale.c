/* From a request's message to a job. Must never touch the database or a processor: the job's steps
 * do. */
#include "daemons/gatewayd/sale.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/request_fingerprint.h"
#include "lib/text_copy.h"

/* The job outlives the request's message when patience ends first. */
static struct msg_sale *sale_copy(const struct msg_sale *from)
{
    struct msg_sale *sale = malloc(sizeof *sale);
    assert(sale);
    *sale = *from;
    sale->invoices = NULL;
    if (from->invoices_count) {
        sale->invoices = calloc(from->invoices_count, sizeof *sale->invoices);
        assert(sale->invoices);
        memcpy(sale->invoices, from->invoices, from->invoices_count * sizeof *sale->invoices);
    }
    return sale;
}

void sale_requested(void *context, struct ipc_request *request, const void *message)
{
    struct gatewayd *g = context;
    const struct msg_sale *sale = message;
    if (attempt_shed(g, request)) {
        return;
    }
    struct attempt_job *job =
        attempt_new(g, sale->kind == SALE_KIND_SALE ? OPERATION_SALE : OPERATION_AUTH);
    job->sale = sale_copy(sale);
    attempt_scope(job->scope, sizeof job->scope, sale->location, sale->pos);
    TEXT_COPY(job->location, sale->location);
    TEXT_COPY(job->pos, sale->pos);
    attempt_actor(job->actor, request, sale->actor);
    TEXT_COPY(job->key, sale->key);
    request_fingerprint_sale(sale, job->fingerprint);
    attempt_start(job, request);
}

struct follow_up_request {
    const char *key, *location, *pos, *actor, *payment;
    int64_t amount_minor;
};

static void follow_up_start(struct gatewayd *g, struct ipc_request *request,
                            enum connector_operation operation,
                            const struct follow_up_request *asked)
{
    if (attempt_shed(g, request)) {
        return;
    }
    struct attempt_job *job = attempt_new(g, operation);
    struct follow_up *f = &job->follow_up;
    TEXT_COPY(f->payment, asked->payment);
    f->amount_minor = asked->amount_minor;
    TEXT_COPY(job->location, asked->location);
    TEXT_COPY(job->pos, asked->pos);
    TEXT_COPY(job->key, asked->key);
    attempt_actor(job->actor, request, asked->actor);
    request_fingerprint_follow_up(operation_text(operation), asked->payment, asked->amount_minor,
                                  job->fingerprint);
    attempt_start(job, request);
}

void capture_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_capture *m = message;
    follow_up_start(context, request, OPERATION_CAPTURE,
                    &(struct follow_up_request){m->key, m->location, m->pos, m->actor, m->payment,
                                                m->amount_minor});
}

void void_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_void *m = message;
    follow_up_start(
        context, request, OPERATION_VOID,
        &(struct follow_up_request){m->key, m->location, m->pos, m->actor, m->payment, 0});
}

void refund_requested(void *context, struct ipc_request *request, const void *message)
{
    const struct msg_refund *m = message;
    follow_up_start(context, request, OPERATION_REFUND,
                    &(struct follow_up_request){m->key, m->location, m->pos, m->actor, m->payment,
                                                m->amount_minor});
}
