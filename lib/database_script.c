/* The script of a lane: what it sends in one go, and what each answer means for the batch or for
 * the preparation. Must never take anything but COMMIT's own answer for a commit. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/database_lane.h"

const struct statement database_own_statements[OWN_COUNT] = {
    [OWN_BEGIN] = {"kometpay_begin", "BEGIN", 0, 0, STATEMENT_WRITE},
    [OWN_COMMIT] = {"kometpay_commit", "COMMIT", 0, 0, STATEMENT_WRITE},
    [OWN_ROLLBACK] = {"kometpay_rollback", "ROLLBACK", 0, 0, STATEMENT_WRITE},
    /* Writes a record of its own, so that its commit waits for the standby; see database.c. */
    [OWN_BARRIER] = {"kometpay_barrier", "SELECT pg_logical_emit_message(true, 'kometpay', '')", 0,
                     1, STATEMENT_WRITE},
    /* Also makes sure that warnings reach us and that bytea comes as hex. */
    [OWN_SAFETY] = {"kometpay_safety",
                    "SELECT current_setting('fsync') AS fsync,"
                    " current_setting('full_page_writes') AS full_page_writes,"
                    " current_setting('synchronous_commit') AS synchronous_commit,"
                    " current_setting('synchronous_standby_names') AS synchronous_standby_names,"
                    " current_setting('transaction_read_only') AS read_only,"
                    " set_config('client_min_messages', 'warning', false),"
                    " set_config('bytea_output', 'hex', false) AS bytea_output",
                    0, 7, STATEMENT_READ},
};

static const struct statement *statement_at(const struct lane *lane, unsigned index)
{
    return index < OWN_COUNT ? &database_own_statements[index]
                             : &lane->db->options.statements[index - OWN_COUNT];
}

static void lane_note_step(struct lane *lane, enum step_kind kind, unsigned index)
{
    lane->steps[lane->step_count++] = (struct step){kind, index};
}

static bool lane_send_own(struct lane *lane, enum own_statement which, enum step_kind kind)
{
    if (!PQsendQueryPrepared(lane->conn, database_own_statements[which].name, 0, NULL, NULL, NULL,
                             0)) {
        return false;
    }
    lane_note_step(lane, kind, (unsigned)which);
    return true;
}

static bool lane_send_sync(struct lane *lane)
{
    if (!PQpipelineSync(lane->conn)) {
        return false;
    }
    lane_note_step(lane, STEP_SYNC, 0);
    return true;
}

static bool lane_send_call(struct lane *lane, unsigned index)
{
    const struct call *call = lane->batch.calls[index];

    if (!PQsendQueryPrepared(lane->conn, call->statement->name, (int)call->statement->parameters,
                             call->parameters, NULL, NULL, 0)) {
        return false;
    }
    lane_note_step(lane, STEP_CALL, index);
    return true;
}

static bool lane_send_writes(struct lane *lane)
{
    if (!lane_send_own(lane, OWN_BEGIN, STEP_BEGIN)) {
        return false;
    }
    for (unsigned i = 0; i < lane->batch.count; i++) {
        if (!lane_send_call(lane, i)) {
            return false;
        }
    }
    if (lane->batch.barrier && !lane_send_own(lane, OWN_BARRIER, STEP_BARRIER)) {
        return false;
    }
    /* From here on a lost connection leaves the commit in doubt. */
    lane->batch.commit = COMMIT_QUEUED;
    return lane_send_own(lane, OWN_COMMIT, STEP_COMMIT) && lane_send_sync(lane);
}

/* Each on its own; what they saw is true for ever once the barrier behind them is committed. */
static bool lane_send_reads(struct lane *lane)
{
    for (unsigned i = 0; i < lane->batch.count; i++) {
        if (!lane_send_call(lane, i) || !lane_send_sync(lane)) {
            return false;
        }
    }
    if (!lane->batch.barrier) {
        return true;
    }
    lane->batch.commit = COMMIT_QUEUED;
    return lane_send_own(lane, OWN_BEGIN, STEP_BEGIN) &&
           lane_send_own(lane, OWN_BARRIER, STEP_BARRIER) &&
           lane_send_own(lane, OWN_COMMIT, STEP_COMMIT) && lane_send_sync(lane);
}

