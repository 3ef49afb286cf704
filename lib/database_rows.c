/* Results of PostgreSQL as rows and errors.
 * Must never put a DETAIL of the server into an error: it quotes values. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/database_lane.h"

size_t rows_count(const struct rows *rows)
{
    return (size_t)PQntuples(rows->result);
}

static int column_of(const struct rows *rows, const char *column)
{
    int n = PQnfields(rows->result);

    for (int i = 0; i < n; i++) {
        if (strcmp(PQfname(rows->result, i), column) == 0) {
            return i;
        }
    }
    assert(!"no such column in the result");
    abort();
}

const char *rows_text(const struct rows *rows, size_t row, const char *column)
{
    int at = column_of(rows, column);

    assert(row < rows_count(rows));
    return PQgetisnull(rows->result, (int)row, at) ? NULL : PQgetvalue(rows->result, (int)row, at);
}

int64_t rows_int(const struct rows *rows, size_t row, const char *column)
{
    const char *text = rows_text(rows, row, column);

    if (text == NULL) {
        return 0;
    }
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    /* Money comes this way: a column of another type is our bug, and no number at all. */
    assert(end != text && *end == '\0' && errno == 0);
    return value;
}

bool rows_bool(const struct rows *rows, size_t row, const char *column)
{
    const char *text = rows_text(rows, row, column);

    return text != NULL && text[0] == 't';
}

static unsigned nibble(char c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    assert(c >= 'a' && c <= 'f');
    return (unsigned)(c - 'a') + 10u;
}

uint8_t *rows_bytes(const struct rows *rows, size_t row, const char *column, size_t *n)
{
    const char *text = rows_text(rows, row, column);

    *n = 0;
    if (text == NULL) {
        return NULL;
    }
    /* bytea_output is set to hex by the lane, so nothing else can come. */
    assert(text[0] == '\\' && text[1] == 'x');
    text += 2;
    size_t size = strlen(text) / 2;
    uint8_t *bytes = malloc(size + 1);
    assert(bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    }
    *n = size;
    return bytes;
}

bool sqlstate_is(const PGresult *result, const char *sqlstate)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return state != NULL && strcmp(state, sqlstate) == 0;
}

bool sqlstate_class(const PGresult *result, const char *two)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return state != NULL && strncmp(state, two, 2) == 0;
}

/* KP001: MESSAGE is the sentence, DETAIL is "code|field". */
static struct error *refusal(const PGresult *result)
{
    const char *sentence = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    char code[48];

    if (detail == NULL) {
        detail = "refused|";
    }
    size_t n = strcspn(detail, "|");
    snprintf(code, sizeof code, "%.*s", (int)(n < sizeof code ? n : sizeof code - 1), detail);
    return error_refused(code, detail[n] == '|' ? detail + n + 1 : "", "%s",
                         sentence == NULL ? "refused" : sentence);
}

struct error *database_error(const struct statement *statement, const PGresult *result)
{
    if (result == NULL) {
        return error_wrap(error_failed("database_failed", "the database connection was lost"), "%s",
                          statement->name);
    }
    if (sqlstate_is(result, "KP001")) {
        return refusal(result);
    }
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return error_wrap(error_failed("database_failed", "the database could not do this"),
                      "%s: SQLSTATE %s: %s", statement->name, state == NULL ? "?" : state,
                      message == NULL ? "?" : message);
}

static bool setting_is(const PGresult *result, const char *name, const char *value)
{
    struct rows rows = {result};
    const char *text = rows_text(&rows, 0, name);

    return text != NULL && strcmp(text, value) == 0;
}

const char *safety_problem(const PGresult *result)
{
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1) {
        return "the server's settings can't be read";
    }
    if (!setting_is(result, "fsync", "on")) {
        return "fsync is off";
    }
    if (!setting_is(result, "full_page_writes", "on")) {
        return "full_page_writes is off";
    }
    if (setting_is(result, "synchronous_commit", "off")) {
        return "synchronous_commit is off";
    }
    if (setting_is(result, "synchronous_commit", "local") &&
        !setting_is(result, "synchronous_standby_names", "")) {
        return "synchronous_commit is local although a synchronous standby is named";
    }
    if (!setting_is(result, "read_only", "off")) {
        return "the server is read-only";
    }
    return NULL;
}
