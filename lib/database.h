/* PostgreSQL under the loop: non-blocking libpq in pipeline mode on a few lanes (connections).
 * WRITE calls that arrive while a commit is in flight are gathered and committed together; if one
 * of a batch fails, all are rolled back, that one is run again alone and the others together (alone
 * from their second spoilt batch on). A commit counts only when it answered COMMAND_OK with the tag
 * COMMIT and no notice of unfinished replication. A commit whose answer is lost is UNKNOWN, and the
 * caller asks again with the same idempotent function; that commit then carries a record of its
 * own, so that it waits for the standby even if the function finds its row and writes nothing.
 * Refuses to serve (stays not ready and says so in the journal) while fsync, full_page_writes or
 * synchronous_commit is off, or the server is read-only, or a function is missing or has other
 * parameters or columns than ours (which a missing migration shows by). */
#ifndef LIB_DATABASE_H
#define LIB_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/loop.h"

enum statement_kind {
    STATEMENT_READ,  /* no explicit transaction; re-run by itself when a connection breaks */
    STATEMENT_WRITE, /* gathered into a batch transaction */
};

struct statement {
    const char *name;
    const char *sql;     /* "SELECT * FROM payment.sale_begin($1, $2, ...)" */
    unsigned parameters; /* checked against the server when prepared */
    unsigned columns;
    enum statement_kind kind;
};

enum database_outcome {
    DATABASE_DONE,        /* read, or written and committed */
    DATABASE_ROLLED_BACK, /* certainly not applied: see the error */
    DATABASE_UNKNOWN,     /* commit in doubt, or no answer in time */
};

struct rows; /* a result, valid during the callback */
size_t rows_count(const struct rows *rows);
/* Text of a field, or NULL for SQL null; valid during the callback. Column by name; an unknown
 * name is a bug (assert). */
const char *rows_text(const struct rows *rows, size_t row, const char *column);
int64_t rows_int(const struct rows *rows, size_t row, const char *column); /* 0 for null */
bool rows_bool(const struct rows *rows, size_t row, const char *column);
/* A bytea field decoded into a malloc'd buffer the caller owns; NULL for SQL null. */
uint8_t *rows_bytes(const struct rows *rows, size_t row, const char *column, size_t *n);

struct database;
struct database_options {
    const struct statement *statements; /* array, borrowed for ever */
    size_t count;
    unsigned lanes;               /* 1..8 */
    int64_t call_timeout_ms;      /* our own deadline for one call, e.g. 5000 */
    unsigned queue_max;           /* calls waiting; above it a call is refused: database_busy */
    const char *application_name; /* borrowed for ever */
    void (*on_ready)(void *context, bool ready); /* every change */
    void *context;
};
/* Connects (libpq's own variables, PGHOST ...) and reconnects for ever with back-off. Of several
 * hosts each try takes the next. A name is resolved by libpq, which blocks: numbers in PGHOSTADDR
 * do not. */
struct database *database_new(struct loop *loop, const struct database_options *options);
/* Answers what still waits (ROLLED_BACK) or runs (UNKNOWN); these `done` must not call again. Not
 * from inside a callback of the database. */
void database_free(struct database *db);
bool database_ready(const struct database *db);
/* Waiting and running calls. */
size_t database_depth(const struct database *db);

/* `rows` is not NULL only with DATABASE_DONE; `e` is borrowed and not NULL otherwise.
 * SQLSTATE KP001 raised by our functions becomes ERROR_REFUSED: its MESSAGE is the sentence,
 * its DETAIL "code|field". Others are ERROR_FAILED with code database_failed, database_unknown
 * (with DATABASE_UNKNOWN), database_busy (queue_max) or database_timeout (never sent before the
 * deadline). RAISE WARNING in a function makes its commit UNKNOWN: our functions must not. */
typedef void database_done(void *context, enum database_outcome outcome, const struct rows *rows,
                           const struct error *e);
/* Parameters are texts (NULL = SQL null), copied. `done` is called exactly once, never from inside
 * database_call itself. deadline_boot_ms 0 = options' call_timeout_ms from now. */
void database_call(struct database *db, const struct statement *statement,
                   const char *const *parameters, int64_t deadline_boot_ms, database_done *done,
                   void *context);

#endif
