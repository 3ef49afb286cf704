/* A daemon's start and end as systemd and a shell see them: a child is a small daemon, the test is
 * systemd (notify socket, passed socket, signals). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/daemon.h"

#define WAIT_MS 10000

static char folder[] = "/tmp/kometpay-test-daemon-XXXXXX";
static char socket_path[64];
static int notify_fd;
static int output_fd; /* what the child says on stdout and stderr */

static struct setting table[] = {
    {.name = "KOMETPAY_T_NUMBER",
     .type = SETTING_INTEGER,
     .fallback = "3",
     .minimum = 1,
     .maximum = 9,
     .sentence = "A number."},
    {.name = NULL},
};

static void drain(void *context)
{
    daemon_status(context, "bye");
    daemon_done(context);
}

static const struct daemon_options options = {
    .name = "testd", .purpose = "is tested", .settings = table, .drain = drain};

/* The child's whole life. */
static void be_daemon(char **arguments, int count)
{
    struct daemon *daemon = daemon_start(&options, count, arguments);
    daemon_context(daemon, daemon);
    int fd = daemon_listen_unix(daemon, "pos", socket_path, 0620);
    int none = daemon_listen_tcp(daemon, "tcp", "");
    int tcp = daemon_listen_tcp(daemon, "tcp", "127.0.0.1:0");
    if (fd < 0 || none != -1 || tcp < 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) {
        exit(90);
    }
    daemon_ready(daemon);
    daemon_ready(daemon);
    daemon_status(daemon, "card %s", "4111111111111111\nREADY=0");
    exit(daemon_run(daemon));
}

/* Starts the child; passed_fd -1, or handed over as systemd does under the name "pos". */
static pid_t spawn(const char *argument, int passed_fd)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char name[] = "testd";
        char *arguments[] = {name, argument == NULL ? NULL : strdup(argument), NULL};
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(ends[1], STDERR_FILENO);
        if (passed_fd >= 0) {
            char pid[32];
            (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
            (void)dup2(passed_fd, 3);
            (void)setenv("LISTEN_PID", pid, 1);
            (void)setenv("LISTEN_FDS", "1", 1);
            (void)setenv("LISTEN_FDNAMES", "pos", 1);
        }
        be_daemon(arguments, argument == NULL ? 1 : 2);
    }
    (void)close(ends[1]);
    output_fd = ends[0];
    return child;
}

