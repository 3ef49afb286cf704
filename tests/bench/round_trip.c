/* What a call to another daemon costs over what two processes pay at least for the same bytes on a
 * UNIX socket: ipc/client.h to ipc/server.h, against bare blocking reads and writes. Both are
 * measured in turns. Each answer is looked at, so that no broken round counts. */
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/client.h"
#include "ipc/frame.h"
#include "ipc/server.h"
#include "lib/secret.h"

#define TURNS 5
#define TURN_NS INT64_C(400000000)
#define WARM_CALLS 2000

static char folder[] = "/tmp/komet-bench-XXXXXX";
static char path[sizeof folder + sizeof "/served.sock"];

static void fail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static int64_t now_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) {
        fail("clock");
    }
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* As terminald answers it. */
static void fill_state(struct msg_daemon_state *state)
{
    *state = (struct msg_daemon_state){.daemon = "terminald",
                                       .version = "1.0.0",
                                       .pid = 4711,
                                       .up_ms = 123456,
                                       .ready = true,
                                       .in_flight = 1,
                                       .connections = 1,
                                       .sentence = "UNIX socket; TLS is off"};
}

/* -- Ours ------------------------------------------------------------------------------------- */

static void status_requested(void *context, struct ipc_request *request, const void *message)
{
    (void)context;
    (void)message;
    struct msg_daemon_state state;
    fill_state(&state);
    ipc_answer(request, MESSAGE_DAEMON_STATE, &state);
}

static void serve(int listen_fd)
{
    static const struct ipc_service SERVICES[] = {{MESSAGE_DAEMON_STATUS, status_requested},
                                                  {0, NULL}};
    struct loop *loop = loop_new();
    struct ipc_server *server =
        ipc_server_new(loop, &(struct ipc_server_options){.daemon = "terminald",
                                                          .services = SERVICES,
                                                          .connections_max = 16,
                                                          .in_flight_max = 16,
                                                          .busy_max = 16,
                                                          .frame_timeout_ms = 10000});
    ipc_server_listen(server, listen_fd);
    loop_run(loop); /* until the parent kills us */
}

static struct calls {
    struct loop *loop;
    struct ipc_client *client;
    int64_t until_ns;
    int64_t done, done_max;
} calls;

static void call_next(void);

static void answered(void *context, const struct error *e, enum message_type type,
                     const void *answer)
{
    (void)context;
    const struct msg_daemon_state *state = answer;
    if (e != NULL || type != MESSAGE_DAEMON_STATE || state->pid != 4711) {
        (void)fprintf(stderr, "round_trip: %s\n", e != NULL ? e->sentence : "another answer");
        exit(EXIT_FAILURE);
    }
    calls.done++;
    if (calls.done < calls.done_max && now_ns() < calls.until_ns) {
        call_next();
    } else {
        loop_stop(calls.loop);
    }
}

static void call_next(void)
{
    const struct msg_daemon_status status = {0};
    ipc_call(calls.client, MESSAGE_DAEMON_STATUS, &status, 0, answered, NULL);
}

/* Nanoseconds a call. */
static double turn_of_ours(int64_t ns, int64_t calls_max)
{
    int64_t begun_ns = now_ns();
    calls.until_ns = begun_ns + ns;
    calls.done = 0;
    calls.done_max = calls_max;
    call_next();
    loop_run(calls.loop);
    return (double)(now_ns() - begun_ns) / (double)calls.done;
}

/* -- Bare ------------------------------------------------------------------------------------- */

static void read_whole(int fd, char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = read(fd, bytes + at, n - at);
        if (got <= 0) {
            exit(EXIT_FAILURE);
        }
        at += (size_t)got;
    }
}

static void write_whole(int fd, const char *bytes, size_t n)
{
    if (write(fd, bytes, n) != (ssize_t)n) {
        exit(EXIT_FAILURE);
    }
}

struct sizes {
    size_t request, answer;
};

