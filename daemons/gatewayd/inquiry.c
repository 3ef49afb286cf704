/* The steps of looking into one attempt. Must never send a sale again, and never move money without
 * a committed intent of its own: a reversal is an attempt like any other. */
#include "daemons/gatewayd/inquiry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/credential.h"
#include "daemons/gatewayd/inquiry_state.h"
#include "daemons/gatewayd/mutant.h"
#include "daemons/gatewayd/outcome.h"
#include "daemons/gatewayd/processor_health.h"
#include "daemons/gatewayd/resolution.h"
#include "daemons/gatewayd/resolver.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define COMMIT_RETRY_MS 500
#define PROBE_MS 2000
#define HANGING_MS 3000 /* without an answer so long, the processor may be down */
#define PAGES_MAX 200

static LIST_HEAD(, inquiry) inquiries = LIST_HEAD_INITIALIZER(inquiries);

static void ask(struct inquiry *q);
static void record(struct inquiry *q);

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

static void inquiry_end(struct inquiry *q)
{
    struct gatewayd *g = q->g;
    timer_free(q->retry);
    timer_free(q->hanging);
    LIST_REMOVE(q, link);
    free(q);
    resolver_inquiry_ended(g->resolver);
}

static void record_again(void *context)
{
    record(context);
}

static void recorded(void *context, enum database_outcome outcome, const struct rows *rows,
                     const struct error *e)
{
    struct inquiry *q = context;
    if (outcome != DATABASE_DONE) {
        log_error(LOG_COMMIT_UNKNOWN, e, q->payment);
        timer_arm(q->retry, COMMIT_RETRY_MS);
        return;
    }
    struct recorded r = recorded_read(rows);
    if (r.applied && strcmp(r.state, q->state) != 0) {
        log_event(strcmp(r.state, "REVIEW") == 0 ? LOG_PAYMENT_REVIEW : LOG_PAYMENT_RESOLVED,
                  {"KOMETPAY_PAYMENT", q->payment}, {"KOMETPAY_ATTEMPT", q->ref},
                  {"KOMETPAY_STATE", r.state});
    }
    inquiry_end(q);
}

static void record(struct inquiry *q)
{
    struct result_record result = {
        .ref = q->ref,
        .holder = q->g->instance,
        .state = q->to_state,
        .actor = q->actor,
        .epoch = q->epoch,
        .outcome = &q->outcome,
        .next_try_ms = q->next_try_ms,
        .horizon_ms = -1,
    };
    payment_store_result(q->g->db, &result, recorded, q);
}

void inquiry_record(struct inquiry *q, const char *state)
{
    q->to_state = state;
    q->actor = "resolver";
    if (strcmp(state, "REVERSING") == 0) {
        q->next_try_ms = 0;
    } else if (strcmp(state, "REVIEW") == 0) {
        q->next_try_ms = clock_interval_ms(resolution_delay_ms(INT32_MAX));
    } else if (strcmp(state, "NOT_CHARGED") == 0) {
        q->next_try_ms = MUTANT("no_watch") ? -1 : clock_interval_ms(resolution_watch_ms(0));
    } else {
        assert(state_is_final(state));
        q->next_try_ms = -1;
    }
    record(q);
}

/* Of mutants: moves money that nobody has committed to. */
static void move_unasked(const struct inquiry *q, enum connector_operation operation,
                         const char *ref, const char *follows)
{
    struct money_request m = {
        .operation = operation, .ref = ref, .amount_minor = q->amount_minor, .follows = follows};
    memcpy(m.currency, q->currency, sizeof m.currency);
    memcpy(m.last_four, q->last_four, sizeof m.last_four);
    mutant_send(q->g, q->processor, q->account, &m);
}

/* Nothing new is known. What is unclear for a whole day is a person's matter, and watched on. */
void inquiry_later(struct inquiry *q, int64_t business_ms)
{
    bool unclear = strcmp(q->state, "UNKNOWN") == 0 || strcmp(q->state, "REVERSING") == 0;
    if (unclear && clock_business_ms(q->age_ms) > RESOLUTION_REVIEW_MS) {
        inquiry_record(q, "REVIEW");
        return;
    }
    q->to_state = q->state;
    q->actor = "resolver";
    q->next_try_ms = clock_interval_ms(business_ms);
    memset(&q->outcome, 0, sizeof q->outcome);
    record(q);
}

static void absent_noted(void *context, enum database_outcome outcome, const struct rows *rows,
                         const struct error *e)
{
    struct inquiry *q = context;
    (void)e;
    if (outcome != DATABASE_DONE || rows_count(rows) == 0) {
        inquiry_later(q, PROBE_MS);
    } else if (clock_business_ms(rows_int(rows, 0, "absent_for_ms")) >= RESOLUTION_TWICE_MS) {
        inquiry_record(q, "NOT_CHARGED");
    } else {
        inquiry_later(q, RESOLUTION_TWICE_MS);
    }
}

