/* The statements of schema books and how they are asked. Must never decide anything: the functions
 * in sql/ do, under their locks. */
#include "daemons/settled/book_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/text_copy.h"

const struct statement BOOK_STATEMENTS[BOOK_STATEMENT_COUNT] = {
    [BOOK_LOCATION_PUT] = {"location_put",
                           "SELECT books.location_put($1, $2, $3, $4, $5, $6, $7, $8::boolean)"
                           " AS done",
                           8, 1, STATEMENT_WRITE},
    [BOOK_LOCATION_LIST] = {"location_list",
                            "SELECT code, name, time_zone, processor, account, currency, enabled"
                            " FROM books.location_list()",
                            0, 7, STATEMENT_READ},
    [BOOK_CUSTOMER_PUT] = {"customer_put", "SELECT books.customer_put($1, $2, $3) AS done", 3, 1,
                           STATEMENT_WRITE},
    [BOOK_CUSTOMER_LIST] = {"customer_list",
                            "SELECT customer, name, email, open_minor, currency"
                            " FROM books.customer_list($1, $2, $3::int)",
                            3, 5, STATEMENT_READ},
    [BOOK_INVOICE_PUT] = {"invoice_put",
                          "SELECT books.invoice_put($1, $2, $3, $4::date, $5::date, $6::bigint, $7)"
                          " AS done",
                          7, 1, STATEMENT_WRITE},
    [BOOK_INVOICE_LIST] = {"invoice_list",
                           "SELECT invoice, customer, location, invoice_date, due_date,"
                           " amount_minor, open_minor, currency, state"
                           " FROM books.invoice_list($1, $2, $3, $4::int)",
                           4, 9, STATEMENT_READ},
    [BOOK_INVOICE_IMPORT] = {"invoice_import",
                             "SELECT i.created, i.changed, i.same, f.line, f.field, f.code,"
                             " f.sentence FROM books.invoice_import($1::jsonb, $2::boolean) AS i"
                             " LEFT JOIN LATERAL jsonb_to_recordset(i.faults) AS f"
                             " (line int, field text, code text, sentence text) ON true",
                             2, 7, STATEMENT_WRITE},
    [BOOK_IMPORT_PUT] = {"import_put", "SELECT books.import_put($1, $2::jsonb) AS kept", 2, 1,
                         STATEMENT_WRITE},
    [BOOK_IMPORT_END] = {"import_end",
                         "SELECT i.read, i.created, i.changed, i.same, f.line, f.field, f.code,"
                         " f.sentence FROM books.import_end($1, $2::bigint, $3::boolean) AS i"
                         " LEFT JOIN LATERAL jsonb_to_recordset(i.faults) AS f"
                         " (line int, field text, code text, sentence text) ON true",
                         3, 8, STATEMENT_WRITE},
    [BOOK_TRANSACTION_LOG] =
        {"transaction_log",
         "SELECT at, payment, attempt, kind, state, location, pos, actor,"
         " customer, invoices, amount_minor, currency, method, brand, last_four,"
         " authorisation_code, reason, batch, to_reconcile, cursor"
         " FROM books.transaction_log($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
         " $11, $12::bigint, $13, $14::int)",
         14, 20, STATEMENT_READ},
    [BOOK_PAYMENT_STORY] = {"payment_story",
                            "SELECT at, attempt, kind, from_state, to_state, actor, note"
                            " FROM books.payment_story($1)",
                            1, 7, STATEMENT_READ},
    [BOOK_CLOSE_BEGIN] = {"close_begin",
                          "SELECT run, before_from, day_from, day_to, after_to, processor, account"
                          " FROM books.close_begin($1, $2::date)",
                          2, 7, STATEMENT_WRITE},
    [BOOK_CLOSE_ITEMS_PUT] = {"close_items_put",
                              "SELECT books.close_items_put($1, $2::date, $3::uuid, $4::int, $5,"
                              " $6, $7::jsonb) AS kept",
                              7, 1, STATEMENT_WRITE},
    [BOOK_CLOSE_BATCHES] = {"close_batches",
                            "SELECT processor, account, batch"
                            " FROM books.close_batches($1, $2::date, $3::uuid)",
                            3, 3, STATEMENT_READ},
    [BOOK_CLOSE_BATCH_PUT] =
        {"close_batch_put", "SELECT books.close_batch_put($1, $2::date, $3::uuid, $4, $5, $6, $7)",
         7, 1, STATEMENT_WRITE},
    [BOOK_CLOSE_MATCH] = {"close_match",
                          "SELECT balanced, day_over, ours_count, ours_gross_minor,"
                          " ours_refund_minor, theirs_count, theirs_gross_minor,"
                          " theirs_refund_minor, net_minor, currency, batches"
                          " FROM books.close_match($1, $2::date, $3::uuid)",
                          3, 11, STATEMENT_WRITE},
    [BOOK_CLOSE_DIFFERENCES] = {"close_differences",
                                "SELECT kind, payment, attempt, processor_id, ours_minor,"
                                " theirs_minor, sentence, total"
                                " FROM books.close_differences($1, $2::date, $3::uuid)",
                                3, 8, STATEMENT_READ},
    [BOOK_CLOSE_DAYS] = {"close_days", "SELECT day FROM books.close_days($1)", 1, 1,
                         STATEMENT_READ},
    [BOOK_AUDIT_VERIFY] = {"audit_verify",
                           "SELECT 'EVENTS' AS chain, payment || ' ' || number AS place, problem"
                           " FROM payment.event_verify() UNION ALL"
                           " SELECT 'AUDIT', number::text, problem FROM audit.verify()",
                           0, 3, STATEMENT_READ},
};

