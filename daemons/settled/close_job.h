/* A day's close under way: what its steps share. Only close.c and close_processor.c know it. */
#ifndef SETTLED_CLOSE_JOB_H
#define SETTLED_CLOSE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "daemons/settled/book_store.h"

#define CLOSE_ACCOUNTS_MAX 32

enum close_step {
    CLOSE_BEGIN,
    CLOSE_BATCH,
    CLOSE_BATCH_KEEP,
    CLOSE_FETCH,
    CLOSE_KEEP,
    CLOSE_BATCHES,
    CLOSE_FIND,
    CLOSE_FIND_KEEP,
    CLOSE_MATCH,
    CLOSE_LIST,
    CLOSE_STEP_COUNT,
};

struct close_account {
    char processor[21], account[41];
};

/* A batch to look up or keep, and what the processor said of it. */
struct close_batch {
    struct close_account of;
    char batch[41];
    const char *state; /* static text */
};

struct close_job {
    struct settled *s;
    struct close_job *next; /* in s->closes */
    struct ipc_request *request;
    bool close_batch;
    char location[21], day[11], run[40];
    char border[4][17]; /* UTC minutes: before, begin, end, after */
    struct close_account accounts[CLOSE_ACCOUNTS_MAX];
    size_t account_count;
    size_t account; /* the one asked just now */
    size_t range;
    int64_t page;
    unsigned pages;
    bool last_page;
    char *items;                 /* the page as JSON; owned */
    struct close_batch closed;   /* the batch that was just told to close */
    struct close_batch *batches; /* of the day's money; owned */
    size_t batch_count, batch;
    struct msg_close_answer *answer; /* owned */
};

void close_resume(struct close_job *job, enum close_step step);
/* Ends the job; takes `e`. */
void close_refuse(struct close_job *job, struct error *e);
/* True if there is nothing to go on with: the job was refused. */
bool close_failed(struct close_job *job, const struct error *e);
void close_ask(struct close_job *job, enum book_statement statement, const char *const *parameters,
               book_done *done);

/* The processor's side, in close_processor.c: one function a step. */
void close_step_batch(struct close_job *job);
void close_step_batch_keep(struct close_job *job);
void close_step_fetch(struct close_job *job);
void close_step_keep(struct close_job *job);
void close_step_batches(struct close_job *job);
void close_step_find(struct close_job *job);
void close_step_find_keep(struct close_job *job);

#endif
