/* The statements of schema payment and how their rows are read. Must never decide anything: the
 * functions in sql/ do, under their locks. */
#include "daemons/gatewayd/payment_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/decline.h"
#include "lib/clock.h"
#include "lib/text_copy.h"

enum {
    SALE_BEGIN,
    FOLLOW_UP_BEGIN,
    REVERSAL_BEGIN,
    RESULT,
    ABSENT,
    VOID_REPEAT,
    CANCEL,
    DUE,
    CLAIMS_DROP,
    ANSWER,
    ANSWER_OF,
    COUNTS,
    WAKE,
    LOCATION,
    INSTANCE_START,
    INSTANCE_OTHERS,
    INSTANCE_END,
};

#define DUE_COLUMNS                                                                                \
    "ref, payment, kind, state, epoch, processor, account, amount_minor, currency, last_four, "    \
    "follows, processor_id, reason, tries, age_ms, closed_ms, state_ms, past_horizon, "            \
    "must_not_stand"

#define TOLD_COLUMNS                                                                               \
    "t.outcome, t.payment, t.ref, t.kind, t.state, t.amount_minor, t.currency, "                   \
    "t.authorisation_code, t.brand, t.last_four, t.card_token, t.reason, t.sentence, t.voided, "   \
    "t.captured_minor, t.refunded_minor"
#define TOLD_COUNT 16

const struct statement PAYMENT_STATEMENTS[] = {
    [SALE_BEGIN] = {"sale_begin",
                    "SELECT outcome, code, field, sentence, processor, account, ref, payment "
                    "FROM payment.sale_begin($1,$2,$3,$4,$5,$6,$7,$8,$9,$10::bigint,$11,$12,"
                    "$13::jsonb,$14,$15,$16,$17,$18,$19,$20,$21,$22::boolean,$23::text[])",
                    23, 8, STATEMENT_WRITE},
    [FOLLOW_UP_BEGIN] = {"attempt_begin",
                         "SELECT outcome, code, field, sentence, processor, account, ref, payment, "
                         "amount_minor, currency, follows, last_four, kind "
                         "FROM payment.attempt_begin($1,$2,$3,$4,$5,$6,$7,$8,$9::bigint,$10)",
                         10, 13, STATEMENT_WRITE},
    [REVERSAL_BEGIN] = {"reversal_begin",
                        "SELECT outcome, code, field, sentence, processor, account, ref, payment, "
                        "amount_minor, currency, follows, last_four, kind "
                        "FROM payment.reversal_begin($1,$2,$3,$4::int,$5,$6::bigint)",
                        6, 13, STATEMENT_WRITE},
    [RESULT] = {"attempt_result",
                "SELECT r.applied, r.state AS recorded, r.id_taken, " TOLD_COLUMNS
                " FROM payment.attempt_result("
                "$1,$2,$3::int,$4,$5,$6,$7::bigint,$8,$9,$10,$11,$12,$13,$14,$15::bigint,"
                "$16::bigint,$17) AS r LEFT JOIN LATERAL payment.answer_of($1) AS t ON true",
                17, 3 + TOLD_COUNT, STATEMENT_WRITE},
    [ABSENT] = {"attempt_absent",
                "SELECT absent_for_ms FROM payment.attempt_absent($1,$2,$3::int,$4::bigint)", 4, 1,
                STATEMENT_WRITE},
    [VOID_REPEAT] = {"void_repeat", "SELECT payment.void_repeat($1,$2,$3::int,$4::bigint) AS begun",
                     4, 1, STATEMENT_WRITE},
    [CANCEL] = {"cancel_request",
                "SELECT " TOLD_COLUMNS " FROM payment.cancel_request($1,$2,$3) AS t", 3, TOLD_COUNT,
                STATEMENT_WRITE},
    [DUE] = {"due", "SELECT " DUE_COLUMNS " FROM payment.due($1,$2::int,$3::bigint,$4::bigint)", 4,
             19, STATEMENT_WRITE},
    [CLAIMS_DROP] = {"claims_drop", "SELECT payment.claims_drop($1) AS dropped", 1, 1,
                     STATEMENT_WRITE},
    [ANSWER] = {"answer", "SELECT " TOLD_COLUMNS " FROM payment.answer($1,$2,$3,$4) AS t", 4,
                TOLD_COUNT, STATEMENT_READ},
    [ANSWER_OF] = {"answer_of", "SELECT " TOLD_COLUMNS " FROM payment.answer_of($1) AS t", 1,
                   TOLD_COUNT, STATEMENT_READ},
    [COUNTS] = {"counts", "SELECT unknown, oldest_unknown_ms, review FROM payment.counts()", 0, 3,
                STATEMENT_READ},
    [WAKE] = {"wake", "SELECT payment.wake($1,$2) AS woken", 2, 1, STATEMENT_WRITE},
    [LOCATION] = {"location_processor",
                  "SELECT processor, account, currency FROM payment.location_processor($1)", 1, 3,
                  STATEMENT_READ},
    [INSTANCE_START] = {"instance_start",
                        "SELECT payment.instance_start($1,$2,$3,$4::int,$5) AS started", 5, 1,
                        STATEMENT_WRITE},
    [INSTANCE_OTHERS] = {"instance_others",
                         "SELECT id, host, boot_id, pid, process_start "
                         "FROM payment.instance_others($1)",
                         1, 5, STATEMENT_READ},
    [INSTANCE_END] = {"instance_end", "SELECT payment.instance_end($1) AS ended", 1, 1,
                      STATEMENT_WRITE},
};
const size_t PAYMENT_STATEMENTS_COUNT = sizeof PAYMENT_STATEMENTS / sizeof *PAYMENT_STATEMENTS;

