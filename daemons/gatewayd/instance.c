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
    char host[40], boot[40];
    char where[96]; /* "start pid-namespace directory": what a lock and a pid of ours mean */
    int lock_fd;
    struct timer *retry;
    bool registered;
    void (*ready)(struct gatewayd *g);
    unsigned ending; /* instance_end calls under way */
    bool unfinished; /* one of them failed */
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

/* Pids and locks mean something only within one pid namespace and one folder. */
static void process_where(int64_t pid, char *out, size_t size)
{
    char ticks[24], namespace[48] = "";
    struct stat folder = {0};
    process_start(pid, ticks, sizeof ticks);
    ssize_t n = readlink("/proc/self/ns/pid", namespace, sizeof namespace - 1);
    namespace[n > 0 ? n : 0] = 0;
    stat(own.directory, &folder);
    snprintf(out, size, "%s %s %llx:%llx", ticks, namespace, (unsigned long long)folder.st_dev,
             (unsigned long long)folder.st_ino);
}

/* The part of `where` that must be the same for a proof: all behind the start. */
static const char *place_of(const char *where)
{
    return where + strcspn(where, " ");
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
    if (!*own.boot) {
        return error_failed("boot_id_unreadable", "can't read this machine's boot id in /proc/sys: "
                                                  "without it no instance can be proved dead");
    }
    process_where(getpid(), own.where, sizeof own.where);
    char path[512];
    lock_path(g->instance, path, sizeof path);
    own.lock_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (own.lock_fd < 0 || flock(own.lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return error_failed("instance_lock", "can't lock %s: %s", path, strerror(errno));
    }
    return NULL;
}

/* True only with proof: another boot of this host, its lock is free, or it left no lock behind and
 * its process has gone. */
static bool proved_dead(const char *id, const char *boot_id, int64_t pid, const char *where)
{
    if (*boot_id && strcmp(boot_id, own.boot) != 0) {
        return true;
    }
    if (strcmp(place_of(where), place_of(own.where)) != 0) {
        return false;
    }
    char path[512], where_now[sizeof own.where];
    lock_path(id, path, sizeof path);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        int why = errno;
        process_where(pid, where_now, sizeof where_now);
        return why == ENOENT && strcmp(where_now, where) != 0;
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
    if (own.unfinished) {
        own.unfinished = false;
        later(g);
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
        own.unfinished = true; /* idempotent: with the next round, soon */
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

/* Somebody had proof that we are dead and took our work over. It is wrong or we were restored: in
 * either case this instance may never act again, and the supervisor starts another. */
static void instance_was_ended(struct gatewayd *g)
{
    struct error *e =
        error_failed("instance_ended", "instance %s was ended by another one", g->instance);
    log_error(LOG_INSTANCE_ENDED, e, NULL);
    error_free(e);
    daemon_status(g->daemon, "ended by another instance");
    exit(EXIT_FAILURE);
}

static void registered(void *context, enum database_outcome outcome, const struct rows *rows,
                       const struct error *e)
{
    struct gatewayd *g = context;
    (void)e;
    if (outcome != DATABASE_DONE) {
        later(g); /* idempotent */
        return;
    }
    if (!rows_bool(rows, 0, "started")) {
        instance_was_ended(g);
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
    payment_store_instance_start(g->db, g->instance, own.host, own.boot, getpid(), own.where,
                                 registered, g);
}

void instance_look(void)
{
    if (own.registered && own.ending == 0) {
        timer_arm(own.retry, 0);
    }
}

void instance_database_ready(void)
{
    if (own.retry && !own.registered) {
        timer_arm(own.retry, 1);
    }
}

void instance_register(struct gatewayd *g, void (*ready)(struct gatewayd *g))
{
    own.ready = ready;
    own.retry = timer_new(g->loop, try_again, g);
    try_again(g);
}
