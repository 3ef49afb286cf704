/* kometpay db migrate and db status: the only place where the command touches PostgreSQL. Applies
 * migrations in order, each in a transaction of its own with its record. Must never apply anything
 * when what was applied before isn't what the files say now. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/migration_folder.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"

/* "kometpay" as bytes: all who migrate one database take this lock. */
#define LOCK_SQL "SELECT pg_advisory_lock(7741526566985818489)"

static const struct option_row OPTIONS[] = {
    {"sql-dir", OPTION_TEXT, "DIR",
     MIGRATION_FOLDER_INSTALLED ", else " MIGRATION_FOLDER_OF_SOURCE},
    OPTION_JSON,
    OPTION_END,
};

static const struct column COLUMNS[] = {
    {"number", COLUMN_RIGHT},    {"name", COLUMN_LEFT},   {"state", COLUMN_STATE},
    {"applied at", COLUMN_LEFT}, {"sha256", COLUMN_LEFT}, {NULL, COLUMN_LEFT},
};

/* libpq's message in one line, for the sentence. */
static struct error *failed(const char *code, const char *what, const char *message)
{
    char text[200];
    snprintf(text, sizeof text, "%s", message);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '\n' || *c == '\t' ? ' ' : *c;
    }
    for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) {
        text[n - 1] = '\0';
    }
    return error_failed(code, "%s: %s", what, text);
}

static struct error *sql_failed(const char *what, const char *message)
{
    return failed("sql_failed", what, message);
}

static struct error *run_sql(PGconn *db, const char *what, const char *sql)
{
    PGresult *result = PQexec(db, sql);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        return sql_failed(what, PQerrorMessage(db));
    }
    return NULL;
}

static void quiet(void *context, const char *message)
{
    (void)context;
    (void)message; /* "relation already exists, skipping" */
}

static struct error *connect_database(PGconn **out)
{
    *out = PQconnectdb("application_name=kometpay-db");
    if (PQstatus(*out) != CONNECTION_OK) {
        struct error *e = failed("database_unreachable", "PostgreSQL", PQerrorMessage(*out));
        PQfinish(*out);
        *out = NULL;
        return e;
    }
    (void)PQsetNoticeProcessor(*out, quiet, NULL);
    return NULL;
}

/* The records of what was applied, by number; no rows when there is no table yet. */
static struct error *read_records(PGconn *db, PGresult **out)
{
    *out = PQexec(db, "SELECT to_regclass('public.kometpay_migration') IS NOT NULL");
    bool there = PQresultStatus(*out) == PGRES_TUPLES_OK && PQgetvalue(*out, 0, 0)[0] == 't';
    PQclear(*out);
    *out = PQexec(db, there ? "SELECT number, name, sha256, to_char(applied_at AT TIME ZONE 'UTC', "
                              "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
                              "FROM public.kometpay_migration ORDER BY number"
                            : "SELECT 0, '', '', '' WHERE false");
    if (PQresultStatus(*out) != PGRES_TUPLES_OK) {
        struct error *e = sql_failed("reading what was applied", PQerrorMessage(db));
        PQclear(*out);
        *out = NULL;
        return e;
    }
    return NULL;
}

/* The column is an integer of PostgreSQL's: its text always parses and fits. */
static int number_of(const PGresult *records, int row)
{
    return (int)strtol(PQgetvalue(records, row, 0), NULL, 10);
}

static int record_of(const PGresult *records, int number)
{
    for (int row = 0; row < PQntuples(records); row++) {
        if (number_of(records, row) == number) {
            return row;
        }
    }
    return -1;
}

static const struct migration_file *file_of(const struct migration_folder *folder, int number)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (folder->files[i].number == number) {
            return &folder->files[i];
        }
    }
    return NULL;
}

/* What was applied must be here, unchanged, and before all that wasn't. */
static struct error *check_history(const PGresult *records, const struct migration_folder *folder)
{
    int last = 0;
    for (int row = 0; row < PQntuples(records); row++) {
        int number = number_of(records, row);
        const struct migration_file *file = file_of(folder, number);
        if (file == NULL) {
            return error_refused("migration_missing", "sql-dir",
                                 "Migration %04d_%s was applied to this database but isn't here: "
                                 "the database is newer than this version.",
                                 number, PQgetvalue(records, row, 1));
        }
        if (strcmp(file->sha256, PQgetvalue(records, row, 2)) != 0) {
            return error_refused("migration_changed", "sql-dir",
                                 "Migration %04d_%s was changed after it was applied; put its file "
                                 "back and write a new one.",
                                 number, file->name);
        }
        last = number;
    }
    for (size_t i = 0; i < folder->count; i++) {
        if (folder->files[i].number < last && record_of(records, folder->files[i].number) < 0) {
            return error_refused("migration_out_of_order", "sql-dir",
                                 "Migration %04d_%s is new but stands before %04d, which is "
                                 "applied; give it a higher number.",
                                 folder->files[i].number, folder->files[i].name, last);
        }
    }
    return NULL;
}

