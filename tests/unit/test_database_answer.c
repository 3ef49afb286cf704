/* lib/database.c when the answer of a commit is lost, late, or the last word of its server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/database_calls.h"
#include "tests/unit/proxy.h"

static void start_behind(struct proxy *proxy)
{
    char folder[128];

    snprintf(folder, sizeof folder, "%s/proxy", cluster_folder);
    mkdir(folder, 0755);
    proxy_start(proxy, folder, cluster_folder, CLUSTER_PORT);
    start(folder, 1);
    wait_for(database_ready(db));
}

/* The cut cable after COMMIT: unknown, and the same question again finds the row. */
static void a_lost_commit_answer_is_unknown(void **state)
{
    struct proxy proxy;
    struct outcome o;

    (void)state;
    start_behind(&proxy);
    atomic_store(&proxy.fault, PROXY_CUT_AT_ANSWER);
    put(&o, "lost", "5");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    assert_string_equal(o.e.code, "database_unknown");
    put(&o, "lost", "5");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    assert_false(o.fresh); /* it had been committed */

    atomic_store(&proxy.fault, PROXY_CUT_REQUEST);
    put(&o, "cut", "5");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN); /* we can't know that it never arrived */
    assert_string_equal(cluster_sql("SELECT count(*) FROM item WHERE id = 'cut'"), "0");

    assert_int_equal(atomic_load(&proxy.faults_done), 2);
    finish();
    proxy_stop(&proxy);
}

static void a_commit_answered_before_the_server_stops_is_done(void **state)
{
    struct proxy proxy;
    struct outcome o;

    (void)state;
    start_behind(&proxy);
    atomic_store(&proxy.fault, PROXY_STOPPED_AFTER);
    put(&o, "stopped", "5");
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    assert_true(o.fresh); /* answered, so not run again though the server was stopped then */
    assert_int_equal(atomic_load(&proxy.faults_done), 1);
    finish();
    proxy_stop(&proxy);
}

static void a_commit_answered_too_late_is_unknown(void **state)
{
    struct proxy proxy;
    struct outcome o;

    (void)state;
    start_behind(&proxy);
    atomic_store(&proxy.fault, PROXY_HOLD_ANSWER);
    int64_t before = clock_boot_ms();
    put_until(&o, "held", "5", before + 400);
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_UNKNOWN);
    assert_in_range(clock_boot_ms() - before, 400, 1000);
    assert_int_equal(atomic_load(&proxy.faults_done), 1);
    atomic_store(&proxy.fault, PROXY_PASS);
    put(&o, "held", "5"); /* the held connection is gone: a new one answers */
    wait_for(o.called);
    assert_int_equal(o.outcome, DATABASE_DONE);
    finish();
    proxy_stop(&proxy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_commit_answer_is_unknown),
        cmocka_unit_test(a_commit_answered_before_the_server_stops_is_done),
        cmocka_unit_test(a_commit_answered_too_late_is_unknown),
    };

    return cmocka_run_group_tests(tests, group_start, group_end);
}