struct number {
    char text[24];
};

static const char *number_text(int64_t value, struct number *out)
{
    snprintf(out->text, sizeof out->text, "%" PRId64, value);
    return out->text;
}

static const char *null_if_empty(const char *text)
{
    return text && *text ? text : NULL;
}

static void call(struct database *db, int statement, const char *const *parameters,
                 database_done *done, void *context)
{
    database_call(db, &PAYMENT_STATEMENTS[statement], parameters, 0, done, context);
}

/* The split as JSON. Invoice numbers are escaped: they come from outside. malloc'd. */
static char *invoice_parts_json(const struct msg_sale *sale)
{
    size_t size = 3;
    for (size_t i = 0; i < sale->invoices_count; i++) {
        size += 6 * strlen(sale->invoices[i].invoice) + 64;
    }
    char *text = malloc(size);
    assert(text);
    char *p = text;
    *p++ = '[';
    for (size_t i = 0; i < sale->invoices_count; i++) {
        p += sprintf(p, "%s{\"invoice\":\"", i ? "," : "");
        for (const char *c = sale->invoices[i].invoice; *c; c++) {
            p += *c == '"' || *c == '\\' ? sprintf(p, "\\%c", *c) : sprintf(p, "%c", *c);
        }
        p += sprintf(p, "\",\"amount_minor\":%" PRId64 "}", sale->invoices[i].amount_minor);
    }
    *p++ = ']';
    *p = 0;
    assert((size_t)(p - text) < size);
    return text;
}

void payment_store_sale_begin(struct database *db, const struct sale_intent *intent,
                              database_done *done, void *context)
{
    const struct msg_sale *s = intent->sale;
    struct number amount = {0};
    char *parts = invoice_parts_json(s);
    const char *parameters[] = {
        intent->payment,
        intent->ref,
        intent->holder,
        intent->scope,
        s->key,
        intent->fingerprint,
        s->location,
        s->pos,
        sale_kind_text(s->kind),
        number_text(s->amount_minor, &amount),
        s->currency,
        null_if_empty(s->customer),
        parts,
        s->card_ref,
        null_if_empty(s->token),
        s->brand,
        s->last_four,
        s->expiry,
        sale_entry_text(s->entry),
        null_if_empty(s->description),
        intent->actor,
        s->oldest_first ? "true" : "false",
        intent->credentials,
    };
    call(db, SALE_BEGIN, parameters, done, context);
    free(parts);
}

void payment_store_follow_up_begin(struct database *db, const struct follow_up_intent *intent,
                                   database_done *done, void *context)
{
    struct number amount = {0};
    const char *parameters[] = {
        intent->ref,     intent->holder, intent->location,
        intent->pos,     intent->key,    intent->fingerprint,
        intent->payment, intent->kind,   number_text(intent->amount_minor, &amount),
        intent->actor,
    };
    call(db, FOLLOW_UP_BEGIN, parameters, done, context);
}

