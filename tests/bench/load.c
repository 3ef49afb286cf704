/* POS load: typed card sales without invoices over terminald's UNIX socket, so many in flight at a
 * time, or so many a second. It must never count a sale that wasn't answered APPROVED. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ipc/frame.h"
#include "ipc/messages.h"

#define CONNECTIONS_MAX 16u
#define IN_FLIGHT_MAX 1024u
#define SALES_MAX 1000000u
#define INPUT_BYTES 65536u
#define WARM_US 1000000
#define DRAIN_US 60000000
#define LEFT_MS 50000u

struct pos {
    int fd;
    size_t used;
    uint8_t input[INPUT_BYTES];
};

static struct {
    struct pos pos[CONNECTIONS_MAX];
    unsigned connections, in_flight_max, in_flight;
    unsigned idle[IN_FLIGHT_MAX]; /* slots with no sale, the first in_flight_max - in_flight */
    int64_t begun_us[IN_FLIGHT_MAX];
    int64_t count_from_us, end_us;
    double per_second; /* 0: the next as soon as one is answered */
    int64_t due_us;    /* with per_second: when the next is to begin */
    uint64_t number;
    uint64_t sales; /* with those of the warm-up */
    int64_t *taken_us;
    size_t taken;
} load;

static void fail(const char *what)
{
    (void)fprintf(stderr, "load: %s (%s)\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static int64_t now_us(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) {
        fail("clock");
    }
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void pos_connect(struct pos *pos, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof address.sun_path) {
        fail("the socket's path is too long");
    }
    memcpy(address.sun_path, path, n + 1);
    pos->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pos->fd < 0 || connect(pos->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        fail("connect");
    }
}

static void sale_begin(int64_t begun_us)
{
    uint8_t frame[FRAME_HEADER_BYTES + 512];
    char *payload = (char *)frame + FRAME_HEADER_BYTES;
    unsigned slot = load.idle[load.in_flight_max - load.in_flight - 1];
    load.in_flight++;
    load.begun_us[slot] = begun_us;
    int n = snprintf(payload, sizeof frame - FRAME_HEADER_BYTES,
                     "{\"key\":\"bench-%d-%llu\",\"location\":\"MIA\",\"kind\":\"SALE\","
                     "\"amount_minor\":8000,\"currency\":\"USD\",\"card\":{"
                     "\"pan\":\"4111111111111111\",\"expiry_month\":12,\"expiry_year\":2030,"
                     "\"cvv\":\"999\"}}",
                     (int)getpid(), (unsigned long long)++load.number);
    struct frame_header header = {.version = FRAME_VERSION,
                                  .type = MESSAGE_PAY,
                                  .length = (uint32_t)n,
                                  .left_ms = LEFT_MS,
                                  .correlation = slot};
    frame_write(&header, frame);
    size_t whole = FRAME_HEADER_BYTES + (size_t)n;
    const struct pos *pos = &load.pos[slot % load.connections];
    if (send(pos->fd, frame, whole, MSG_NOSIGNAL) != (ssize_t)whole) {
        fail("send");
    }
}

static void sale_answered(const struct frame_header *header, const char *payload)
{
    static const char APPROVED[] = "\"outcome\":\"APPROVED\"";
    int64_t now = now_us();
    uint64_t slot = header->correlation;
    if (header->type != MESSAGE_PAYMENT_ANSWER || slot >= load.in_flight_max ||
        memmem(payload, header->length, APPROVED, sizeof APPROVED - 1) == NULL) {
        (void)fprintf(stderr, "load: not approved: %.*s\n", (int)header->length, payload);
        exit(EXIT_FAILURE);
    }
    load.in_flight--;
    load.idle[load.in_flight_max - load.in_flight - 1] = (unsigned)slot;
    load.sales++;
    if (now >= load.count_from_us && now < load.end_us && load.taken < SALES_MAX) {
        load.taken_us[load.taken++] = now - load.begun_us[slot];
    }
}

