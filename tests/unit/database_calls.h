/* What the tests of lib/database.c call: a small schema, its statements, and one call at a time
 * with its outcome. Included once, after cmocka. */
#ifndef TESTS_UNIT_DATABASE_CALLS_H
#define TESTS_UNIT_DATABASE_CALLS_H

#include "lib/clock.h"
#include "lib/database.h"
#include "lib/log.h"
#include "tests/unit/cluster.h"

static const char SCHEMA[] =
    "CREATE TABLE item (id text PRIMARY KEY, n bigint NOT NULL);"
    "CREATE SEQUENCE tries;"
    "CREATE TABLE parent (id text PRIMARY KEY);"
    "CREATE TABLE child (id text REFERENCES parent DEFERRABLE INITIALLY DEFERRED);"
    /* Idempotent, as all our functions are: the second call finds what the first one wrote. */
    "CREATE FUNCTION item_put(wanted text, value bigint)"
    " RETURNS TABLE (id text, n bigint, fresh boolean, xid text) LANGUAGE plpgsql AS $$"
    " BEGIN"
    "  IF value < 0 THEN RAISE EXCEPTION 'The amount must not be negative.'"
    "   USING ERRCODE = 'KP001', DETAIL = 'amount_out_of_range|amount'; END IF;"
    "  IF value = 13 THEN PERFORM 1 / 0; END IF;"
    "  IF value = 40002 OR (value = 40001 AND nextval('tries') < 4) THEN"
    "   PERFORM nextval('tries') WHERE value = 40002;"
    "   RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF;"
    "  INSERT INTO item VALUES (wanted, value) ON CONFLICT DO NOTHING;"
    "  RETURN QUERY SELECT i.id, i.n, i.xmin::text::xid8 = pg_current_xact_id(),"
    "   pg_current_xact_id_if_assigned()::text FROM item i WHERE i.id = wanted;"
    " END $$;"
    "CREATE FUNCTION child_put(wanted text) RETURNS bigint LANGUAGE sql AS"
    " $$ INSERT INTO child VALUES (wanted); SELECT 1::bigint $$;"
    "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN PERFORM pg_sleep(20); RETURN NULL; END $$;"
    "CREATE TABLE slow (id text);"
    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION dawdle();"
    "CREATE FUNCTION slow_put(wanted text) RETURNS bigint LANGUAGE sql AS"
    " $$ INSERT INTO slow VALUES (wanted); SELECT 1::bigint $$;";

enum { ITEM_PUT, ITEM_GET, CHILD_PUT, SLOW_PUT, NAP, STATEMENTS };
static const struct statement STATEMENT[STATEMENTS] = {
    [ITEM_PUT] = {"item_put", "SELECT * FROM item_put($1, $2)", 2, 4, STATEMENT_WRITE},
    [ITEM_GET] = {"item_get",
                  "SELECT n, '\\x00ff'::bytea AS b, NULL AS none FROM item WHERE id = $1", 1, 3,
                  STATEMENT_READ},
    [CHILD_PUT] = {"child_put", "SELECT child_put($1)", 1, 1, STATEMENT_WRITE},
    [SLOW_PUT] = {"slow_put", "SELECT slow_put($1)", 1, 1, STATEMENT_WRITE},
    [NAP] = {"nap", "SELECT 7 AS seven FROM pg_sleep($1::float8)", 1, 1, STATEMENT_READ},
};

struct outcome {
    int called;
    enum database_outcome outcome;
    size_t count;
    int64_t n;
    bool fresh;
    char xid[32];
    struct error e;
};

static struct loop *loop;
static struct database *db;
static inline void on_done(void *context, enum database_outcome outcome, const struct rows *rows,
                           const struct error *e)
{
    struct outcome *o = context;

    o->called++;
    o->outcome = outcome;
    assert_int_equal(outcome == DATABASE_DONE, rows != NULL);
    assert_int_equal(outcome == DATABASE_DONE, e == NULL);
    if (e != NULL) {
        o->e = *e;
    }
    if (rows != NULL && (o->count = rows_count(rows)) > 0 && o->n == -1) {
        o->n = rows_int(rows, 0, "n");
        o->fresh = rows_bool(rows, 0, "fresh");
        snprintf(o->xid, sizeof o->xid, "%s", rows_text(rows, 0, "xid"));
    }
}

static inline void turn(int64_t ms)
{
    int64_t end = clock_boot_ms() + ms;

    do {
        event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
        usleep(500);
    } while (clock_boot_ms() < end);
}

/* Evaluates the condition until it is true: give it no side effects. */
#define wait_for(condition)                                                                        \
    do {                                                                                           \
        int64_t wait_end = clock_boot_ms() + 9000;                                                 \
        while (!(condition) && clock_boot_ms() < wait_end) {                                       \
            turn(1);                                                                               \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static inline void start(const char *folder, unsigned lanes)
{
    const struct database_options options = {.statements = STATEMENT,
                                             .count = STATEMENTS,
                                             .lanes = lanes,
                                             .call_timeout_ms = 8000,
                                             .queue_max = 1000,
                                             .application_name = "test_database"};

    setenv("PGHOST", folder, 1);
    loop = loop_new();
    db = database_new(loop, &options);
}

static inline void finish(void)
{
    database_free(db);
    loop_free(loop);
    db = NULL;
}

static inline void put_until(struct outcome *o, const char *id, const char *n, int64_t deadline)
{
    *o = (struct outcome){.n = -1};
    database_call(db, &STATEMENT[ITEM_PUT], (const char *const[]){id, n}, deadline, on_done, o);
    assert_int_equal(o->called, 0); /* never from inside */
}

static inline void put(struct outcome *o, const char *id, const char *n)
{
    put_until(o, id, n, 0);
}

static inline void get_until(struct outcome *o, const char *id, int64_t deadline)
{
    *o = (struct outcome){0};
    database_call(db, &STATEMENT[ITEM_GET], (const char *const[]){id}, deadline, on_done, o);
}

static inline void call_one(struct outcome *o, int statement, const char *parameter)
{
    *o = (struct outcome){0};
    database_call(db, &STATEMENT[statement], (const char *const[]){parameter}, 0, on_done, o);
}

static inline int group_start(void **state)
{
    char port[16];

    (void)state;
    log_start("test_database");
    snprintf(port, sizeof port, "%d", CLUSTER_PORT);
    setenv("PGPORT", port, 1);
    setenv("PGUSER", "postgres", 1);
    setenv("PGDATABASE", "postgres", 1);
    if (cluster_start() != 0) {
        return -1;
    }
    cluster_watch();
    alarm(120); /* nothing here takes that long */
    cluster_sql(SCHEMA);
    return 0;
}

static inline int group_end(void **state)
{
    (void)state;
    cluster_stop();
    return 0;
}

#endif
