/* The database's calls: queues, natural batching, deadlines, and what a lost answer means.
 * Must never report DATABASE_DONE before COMMIT was answered, nor guess when it was not. */
#include "lib/database.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/database_lane.h"
#include "lib/log.h"
#include "lib/memory.h"

#define TICK_BUSY_MS 50
#define TICK_QUIET_MS 5000
#define SAFETY_EVERY_MS 5000
#define CONFLICTS_MAX 5u
#define BREAKS_MAX 3u
#define READ_BREAKS_MAX 1u
#define BATCH_FAILURES_MAX 2u
/* Longer than any pause of one who asks again (lib/clock.h's fast time does not shorten it: what
 * ends here is a backend, not an interval of ours). */
#define DOUBT_KEPT_MS (10 * 60 * 1000)

/* -- Answers --------------------------------------------------------------------------------- */

/* Takes the call and the error. */
static void answer(struct call *call, enum database_outcome outcome, struct error *e)
{
    struct rows rows = {call->result};

    assert((outcome == DATABASE_DONE) == (e == NULL));
    call->done(call->context, outcome, e == NULL ? &rows : NULL, e);
    PQclear(call->result);
    error_free(e);
    free(call);
}

static void answer_unknown(struct call *call)
{
    struct error *e = error_wrap(error_failed("database_unknown", "the database's answer was lost"),
                                 "%s", call->statement->name);

    if (call->statement->kind == STATEMENT_WRITE) {
        log_event(LOG_COMMIT_UNKNOWN, {"KOMETPAY_STATEMENT", call->statement->name});
    }
    answer(call, DATABASE_UNKNOWN, e);
}

static void answer_late(struct call *call)
{
    answer(call, DATABASE_ROLLED_BACK,
           error_wrap(error_failed("database_timeout", "the database was not to be had in time"),
                      "%s", call->statement->name));
}

/* -- What a batch's end means ---------------------------------------------------------------- */

static void drop_result(struct call *call)
{
    PQclear(call->result);
    call->result = NULL;
}

static bool is_conflict(const PGresult *failure)
{
    return sqlstate_is(failure, "40001") || sqlstate_is(failure, "40P01");
}

/* The server was stopped or this backend was ended, not our statement's fault. */
static bool is_shutdown(const PGresult *failure)
{
    return sqlstate_is(failure, "57P01") || sqlstate_is(failure, "57P02") ||
           sqlstate_is(failure, "57P03");
}

static void settle_read(struct database *db, struct call *call, bool replicated)
{
    ExecStatusType status = PQresultStatus(call->result); /* FATAL_ERROR for NULL */
    bool own = call->statement == &database_own_statements[OWN_SAFETY];
    struct call_queue *again = own ? &db->own : &db->reads;

    if (call->result == NULL || !replicated || status == PGRES_PIPELINE_ABORTED ||
        is_shutdown(call->result)) {
        drop_result(call);
        if (call->breaks++ < READ_BREAKS_MAX) {
            queue_push_front(again, call);
        } else {
            answer_unknown(call);
        }
    } else if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        answer(call, DATABASE_DONE, NULL);
    } else if (is_conflict(call->result) && call->conflicts++ < CONFLICTS_MAX) {
        drop_result(call);
        queue_push_front(again, call);
    } else {
        answer(call, DATABASE_ROLLED_BACK, database_error(call->statement, call->result));
    }
}

/* One write of a batch that certainly had no effect: run it again, or report. */
static void settle_rolled_back(struct database *db, const struct batch *batch, size_t index)
{
    struct call *call = batch->calls[index];
    bool broke = batch->failure == NULL || is_shutdown(batch->failure);

    drop_result(call);
    if (broke && call->breaks++ < BREAKS_MAX) {
        queue_push_front(call->alone ? &db->singles : &db->writes, call);
    } else if (broke || batch->count == 1) {
        if (!broke && is_conflict(batch->failure) && call->conflicts++ < CONFLICTS_MAX) {
            queue_push_front(&db->singles, call);
            return;
        }
        answer(call, DATABASE_ROLLED_BACK, database_error(call->statement, batch->failure));
    } else {
        call->alone = index == batch->failed || batch->failed == BATCH_NO_CALL ||
                      ++call->batch_failures >= BATCH_FAILURES_MAX;
        queue_push_front(call->alone ? &db->singles : &db->writes, call);
    }
}

