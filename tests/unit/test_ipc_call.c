/* Calls between daemons: every call ends once, with the truth about whether it may have been
 * executed. */
#include "tests/unit/ipc_callee.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void answers_come_in_any_order_to_whom_they_belong(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    struct ipc_client *client = ipc_client_new(callee.loop, callee.place.path);
    struct told told[3] = {0};
    for (unsigned i = 0; i < 3; i++) {
        ask(client, 0, &told[i]);
        assert_int_equal(told[i].times, 0); /* never from inside ipc_call */
    }
    while (callee.asked < 3) {
        wait_ms(callee.loop, 1);
    }
    for (unsigned i = 3; i-- > 0;) {
        answer_pid(callee.held[i], 100 + i);
        wait_until(callee.loop, is_told, &told[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_true(told[i].good);
        assert_int_equal(told[i].pid, 100 + i);
        assert_int_equal(told[i].times, 1);
    }
    assert_true(told[2].order < told[1].order && told[1].order < told[0].order);
    ipc_client_free(client);
    callee_free(&callee);
}

static void a_failure_of_the_callee_stays_a_failure(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    struct ipc_client *client = ipc_client_new(callee.loop, callee.place.path);
    struct told told = {0};
    callee.refusal = error_failed("database_failed", "The database could not do this.");
    ask(client, 0, &told);
    wait_until(callee.loop, is_told, &told);
    assert_failed(&told, "database_failed");
    error_free(callee.refusal);

    struct told refused = {0};
    callee.refusal = error_refused("payment_unknown", "key", "No such payment.");
    ask(client, 0, &refused);
    wait_until(callee.loop, is_told, &refused);
    assert_int_equal(refused.kind, ERROR_REFUSED);
    assert_string_equal(refused.code, "payment_unknown");
    assert_string_equal(refused.field, "key");
    assert_string_equal(refused.sentence, "No such payment.");
    ipc_client_free(client);
    callee_free(&callee);
}

static void an_answer_after_the_deadline_is_dropped(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    struct ipc_client *client = ipc_client_new(callee.loop, callee.place.path);
    struct told late = {0};
    struct told next = {0};
    ask(client, clock_boot_ms() + 60, &late);
    wait_until(callee.loop, has_asked, &callee);
    assert_true(ipc_request_deadline_boot_ms(callee.held[0]) > 0);
    wait_until(callee.loop, is_told, &late);
    assert_failed(&late, "ipc_timeout"); /* it may still be executed */
    ask(client, 0, &next);               /* takes the same slot */
    answer_pid(callee.held[0], 1);
    while (callee.asked < 2) {
        wait_ms(callee.loop, 1);
    }
    answer_pid(callee.held[1], 2);
    wait_until(callee.loop, is_told, &next);
    assert_int_equal(next.pid, 2);
    assert_int_equal(late.times, 1);
    ipc_client_free(client);
    callee_free(&callee);
}

static void what_is_too_late_to_send_was_certainly_not_executed(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    struct ipc_client *client = ipc_client_new(callee.loop, callee.place.path);
    struct told told = {0};
    ask(client, clock_boot_ms() - 1, &told);
    wait_until(callee.loop, is_told, &told);
    assert_failed(&told, "ipc_unreachable");
    assert_int_equal(callee.asked, 0);
    ipc_client_free(client);
    callee_free(&callee);
}

static void a_broken_connection_makes_lost_what_had_left(void **state)
{
    (void)state;
    struct callee callee;
    callee_new(&callee);
    struct ipc_client *client = ipc_client_new(callee.loop, callee.place.path);
    struct told told = {0};
    ask(client, 0, &told);
    wait_until(callee.loop, has_asked, &callee);
    ipc_server_free(callee.server);
    wait_until(callee.loop, is_told, &told);
    assert_failed(&told, "ipc_lost");
    answer_pid(callee.held[0], 1); /* to nobody */

    struct told nobody = {0};
    unlink(callee.place.path);
    ask(client, 0, &nobody);
    wait_until(callee.loop, is_told, &nobody);
    assert_failed(&nobody, "ipc_unreachable");
    serve(&callee);
    ipc_client_free(client);
    callee_free(&callee);
}

/* -- A callee that is killed and started again ------------------------------------------------- */

/* A process of its own on a socket that outlives it, as with systemd: killed, its connections end
 * at once. */
struct process {
    struct place place;
    int listen_fd;
    pid_t pid;
};

static void process_start(struct process *process)
{
    process->pid = fork();
    assert_true(process->pid >= 0);
    if (process->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct callee callee = {.loop = loop_new(), .at_once = true};
        serve_on(&callee, dup(process->listen_fd));
        loop_run(callee.loop);
        _exit(0);
    }
}

static void process_end(struct process *process)
{
    assert_int_equal(kill(process->pid, SIGKILL), 0);
    assert_int_equal(waitpid(process->pid, NULL, 0), process->pid);
}

static void process_new(struct process *process)
{
    place_new(&process->place);
    everybody_is("terminald=*,operator=*");
    process->listen_fd = listen_at(process->place.path);
    process_start(process);
}

static void process_free(struct process *process)
{
    process_end(process);
    close(process->listen_fd);
    place_free(&process->place);
}

static void a_restarted_callee_is_called_again(void **state)
{
    (void)state;
    struct process process = {0};
    process_new(&process);
    struct loop *loop = loop_new();
    struct ipc_client *client = ipc_client_new(loop, process.place.path);
    for (unsigned i = 0; i < 3; i++) {
        struct told told = {0};
        ask(client, 0, &told);
        wait_until(loop, is_told, &told);
        assert_string_equal(told.code, "");
        process_end(&process); /* idle: the caller hasn't seen it go */
        process_start(&process);
    }
    ipc_client_free(client);
    process_free(&process);
    loop_free(loop);
}

struct caller {
    struct ipc_client *client;
    struct told told;
};

static void ask_now(void *context)
{
    struct caller *caller = context;
    ask(caller->client, 0, &caller->told);
}

/* The loop sees the end of the connection first, then runs this call's timer, and only then tells
 * the client: the call falls between. */
static void a_call_on_a_connection_just_found_broken_is_sent_anew(void **state)
{
    (void)state;
    struct process process = {0};
    process_new(&process);
    struct loop *loop = loop_new();
    struct caller caller = {.client = ipc_client_new(loop, process.place.path)};
    struct told first = {0};
    ask(caller.client, 0, &first);
    wait_until(loop, is_told, &first);
    process_end(&process);
    process_start(&process);
    struct timer *timer = timer_new(loop, ask_now, &caller);
    timer_arm(timer, 0);
    wait_until(loop, is_told, &caller.told);
    assert_string_equal(caller.told.code, "");
    assert_true(caller.told.good);
    timer_free(timer);
    ipc_client_free(caller.client);
    process_free(&process);
    loop_free(loop);
}

/* -- A callee that reads nothing ----------------------------------------------------------------
 */

#define IMPORTS_MAX 64u
#define LINES_BYTES 60000u

static void a_callee_that_takes_nothing_costs_only_the_new_calls(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct place place = {0};
    place_new(&place);
    int listen_fd = listen_at(place.path);
    struct ipc_client *client = ipc_client_new(loop, place.path);
    char *lines = calloc(1, LINES_BYTES + 1);
    assert_non_null(lines);
    memset(lines, 'x', LINES_BYTES);
    struct msg_invoice_import import = {
        .format = INVOICE_IMPORT_FORMAT_CSV, .first_line = 1, .lines = lines};
    static struct told told[IMPORTS_MAX];
    memset(told, 0, sizeof(told));
    for (unsigned i = 0; i < IMPORTS_MAX; i++) {
        ipc_call(client, MESSAGE_INVOICE_IMPORT, &import, 0, note_told, &told[i]);
    }
    wait_until(loop, is_told, &told[IMPORTS_MAX - 1]);
    assert_failed(&told[IMPORTS_MAX - 1], "ipc_unreachable");
    assert_int_equal(told[0].times, 0); /* in flight, and still so */
    ipc_client_free(client);
    assert_failed(&told[0], "ipc_lost");
    assert_int_equal(told[IMPORTS_MAX - 1].times, 1);
    free(lines);
    close(listen_fd);
    place_free(&place);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_in_any_order_to_whom_they_belong),
        cmocka_unit_test(a_failure_of_the_callee_stays_a_failure),
        cmocka_unit_test(an_answer_after_the_deadline_is_dropped),
        cmocka_unit_test(what_is_too_late_to_send_was_certainly_not_executed),
        cmocka_unit_test(a_broken_connection_makes_lost_what_had_left),
        cmocka_unit_test(a_restarted_callee_is_called_again),
        cmocka_unit_test(a_call_on_a_connection_just_found_broken_is_sent_anew),
        cmocka_unit_test(a_callee_that_takes_nothing_costs_only_the_new_calls),
    };
    return cmocka_run_group_tests_name("ipc_call", tests, NULL, NULL);
}