bool lane_send_batch(struct lane *lane)
{
    if (lane->must_rollback) {
        lane->must_rollback = false;
        if (!lane_send_own(lane, OWN_ROLLBACK, STEP_ROLLBACK)) {
            return false;
        }
    }
    return lane->batch.kind == STATEMENT_WRITE ? lane_send_writes(lane) : lane_send_reads(lane);
}

bool lane_send_preparations(struct lane *lane)
{
    struct database *db = lane->db;

    for (unsigned i = 0; i < OWN_COUNT + db->options.count; i++) {
        const struct statement *s = statement_at(lane, i);
        if (!PQsendPrepare(lane->conn, s->name, s->sql, 0, NULL)) {
            return false;
        }
        lane_note_step(lane, STEP_PREPARE, i);
        if (!PQsendDescribePrepared(lane->conn, s->name)) {
            return false;
        }
        lane_note_step(lane, STEP_DESCRIBE, i);
    }
    if (!lane_send_own(lane, OWN_SAFETY, STEP_SAFETY)) {
        return false;
    }
    return lane_send_sync(lane);
}

static void lane_problem(struct lane *lane, const char *what, const char *why)
{
    if (lane->problem[0] == '\0') {
        snprintf(lane->problem, sizeof lane->problem, "%s: %s", what, why == NULL ? "?" : why);
    }
}

static void answer_describe(struct lane *lane, const struct statement *s, const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_COMMAND_OK &&
        (PQnparams(result) != (int)s->parameters || PQnfields(result) != (int)s->columns)) {
        char why[96];
        snprintf(why, sizeof why, "%d parameters and %d columns, not %u and %u", PQnparams(result),
                 PQnfields(result), s->parameters, s->columns);
        lane_problem(lane, s->name, why);
    }
}

void answer_preparation(struct lane *lane, struct step step, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_FATAL_ERROR) {
        lane_problem(lane, statement_at(lane, step.index)->name,
                     PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
    } else if (step.kind == STEP_DESCRIBE) {
        answer_describe(lane, statement_at(lane, step.index), result);
    } else if (step.kind == STEP_SAFETY && status != PGRES_PIPELINE_ABORTED) {
        const char *problem = safety_problem(result);
        if (problem != NULL) {
            snprintf(lane->problem, sizeof lane->problem, "%s", problem);
        }
    }
    PQclear(result);
}

static void answer_commit(struct batch *batch, const PGresult *result)
{
    if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        const char *tag = PQcmdStatus((PGresult *)(uintptr_t)result);
        if (strcmp(tag, "COMMIT") == 0) {
            batch->commit = COMMIT_DONE;
        } else if (strcmp(tag, "ROLLBACK") == 0) {
            batch->commit = COMMIT_ROLLED_BACK;
        }
    } else if (PQresultStatus(result) == PGRES_FATAL_ERROR) {
        const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
        if (severity != NULL && strcmp(severity, "ERROR") == 0) {
            batch->commit = COMMIT_ERROR;
        }
    }
}

void answer_batch(struct lane *lane, struct step step, PGresult *result)
{
    struct batch *batch = &lane->batch;
    struct call *call = step.kind == STEP_CALL ? batch->calls[step.index] : NULL;

    if (step.kind == STEP_COMMIT) {
        answer_commit(batch, result);
    }
    if (batch->kind == STATEMENT_WRITE && PQresultStatus(result) == PGRES_FATAL_ERROR &&
        batch->failure == NULL) {
        batch->failure = result;
        batch->failed = step.kind == STEP_CALL ? step.index : BATCH_NO_CALL;
        if (step.kind != STEP_COMMIT && batch->commit == COMMIT_QUEUED) {
            /* The server said so before it came to COMMIT, which it now skips. What it says after
             * COMMIT was answered (that it is being stopped) takes nothing back. */
            batch->commit = COMMIT_ROLLED_BACK;
        }
        return;
    }
    if (call != NULL && call->result == NULL) {
        call->result = result;
        return;
    }
    PQclear(result);
}