/* The line of a position, which counts characters from 1. */
static int line_of(const char *text, size_t position)
{
    int line = 1;
    for (; *text != '\0' && position > 1; text++) {
        line += *text == '\n' ? 1 : 0;
        position -= ((unsigned char)text[1] & 0xc0u) != 0x80u ? 1 : 0;
    }
    return line;
}

/* Runs the file's SQL in the open transaction; the error names its line. */
static struct error *run_file(PGconn *db, const struct migration_file *file)
{
    PGresult *result = PQexec(db, file->text);
    struct error *e = NULL;
    if (PQresultStatus(result) == PGRES_FATAL_ERROR ||
        PQresultStatus(result) == PGRES_BAD_RESPONSE) {
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        const char *position = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
        e = sql_failed("SQL", message != NULL ? message : PQerrorMessage(db));
        e = error_wrap(e, "%04d_%s.sql%s%.0d", file->number, file->name,
                       position != NULL ? " line " : "",
                       position != NULL ? line_of(file->text, strtoul(position, NULL, 10)) : 0);
    } else if (PQtransactionStatus(db) != PQTRANS_INTRANS) {
        e = error_refused("migration_ends_transaction", "sql-dir",
                          "%04d_%s.sql ends its own transaction; take COMMIT out of it.",
                          file->number, file->name);
    }
    PQclear(result);
    return e;
}

static struct error *record_file(PGconn *db, const struct migration_file *file)
{
    char number[16];
    snprintf(number, sizeof number, "%d", file->number);
    const char *values[] = {number, file->name, file->sha256};
    PGresult *result = PQexecParams(db,
                                    "INSERT INTO public.kometpay_migration (number, name, sha256) "
                                    "VALUES ($1, $2, $3)",
                                    3, NULL, values, NULL, NULL, 0);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return good ? NULL : sql_failed("recording", PQerrorMessage(db));
}

/* A COMMIT counts only with its own tag: that of a failed transaction says ROLLBACK. */
static struct error *commit(PGconn *db)
{
    PGresult *result = PQexec(db, "COMMIT");
    bool good =
        PQresultStatus(result) == PGRES_COMMAND_OK && strcmp(PQcmdStatus(result), "COMMIT") == 0;
    PQclear(result);
    return good ? NULL : sql_failed("COMMIT", PQerrorMessage(db));
}

static struct error *apply(PGconn *db, const struct migration_file *file)
{
    struct error *e = run_sql(db, "BEGIN", "BEGIN");
    e = e != NULL ? e : run_file(db, file);
    /* A migration may have set a role or a path for itself. */
    e = e != NULL ? e : run_sql(db, "RESET", "RESET ROLE; RESET search_path");
    e = e != NULL ? e : record_file(db, file);
    e = e != NULL ? e : commit(db);
    if (e != NULL) {
        PQclear(PQexec(db, "ROLLBACK"));
    }
    return e;
}

static struct error *apply_pending(PGconn *db, const struct migration_folder *folder,
                                   size_t *applied)
{
    PGresult *records = NULL;
    struct error *e = run_sql(db, "waiting for the migration lock", LOCK_SQL);
    e = e != NULL ? e : read_records(db, &records);
    e = e != NULL ? e : check_history(records, folder);
    for (size_t i = 0; e == NULL && i < folder->count; i++) {
        const struct migration_file *file = &folder->files[i];
        if (record_of(records, file->number) < 0) {
            e = apply(db, file);
            if (e == NULL) {
                fprintf(stderr, "applied %04d_%s\n", file->number, file->name);
                (*applied)++;
            }
        }
    }
    PQclear(records);
    return e;
}

static enum exit_code migration_error(struct error *e, bool json)
{
    bool unreachable = error_is(e, "database_unreachable");
    enum exit_code exit = suite_error(e, json);
    if (unreachable) {
        fputs("Say where PostgreSQL is with PGHOST, PGPORT, PGUSER and PGDATABASE.\n", stderr);
    }
    return unreachable ? EXIT_CODE_UNREACHABLE : exit;
}