void payment_store_reversal_begin(struct database *db, const char *ref, const char *holder,
                                  const char *parent, int64_t parent_epoch,
                                  const char *processor_id, int64_t amount_minor,
                                  database_done *done, void *context)
{
    struct number epoch = {0}, amount = {0};
    const char *parameters[] = {ref,
                                holder,
                                parent,
                                number_text(parent_epoch, &epoch),
                                null_if_empty(processor_id),
                                amount_minor ? number_text(amount_minor, &amount) : NULL};
    call(db, REVERSAL_BEGIN, parameters, done, context);
}

static enum begin_outcome begin_outcome_of(const char *text)
{
    static const struct {
        const char *text;
        enum begin_outcome outcome;
    } NAMES[] = {
        {"MINE", BEGIN_MINE},       {"EXISTS", BEGIN_EXISTS}, {"CONFLICT", BEGIN_CONFLICT},
        {"REFUSED", BEGIN_REFUSED}, {"WAIT", BEGIN_WAIT},     {"DONE", BEGIN_DONE},
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (strcmp(text, NAMES[i].text) == 0) {
            return NAMES[i].outcome;
        }
    }
    assert(!"an outcome that the schema doesn't have");
    abort();
}

struct begun begun_read(const struct rows *rows)
{
    assert(rows_count(rows) == 1);
    struct begun b = {
        .outcome = begin_outcome_of(rows_text(rows, 0, "outcome")),
        .code = rows_text(rows, 0, "code"),
        .field = rows_text(rows, 0, "field"),
        .sentence = rows_text(rows, 0, "sentence"),
        .processor = rows_text(rows, 0, "processor"),
        .account = rows_text(rows, 0, "account"),
        .ref = rows_text(rows, 0, "ref"),
        .payment = rows_text(rows, 0, "payment"),
    };
    return b;
}

struct begun begun_follow_up_read(const struct rows *rows)
{
    struct begun b = begun_read(rows);
    b.kind = rows_text(rows, 0, "kind");
    b.amount_minor = rows_int(rows, 0, "amount_minor");
    b.currency = rows_text(rows, 0, "currency");
    b.follows = rows_text(rows, 0, "follows");
    b.last_four = rows_text(rows, 0, "last_four");
    return b;
}

void payment_store_result(struct database *db, const struct result_record *r, database_done *done,
                          void *context)
{
    static const struct money_outcome NONE;
    const struct money_outcome *o = r->outcome ? r->outcome : &NONE;
    struct number epoch = {0}, approved = {0}, next = {0}, horizon = {0};
    const char *parameters[] = {
        r->ref,
        r->holder,
        number_text(r->epoch, &epoch),
        r->state,
        null_if_empty(o->processor_id),
        null_if_empty(o->authorisation_code),
        o->approved_minor ? number_text(o->approved_minor, &approved) : NULL,
        null_if_empty(o->reason),
        null_if_empty(o->raw_code),
        null_if_empty(o->raw_message),
        null_if_empty(o->request_id),
        null_if_empty(o->avs),
        null_if_empty(o->csc),
        null_if_empty(o->batch),
        r->next_try_ms >= 0 ? number_text(r->next_try_ms, &next) : NULL,
        r->horizon_ms >= 0 ? number_text(r->horizon_ms, &horizon) : NULL,
        r->actor,
    };
    call(db, RESULT, parameters, done, context);
}

bool payment_store_refused(enum database_outcome outcome, const struct error *e)
{
    return outcome == DATABASE_ROLLED_BACK && strcmp(e->code, "database_timeout") != 0 &&
           strcmp(e->code, "database_busy") != 0;
}

struct recorded recorded_read(const struct rows *rows)
{
    assert(rows_count(rows) == 1);
    return (struct recorded){
        .applied = rows_bool(rows, 0, "applied"),
        .state = rows_text(rows, 0, "recorded"),
        .id_taken = rows_bool(rows, 0, "id_taken"),
    };
}

void payment_store_absent(struct database *db, const char *ref, const char *holder, int64_t epoch,
                          int64_t next_try_ms, database_done *done, void *context)
{
    struct number number = {0}, next = {0};
    const char *parameters[] = {ref, holder, number_text(epoch, &number),
                                number_text(next_try_ms, &next)};
    call(db, ABSENT, parameters, done, context);
}

