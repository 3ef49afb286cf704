/* Payments in PostgreSQL: one call a transition or question, all idempotent, so that a caller whose
 * commit was lost asks again. Knows the functions of schema payment and nothing of processors. */
#ifndef GATEWAYD_PAYMENT_STORE_H
#define GATEWAYD_PAYMENT_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemons/gatewayd/connector.h"
#include "ipc/message.h"
#include "lib/database.h"

#define PENDING_RETRY_AFTER_MS 2000 /* told with PENDING */

extern const struct statement PAYMENT_STATEMENTS[];
extern const size_t PAYMENT_STATEMENTS_COUNT;

enum begin_outcome {
    BEGIN_MINE,     /* inserted, or found again: ours to send */
    BEGIN_EXISTS,   /* the same request was made before */
    BEGIN_CONFLICT, /* the key was used for another request */
    BEGIN_REFUSED,
    BEGIN_WAIT, /* reversal only: one is under way */
    BEGIN_DONE, /* reversal only: already reversed */
};

/* What an intent needs; texts are borrowed during the call. */
struct sale_intent {
    const char *payment, *ref, *holder, *scope, *fingerprint, *actor;
    const char *credentials; /* of the accounts we can act for */
    const struct msg_sale *sale;
};
struct follow_up_intent {
    const char *ref, *holder, *location, *pos, *key, *fingerprint, *payment, *kind, *actor;
    int64_t amount_minor;
};

/* What an intent gave; texts are valid during the callback. */
struct begun {
    enum begin_outcome outcome;
    const char *code, *field, *sentence;
    const char *processor, *account, *ref, *payment;
    const char *kind, *currency, *follows, *last_four; /* follow-ups */
    int64_t amount_minor;
};
struct begun begun_read(const struct rows *rows);           /* a sale */
struct begun begun_follow_up_read(const struct rows *rows); /* a follow-up or a reversal */

void payment_store_sale_begin(struct database *db, const struct sale_intent *intent,
                              database_done *done, void *context);
void payment_store_follow_up_begin(struct database *db, const struct follow_up_intent *intent,
                                   database_done *done, void *context);
/* amount_minor: of the transaction to take back, 0 = as the payment was approved. */
void payment_store_reversal_begin(struct database *db, const char *ref, const char *holder,
                                  const char *parent, int64_t parent_epoch,
                                  const char *processor_id, int64_t amount_minor,
                                  database_done *done, void *context);

struct result_record {
    const char *ref, *holder, *state, *actor;
    int64_t epoch;
    const struct money_outcome *outcome; /* may be NULL: only the state */
    int64_t next_try_ms;                 /* where it is looked at again; -1 = not given */
    int64_t horizon_ms;                  /* -1 = unchanged */
};
struct recorded {
    bool applied;
    const char *state;
    bool id_taken; /* the processor named another attempt's transaction: not recorded */
};
/* True if the database has refused the call itself, and will again: it was neither away nor busy.
 */
bool payment_store_refused(enum database_outcome outcome, const struct error *e);
struct recorded recorded_read(const struct rows *rows);
void payment_store_result(struct database *db, const struct result_record *record,
                          database_done *done, void *context);
void payment_store_absent(struct database *db, const char *ref, const char *holder, int64_t epoch,
                          int64_t next_try_ms, database_done *done, void *context);
/* An unclear void will be sent once more: the durable write before it. */
void payment_store_void_repeat(struct database *db, const char *ref, const char *holder,
                               int64_t epoch, int64_t horizon_ms, database_done *done,
                               void *context);
void payment_store_cancel(struct database *db, const char *scope, const char *key,
                          const char *actor, database_done *done, void *context);
void payment_store_due(struct database *db, const char *holder, int64_t limit, int64_t horizon_ms,
                       database_done *done, void *context);
/* Makes due again what `holder` may have claimed when the answer to its claim was lost. */
void payment_store_claims_drop(struct database *db, const char *holder, database_done *done,
                               void *context);
/* scope and key, or payment and the asker's location ("" = any); the others NULL. */
void payment_store_answer(struct database *db, const char *scope, const char *key,
                          const char *payment, const char *location, database_done *done,
                          void *context);
void payment_store_answer_of(struct database *db, const char *ref, database_done *done,
                             void *context);
/* Fills an answer from the row that payment_store_answer, _answer_of, _cancel or _result gave: so
 * the first answer and each repeated one are the same. */
void payment_answer_read(const struct rows *rows, struct msg_payment_answer *answer);
void payment_store_counts(struct database *db, database_done *done, void *context);
/* Work of a processor that answers again is due at once. */
void payment_store_wake(struct database *db, const char *processor, const char *account,
                        database_done *done, void *context);
/* The processor and account that serve a location. */
void payment_store_location(struct database *db, const char *location, database_done *done,
                            void *context);

void payment_store_instance_start(struct database *db, const char *id, const char *host,
                                  const char *boot_id, int64_t pid, const char *process_start,
                                  database_done *done, void *context);
void payment_store_instance_others(struct database *db, const char *id, database_done *done,
                                   void *context);
void payment_store_instance_end(struct database *db, const char *id, database_done *done,
                                void *context);

#endif
