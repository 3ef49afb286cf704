/* One lane: connect, run a script of pipelined steps, match the answers to it, notice the end. Must
 * never block, and must never guess what a missing answer means. */
#include "lib/database_lane.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/database_host.h"
#include "lib/log.h"
#include "lib/memory.h"

#define CONNECT_PATIENCE_MS 5000
#define RETRY_FIRST_MS 20
#define RETRY_MAX_MS 1000

static void lane_schedule(struct lane *lane, int64_t ms)
{
    struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(lane->timer, &tv);
}

static void lane_flush(struct lane *lane)
{
    int left = PQflush(lane->conn);

    if (left == 1) {
        event_add(lane->writable, NULL);
    } else if (left < 0) {
        lane->ended = true;
    }
}

static void lane_answers(struct lane *lane);

void lane_run(struct lane *lane)
{
    assert(lane->state == LANE_IDLE);
    lane->state = LANE_BUSY;
    lane->step_count = 0;
    lane->step_at = 0;
    lane->answered = false;

    if (!lane_send_batch(lane)) {
        lane_lose(lane, PQerrorMessage(lane->conn));
        return;
    }
    lane_flush(lane);
    if (lane->ended) {
        lane_answers(lane);
    }
}

/* -- The answers ----------------------------------------------------------------------------- */

static void lane_ready(struct lane *lane)
{
    if (lane->problem[0] != '\0') {
        char problem[sizeof lane->problem];
        memcpy(problem, lane->problem, sizeof problem);
        lane->failures = 64; /* the longest pause */
        lane_lose(lane, NULL);
        database_problem(lane->db, problem);
        return;
    }
    lane->failures = 0;
    evtimer_del(lane->timer);
    lane->state = LANE_IDLE;
    database_lanes_changed(lane->db);
    database_pump_soon(lane->db);
}

static void lane_script_done(struct lane *lane)
{
    if (lane->state == LANE_PREPARING) {
        lane_ready(lane);
        return;
    }
    lane->batch.server_done = true;
    lane->must_rollback = PQtransactionStatus(lane->conn) != PQTRANS_IDLE;
    lane->state = LANE_IDLE;
    database_settle(lane);
    if (lane->retire) {
        lane_lose(lane, NULL);
    }
    database_pump_soon(lane->db);
}

/* True if the server itself sent this result; libpq makes errors of its own for a lost link. */
static bool from_server(const PGresult *result)
{
    return PQresultStatus(result) != PGRES_FATAL_ERROR ||
           PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL;
}

/* Takes one answer off the connection. False when there is none (yet). */
static bool lane_answer(struct lane *lane)
{
    if (lane->step_at == lane->step_count || PQisBusy(lane->conn)) {
        return false;
    }
    PGresult *result = PQgetResult(lane->conn);
    if (result == NULL) {
        bool moved = lane->answered;
        lane->step_at += moved ? 1u : 0u;
        lane->answered = false;
        return moved || !lane->ended;
    }
    if (!from_server(result)) {
        PQclear(result);
        lane->ended = true;
        return false;
    }
    struct step step = lane->steps[lane->step_at];
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
        assert(step.kind == STEP_SYNC);
        PQclear(result);
        lane->step_at++;
        return true;
    }
    lane->answered = true;
    if (lane->state == LANE_PREPARING) {
        answer_preparation(lane, step, result);
    } else {
        answer_batch(lane, step, result);
    }
    return true;
}

static void lane_answers(struct lane *lane)
{
    while (lane_answer(lane)) {
    }
    bool finished = lane->step_count > 0 && lane->step_at == lane->step_count;
    if (finished) {
        lane->step_count = 0;
        lane->step_at = 0;
        lane_script_done(lane);
    }
    if (lane->ended && lane->conn != NULL) {
        lane_lose(lane, PQerrorMessage(lane->conn));
    }
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct lane *lane = context;

    (void)fd;
    (void)what;
    if (!PQconsumeInput(lane->conn)) {
        lane->ended = true; /* but read first what came before the end */
    }
    lane_answers(lane);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct lane *lane = context;

    (void)fd;
    (void)what;
    lane_flush(lane);
    if (lane->ended) {
        lane_answers(lane);
    }
}

/* -- The connection -------------------------------------------------------------------------- */

/* Warnings of class 01 and 57 mean that COMMIT stopped waiting for the standby. */
static void on_notice(void *context, const PGresult *notice)
{
    struct lane *lane = context;

    if (sqlstate_class(notice, "01") || sqlstate_class(notice, "57")) {
        lane->batch.warned = true;
    }
}

static void lane_disconnect(struct lane *lane)
{
    struct event **events[] = {&lane->connecting, &lane->readable, &lane->writable};

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (*events[i] != NULL) {
            event_free(*events[i]);
            *events[i] = NULL;
        }
    }
    if (lane->conn != NULL) {
        PQfinish(lane->conn);
        lane->conn = NULL;
    }
    lane->state = LANE_DOWN;
    lane->step_count = 0;
    lane->step_at = 0;
    lane->ended = false;
    lane->retire = false;
    lane->must_rollback = false;
    lane->problem[0] = '\0';
}

