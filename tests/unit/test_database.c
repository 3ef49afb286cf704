/* lib/database.c against a real PostgreSQL: batches, refusals, and every way to lose an answer. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/log.h"
#include "tests/unit/database_calls.h"

static bool some(const char *count)
{
    return strcmp(count, "0") != 0;
}

/* Reading this column as a number ends the process. */
static bool is_a_bug(const struct rows *rows, const char *column)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        (void)rows_int(rows, 0, column);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void on_bytes(void *context, enum database_outcome outcome, const struct rows *rows,
                     const struct error *e)
{
    size_t n = 9;

    assert_null(e);
    assert_int_equal(outcome, DATABASE_DONE);
    uint8_t *bytes = rows_bytes(rows, 0, "b", &n);
    assert_int_equal(n, 2);
    assert_memory_equal(bytes, "\x00\xff", 2);
    assert_null(rows_text(rows, 0, "none"));
    assert_null(rows_bytes(rows, 0, "none", &n));
    assert_int_equal(rows_int(rows, 0, "n"), 5);
    assert_int_equal(rows_int(rows, 0, "none"), 0);
    assert_true(is_a_bug(rows, "b"));
    free(bytes);
    ++*(int *)context;
}

static void calls_of_one_turn_share_a_commit(void **state)
{
    struct outcome o[10];
    char id[24];
    int bytes = 0;

    (void)state;
    start(cluster_folder, 2);
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "batch%d", i);
        put(&o[i], id, "5");
    }
    assert_int_equal(database_depth(db), 10);
    wait_for(o[9].called == 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(o[i].outcome, DATABASE_DONE);
        assert_int_equal(o[i].n, 5);
        assert_true(o[i].fresh);
        assert_string_equal(o[i].xid, o[0].xid);
    }
    database_call(db, &STATEMENT[ITEM_GET], (const char *const[]){"batch3"}, 0, on_bytes, &bytes);
    wait_for(bytes == 1);
    assert_int_equal(database_depth(db), 0);
    finish();
}

static void a_bad_call_harms_no_other(void **state)
{
    struct outcome o[8];
    char id[24];

    (void)state;
    start(cluster_folder, 2);
    for (int i = 0; i < 8; i++) {
        snprintf(id, sizeof id, "bad%d", i);
        put(&o[i], id, i == 2 ? "-1" : i == 5 ? "13" : "5");
    }
    wait_for(database_depth(db) == 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(o[i].called, 1);
        assert_int_equal(o[i].outcome, i == 2 || i == 5 ? DATABASE_ROLLED_BACK : DATABASE_DONE);
    }
    assert_int_equal(o[2].e.kind, ERROR_REFUSED);
    assert_string_equal(o[2].e.code, "amount_out_of_range");
    assert_string_equal(o[2].e.field, "amount");
    assert_string_equal(o[2].e.sentence, "The amount must not be negative.");
    assert_int_equal(o[5].e.kind, ERROR_FAILED);
    assert_string_equal(o[5].e.code, "database_failed");
    assert_non_null(strstr(o[5].e.context, "22012"));
    assert_string_equal(cluster_sql("SELECT count(*) FROM item WHERE id LIKE 'bad%'"), "6");
    finish();
}

static void a_constraint_that_fails_at_commit_is_rolled_back(void **state)
{
    struct outcome bad;
    struct outcome good;

    (void)state;
    start(cluster_folder, 1);
    call_one(&bad, CHILD_PUT, "orphan");
    put(&good, "beside-orphan", "5");
    wait_for(bad.called && good.called);
    assert_int_equal(bad.outcome, DATABASE_ROLLED_BACK);
    assert_non_null(strstr(bad.e.context, "23503"));
    assert_int_equal(good.outcome, DATABASE_DONE);
    assert_string_equal(cluster_sql("SELECT count(*) FROM child"), "0");
    finish();
}

static void a_backend_killed_in_commit_is_unknown(void **state)
{
    struct outcome o;

    (void)state;
    start(cluster_folder, 1);
    call_one(&o, SLOW_PUT, "x");
    wait_for(some(cluster_sql("SELECT count(*) FROM pg_stat_activity WHERE"
                              " application_name = 'test_database' AND wait_event = 'PgSleep'")));
    cluster_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'test_database'");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    finish();
}