static bool certainly_rolled_back(const struct batch *batch)
{
    return batch->commit == COMMIT_NOT_QUEUED || batch->commit == COMMIT_ROLLED_BACK ||
           (batch->commit == COMMIT_ERROR && batch->server_done);
}

static void note_doubt(struct database *db)
{
    db->doubts++;
    db->doubted_boot_ms = clock_boot_ms();
}

/* May what the server shows be missing on the standby? A barrier settles the doubts before it only
 * once their backends have surely ended: one may still wait in its commit, and show its rows when
 * that wait is cancelled, long after another lane's barrier. Who asks again and is kept waiting
 * renews the doubt. */
static bool in_doubt(const struct database *db)
{
    return db->doubts != db->doubts_settled ||
           (db->doubted_boot_ms != 0 && clock_boot_ms() - db->doubted_boot_ms < DOUBT_KEPT_MS);
}

void database_settle(struct lane *lane)
{
    struct database *db = lane->db;
    struct batch *batch = &lane->batch;
    bool committed = batch->commit == COMMIT_DONE && !batch->warned;
    bool write = batch->kind == STATEMENT_WRITE;
    bool doubt = write && !committed && !certainly_rolled_back(batch);

    if (doubt) {
        note_doubt(db);
    } else if (committed && batch->barrier && batch->doubts > db->doubts_settled) {
        db->doubts_settled = batch->doubts;
    }
    for (size_t i = batch->count; i-- > 0;) { /* backwards: some go to the head of a queue */
        struct call *call = batch->calls[i];
        if (call == NULL) {
            continue;
        }
        db->running--;
        if (!write) {
            settle_read(db, call, committed || !batch->barrier);
        } else if (committed) {
            answer(call, DATABASE_DONE, NULL);
        } else if (doubt) {
            answer_unknown(call);
        } else {
            settle_rolled_back(db, batch, i);
        }
    }
    PQclear(batch->failure);
    batch->failure = NULL;
    batch->count = 0;
}

/* -- Gathering ------------------------------------------------------------------------------- */

static void batch_fill(struct batch *batch, struct call_queue *queue, size_t max, int64_t now)
{
    while (batch->count < max && queue->count > 0) {
        struct call *call = queue_pop(queue);
        if (call->deadline_boot_ms <= now) {
            answer_late(call);
        } else {
            batch->calls[batch->count++] = call;
        }
    }
}

/* Fills the lane's batch with what is due. False when nothing waits. */
static bool lane_gather(struct database *db, struct lane *lane)
{
    struct batch *batch = &lane->batch;
    bool writes = db->writes.count + db->singles.count > 0;
    int64_t now = clock_boot_ms();

    if (!writes && db->reads.count == 0 && db->own.count == 0) {
        return false;
    }
    batch->kind =
        writes && !(db->reads_next && db->reads.count > 0) ? STATEMENT_WRITE : STATEMENT_READ;
    batch->count = 0;
    batch->failed = BATCH_NO_CALL;
    batch->failure = NULL;
    batch->commit = COMMIT_NOT_QUEUED;
    batch->warned = false;
    batch->server_done = false;
    db->reads_next = batch->kind == STATEMENT_WRITE;
    /* A commit in doubt may be applied here and not yet on the standby. Asked again, the same
     * function writes nothing and its commit would wait for nobody, and a read waits for nobody at
     * all; so what is asked next carries a record of its own, whose replication proves that of
     * everything before it. Only our own look at the settings is no fact for anybody. */
    batch->barrier = in_doubt(db);
    batch->doubts = db->doubts;
    if (db->own.count > 0) {
        batch->kind = STATEMENT_READ;
        batch->barrier = false;
        batch_fill(batch, &db->own, 1, now);
    } else if (batch->kind == STATEMENT_READ) {
        batch_fill(batch, &db->reads, DATABASE_READS_MAX, now);
    } else if (db->singles.count > 0) {
        batch_fill(batch, &db->singles, 1, now);
    } else {
        batch_fill(batch, &db->writes, DATABASE_BATCH_MAX, now);
    }
    db->running += batch->count;
    if (batch->count == 0) {
        database_pump_soon(db); /* all of these were late; others may wait */
    }
    return batch->count > 0;
}

