/* An attempt under way: one job, moved through a table of steps by one function. A step starts
 * exactly one asynchronous thing and returns; its completion resumes the job. The tables in
 * attempt.c, read from top to bottom, are the life of a payment. */
#ifndef GATEWAYD_ATTEMPT_H
#define GATEWAYD_ATTEMPT_H

#include "daemons/gatewayd/connector.h"
#include "daemons/gatewayd/gatewayd.h"
#include "daemons/gatewayd/payment_store.h"
#include "lib/clock.h"

#define ATTEMPT_WAITERS_MAX 16
#define ATTEMPT_JOBS_MAX 4096
#define ACTOR_BYTES 81
/* A request's body and header in the secrets' heap, at their longest. */
#define ATTEMPT_SECRET_BYTES (4096u + 1024u)

enum attempt_step {
    STEP_INTEND,
    STEP_REVEAL,
    STEP_SEND,
    STEP_RECORD,
    STEP_RELEASE,
    STEP_TELL,
    STEP_END,
};

/* Somebody who waits for the answer. */
struct waiter {
    struct ipc_request *request;
    int64_t deadline_boot_ms;
};

/* A follow-up's or reversal's own facts. */
struct follow_up {
    char payment[41];
    char currency[4];
    char last_four[5];
    char follows[41];
    int64_t amount_minor;
    int64_t parent_epoch;
    char parent[27]; /* of a reversal: the sale that must not stand */
    char parent_processor_id[41];
};

/* Told when a job has ended, just before it is freed. */
struct attempt_end {
    void (*ended)(void *context, const struct attempt_job *job);
    void *context;
};

struct attempt_job {
    struct gatewayd *g;
    struct attempt_job *next, *previous;
    const struct attempt_path *path;
    enum attempt_step step;
    enum connector_operation operation;
    char ref[ID_MAX], payment[ID_MAX];
    char scope[64], key[96], fingerprint[65], location[21], pos[41], actor[ACTOR_BYTES];
    char processor[21], account[41];
    int64_t epoch;
    int64_t deadline_boot_ms; /* nothing is sent after it */
    struct msg_sale *sale;    /* owned; NULL for a follow-up */
    struct follow_up follow_up;
    struct http_request *request; /* owned until sent; the only place that holds the card */
    struct money_request money;   /* points into the job */
    struct money_outcome outcome;
    char state[21]; /* as committed */
    enum begin_outcome begun;
    struct attempt_end on_end;
    struct msg_payment_answer *answer; /* owned; as committed, NULL: ask the store */
    struct error *refusal;             /* owned; told instead of an answer */
    unsigned tries;                    /* of the commit that is in doubt */
    unsigned record_refused;           /* times that the database refused the result itself */
    struct timer *retry, *patience;
    struct waiter waiters[ATTEMPT_WAITERS_MAX];
    unsigned waiter_count;
};

/* A job in the list of those that run. */
struct attempt_job *attempt_new(struct gatewayd *g, enum connector_operation operation);
/* The void `ref`, unclear and held in `epoch`, to be sent once more under the same reference: the
 * caller fills in payment, processor, account and follow_up. Its end carries the outcome, UNKNOWN
 * if nothing was sent; nothing of it is recorded. */
struct attempt_job *attempt_new_repeat(struct gatewayd *g, const char *ref, int64_t epoch);
/* Starts the job's path with its intent, for this first waiter (NULL: nobody waits). The request
 * and its message may be gone when this returns. */
void attempt_start(struct attempt_job *job, struct ipc_request *request);
/* The only way a job goes on: `went_on` says whether the step did what it is for. */
void attempt_resume(struct attempt_job *job, bool went_on);
struct attempt_job *attempt_find(struct gatewayd *g, const char *ref);
/* May one more attempt begin? Its card must find room once its intent is committed. */
bool attempt_has_room(const struct gatewayd *g);
/* BUSY or draining: answers the request and returns true. */
bool attempt_shed(struct gatewayd *g, struct ipc_request *request);
/* Name of the operation as the tables have it: "SALE" ... */
const char *operation_text(enum connector_operation operation);
/* Makes "location/pos". */
void attempt_scope(char *out, size_t size, const char *location, const char *pos);
/* Who asked, as terminald `told` it; of any other peer its own uid. */
void attempt_actor(char out[ACTOR_BYTES], const struct ipc_request *request, const char *told);

/* Builds job->request; `card` only for a sale or authorisation, borrowed for the call. On an error
 * the outcome is set (nothing was sent) and false returned. */
bool attempt_request_build(struct attempt_job *job, const struct card *card);
/* Nothing was sent, and why: reason of decline.h or one of ours, and the clerk's sentence. */
void attempt_not_sent(struct attempt_job *job, const char *reason, const char *message);

/* The steps: attempt_intent.c, card_reveal.c, attempt_send.c, attempt_record.c, attempt_tell.c. */
void attempt_intend(struct attempt_job *job);
void attempt_intend_repeat(struct attempt_job *job); /* attempt_repeat.c */
void attempt_reveal(struct attempt_job *job);
void attempt_send(struct attempt_job *job);
void attempt_record(struct attempt_job *job);
void attempt_release(struct attempt_job *job);
void attempt_tell(struct attempt_job *job);

/* A commit in doubt, or one that could not be made: the same idempotent step again, later. */
void attempt_ask_again(struct attempt_job *job, const struct error *e);

/* Until when this request can wait for its answer: its own deadline less a margin, or patience. */
int64_t attempt_wait_until(const struct attempt_job *job, const struct ipc_request *request);
/* Joins another request to a running job. */
void attempt_wait(struct attempt_job *job, struct ipc_request *request);
/* Gives all waiters of `from` to `to`. */
void attempt_waiters_move(struct attempt_job *from, struct attempt_job *to);
/* Timer: tells PENDING to those whose patience has ended. */
void attempt_patience_over(void *context);
/* Answers all waiters; takes nothing. */
void attempt_answer_all(struct attempt_job *job, const struct msg_payment_answer *answer);
void attempt_refuse_all(struct attempt_job *job, const struct error *e);

#endif