/* Believed only if the question was put after the horizon, and again a minute later. */
static void absent(struct inquiry *q)
{
    memset(&q->outcome, 0, sizeof q->outcome);
    if (MUTANT("early_notfound")) {
        inquiry_record(q, "NOT_CHARGED");
        return;
    }
    if (MUTANT("resend_notfound") && q->tries == 0) {
        move_unasked(q, OPERATION_SALE, q->ref, NULL);
    }
    if (!q->past_horizon) {
        inquiry_later(q, resolution_delay_ms(q->tries));
        return;
    }
    payment_store_absent(q->g->db, q->ref, q->g->instance, q->epoch, absent_noted, q);
}

/* The reversal runs as an attempt of its own, committed before it is sent. */
static void reverse(struct inquiry *q, const char *processor_id)
{
    struct attempt_job *job = attempt_new(q->g, OPERATION_VOID);
    TEXT_COPY(job->follow_up.parent, q->ref);
    TEXT_COPY(job->follow_up.parent_processor_id, processor_id);
    job->follow_up.parent_epoch = q->epoch;
    TEXT_COPY(job->payment, q->payment);
    job->on_end = (struct attempt_end){inquiry_reversal_ended, q};
    attempt_start(job, NULL);
}

/* Charged more than once under one reference: the earliest stays, the others are taken back one by
 * one, and only then is the payment called approved. */
static void reverse_surplus(struct inquiry *q)
{
    if (q->surplus < q->found.id_count) {
        reverse(q, q->found.ids[q->surplus]);
    } else if (strcmp(q->state, "REVERSING") == 0) {
        q->surplus = 0;
        reverse(q, q->found.ids[0]);
    } else {
        inquiry_record(q, q->found.found.partial ? "REVERSING" : "APPROVED");
    }
}

/* Only what the processor has confirmed counts as taken back. */
void inquiry_reversal_ended(void *context, const struct attempt_job *job)
{
    struct inquiry *q = context;
    bool taken_back = job->begun == BEGIN_DONE || strcmp(job->state, "APPROVED") == 0;
    if (!taken_back) {
        inquiry_later(q, resolution_delay_ms(q->tries));
    } else if (q->surplus) {
        q->surplus++;
        reverse_surplus(q);
    } else {
        inquiry_record(q, "REVERSED");
    }
}

