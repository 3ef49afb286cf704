/* Private to lib/database*.c: one lane is one connection that runs one write batch or a handful of
 * reads at a time. A lane never decides what a lost answer means; lib/database.c does. */
#ifndef LIB_DATABASE_LANE_H
#define LIB_DATABASE_LANE_H

#include <event2/event.h>
#include <postgresql/libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/database.h"

#define DATABASE_BATCH_MAX 64u
#define DATABASE_READS_MAX 32u
#define DATABASE_LANES_MAX 8u

struct rows {
    const PGresult *result;
};

struct call {
    struct call *next;
    const struct statement *statement;
    const char *const *parameters; /* in the same block of memory, as are the texts */
    int64_t deadline_boot_ms;
    database_done *done;
    void *context;
    PGresult *result;        /* of the running try */
    unsigned batch_failures; /* how often a neighbour spoilt its batch */
    unsigned conflicts;      /* 40001 and 40P01 */
    unsigned breaks;         /* connections that broke while it certainly had no effect */
    bool alone;              /* must not share a transaction any more */
};

/* One block: the call, the pointers, copies of the texts. Give back with free(). */
struct call *call_new(const struct statement *statement, const char *const *parameters);

struct call_queue {
    struct call *first;
    struct call *last;
    size_t count;
};
void queue_push(struct call_queue *queue, struct call *call);
void queue_push_front(struct call_queue *queue, struct call *call);
struct call *queue_pop(struct call_queue *queue);

enum commit_state {
    COMMIT_NOT_QUEUED,  /* the COMMIT was never handed to libpq: certainly not committed */
    COMMIT_QUEUED,      /* it may have reached the server */
    COMMIT_DONE,        /* answered COMMIT */
    COMMIT_ROLLED_BACK, /* answered ROLLBACK */
    COMMIT_ERROR,       /* answered with an ERROR; certain only once the server is ready again */
};

#define BATCH_NO_CALL SIZE_MAX
struct batch {
    enum statement_kind kind;
    struct call *calls[DATABASE_BATCH_MAX]; /* NULL: its deadline passed and it was answered */
    size_t count;
    size_t failed;     /* index of the call that failed, or BATCH_NO_CALL */
    PGresult *failure; /* the server's error of that call or of COMMIT */
    enum commit_state commit;
    bool warned;      /* the server warned: the commit may not be replicated */
    bool barrier;     /* carries a barrier, see database.c */
    uint64_t doubts;  /* the doubts that the barrier settles */
    bool server_done; /* the server answered the Sync */
};

enum lane_state {
    LANE_DOWN,
    LANE_CONNECTING,
    LANE_PREPARING,
    LANE_IDLE,
    LANE_BUSY,
};

enum step_kind {
    STEP_ROLLBACK,
    STEP_BEGIN,
    STEP_CALL,
    STEP_BARRIER,
    STEP_COMMIT,
    STEP_SYNC,
    STEP_PREPARE,
    STEP_DESCRIBE,
    STEP_SAFETY,
};

struct step {
    enum step_kind kind;
    unsigned index; /* of the call or the statement */
};

struct lane {
    struct database *db;
    unsigned number;
    enum lane_state state;
    PGconn *conn;
    struct event *connecting; /* while libpq connects: its socket may change */
    struct event *readable;
    struct event *writable;
    struct event *timer; /* next try, or end of patience with a connect */
    unsigned host_at;    /* which of several hosts is tried */
    unsigned failures;   /* tries that failed in a row */
    struct step *steps;  /* what the server owes us, in order */
    size_t step_count;
    size_t step_at;
    bool answered;      /* the current step has its result, its NULL is to come */
    bool ended;         /* the server closed or a write failed */
    bool must_rollback; /* a failed transaction is still open */
    bool retire;        /* close as soon as idle */
    char problem[256];  /* why this server is not served */
    struct batch batch;
};

struct database {
    struct database_options options;
    struct loop *loop;
    struct lane lanes[DATABASE_LANES_MAX];
    struct call_queue writes;  /* to be gathered */
    struct call_queue singles; /* each in its own transaction */
    struct call_queue reads;
    struct call_queue own;     /* our look at the settings */
    struct call_queue refused; /* over queue_max: answered on the next turn */
    size_t running;
    struct event *pump;
    struct event *tick;
    bool ticking;
    bool ready;
    bool reads_next; /* fairness between reads and writes */
    bool checking;   /* the safety check is under way */
    int64_t next_check_boot_ms;
    uint64_t doubts;         /* commits in doubt so far */
    int64_t doubted_boot_ms; /* the last of them; 0 = none */
    uint64_t doubts_settled; /* of these, passed by a barrier that was replicated */
    char last_problem[256];
    int64_t last_problem_boot_ms;
};

/* Statements that every lane has, before the caller's. */
enum own_statement {
    OWN_BEGIN,
    OWN_COMMIT,
    OWN_ROLLBACK,
    OWN_BARRIER,
    OWN_SAFETY,
    OWN_COUNT,
};
extern const struct statement database_own_statements[OWN_COUNT];

/* Lane. */
void lane_open(struct lane *lane, struct database *db, unsigned number);
void lane_close(struct lane *lane); /* for ever; the batch must be settled */
/* Runs lane->batch (calls, count, kind, barrier filled). The lane must be idle. */
void lane_run(struct lane *lane);
/* Drops the connection and settles what was running. `reason` is for the journal. */
void lane_lose(struct lane *lane, const char *reason);

/* Script: queue the steps at libpq. False when libpq refuses; its words are in the connection. */
bool lane_send_preparations(struct lane *lane);
bool lane_send_batch(struct lane *lane);
/* Script: an answer while preparing or while busy. Both take the result. */
void answer_preparation(struct lane *lane, struct step step, PGresult *result);
void answer_batch(struct lane *lane, struct step step, PGresult *result);

/* What a lane tells the database. */
void database_settle(struct lane *lane); /* the batch ended or its connection broke */
void database_lanes_changed(struct database *db);
void database_problem(struct database *db, const char *problem);
void database_pump_soon(struct database *db);

/* Rows and errors. */
/* NULL when the server's settings are safe for money, else what is wrong (static text). */
const char *safety_problem(const PGresult *result);
/* The server's error as ours; the caller owns it. `result` may be NULL: a lost connection. */
struct error *database_error(const struct statement *statement, const PGresult *result);
bool sqlstate_is(const PGresult *result, const char *sqlstate);
bool sqlstate_class(const PGresult *result, const char *two);

#endif