/* Takes what is there; answers come whole or in parts. */
static void pos_read(struct pos *pos)
{
    ssize_t n = recv(pos->fd, pos->input + pos->used, sizeof pos->input - pos->used, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        fail("terminald closed the connection");
    }
    pos->used += n > 0 ? (size_t)n : 0;
    size_t at = 0;
    while (pos->used - at >= FRAME_HEADER_BYTES) {
        struct frame_header header;
        struct error *e = frame_parse(pos->input + at, &header);
        if (e != NULL || header.length > sizeof pos->input - FRAME_HEADER_BYTES) {
            fail("not a frame");
        }
        size_t whole = FRAME_HEADER_BYTES + header.length;
        if (pos->used - at < whole) {
            break;
        }
        sale_answered(&header, (const char *)pos->input + at + FRAME_HEADER_BYTES);
        at += whole;
    }
    pos->used -= at;
    memmove(pos->input, pos->input + at, pos->used);
}

/* Begins what is due. With a pace, a sale's time runs from when it was due, so that waiting for a
 * slot counts as waiting. Returns when the next is due. */
static int64_t begin_due(void)
{
    int64_t now = now_us();
    int64_t period_us = load.per_second > 0 ? (int64_t)(1e6 / load.per_second) : 0;
    while (now < load.end_us && load.in_flight < load.in_flight_max) {
        if (period_us == 0) {
            sale_begin(now);
        } else if (load.due_us <= now) {
            sale_begin(load.due_us);
            load.due_us += period_us;
        } else {
            return load.due_us;
        }
    }
    return now < load.end_us ? load.end_us : load.end_us + DRAIN_US;
}

static void run(void)
{
    struct pollfd polled[CONNECTIONS_MAX];
    for (unsigned i = 0; i < load.connections; i++) {
        polled[i] = (struct pollfd){.fd = load.pos[i].fd, .events = POLLIN};
    }
    for (;;) {
        int64_t until_us = begin_due();
        int64_t wait_us = until_us - now_us();
        if (now_us() >= load.end_us && load.in_flight == 0) {
            return;
        }
        if (now_us() > load.end_us + DRAIN_US) {
            fail("a sale was never answered");
        }
        struct timespec wait = {.tv_sec = wait_us > 0 ? wait_us / 1000000 : 0,
                                .tv_nsec = wait_us > 0 ? wait_us % 1000000 * 1000 : 0};
        if (ppoll(polled, load.connections, &wait, NULL) < 0) {
            fail("poll");
        }
        for (unsigned i = 0; i < load.connections; i++) {
            if (polled[i].revents != 0) {
                pos_read(&load.pos[i]);
            }
        }
    }
}

static int ascending(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    double seconds = argc >= 4 ? strtod(argv[3], NULL) : 0;
    load.in_flight_max = argc >= 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    load.per_second = argc >= 5 ? strtod(argv[4], NULL) : 0;
    if (seconds <= 0 || seconds > 600 || load.in_flight_max == 0 ||
        load.in_flight_max > IN_FLIGHT_MAX || load.per_second < 0) {
        (void)fprintf(stderr, "usage: load SOCKET IN_FLIGHT SECONDS [SALES_A_SECOND]\n");
        return EXIT_FAILURE;
    }
    load.connections = load.in_flight_max < CONNECTIONS_MAX ? load.in_flight_max : CONNECTIONS_MAX;
    load.taken_us = calloc(SALES_MAX, sizeof *load.taken_us);
    if (load.taken_us == NULL) {
        fail("memory");
    }
    for (unsigned i = 0; i < load.connections; i++) {
        pos_connect(&load.pos[i], argv[1]);
    }
    for (unsigned i = 0; i < load.in_flight_max; i++) {
        load.idle[i] = i;
    }
    load.due_us = now_us();
    load.count_from_us = load.due_us + WARM_US;
    load.end_us = load.count_from_us + (int64_t)(seconds * 1e6);
    run();
    if (load.taken == 0) {
        fail("no sale was answered in time");
    }
    qsort(load.taken_us, load.taken, sizeof *load.taken_us, ascending);
    (void)printf("{\"sales\": %llu, \"per_second\": %.1f, \"p50_us\": %lld, \"p99_us\": %lld}\n",
                 (unsigned long long)load.sales, (double)load.taken / seconds,
                 (long long)load.taken_us[load.taken / 2],
                 (long long)load.taken_us[load.taken * 99 / 100]);
    return EXIT_SUCCESS;
}