static enum exit_code run_migrate(const struct options *o)
{
    bool json = options_given(o, "json");
    struct migration_folder folder;
    PGconn *db = NULL;
    size_t applied = 0;
    struct error *e = migration_folder_read(options_text(o, "sql-dir"), &folder);
    if (e == NULL) {
        e = connect_database(&db);
        e = e != NULL ? e : apply_pending(db, &folder, &applied);
        PQfinish(db);
    }
    size_t count = folder.count;
    migration_folder_free(&folder);
    if (e != NULL) {
        return migration_error(e, json);
    }
    if (json) {
        printf("{\"applied\":%zu,\"migrations\":%zu}\n", applied, count);
    } else {
        printf("The database is up to date: %zu migrations, %zu applied now.\n", count, applied);
    }
    return EXIT_CODE_OK;
}

static void add_status(struct table *table, json_t *rows, int number, const char *name,
                       const char *state, const char *at, const char *sha256)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%04d", number);
    char begin[13]; /* enough for people; JSON has all of it */
    snprintf(begin, sizeof begin, "%s", sha256);
    table_row(table, (const char *[]){digits, name, state, at, begin});
    json_t *row = json_pack("{s:i, s:s, s:s, s:s, s:s}", "number", number, "name", name, "state",
                            state, "applied_at", at, "sha256", sha256);
    if (json_array_append_new(rows, row) != 0) {
        abort();
    }
}

/* All files and records; the exit code says whether anything is to be done. */
static enum exit_code add_all_status(const PGresult *records, const struct migration_folder *folder,
                                     struct table *table, json_t *rows)
{
    enum exit_code exit = EXIT_CODE_OK;
    for (size_t i = 0; i < folder->count; i++) {
        const struct migration_file *file = &folder->files[i];
        int row = record_of(records, file->number);
        bool same = row >= 0 && strcmp(PQgetvalue(records, row, 2), file->sha256) == 0;
        add_status(table, rows, file->number, file->name,
                   row < 0 ? "pending"
                   : same  ? "applied"
                           : "changed",
                   row < 0 ? "" : PQgetvalue(records, row, 3), file->sha256);
        exit = row >= 0 && !same                 ? EXIT_CODE_REFUSED
               : row < 0 && exit == EXIT_CODE_OK ? EXIT_CODE_DECLINED
                                                 : exit;
    }
    for (int row = 0; row < PQntuples(records); row++) {
        if (file_of(folder, number_of(records, row)) == NULL) {
            add_status(table, rows, number_of(records, row), PQgetvalue(records, row, 1), "missing",
                       PQgetvalue(records, row, 3), PQgetvalue(records, row, 2));
            exit = EXIT_CODE_REFUSED;
        }
    }
    return exit;
}

static enum exit_code run_status(const struct options *o)
{
    bool json = options_given(o, "json");
    struct migration_folder folder;
    PGconn *db = NULL;
    PGresult *records = NULL;
    struct error *e = migration_folder_read(options_text(o, "sql-dir"), &folder);
    e = e != NULL ? e : connect_database(&db);
    e = e != NULL ? e : read_records(db, &records);
    enum exit_code exit = EXIT_CODE_OK;
    if (e != NULL) {
        exit = migration_error(e, json);
    } else {
        struct table *table = table_new(COLUMNS);
        json_t *rows = json_array();
        exit = add_all_status(records, &folder, table, rows);
        if (json) {
            suite_print_rows(rows, NULL);
        } else {
            json_decref(rows);
            table_print(table, stdout, table_colour_wanted(stdout));
        }
        table_free(table);
    }
    PQclear(records);
    PQfinish(db);
    migration_folder_free(&folder);
    return exit;
}

const struct command COMMAND_DB_MIGRATE = {
    .name = "db migrate",
    .summary = "bring the database to this version's schema",
    .words = "",
    .options = OPTIONS,
    .examples =
        "  sudo -u postgres PGDATABASE=kometpay kometpay db migrate\n"
        "  PGHOST=/tmp/pg PGDATABASE=kometpay kometpay db migrate --sql-dir sql/migrations\n",
    .run = run_migrate,
};

const struct command COMMAND_DB_STATUS = {
    .name = "db status",
    .summary = "which migrations are applied, pending, changed or missing",
    .words = "",
    .options = OPTIONS,
    .examples = "  kometpay db status\n",
    .run = run_status,
};