static void echo(int fd, struct sizes sizes)
{
    char bytes[4096] = {0};
    for (;;) {
        read_whole(fd, bytes, sizes.request);
        write_whole(fd, bytes, sizes.answer);
    }
}

static double turn_of_bare(int fd, struct sizes sizes, int64_t ns, int64_t rounds_max)
{
    char bytes[4096] = {0};
    int64_t begun_ns = now_ns();
    int64_t rounds = 0;
    while (rounds < rounds_max && now_ns() - begun_ns < ns) {
        write_whole(fd, bytes, sizes.request);
        read_whole(fd, bytes, sizes.answer);
        rounds++;
    }
    return (double)(now_ns() - begun_ns) / (double)rounds;
}

/* -- Both ------------------------------------------------------------------------------------- */

static size_t frame_size(enum message_type type, const void *message)
{
    char *payload = NULL;
    size_t n = 0;
    struct error *e = message_encode(type, message, &payload, &n);
    assert(e == NULL);
    message_payload_free(payload, n);
    return FRAME_HEADER_BYTES + n;
}

static int listen_at(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (mkdtemp(folder) == NULL) {
        fail(folder);
    }
    (void)snprintf(path, sizeof path, "%s/served.sock", folder);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 16) != 0) {
        fail("listen");
    }
    return fd;
}

static pid_t child_of(void)
{
    pid_t pid = fork();
    if (pid < 0) {
        fail("fork");
    }
    if (pid == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        fail("prctl");
    }
    return pid;
}

static void prepare(void)
{
    if (setenv("KOMETPAY_PEERS", "operator=*", 1) != 0) {
        fail("setenv");
    }
    struct error *e = secret_memory_start(1u << 20);
    e = e == NULL ? peers_start() : e;
    if (e != NULL) {
        (void)fprintf(stderr, "round_trip: %s\n", e->sentence);
        exit(EXIT_FAILURE);
    }
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double turns[TURNS])
{
    qsort(turns, TURNS, sizeof turns[0], ascending);
    return turns[TURNS / 2];
}

int main(void)
{
    prepare();
    struct msg_daemon_state state;
    const struct msg_daemon_status status = {0};
    fill_state(&state);
    const struct sizes sizes = {frame_size(MESSAGE_DAEMON_STATUS, &status),
                                frame_size(MESSAGE_DAEMON_STATE, &state)};
    int listen_fd = listen_at();
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        fail("socketpair");
    }
    pid_t served = child_of();
    if (served == 0) {
        serve(listen_fd);
    }
    pid_t echoed = child_of();
    if (echoed == 0) {
        (void)close(pair[0]);
        echo(pair[1], sizes);
    }
    calls.loop = loop_new();
    calls.client = ipc_client_new(calls.loop, path);
    (void)turn_of_ours(INT64_MAX / 2, WARM_CALLS);
    (void)turn_of_bare(pair[0], sizes, INT64_MAX / 2, WARM_CALLS);
    double ours_ns[TURNS];
    double bare_ns[TURNS];
    for (int i = 0; i < TURNS; i++) {
        ours_ns[i] = turn_of_ours(TURN_NS, INT64_MAX);
        bare_ns[i] = turn_of_bare(pair[0], sizes, TURN_NS, INT64_MAX);
    }
    ipc_client_free(calls.client);
    loop_free(calls.loop);
    const pid_t children[] = {served, echoed};
    for (int i = 0; i < 2; i++) {
        (void)kill(children[i], SIGKILL);
        (void)waitpid(children[i], NULL, 0);
    }
    (void)unlink(path);
    (void)rmdir(folder);
    const double ours = median(ours_ns);
    const double bare = median(bare_ns);
    (void)printf("bench ipc.call %.1f us\nbench ipc.bare %.1f us\nbench ipc.ratio %.2f x\n",
                 ours / 1e3, bare / 1e3, ours / bare);
    return EXIT_SUCCESS;
}