/* Killed outside a commit nothing is in doubt: both kinds are run again by themselves. */
static void a_backend_killed_before_commit_is_run_again(void **state)
{
    struct outcome o;
    struct outcome nap;

    (void)state;
    start(cluster_folder, 2);
    wait_for(database_ready(db));
    PGconn *conn = PQconnectdb("");
    PQclear(PQexec(conn, "BEGIN; LOCK TABLE item"));
    put(&o, "killed", "5");
    call_one(&nap, NAP, "0.3");
    turn(100);
    cluster_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'test_database'");
    turn(100);
    assert_int_equal(o.called, 0);
    PQclear(PQexec(conn, "COMMIT"));
    PQfinish(conn);
    wait_for(o.called && nap.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    assert_true(o.fresh);
    assert_int_equal(nap.outcome, DATABASE_DONE);
    finish();
}

/* COMMIT answers with a mere warning when its wait for the standby is cancelled. Asked again, the
 * function writes nothing, and still must not be done before the standby has it. */
static void a_commit_without_its_standby_is_unknown(void **state)
{
    struct outcome o;

    (void)state;
    start(cluster_folder, 1);
    put(&o, "before-standby", "5");
    wait_for(o.called);
    cluster_sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    cluster_sql("SELECT pg_reload_conf()");
    turn(200);
    put(&o, "standby", "5");
    wait_for(some(cluster_sql("SELECT count(*) FROM pg_stat_activity"
                              " WHERE wait_event = 'SyncRep'")));
    cluster_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event = 'SyncRep'");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    put_until(&o, "standby", "5", clock_boot_ms() + 500);
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    /* the row is there to be read, and no fact yet either */
    get_until(&o, "standby", clock_boot_ms() + 1500);
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    cluster_sql("ALTER SYSTEM RESET synchronous_standby_names");
    cluster_sql("SELECT pg_reload_conf()");
    call_one(&o, ITEM_GET, "standby");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    assert_int_equal(o.count, 1);
    put(&o, "standby", "5");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    assert_false(o.fresh);
    finish();
}

/* The first backend still waits in its commit while another's barrier is replicated; what it shows
 * later, when its wait is cancelled, is no fact for that. */
static void a_neighbours_commit_does_not_settle_a_doubt(void **state)
{
    struct outcome o;
    struct outcome other;

    (void)state;
    start(cluster_folder, 2);
    put(&o, "before-doubt", "5");
    wait_for(o.called);
    cluster_sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    cluster_sql("SELECT pg_reload_conf()");
    turn(200);
    put_until(&o, "doubt", "5", clock_boot_ms() + 300);
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    cluster_sql("ALTER SYSTEM RESET synchronous_standby_names");
    cluster_sql("SELECT pg_reload_conf()");
    put(&other, "neighbour", "5");
    wait_for(other.called);
    assert_int_equal(other.outcome, DATABASE_DONE);
    cluster_sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    cluster_sql("SELECT pg_reload_conf()");
    turn(200);
    put_until(&o, "doubt", "5", clock_boot_ms() + 500); /* finds its row and writes nothing */
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    cluster_sql("ALTER SYSTEM RESET synchronous_standby_names");
    cluster_sql("SELECT pg_reload_conf()");
    finish();
}

static void a_call_that_is_late_already_is_not_sent(void **state)
{
    struct outcome o;

    (void)state;
    start(cluster_folder, 1);
    wait_for(database_ready(db));
    put_until(&o, "late-already", "5", clock_boot_ms() - 1);
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_ROLLED_BACK);
    assert_string_equal(o.e.code, "database_timeout");
    call_one(&o, ITEM_GET, "late-already");
    wait_for(o.called);
    assert_int_equal(o.count, 0);
    finish();
}

/* A host that takes the connection and never says a word, as one whose disk hangs. */
static void a_silent_first_host_does_not_hide_the_second(void **state)
{
    struct outcome o;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/komet-silent-XXXXXX";
    char hosts[200];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.%s", folder,
             getenv("PGPORT") == NULL ? "5432" : getenv("PGPORT"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 16), 0);
    snprintf(hosts, sizeof hosts, "%s,%s", folder, cluster_folder);
    start(hosts, 2);
    wait_for(database_ready(db));
    put(&o, "second-host", "5");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    finish();
    setenv("PGHOST", cluster_folder, 1);
    close(fd);
    unlink(address.sun_path);
    rmdir(folder);
}

static void set_and_reload(const char *sql)
{
    cluster_sql(sql);
    cluster_sql("SELECT pg_reload_conf()");
}

