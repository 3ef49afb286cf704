/* Registration of this instance and proof of death of others. A stopped process still holds its
 * lock; time alone proves nothing. Must never end an instance of another host. */
#include "daemons/gatewayd/instance.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemons/gatewayd/payment_store.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text_copy.h"

#define REGISTER_RETRY_MS 300
#define OTHERS_PERIOD_MS 10000 /* how soon the work of one that died later is taken over */

static struct {
    char directory[256];
    char host[40], boot[40], start[24];
    int lock_fd;
    struct timer *retry;
    bool registered;
    void (*ready)(struct gatewayd *g);
    unsigned ending; /* instance_end calls under way */
} own = {.lock_fd = -1};

/* First word-ish line of a kernel file, without the newline; "" if it can't be read. */
static void read_line(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, size - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

/* Field 22 of /proc/PID/stat: when the process started, in clock ticks since boot. */
static void process_start(int64_t pid, char *out, size_t size)
{
    char path[64], stat[1024];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    read_line(path, stat, sizeof stat);
    char *field = strrchr(stat, ')'); /* the command's name may hold anything */
    out[0] = 0;
    for (int i = 2; field && i < 22; i++) {
        field = strchr(field + 1, ' ');
    }
    if (field) {
        snprintf(out, size, "%.*s", (int)strcspn(field + 1, " "), field + 1);
    }
}

static void lock_path(const char *id, char *out, size_t size)
{
    int n = snprintf(out, size, "%s/%s.lock", own.directory, id);
    assert(n > 0 && (size_t)n < size);
}

struct error *instance_lock(struct gatewayd *g, const char *state_dir)
{
    id_new("gw_", g->instance);
    TEXT_COPY(own.directory, state_dir);
    read_line("/etc/machine-id", own.host, sizeof own.host);
    if (!*own.host) {
        gethostname(own.host, sizeof own.host - 1);
    }
    read_line("/proc/sys/kernel/random/boot_id", own.boot, sizeof own.boot);
    process_start(getpid(), own.start, sizeof own.start);
    char path[512];
    lock_path(g->instance, path, sizeof path);
    own.lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (own.lock_fd < 0 || flock(own.lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return error_failed("instance_lock", "can't lock %s: %s", path, strerror(errno));
    }
    return NULL;
}

/* True only with proof: another boot of this host, or its lock is free. */
static bool proved_dead(const char *id, const char *boot_id, int64_t pid, const char *start)
{
    if (strcmp(boot_id, own.boot) != 0) {
        return true;
    }
    char path[512], now_start[24];
    lock_path(id, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int why = errno;
        /* Without its file the process table decides: gone, or the number is another's. */
        process_start(pid, now_start, sizeof now_start);
        return why == ENOENT && strcmp(now_start, start) != 0;
    }
    bool free_lock = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free_lock;
}

static void later(struct gatewayd *g)
{
    (void)g;
    timer_arm(own.retry, REGISTER_RETRY_MS);
}

struct ending {
    struct gatewayd *g;
    char id[ID_MAX];
};

static void others_done(struct gatewayd *g)
{
    if (own.ending > 0) {
        return;
    }
    timer_arm(own.retry, clock_interval_ms(OTHERS_PERIOD_MS));
    if (!own.registered) {
        own.registered = true;
        own.ready(g);
    }
}

static void other_ended(void *context, enum database_outcome outcome, const struct rows *rows,
                        const struct error *e)
{
    struct ending *ending = context;
    (void)rows;
    if (outcome == DATABASE_DONE) {
        char path[512];
        lock_path(ending->id, path, sizeof path);
        unlink(path);
        log_event(LOG_PAYMENT_TAKEN_OVER, {"KOMETPAY_INSTANCE", ending->id});
    } else {
        log_error(LOG_COMMIT_UNKNOWN, e, NULL);
        payment_store_instance_end(ending->g->db, ending->id, other_ended, ending);
        return;
    }
    own.ending--;
    others_done(ending->g);
    free(ending);
}

static void others_found(void *context, enum database_outcome outcome, const struct rows *rows,
                         const struct error *e)
{
    struct gatewayd *g = context;
    (void)e;
    if (outcome != DATABASE_DONE) {
        later(g);
        return;
    }
    for (size_t i = 0; i < rows_count(rows); i++) {
        const char *id = rows_text(rows, i, "id");
        if (strcmp(rows_text(rows, i, "host"), own.host) != 0 ||
            !proved_dead(id, rows_text(rows, i, "boot_id"), rows_int(rows, i, "pid"),
                         rows_text(rows, i, "process_start"))) {
            continue;
        }
        struct ending *ending = calloc(1, sizeof *ending);
        assert(ending);
        ending->g = g;
        TEXT_COPY(ending->id, id);
        own.ending++;
        payment_store_instance_end(g->db, id, other_ended, ending);
    }
    others_done(g);
}

static void registered(void *context, enum database_outcome outcome, const struct rows *rows,
                       const struct error *e)
{
    struct gatewayd *g = context;
    (void)rows, (void)e;
    if (outcome != DATABASE_DONE) {
        later(g); /* idempotent */
        return;
    }
    payment_store_instance_others(g->db, g->instance, others_found, g);
}

static void try_again(void *context)
{
    struct gatewayd *g = context;
    if (!database_ready(g->db)) {
        later(g);
        return;
    }
    if (own.registered) {
        payment_store_instance_others(g->db, g->instance, others_found, g);
        return;
    }
    payment_store_instance_start(g->db, g->instance, own.host, own.boot, getpid(), own.start,
                                 registered, g);
}

void instance_register(struct gatewayd *g, void (*ready)(struct gatewayd *g))
{
    own.ready = ready;
    own.retry = timer_new(g->loop, try_again, g);
    try_again(g);
}
