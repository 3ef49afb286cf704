/* A cable between libpq and the server that can be cut at the answer of a COMMIT. One thread.
 * Included once. */
#ifndef TESTS_UNIT_PROXY_H
#define TESTS_UNIT_PROXY_H

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum proxy_fault {
    PROXY_PASS,
    PROXY_CUT_AT_ANSWER, /* the COMMIT's answer is thrown away and the cable cut */
    PROXY_HOLD_ANSWER,   /* the COMMIT's answer never comes, the cable stays */
    PROXY_STOPPED_AFTER, /* the COMMIT's answer comes, then the server's last words */
    PROXY_CUT_REQUEST,   /* cut when a COMMIT is asked for; nothing of it goes on */
};

#define PROXY_CABLES 16
struct proxy {
    char target[160];
    char path[160];
    int listener;
    pthread_t thread;
    atomic_int fault;
    atomic_int faults_done;
    atomic_bool stop;
    struct {
        int client, server;
        int held;
    } cables[PROXY_CABLES];
};

static int proxy_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t n = strlen(path);
    assert(n < sizeof address->sun_path);
    memcpy(address->sun_path, path, n + 1);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void proxy_accept(struct proxy *proxy)
{
    struct sockaddr_un address;
    int client = accept(proxy->listener, NULL, NULL);
    int server = proxy_socket(proxy->target, &address);

    assert(connect(server, (struct sockaddr *)&address, sizeof address) == 0);
    for (int i = 0; i < PROXY_CABLES; i++) {
        if (proxy->cables[i].client == 0) {
            proxy->cables[i].client = client;
            proxy->cables[i].server = server;
            proxy->cables[i].held = 0;
            return;
        }
    }
    assert(!"too many cables");
}

static void proxy_cut(struct proxy *proxy, int i)
{
    close(proxy->cables[i].client);
    close(proxy->cables[i].server);
    proxy->cables[i].client = 0;
}

/* What comes up to COMMIT's answer, then what a backend says when the administrator ends it. */
static void proxy_stop_after(int to, const char *bytes, size_t n)
{
    static const char FATAL[] = "E\0\0\0\x32SFATAL\0VFATAL\0C57P01\0Mterminating connection";
    const char *commit = memmem(bytes, n, "COMMIT", 7);
    size_t length = 4 + 7 + 7 + 7 + sizeof "Mterminating connection" + 1;

    assert(FATAL[4] == (char)length);
    (void)!write(to, bytes, (size_t)(commit - bytes) + 7);
    (void)!write(to, FATAL, sizeof FATAL);
    (void)!write(to, "", 1);
}

static void proxy_move(struct proxy *proxy, int i, bool answer)
{
    static char bytes[65536];
    int from = answer ? proxy->cables[i].server : proxy->cables[i].client;
    int to = answer ? proxy->cables[i].client : proxy->cables[i].server;
    ssize_t n = read(from, bytes, sizeof bytes);

    if (n <= 0) {
        proxy_cut(proxy, i);
        return;
    }
    int fault = atomic_load(&proxy->fault);
    bool commits = answer ? memmem(bytes, (size_t)n, "COMMIT", 7) != NULL
                          : memmem(bytes, (size_t)n, "kometpay_commit", 16) != NULL &&
                                memmem(bytes, (size_t)n, "kometpay_safety", 16) == NULL;
    if (commits && answer && fault == PROXY_HOLD_ANSWER) {
        proxy->cables[i].held = 1;
        atomic_fetch_add(&proxy->faults_done, 1);
    } else if (commits && answer && fault == PROXY_STOPPED_AFTER) {
        /* Noted before it shows: the test looks as soon as it hears of it. */
        atomic_store(&proxy->fault, PROXY_PASS);
        atomic_fetch_add(&proxy->faults_done, 1);
        proxy_stop_after(to, bytes, (size_t)n);
        proxy_cut(proxy, i);
        return;
    } else if (commits && fault == (answer ? PROXY_CUT_AT_ANSWER : PROXY_CUT_REQUEST)) {
        atomic_store(&proxy->fault, PROXY_PASS);
        atomic_fetch_add(&proxy->faults_done, 1);
        proxy_cut(proxy, i);
        return;
    }
    if (!(answer && proxy->cables[i].held)) {
        (void)!write(to, bytes, (size_t)n);
    }
}

static void *proxy_run(void *context)
{
    struct proxy *proxy = context;

    while (!atomic_load(&proxy->stop)) {
        struct pollfd polls[1 + 2 * PROXY_CABLES];
        polls[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (int i = 0; i < PROXY_CABLES; i++) {
            bool used = proxy->cables[i].client != 0;
            polls[1 + 2 * i] =
                (struct pollfd){.fd = used ? proxy->cables[i].client : -1, .events = POLLIN};
            polls[2 + 2 * i] =
                (struct pollfd){.fd = used ? proxy->cables[i].server : -1, .events = POLLIN};
        }
        if (poll(polls, 1 + 2 * PROXY_CABLES, 20) <= 0) {
            continue;
        }
        for (int i = 0; i < PROXY_CABLES; i++) {
            if (polls[1 + 2 * i].revents != 0) {
                proxy_move(proxy, i, false);
            }
            if (polls[2 + 2 * i].revents != 0 && proxy->cables[i].client != 0) {
                proxy_move(proxy, i, true);
            }
        }
        if (polls[0].revents != 0) {
            proxy_accept(proxy);
        }
    }
    return NULL;
}

/* `folder` gets a socket of libpq's naming that leads to `target`. */
static void proxy_start(struct proxy *proxy, const char *folder, const char *target, int port)
{
    struct sockaddr_un address;

    memset(proxy, 0, sizeof *proxy);
    snprintf(proxy->target, sizeof proxy->target, "%s/.s.PGSQL.%d", target, port);
    snprintf(proxy->path, sizeof proxy->path, "%s/.s.PGSQL.%d", folder, port);
    proxy->listener = proxy_socket(proxy->path, &address);
    unlink(proxy->path); /* of a test that failed */
    assert(bind(proxy->listener, (struct sockaddr *)&address, sizeof address) == 0);
    assert(listen(proxy->listener, 16) == 0);
    assert(pthread_create(&proxy->thread, NULL, proxy_run, proxy) == 0);
}

static void proxy_stop(struct proxy *proxy)
{
    atomic_store(&proxy->stop, true);
    pthread_join(proxy->thread, NULL);
    for (int i = 0; i < PROXY_CABLES; i++) {
        if (proxy->cables[i].client != 0) {
            proxy_cut(proxy, i);
        }
    }
    close(proxy->listener);
    unlink(proxy->path);
}

#endif