static void an_unsafe_server_is_refused(void **state)
{
    struct outcome o;

    (void)state;
    set_and_reload("ALTER SYSTEM SET fsync = off");
    start(cluster_folder, 2);
    put_until(&o, "unsafe", "5", clock_boot_ms() + 500);
    turn(700);
    assert_false(database_ready(db));
    assert_int_equal(o.called, 1);
    assert_int_equal(o.outcome, DATABASE_ROLLED_BACK);
    assert_string_equal(o.e.code, "database_timeout");
    set_and_reload("ALTER SYSTEM RESET fsync");
    wait_for(database_ready(db));
    put(&o, "unsafe", "5");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    /* and noticed while serving */
    set_and_reload("ALTER SYSTEM SET full_page_writes = off");
    wait_for(!database_ready(db));
    set_and_reload("ALTER SYSTEM RESET full_page_writes");
    wait_for(database_ready(db));
    finish();
}

static void a_function_that_changed_is_refused(void **state)
{
    (void)state;
    cluster_sql("ALTER FUNCTION child_put(text) RENAME TO child_put_old");
    start(cluster_folder, 1);
    turn(400);
    assert_false(database_ready(db));
    cluster_sql("ALTER FUNCTION child_put_old(text) RENAME TO child_put");
    wait_for(database_ready(db));
    finish();
}

/* We hold "dead1" and wait for "dead2", the other holds "dead2" and wants "dead1". It is patient,
 * so the server ends our transaction; we try again and find both. */
static void a_deadlock_is_tried_again(void **state)
{
    struct outcome o[2];

    (void)state;
    start(cluster_folder, 1);
    wait_for(database_ready(db));
    PGconn *other = PQconnectdb("");
    PQclear(PQexec(other, "SET deadlock_timeout = '20s'"));
    PQclear(PQexec(other, "BEGIN; INSERT INTO item VALUES ('dead2', 5)"));
    put(&o[0], "dead1", "5");
    put(&o[1], "dead2", "5");
    turn(50);
    assert_int_equal(PQsendQuery(other, "INSERT INTO item VALUES ('dead1', 5); COMMIT"), 1);
    wait_for(o[0].called && o[1].called);
    PQfinish(other);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(o[i].outcome, DATABASE_DONE);
        assert_false(o[i].fresh); /* ours was rolled back, the other's stands */
    }
    finish();
}

/* A call alone in its batch is tried again by itself too. */
static void a_conflict_alone_is_tried_again(void **state)
{
    struct outcome o;

    (void)state;
    start(cluster_folder, 1);
    put(&o, "conflict", "40001");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    assert_string_equal(cluster_sql("SELECT last_value FROM tries"), "4");
    put(&o, "conflict-for-ever", "40002");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_ROLLED_BACK);
    assert_non_null(strstr(o.e.context, "40001"));
    assert_string_equal(cluster_sql("SELECT last_value FROM tries"), "10"); /* 1 + 5 again */
    finish();
}

static void too_many_waiting_are_refused(void **state)
{
    struct outcome o[1003];

    (void)state;
    start(cluster_folder, 1);
    for (int i = 0; i < 1003; i++) {
        put(&o[i], "crowd", "5");
    }
    wait_for(database_depth(db) == 0);
    for (int i = 0; i < 1003; i++) {
        assert_int_equal(o[i].called, 1);
        assert_int_equal(o[i].outcome, i < 1000 ? DATABASE_DONE : DATABASE_ROLLED_BACK);
    }
    assert_string_equal(o[1002].e.code, "database_busy");
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_one_turn_share_a_commit),
        cmocka_unit_test(a_bad_call_harms_no_other),
        cmocka_unit_test(a_constraint_that_fails_at_commit_is_rolled_back),
        cmocka_unit_test(a_backend_killed_in_commit_is_unknown),
        cmocka_unit_test(a_backend_killed_before_commit_is_run_again),
        cmocka_unit_test(a_commit_without_its_standby_is_unknown),
        cmocka_unit_test(a_neighbours_commit_does_not_settle_a_doubt),
        cmocka_unit_test(a_silent_first_host_does_not_hide_the_second),
        cmocka_unit_test(a_call_that_is_late_already_is_not_sent),
        cmocka_unit_test(a_deadlock_is_tried_again),
        cmocka_unit_test(a_conflict_alone_is_tried_again),
        cmocka_unit_test(too_many_waiting_are_refused),
        cmocka_unit_test(a_function_that_changed_is_refused),
        cmocka_unit_test(an_unsafe_server_is_refused),
    };

    return cmocka_run_group_tests(tests, group_start, group_end);
}
