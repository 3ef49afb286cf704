/* The steps of looking into one attempt, and the one function that moves it. Must never send a sale
 * again, and never move money without a committed intent: a reversal is an attempt like any other.
 */
#include "daemons/gatewayd/inquiry.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/inquiry_state.h"
#include "daemons/gatewayd/mutant.h"
#include "daemons/gatewayd/outcome.h"
#include "daemons/gatewayd/processor_health.h"
#include "daemons/gatewayd/resolution.h"
#include "daemons/gatewayd/resolver.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define COMMIT_RETRY_MS 500
#define RECORD_REFUSED_MAX 5 /* times that the database refuses before it is a person's matter */

static LIST_HEAD(, inquiry) inquiries = LIST_HEAD_INITIALIZER(inquiries);

static void inquiry_end(struct inquiry *q);

#define TO(step) (1U << INQUIRY_##step)

static const struct {
    void (*start)(struct inquiry *q);
    unsigned next; /* the steps that may follow */
} STEPS[INQUIRY_STEPS] = {
    [INQUIRY_ASK] = {inquiry_ask, TO(ASK) | TO(DECIDE) | TO(RECORD)},
    [INQUIRY_DECIDE] = {inquiry_decide, TO(REVERSE) | TO(ORIGINAL) | TO(UNLESS) | TO(RECORD)},
    [INQUIRY_REVERSE] = {inquiry_reverse, TO(REVERSE) | TO(ASK) | TO(RECORD)},
    [INQUIRY_ORIGINAL] = {inquiry_ask_original, TO(REPEAT) | TO(UNLESS) | TO(RECORD)},
    [INQUIRY_REPEAT] = {inquiry_repeat, TO(RECORD)},
    [INQUIRY_UNLESS] = {inquiry_unless_found, TO(RECORD) | TO(END)},
    [INQUIRY_RECORD] = {inquiry_record, TO(RECORD) | TO(END)},
    [INQUIRY_END] = {inquiry_end, 0},
};

void inquiry_go(struct inquiry *q, enum inquiry_step step)
{
    assert(step < INQUIRY_STEPS && (STEPS[q->step].next & (1U << step)) != 0);
    q->step = step;
    STEPS[step].start(q);
}

/* ---- what will be recorded ---- */

void inquiry_conclude(struct inquiry *q, const char *state)
{
    bool watched = strcmp(state, "NOT_CHARGED") == 0;
    q->to_state = state;
    q->next_try_ms =
        clock_interval_ms(watched ? resolution_watch_ms(0) : resolution_delay_ms(INT32_MAX));
    if (watched && MUTANT("no_watch")) {
        q->next_try_ms = -1;
    }
    inquiry_go(q, INQUIRY_RECORD);
}

static void later(struct inquiry *q, int64_t business_ms)
{
    bool unclear = strcmp(q->state, "UNKNOWN") == 0 || strcmp(q->state, "REVERSING") == 0;
    if (unclear && clock_business_ms(q->state_ms) > RESOLUTION_REVIEW_MS) {
        inquiry_conclude(q, "REVIEW");
        return;
    }
    q->to_state = q->state;
    q->next_try_ms = business_ms < 0 ? -1 : clock_interval_ms(business_ms);
    inquiry_go(q, INQUIRY_RECORD);
}

void inquiry_later_in(struct inquiry *q, int64_t business_ms)
{
    memset(&q->outcome, 0, sizeof q->outcome);
    later(q, business_ms);
}

void inquiry_later_with(struct inquiry *q, const struct money_outcome *outcome)
{
    q->outcome = *outcome;
    later(q, resolution_delay_ms(q->tries + 1));
}

void inquiry_later(struct inquiry *q)
{
    inquiry_later_in(q, resolution_delay_ms(q->tries + 1));
}

void inquiry_conclude_unless_found(struct inquiry *q, const char *state)
{
    q->to_state = state;
    inquiry_go(q, INQUIRY_UNLESS);
}

void inquiry_unable(struct inquiry *q, struct error *e)
{
    log_error(LOG_REQUEST_FAILED, e, q->payment);
    error_free(e);
    inquiry_later(q);
}

void inquiry_move_unasked(const struct inquiry *q, enum connector_operation operation,
                          const char *ref, const char *follows)
{
    struct money_request m = {
        .operation = operation, .ref = ref, .amount_minor = q->amount_minor, .follows = follows};
    memcpy(m.currency, q->currency, sizeof m.currency);
    memcpy(m.last_four, q->last_four, sizeof m.last_four);
    mutant_send(q->g, q->processor, q->account, &m);
}

/* ---- not found: believed only if asked after the horizon, and again a minute later ---- */

static void absent_noted(void *context, enum database_outcome outcome, const struct rows *rows,
                         const struct error *e)
{
    struct inquiry *q = context;
    (void)e;
    if (outcome != DATABASE_DONE) {
        inquiry_later(q);
    } else if (rows_text(rows, 0, "absent_for_ms") &&
               clock_business_ms(rows_int(rows, 0, "absent_for_ms")) >= RESOLUTION_TWICE_MS) {
        inquiry_conclude(q, q->to_state);
    } else {
        inquiry_go(q, INQUIRY_END); /* noted, and due again; or somebody else has it */
    }
}