static void pump(evutil_socket_t fd, short what, void *context)
{
    struct database *db = context;

    (void)fd;
    (void)what;
    for (struct call *call = queue_pop(&db->refused); call != NULL;
         call = queue_pop(&db->refused)) {
        answer(call, DATABASE_ROLLED_BACK,
               error_failed("database_busy", "too much is waiting for the database"));
    }
    for (unsigned i = 0; i < db->options.lanes; i++) {
        struct lane *lane = &db->lanes[i];
        if (lane->state == LANE_IDLE && !lane->retire && lane_gather(db, lane)) {
            lane_run(lane);
        }
    }
}

void database_pump_soon(struct database *db)
{
    event_active(db->pump, EV_TIMEOUT, 0);
}

/* -- Deadlines and safety -------------------------------------------------------------------- */

static void expire_queue(struct call_queue *queue, int64_t now)
{
    struct call_queue kept = {0};
    struct call_queue late = {0};

    for (struct call *call = queue_pop(queue); call != NULL; call = queue_pop(queue)) {
        queue_push(call->deadline_boot_ms <= now ? &late : &kept, call);
    }
    *queue = kept;
    for (struct call *call = queue_pop(&late); call != NULL; call = queue_pop(&late)) {
        answer_late(call);
    }
}

/* A call whose deadline passed in flight is answered now; when nobody waits any more the
 * connection is dropped. */
static void expire_lane(struct database *db, struct lane *lane, int64_t now)
{
    struct batch *batch = &lane->batch;
    size_t waiting = 0;

    if (lane->state != LANE_BUSY) {
        return;
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct call *call = batch->calls[i];
        if (call == NULL || call->deadline_boot_ms > now) {
            waiting += call != NULL;
            continue;
        }
        batch->calls[i] = NULL;
        db->running--;
        if (batch->kind == STATEMENT_WRITE) {
            note_doubt(db);
        }
        drop_result(call);
        answer_unknown(call);
    }
    if (waiting == 0) {
        lane_lose(lane, "no answer in time");
    }
}

static void on_safety(void *context, enum database_outcome outcome, const struct rows *rows,
                      const struct error *e)
{
    struct database *db = context;

    (void)e;
    db->checking = false;
    if (outcome != DATABASE_DONE) {
        return;
    }
    const char *problem = safety_problem(rows->result);
    if (problem == NULL) {
        return;
    }
    database_problem(db, problem);
    for (unsigned i = 0; i < db->options.lanes; i++) {
        /* Not closed here: it may be the very lane whose answers are being handed out. */
        db->lanes[i].retire = db->lanes[i].state == LANE_BUSY || db->lanes[i].state == LANE_IDLE;
    }
}

static void retire_lanes(struct database *db)
{
    for (unsigned i = 0; i < db->options.lanes; i++) {
        if (db->lanes[i].retire && db->lanes[i].state == LANE_IDLE) {
            lane_lose(&db->lanes[i], NULL);
        }
    }
}

static void check_safety(struct database *db, int64_t now)
{
    if (db->checking || !db->ready || now < db->next_check_boot_ms) {
        return;
    }
    struct call *call = call_new(&database_own_statements[OWN_SAFETY], NULL);
    call->deadline_boot_ms = now + SAFETY_EVERY_MS;
    call->done = on_safety;
    call->context = db;
    db->checking = true;
    db->next_check_boot_ms = now + SAFETY_EVERY_MS;
    queue_push(&db->own, call);
    database_pump_soon(db);
}

static void tick_arm(struct database *db)
{
    int64_t ms = database_depth(db) > 0 || db->checking ? TICK_BUSY_MS : TICK_QUIET_MS;
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    db->ticking = ms == TICK_BUSY_MS;
    event_add(db->tick, &tv);
}

static void tick(evutil_socket_t fd, short what, void *context)
{
    struct database *db = context;
    int64_t now = clock_boot_ms();

    (void)fd;
    (void)what;
    expire_queue(&db->writes, now);
    expire_queue(&db->singles, now);
    expire_queue(&db->reads, now);
    expire_queue(&db->own, now);
    for (unsigned i = 0; i < db->options.lanes; i++) {
        expire_lane(db, &db->lanes[i], now);
    }
    retire_lanes(db);
    check_safety(db, now);
    tick_arm(db);
}

