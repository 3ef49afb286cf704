/* The books in PostgreSQL: every statement of settled, and asking one for a request. */
#ifndef SETTLED_BOOK_STORE_H
#define SETTLED_BOOK_STORE_H

#include "daemons/settled/settled.h"

enum book_statement {
    BOOK_LOCATION_PUT,
    BOOK_LOCATION_LIST,
    BOOK_CUSTOMER_PUT,
    BOOK_CUSTOMER_LIST,
    BOOK_INVOICE_PUT,
    BOOK_INVOICE_LIST,
    BOOK_INVOICE_IMPORT,
    BOOK_IMPORT_PUT,
    BOOK_IMPORT_END,
    BOOK_TRANSACTION_LOG,
    BOOK_PAYMENT_STORY,
    BOOK_CLOSE_BEGIN,
    BOOK_CLOSE_ITEMS_PUT,
    BOOK_CLOSE_BATCHES,
    BOOK_CLOSE_BATCH_PUT,
    BOOK_CLOSE_MATCH,
    BOOK_CLOSE_DIFFERENCES,
    BOOK_CLOSE_DAYS,
    BOOK_AUDIT_VERIFY,
    BOOK_STATEMENT_COUNT,
};

extern const struct statement BOOK_STATEMENTS[BOOK_STATEMENT_COUNT];

#define BOOK_PARAMETERS_MAX 14
#define BOOK_NUMBER_BYTES 24

/* Asks once, and again while the answer of a commit is lost (every function is idempotent), until
 * the deadline. `rows` is not NULL only when it was done, else `e` says why (both borrowed); a
 * failure of the database arrives as a refusal with code "busy". Called exactly once. */
typedef void book_done(void *context, const struct rows *rows, const struct error *e);
/* Parameters are copied; NULL = SQL null. deadline_boot_ms 0 = a minute from now. */
void book_ask(struct settled *s, enum book_statement statement, const char *const *parameters,
              int64_t deadline_boot_ms, book_done *done, void *context);

/* The same for a request that needs nothing else: refuses it by itself, or gives the rows to
 * `answer`, which answers it. */
typedef void book_answer(struct ipc_request *request, const struct rows *rows);
void book_request(struct settled *s, struct ipc_request *request, enum book_statement statement,
                  const char *const *parameters, book_answer *answer);

/* Answers `done` with what a put says ("created", "changed", "same": count 0 for same). */
void book_answer_put(struct ipc_request *request, const struct rows *rows);

/* Writes a number as a parameter; returns `out`. */
const char *book_number(int64_t value, char out[BOOK_NUMBER_BYTES]);

#endif