static int64_t lane_pause_ms(struct lane *lane)
{
    int64_t ms = RETRY_FIRST_MS;

    for (unsigned i = 0; i < lane->failures && ms < RETRY_MAX_MS; i++) {
        ms *= 2;
    }
    lane->failures++;
    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

void lane_lose(struct lane *lane, const char *reason)
{
    bool busy = lane->state == LANE_BUSY;

    if (lane->state == LANE_CONNECTING || lane->state == LANE_PREPARING) {
        lane->host_at++; /* silent, refused, or not fit to serve: the next one */
    }

    if (reason != NULL && (lane->failures == 0 || lane->failures % 64 == 32)) {
        char line[160];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(reason, "\n"), reason);
        log_event(LOG_DATABASE_LOST, {"KOMETPAY_REASON", line});
    }
    lane_disconnect(lane);
    lane_schedule(lane, lane_pause_ms(lane));
    database_lanes_changed(lane->db);
    if (busy) {
        database_settle(lane);
        database_pump_soon(lane->db);
    }
}

static void lane_prepare(struct lane *lane)
{
    struct event_base *base = loop_base(lane->db->loop);
    int fd = PQsocket(lane->conn);

    event_free(lane->connecting);
    lane->connecting = NULL;
    PQsetNoticeReceiver(lane->conn, on_notice, lane);
    lane->state = LANE_PREPARING;
    lane->answered = false;
    lane->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, lane);
    lane->writable = event_new(base, fd, EV_WRITE, on_writable, lane);
    assert(lane->readable != NULL && lane->writable != NULL);
    event_add(lane->readable, NULL);
    if (PQsetnonblocking(lane->conn, 1) != 0 || !PQenterPipelineMode(lane->conn) ||
        !lane_send_preparations(lane)) {
        lane_lose(lane, PQerrorMessage(lane->conn));
        return;
    }
    lane_flush(lane);
    if (lane->ended) {
        lane_answers(lane);
    }
}

static void lane_poll(struct lane *lane);

static void on_connecting(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    lane_poll(context);
}

static void lane_wait(struct lane *lane, short what)
{
    if (lane->connecting != NULL) {
        event_free(lane->connecting); /* libpq may have moved on to another host's socket */
    }
    lane->connecting =
        event_new(loop_base(lane->db->loop), PQsocket(lane->conn), what, on_connecting, lane);
    assert(lane->connecting != NULL);
    event_add(lane->connecting, NULL);
}

static void lane_poll(struct lane *lane)
{
    PostgresPollingStatusType next = PQconnectPoll(lane->conn);

    if (next == PGRES_POLLING_READING) {
        lane_wait(lane, EV_READ);
    } else if (next == PGRES_POLLING_WRITING) {
        lane_wait(lane, EV_WRITE);
    } else if (next == PGRES_POLLING_OK) {
        lane_prepare(lane);
    } else {
        lane_lose(lane, PQerrorMessage(lane->conn));
    }
}

static void lane_connect(struct lane *lane)
{
    struct database_host host;
    (void)database_host(lane->host_at, &host);
    /* An empty value is libpq's default. */
    const char *const names[] = {"fallback_application_name",
                                 "client_encoding",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "host",
                                 "hostaddr",
                                 "port",
                                 NULL};
    const char *const values[] = {lane->db->options.application_name,
                                  "UTF8",
                                  "10",
                                  "5",
                                  "3",
                                  host.host,
                                  host.address,
                                  host.port,
                                  NULL};

    lane->conn = PQconnectStartParams(names, values, 0);
    assert(lane->conn != NULL);
    lane->state = LANE_CONNECTING;
    lane_schedule(lane, CONNECT_PATIENCE_MS);
    if (PQstatus(lane->conn) == CONNECTION_BAD) {
        lane_lose(lane, PQerrorMessage(lane->conn));
        return;
    }
    lane_wait(lane, EV_WRITE); /* libpq: behave as if PQconnectPoll had said WRITING */
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct lane *lane = context;

    (void)fd;
    (void)what;
    if (lane->state == LANE_DOWN) {
        lane_connect(lane);
    } else if (lane->state == LANE_CONNECTING || lane->state == LANE_PREPARING) {
        lane_lose(lane, "no answer to a connect in time");
    }
}

void lane_open(struct lane *lane, struct database *db, unsigned number)
{
    size_t steps = 2 * (OWN_COUNT + db->options.count) + 4;

    if (steps < 2 * DATABASE_BATCH_MAX + 8) {
        steps = 2 * DATABASE_BATCH_MAX + 8;
    }
    *lane = (struct lane){.db = db, .number = number, .state = LANE_DOWN};
    lane->steps = memory_new(steps * sizeof *lane->steps);
    lane->timer = evtimer_new(loop_base(db->loop), on_timer, lane);
    assert(lane->timer != NULL);
    lane_schedule(lane, 0);
}

void lane_close(struct lane *lane)
{
    lane_disconnect(lane);
    event_free(lane->timer);
    free(lane->steps);
}