void database_problem(struct database *db, const char *problem)
{
    int64_t now = clock_boot_ms();

    if (strcmp(problem, db->last_problem) == 0 && now < db->last_problem_boot_ms + 60000) {
        return; /* said a moment ago, and it is tried every second */
    }
    snprintf(db->last_problem, sizeof db->last_problem, "%s", problem);
    db->last_problem_boot_ms = now;
    log_event(LOG_DATABASE_UNSAFE, {"KOMETPAY_REASON", problem});
}

void database_lanes_changed(struct database *db)
{
    bool ready = false;

    for (unsigned i = 0; i < db->options.lanes; i++) {
        ready = ready || db->lanes[i].state == LANE_IDLE || db->lanes[i].state == LANE_BUSY;
    }
    if (ready == db->ready) {
        return;
    }
    db->ready = ready;
    if (ready) {
        db->next_check_boot_ms = clock_boot_ms() + SAFETY_EVERY_MS;
        db->last_problem[0] = '\0';
        log_event(LOG_DATABASE_READY, {"KOMETPAY_DATABASE", db->options.application_name});
    }
    if (db->options.on_ready != NULL) {
        db->options.on_ready(db->options.context, ready);
    }
}

/* -- Public ---------------------------------------------------------------------------------- */

struct database *database_new(struct loop *loop, const struct database_options *options)
{
    struct database *db = memory_new(sizeof *db);

    assert(options->lanes >= 1 && options->lanes <= DATABASE_LANES_MAX);
    assert(options->call_timeout_ms > 0 && options->queue_max > 0);
    db->options = *options;
    db->loop = loop;
    /* What an earlier process left in doubt is in doubt for us too. */
    db->doubts = 1;
    db->pump = event_new(loop_base(loop), -1, 0, pump, db);
    db->tick = evtimer_new(loop_base(loop), tick, db);
    assert(db->pump != NULL && db->tick != NULL);
    for (unsigned i = 0; i < options->lanes; i++) {
        lane_open(&db->lanes[i], db, i);
    }
    tick_arm(db);
    return db;
}

void database_free(struct database *db)
{
    if (db == NULL) {
        return;
    }
    struct call_queue *queues[] = {&db->writes, &db->singles, &db->reads, &db->own, &db->refused};
    for (size_t q = 0; q < sizeof queues / sizeof queues[0]; q++) {
        for (struct call *call = queue_pop(queues[q]); call != NULL; call = queue_pop(queues[q])) {
            answer_late(call);
        }
    }
    for (unsigned i = 0; i < db->options.lanes; i++) {
        struct batch *batch = &db->lanes[i].batch;
        for (size_t c = 0; c < batch->count; c++) {
            if (batch->calls[c] != NULL) {
                drop_result(batch->calls[c]);
                answer_unknown(batch->calls[c]);
            }
        }
        PQclear(batch->failure);
        lane_close(&db->lanes[i]);
    }
    event_free(db->pump);
    event_free(db->tick);
    free(db);
}

bool database_ready(const struct database *db)
{
    return db->ready;
}

size_t database_depth(const struct database *db)
{
    size_t all = db->writes.count + db->singles.count + db->reads.count + db->own.count +
                 db->refused.count + db->running;

    return all - (db->checking && all > 0 ? 1u : 0u);
}

void database_call(struct database *db, const struct statement *statement,
                   const char *const *parameters, int64_t deadline_boot_ms, database_done *done,
                   void *context)
{
    struct call *call = call_new(statement, parameters);

    assert(statement >= db->options.statements &&
           statement < db->options.statements + db->options.count);
    call->done = done;
    call->context = context;
    call->deadline_boot_ms =
        deadline_boot_ms != 0 ? deadline_boot_ms : clock_boot_ms() + db->options.call_timeout_ms;
    if (db->writes.count + db->singles.count + db->reads.count >= db->options.queue_max) {
        queue_push(&db->refused, call);
    } else {
        queue_push(statement->kind == STATEMENT_WRITE ? &db->writes : &db->reads, call);
    }
    if (!db->ticking) {
        tick_arm(db);
    }
    database_pump_soon(db);
}