void payment_store_void_repeat(struct database *db, const char *ref, const char *holder,
                               int64_t epoch, int64_t horizon_ms, database_done *done,
                               void *context)
{
    struct number number = {0}, horizon = {0};
    const char *parameters[] = {ref, holder, number_text(epoch, &number),
                                number_text(horizon_ms, &horizon)};
    call(db, VOID_REPEAT, parameters, done, context);
}

void payment_store_cancel(struct database *db, const char *scope, const char *key,
                          const char *actor, database_done *done, void *context)
{
    call(db, CANCEL, (const char *[]){scope, key, actor}, done, context);
}

void payment_store_due(struct database *db, const char *holder, int64_t limit, int64_t horizon_ms,
                       database_done *done, void *context)
{
    struct number count = {0}, horizon = {0}, boot = {0};
    const char *parameters[] = {holder, number_text(limit, &count),
                                number_text(horizon_ms, &horizon),
                                number_text(clock_boot_ms(), &boot)};
    call(db, DUE, parameters, done, context);
}

void payment_store_claims_drop(struct database *db, const char *holder, database_done *done,
                               void *context)
{
    call(db, CLAIMS_DROP, (const char *[]){holder}, done, context);
}

void payment_store_answer(struct database *db, const char *scope, const char *key,
                          const char *payment, const char *location, database_done *done,
                          void *context)
{
    call(db, ANSWER, (const char *[]){scope, key, payment, location}, done, context);
}

void payment_store_answer_of(struct database *db, const char *ref, database_done *done,
                             void *context)
{
    call(db, ANSWER_OF, (const char *[]){ref}, done, context);
}

#define COPY(field, column) TEXT_COPY(field, rows_text(rows, 0, column))

void payment_answer_read(const struct rows *rows, struct msg_payment_answer *a)
{
    assert(rows_count(rows) == 1);
    a->outcome = payment_answer_outcome_from_text(rows_text(rows, 0, "outcome"));
    a->kind = payment_answer_kind_from_text(rows_text(rows, 0, "kind"));
    a->amount_minor = rows_int(rows, 0, "amount_minor");
    a->voided = rows_bool(rows, 0, "voided");
    a->captured_minor = rows_int(rows, 0, "captured_minor");
    a->refunded_minor = rows_int(rows, 0, "refunded_minor");
    COPY(a->payment, "payment");
    COPY(a->attempt, "ref");
    COPY(a->state, "state");
    COPY(a->currency, "currency");
    COPY(a->authorisation_code, "authorisation_code");
    COPY(a->brand, "brand");
    COPY(a->last_four, "last_four");
    COPY(a->token, "card_token");
    COPY(a->reason, "reason");
    COPY(a->sentence, "sentence");
    bool not_done = a->outcome == PAYMENT_ANSWER_OUTCOME_DECLINED ||
                    a->outcome == PAYMENT_ANSWER_OUTCOME_NOT_CHARGED;
    if (not_done && decline_find(a->reason)) {
        TEXT_COPY(a->sentence, decline_sentence(a->reason));
    }
    if (a->outcome == PAYMENT_ANSWER_OUTCOME_PENDING) {
        a->retry_after_ms = PENDING_RETRY_AFTER_MS;
    }
}

void payment_store_counts(struct database *db, database_done *done, void *context)
{
    call(db, COUNTS, NULL, done, context);
}

void payment_store_wake(struct database *db, const char *processor, const char *account,
                        database_done *done, void *context)
{
    call(db, WAKE, (const char *[]){processor, account}, done, context);
}

void payment_store_location(struct database *db, const char *location, database_done *done,
                            void *context)
{
    call(db, LOCATION, (const char *[]){location}, done, context);
}

void payment_store_instance_start(struct database *db, const char *id, const char *host,
                                  const char *boot_id, int64_t pid, const char *process_start,
                                  database_done *done, void *context)
{
    struct number number = {0};
    const char *parameters[] = {id, host, boot_id, number_text(pid, &number), process_start};
    call(db, INSTANCE_START, parameters, done, context);
}

void payment_store_instance_others(struct database *db, const char *id, database_done *done,
                                   void *context)
{
    call(db, INSTANCE_OTHERS, (const char *[]){id}, done, context);
}

void payment_store_instance_end(struct database *db, const char *id, database_done *done,
                                void *context)
{
    call(db, INSTANCE_END, (const char *[]){id}, done, context);
}