#define ASK_WITHIN_MS 60000
#define ASK_ONCE_MS 20000
#define ASK_LONG_MS 300000 /* what reads or writes hundreds of thousands of rows at once */
#define ASK_TIMES_MAX 20

struct question {
    struct settled *s;
    const struct statement *statement;
    char *parameters[BOOK_PARAMETERS_MAX];
    int64_t deadline_boot_ms;
    unsigned times;
    book_done *done;
    void *context;
};

static void question_end(struct question *q, const struct rows *rows, const struct error *e)
{
    q->done(q->context, rows, e);
    for (size_t i = 0; i < BOOK_PARAMETERS_MAX; i++) {
        free(q->parameters[i]);
    }
    free(q);
}

static void question_fail(struct question *q, const struct error *e)
{
    if (e->kind == ERROR_REFUSED) {
        question_end(q, NULL, e);
        return;
    }
    log_error(LOG_REQUEST_FAILED, e, NULL);
    struct error *busy = error_refused(
        "busy", "", "The database can't answer now. Do the same again shortly; it does no harm.");
    question_end(q, NULL, busy);
    error_free(busy);
}

static void question_answered(void *context, enum database_outcome outcome, const struct rows *rows,
                              const struct error *e);

static void question_ask(struct question *q)
{
    bool is_long = q->statement == &BOOK_STATEMENTS[BOOK_IMPORT_END] ||
                   q->statement == &BOOK_STATEMENTS[BOOK_CLOSE_MATCH] ||
                   q->statement == &BOOK_STATEMENTS[BOOK_AUDIT_VERIFY];
    int64_t once = clock_boot_ms() + (is_long ? ASK_LONG_MS : ASK_ONCE_MS);
    q->times++;
    database_call(q->s->db, q->statement, (const char *const *)q->parameters,
                  once < q->deadline_boot_ms ? once : q->deadline_boot_ms, question_answered, q);
}

static void question_answered(void *context, enum database_outcome outcome, const struct rows *rows,
                              const struct error *e)
{
    struct question *q = context;
    switch (outcome) {
    case DATABASE_DONE:
        question_end(q, rows, NULL);
        return;
    case DATABASE_ROLLED_BACK:
        question_fail(q, e);
        return;
    case DATABASE_UNKNOWN:
        if (q->times < ASK_TIMES_MAX && clock_boot_ms() < q->deadline_boot_ms) {
            question_ask(q);
        } else {
            question_fail(q, e);
        }
        return;
    }
}

void book_ask(struct settled *s, enum book_statement statement, const char *const *parameters,
              int64_t deadline_boot_ms, book_done *done, void *context)
{
    assert(statement < BOOK_STATEMENT_COUNT);
    struct question *q = memory_new(sizeof *q);
    q->s = s;
    q->statement = &BOOK_STATEMENTS[statement];
    q->deadline_boot_ms = deadline_boot_ms ? deadline_boot_ms : clock_boot_ms() + ASK_WITHIN_MS;
    q->done = done;
    q->context = context;
    assert(q->statement->parameters <= BOOK_PARAMETERS_MAX);
    for (size_t i = 0; i < q->statement->parameters; i++) {
        q->parameters[i] = parameters[i] != NULL ? strdup(parameters[i]) : NULL;
        assert(parameters[i] == NULL || q->parameters[i] != NULL);
    }
    question_ask(q);
}

struct request_question {
    struct ipc_request *request;
    book_answer *answer;
};

static void request_done(void *context, const struct rows *rows, const struct error *e)
{
    struct request_question q = *(struct request_question *)context;
    free(context);
    if (rows == NULL) {
        ipc_refuse(q.request, error_copy(e));
    } else {
        q.answer(q.request, rows);
    }
}

void book_request(struct settled *s, struct ipc_request *request, enum book_statement statement,
                  const char *const *parameters, book_answer *answer)
{
    struct request_question *q = memory_new(sizeof *q);
    q->request = request;
    q->answer = answer;
    book_ask(s, statement, parameters, ipc_request_deadline_boot_ms(request), request_done, q);
}

void book_answer_put(struct ipc_request *request, const struct rows *rows)
{
    assert(rows_count(rows) == 1);
    const char *what = rows_text(rows, 0, "done");
    assert(what != NULL);
    struct msg_done done = {.count = strcmp(what, "same") == 0 ? 0 : 1};
    TEXT_COPY(done.id, what);
    ipc_answer(request, MESSAGE_DONE, &done);
}

const char *book_number(int64_t value, char out[BOOK_NUMBER_BYTES])
{
    (void)snprintf(out, BOOK_NUMBER_BYTES, "%" PRId64, value);
    return out;
}