static struct lookup_request lookup_request_of(const struct inquiry *q,
                                               const struct secret *credential)
{
    int64_t now = clock_wall_us() / 1000000;
    struct lookup_request r = {
        .operation = operation_of(q->kind),
        .ref = q->ref,
        .step = q->step,
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

static void decide(struct inquiry *q)
{
    struct resolution_rule rule = resolution_of(q->kind, q->state, q->found.lookup);
    log_event(LOG_PAYMENT_LOOKED_UP, {"KOMETPAY_PAYMENT", q->payment}, {"KOMETPAY_ATTEMPT", q->ref},
              {"KOMETPAY_STATE", q->state}, {"KOMETPAY_LOOKUP", lookup_name(q->found.lookup)});
    if (q->found.alarm) {
        log_event(LOG_PROCESSOR_ALARM, {"KOMETPAY_PAYMENT", q->payment},
                  {"KOMETPAY_ATTEMPT", q->ref});
    }
    q->outcome = q->found.found;
    if (MUTANT("void_without_intent") && strcmp(q->state, "UNKNOWN") == 0 &&
        q->found.lookup == LOOKUP_APPROVED) {
        char ref[ID_MAX];
        id_new("", ref);
        move_unasked(q, OPERATION_VOID, ref, q->found.found.processor_id);
    }
    switch (rule.action) {
    case RESOLVE_TO:
        if (strcmp(rule.state, "APPROVED") == 0 && q->found.found.partial) {
            inquiry_record(q, "REVERSING");
            return;
        }
        inquiry_record(q, rule.state);
        return;
    case RESOLVE_LATER:
        if (q->found.lookup == LOOKUP_UNCLEAR) {
            suspect_processor(q);
        }
        inquiry_later(q, resolution_delay_ms(q->tries));
        return;
    case RESOLVE_ABSENT:
        absent(q);
        return;
    case RESOLVE_REVERSE:
        reverse(q, q->found.found.processor_id);
        return;
    case RESOLVE_SURPLUS:
        log_event(LOG_PROCESSOR_ALARM, {"KOMETPAY_PAYMENT", q->payment},
                  {"KOMETPAY_ATTEMPT", q->ref}, {"KOMETPAY_REASON", "charged more than once"});
        q->surplus = 1;
        reverse_surplus(q);
        return;
    case RESOLVE_ORIGINAL:
        inquiry_ask_original(q);
        return;
    case RESOLVE_WATCH: {
        int64_t watch = resolution_watch_ms(clock_business_ms(q->age_ms));
        memset(&q->outcome, 0, sizeof q->outcome);
        q->to_state = q->state;
        q->actor = "resolver";
        q->next_try_ms = watch < 0 ? -1 : clock_interval_ms(watch);
        record(q);
        return;
    }
    }
}

/* 'Not found' must be said to every question by reference. Where a search stays unclear though the
 * processor answers, the connector's roundabout question may find, but never prove absence. */
static bool another_question(struct inquiry *q, bool answers)
{
    const struct connector *c = q->connector;
    if (q->found.lookup == LOOKUP_ABSENT && q->step + 1 < c->lookup_steps) {
        q->step++;
        return true;
    }
    if (q->found.lookup == LOOKUP_UNCLEAR && answers && c->fallback_step >= 0 &&
        q->step != c->fallback_step) {
        q->step = c->fallback_step;
        return true;
    }
    return false;
}

static void hanging(void *context)
{
    struct inquiry *q = context;
    q->hangs = true;
    suspect_processor(q);
}

static void looked_up(void *context, const struct http_result *result)
{
    struct inquiry *q = context;
    timer_disarm(q->hanging);
    q->hangs = false;
    if (q->given_up) {
        inquiry_later(q, 0);
        return;
    }
    struct lookup_request request = lookup_request_of(q, NULL);
    q->connector->parse_lookup(&request, result, &q->found);
    if (q->found.lookup != LOOKUP_UNCLEAR) {
        processor_answered(q->g, q->processor, q->account);
    }
    if (*q->found.next && ++q->pages < PAGES_MAX) {
        memcpy(q->cursor, q->found.next, sizeof q->cursor);
        ask(q);
    } else if (another_question(q, result->curl_code == 0)) {
        *q->cursor = 0;
        ask(q);
    } else {
        decide(q);
    }
}

static void ask(struct inquiry *q)
{
    const struct secret *credential = NULL;
    struct http_request *request = NULL;
    struct error *e = credential_of(q->processor, q->account, &credential);
    if (!e) {
        struct lookup_request lookup = lookup_request_of(q, credential);
        e = q->connector->build_lookup(&lookup, &request);
    }
    if (e) {
        log_error(LOG_REQUEST_FAILED, e, q->payment);
        error_free(e);
        inquiry_later(q, resolution_delay_ms(q->tries));
        return;
    }
    request->connect_timeout_ms = LOOKUP_CONNECT_TIMEOUT_MS;
    request->timeout_ms = q->g->lookup_timeout_ms;
    timer_arm(q->hanging, HANGING_MS);
    http_send(q->g->processors, request, looked_up, q);
}

void inquiries_ask_anew(struct gatewayd *g, const char *processor, const char *account)
{
    for (struct inquiry *q = LIST_FIRST(&inquiries), *next; q; q = next) {
        next = LIST_NEXT(q, link);
        if (q->hangs && strcmp(q->processor, processor) == 0 && strcmp(q->account, account) == 0) {
            q->given_up = true;
            http_cancel(g->processors, looked_up, q);
        }
    }
}

#define TAKE(field, column) TEXT_COPY(field, rows_text(rows, row, column))

void inquiry_start(struct gatewayd *g, const struct rows *rows, size_t row)
{
    struct inquiry *q = calloc(1, sizeof *q);
    assert(q);
    q->g = g;
    TAKE(q->ref, "ref");
    TAKE(q->payment, "payment");
    TAKE(q->kind, "kind");
    TAKE(q->state, "state");
    TAKE(q->processor, "processor");
    TAKE(q->account, "account");
    TAKE(q->currency, "currency");
    TAKE(q->last_four, "last_four");
    TAKE(q->follows, "follows");
    TAKE(q->parent, "parent");
    TAKE(q->processor_id, "processor_id");
    q->epoch = rows_int(rows, row, "epoch");
    q->amount_minor = rows_int(rows, row, "amount_minor");
    q->tries = rows_int(rows, row, "tries");
    q->age_ms = rows_int(rows, row, "age_ms");
    q->closed_ms = rows_int(rows, row, "closed_ms");
    q->past_horizon = rows_bool(rows, row, "past_horizon");
    q->retry = timer_new(g->loop, record_again, q);
    q->hanging = timer_new(g->loop, hanging, q);
    LIST_INSERT_HEAD(&inquiries, q, link);
    q->connector = connector_find(q->processor);
    if (!q->connector) {
        inquiry_later(q,
                      resolution_delay_ms(q->tries)); /* a newer suite made it; it stays, watched */
        return;
    }
    ask(q);
}