void inquiry_unless_found(struct inquiry *q)
{
    if (MUTANT("early_notfound")) {
        inquiry_conclude(q, q->to_state);
        return;
    }
    if (MUTANT("resend_notfound") && q->tries == 0) {
        inquiry_move_unasked(q, OPERATION_SALE, q->ref, NULL);
    }
    if (!q->past_horizon) {
        inquiry_later(q);
        return;
    }
    payment_store_absent(q->g->db, q->ref, q->g->instance, q->epoch,
                         clock_interval_ms(RESOLUTION_TWICE_MS), absent_noted, q);
}

/* ---- the record ---- */

static void record_again(void *context)
{
    inquiry_go(context, INQUIRY_RECORD);
}

static void journal_recorded(const struct inquiry *q, const struct recorded *r)
{
    bool moved = strcmp(r->state, q->state) != 0;
    if (r->id_taken ||
        (strcmp(q->state, "NOT_CHARGED") == 0 && strcmp(r->state, "APPROVED") == 0)) {
        log_event(
            LOG_PROCESSOR_ALARM, {"KOMETPAY_PAYMENT", q->payment}, {"KOMETPAY_ATTEMPT", q->ref},
            {"KOMETPAY_REASON", r->id_taken ? "it named another attempt's transaction as ours"
                                            : "it was done after all, though told as not done"});
    }
    if (strcmp(r->state, "REVIEW") == 0) { /* at each look: whoever was told may have been killed */
        log_event(LOG_PAYMENT_REVIEW, {"KOMETPAY_PAYMENT", q->payment},
                  {"KOMETPAY_ATTEMPT", q->ref}, {"KOMETPAY_STATE", r->state});
    } else if (moved) {
        log_event(LOG_PAYMENT_RESOLVED, {"KOMETPAY_PAYMENT", q->payment},
                  {"KOMETPAY_ATTEMPT", q->ref}, {"KOMETPAY_STATE", r->state});
    }
}

/* What the database refuses again and again has something that the schema doesn't allow: without
 * it, the attempt is a person's matter. If even that is refused, the claim runs out and it is
 * looked into anew. */
static void record_refused(struct inquiry *q, const struct error *e)
{
    bool unclear = strcmp(q->state, "UNKNOWN") == 0 || strcmp(q->state, "REVERSING") == 0;
    log_event(LOG_RESULT_REFUSED, {"KOMETPAY_PAYMENT", q->payment}, {"KOMETPAY_ATTEMPT", q->ref},
              {"KOMETPAY_STATE", q->to_state}, {"KOMETPAY_REASON", e->sentence});
    memset(&q->outcome, 0, sizeof q->outcome);
    q->record_refused = 0;
    if (unclear && strcmp(q->to_state, "REVIEW") != 0) {
        inquiry_conclude(q, "REVIEW");
    } else {
        inquiry_go(q, INQUIRY_END);
    }
}

static void recorded(void *context, enum database_outcome outcome, const struct rows *rows,
                     const struct error *e)
{
    struct inquiry *q = context;
    if (outcome != DATABASE_DONE) {
        q->record_refused += payment_store_refused(outcome, e);
        if (q->record_refused == RECORD_REFUSED_MAX) {
            record_refused(q, e);
            return;
        }
        log_error(LOG_COMMIT_UNKNOWN, e, q->payment);
        timer_arm(q->retry, COMMIT_RETRY_MS);
        return;
    }
    struct recorded r = recorded_read(rows);
    if (r.applied) {
        journal_recorded(q, &r);
    }
    inquiry_go(q, INQUIRY_END);
}

void inquiry_record(struct inquiry *q)
{
    struct result_record result = {
        .ref = q->ref,
        .holder = q->g->instance,
        .state = q->to_state,
        .actor = "resolver",
        .epoch = q->epoch,
        .outcome = &q->outcome,
        .next_try_ms = q->next_try_ms,
        .horizon_ms = -1,
    };
    payment_store_result(q->g->db, &result, recorded, q);
}

/* ---- begin and end ---- */

static void inquiry_end(struct inquiry *q)
{
    struct gatewayd *g = q->g;
    timer_free(q->retry);
    timer_free(q->hanging);
    LIST_REMOVE(q, link);
    free(q);
    resolver_inquiry_ended(g->resolver);
}

void inquiries_ask_anew(struct gatewayd *g, const char *processor, const char *account)
{
    for (struct inquiry *q = LIST_FIRST(&inquiries), *next; q; q = next) {
        next = LIST_NEXT(q, link);
        if (q->g == g && q->hangs && strcmp(q->processor, processor) == 0 &&
            strcmp(q->account, account) == 0) {
            inquiry_give_up(q);
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
    TAKE(q->processor_id, "processor_id");
    TAKE(q->reason, "reason");
    q->must_not_stand = rows_bool(rows, row, "must_not_stand");
    q->epoch = rows_int(rows, row, "epoch");
    q->amount_minor = rows_int(rows, row, "amount_minor");
    q->tries = rows_int(rows, row, "tries");
    q->age_ms = rows_int(rows, row, "age_ms");
    q->closed_ms = rows_int(rows, row, "closed_ms");
    q->state_ms = rows_int(rows, row, "state_ms");
    q->past_horizon = rows_bool(rows, row, "past_horizon");
    q->retry = timer_new(g->loop, record_again, q);
    q->hanging = inquiry_hanging_timer(q);
    LIST_INSERT_HEAD(&inquiries, q, link);
    q->connector = connector_find(q->processor);
    q->step = INQUIRY_ASK;
    if (!q->connector) {
        inquiry_later(q); /* a newer suite made it; it stays, watched */
        return;
    }
    inquiry_ask(q);
}