/* Waits for the end; returns the exit code, and all that the child said in `text`. */
static int end_of(pid_t child, char *text, size_t size)
{
    size_t n = 0;
    ssize_t got = 0;
    while (n < size - 1 && (got = read(output_fd, text + n, size - 1 - n)) > 0) {
        n += (size_t)got;
    }
    text[n] = '\0';
    (void)close(output_fd);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The next thing the child tells systemd. */
static const char *notified(void)
{
    static char text[512];
    struct pollfd wait = {.fd = notify_fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    ssize_t n = recv(notify_fd, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    return text;
}

static int connects(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = connect(fd, (struct sockaddr *)&address, sizeof address);
    (void)close(fd);
    return result == 0;
}

static int start(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(socket_path, sizeof socket_path, "%s/pos.sock", folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", folder);
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return bind(notify_fd, (struct sockaddr *)&address, sizeof address) +
           setenv("NOTIFY_SOCKET", address.sun_path, 1);
}

static int end(void **state)
{
    (void)state;
    char path[80];
    (void)snprintf(path, sizeof path, "%s/notify", folder);
    return unlink(path) + rmdir(folder) + close(notify_fd);
}

static void ready_then_drained_by_sigterm(void **state)
{
    (void)state;
    char text[4096];
    pid_t child = spawn(NULL, -1);
    assert_string_equal(notified(), "READY=1");
    assert_string_equal(notified(), "STATUS=card ************1111 READY=0");
    struct stat st;
    assert_int_equal(stat(socket_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0620);
    assert_true(connects());
    assert_int_equal(kill(child, SIGPIPE), 0); /* ignored */
    assert_int_equal(kill(child, SIGTERM), 0);
    assert_string_equal(notified(), "STOPPING=1\nSTATUS=draining");
    assert_string_equal(notified(), "STATUS=bye");
    assert_int_equal(end_of(child, text, sizeof text), 0);
    assert_non_null(strstr(text, "testd: ready to serve"));
    assert_non_null(strstr(text, "testd: stopped"));
    assert_int_not_equal(stat(socket_path, &st), 0); /* taken away again */
}

static void a_living_listener_is_not_robbed_a_dead_ones_file_is_replaced(void **state)
{
    (void)state;
    char text[4096];
    pid_t first = spawn(NULL, -1);
    int first_output = output_fd;
    assert_string_equal(notified(), "READY=1");
    (void)notified();
    pid_t second = spawn(NULL, -1);
    assert_int_equal(end_of(second, text, sizeof text), 1);
    assert_non_null(strstr(text, "another process listens"));
    assert_true(connects());
    assert_int_equal(kill(first, SIGKILL), 0);
    output_fd = first_output;
    assert_int_equal(end_of(first, text, sizeof text), -SIGKILL);
    assert_false(connects());
    assert_int_equal(access(socket_path, F_OK), 0);
    pid_t third = spawn(NULL, -1);
    assert_string_equal(notified(), "READY=1");
    (void)notified();
    assert_true(connects());
    assert_int_equal(kill(third, SIGINT), 0);
    (void)notified();
    (void)notified();
    assert_int_equal(end_of(third, text, sizeof text), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    (void)state;
    char text[4096];
    int fd = open(socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(close(fd), 0);
    assert_int_equal(end_of(spawn(NULL, -1), text, sizeof text), 1);
    assert_non_null(strstr(text, "is not a socket"));
    assert_int_equal(unlink(socket_path), 0);
}

static void the_passed_socket_is_taken_by_name(void **state)
{
    (void)state;
    char text[4096];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path, strlen(socket_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 5), 0);
    pid_t child = spawn(NULL, fd);
    assert_string_equal(notified(), "READY=1");
    (void)notified();
    assert_int_equal(kill(child, SIGTERM), 0);
    (void)notified();
    (void)notified();
    assert_int_equal(end_of(child, text, sizeof text), 0);
    assert_int_equal(access(socket_path, F_OK), 0); /* systemd's, not ours */
    assert_true(connects());
    (void)close(fd);
    assert_int_equal(unlink(socket_path), 0);
}

static void the_watchdog_is_fed(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(setenv("WATCHDOG_USEC", "90000", 1), 0);
    pid_t child = spawn(NULL, -1);
    assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
    assert_string_equal(notified(), "READY=1");
    (void)notified();
    for (int i = 0; i < 4; i++) {
        assert_string_equal(notified(), "WATCHDOG=1");
    }
    assert_int_equal(kill(child, SIGTERM), 0);
    const char *last = notified();
    while (strcmp(last, "STATUS=bye") != 0) {
        last = notified();
    }
    assert_int_equal(end_of(child, text, sizeof text), 0);
}

static void arguments_and_settings_are_checked(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(end_of(spawn("--help", -1), text, sizeof text), 0);
    assert_non_null(strstr(text, "testd - is tested"));
    assert_non_null(strstr(text, "KOMETPAY_T_NUMBER"));
    assert_non_null(strstr(text, "KOMETPAY_FAST_TIME"));
    assert_int_equal(end_of(spawn("--version", -1), text, sizeof text), 0);
    assert_memory_equal(text, "testd (Komet Payments) ", 23);
    assert_int_equal(end_of(spawn("--4111111111111111", -1), text, sizeof text), 2);
    assert_null(strstr(text, "4111"));
    assert_int_equal(setenv("KOMETPAY_T_NUMBER", "10", 1), 0);
    assert_int_equal(end_of(spawn(NULL, -1), text, sizeof text), 6);
    assert_non_null(strstr(text, "KOMETPAY_T_NUMBER must be a whole number from 1 to 9."));
    assert_int_equal(unsetenv("KOMETPAY_T_NUMBER"), 0);
    assert_int_equal(setenv("KOMETPAY_FAST_TIME", "0", 1), 0);
    assert_int_equal(end_of(spawn(NULL, -1), text, sizeof text), 6);
    assert_int_equal(unsetenv("KOMETPAY_FAST_TIME"), 0);
}

/* Time that runs faster is for tests: said where operations look, refused to a service. */
static void fast_time_is_not_for_production(void **state)
{
    (void)state;
    char text[4096];
    assert_int_equal(setenv("KOMETPAY_FAST_TIME", "60", 1), 0);
    pid_t child = spawn(NULL, -1);
    assert_string_equal(notified(), "READY=1");
    (void)notified();
    assert_int_equal(kill(child, SIGTERM), 0);
    (void)notified();
    (void)notified();
    assert_int_equal(end_of(child, text, sizeof text), 0);
    assert_non_null(strstr(text, "waiting times are divided: for tests only KOMETPAY_FACTOR=60"));
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/testd.service", 1), 0);
    assert_int_equal(end_of(spawn(NULL, -1), text, sizeof text), 6);
    assert_non_null(strstr(text, "KOMETPAY_FAST_TIME is for tests"));
    assert_int_equal(unsetenv("KOMETPAY_FAST_TIME"), 0);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_then_drained_by_sigterm),
        cmocka_unit_test(a_living_listener_is_not_robbed_a_dead_ones_file_is_replaced),
        cmocka_unit_test(a_file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(the_passed_socket_is_taken_by_name),
        cmocka_unit_test(the_watchdog_is_fed),
        cmocka_unit_test(arguments_and_settings_are_checked),
        cmocka_unit_test(fast_time_is_not_for_production),
    };
    return cmocka_run_group_tests(tests, start, end);
}
