/* Answers from the store, and the durable cancel flag. Must never move money. */
#include "daemons/gatewayd/question.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemons/gatewayd/attempt.h"
#include "daemons/gatewayd/resolver.h"
#include "lib/log.h"
#include "lib/text_copy.h"
#include "lib/version.h"

struct question {
    struct gatewayd *g;
    struct ipc_request *request;
};

static struct question *question_new(struct gatewayd *g, struct ipc_request *request)
{
    struct question *q = malloc(sizeof *q);
    assert(q);
    *q = (struct question){g, request};
    return q;
}

static void refuse_unready(struct ipc_request *request, const struct error *e)
{
    log_error(LOG_REQUEST_FAILED, e, NULL);
    ipc_refuse(request, e && e->kind == ERROR_REFUSED
                            ? error_copy(e)
                            : error_refused("busy", "", "%s",
                                            "The database can't answer now; ask again shortly."));
}

static bool refused_while_away(const struct gatewayd *g, struct ipc_request *request)
{
    bool away = gatewayd_database_away(g);
    if (away) {
        ipc_refuse(request, error_refused("busy", "", "%s",
                                          "The database can't answer now; ask again shortly."));
    }
    return away;
}

static void status_found(void *context, enum database_outcome outcome, const struct rows *rows,
                         const struct error *e)
{
    struct question *q = context;
    if (outcome != DATABASE_DONE) {
        refuse_unready(q->request, e);
    } else if (rows_count(rows) == 0) {
        ipc_refuse(q->request, error_refused("payment_unknown", "key", "%s",
                                             "No payment with this key or number is known "
                                             "here yet. If you sent one, send the same "
                                             "request again with the same key."));
    } else {
        struct msg_payment_answer *a = message_new(MESSAGE_PAYMENT_ANSWER);
        payment_answer_read(rows, a);
        ipc_answer(q->request, MESSAGE_PAYMENT_ANSWER, a);
        message_free(MESSAGE_PAYMENT_ANSWER, a);
    }
    free(q);
}

void status_requested(void *context, struct ipc_request *request, const void *message)
{
    struct gatewayd *g = context;
    const struct msg_payment_status *m = message;
    if (!*m->key == !*m->payment) {
        ipc_refuse(request, error_refused("key_or_payment", "key", "%s",
                                          "Give either the key or the payment's number."));
        return;
    }
    if (refused_while_away(g, request)) {
        return;
    }
    char scope[64];
    attempt_scope(scope, sizeof scope, m->location, m->pos);
    struct question *q = question_new(g, request);
    if (*m->key) {
        payment_store_answer(g->db, scope, m->key, NULL, NULL, status_found, q);
    } else {
        payment_store_answer(g->db, NULL, NULL, m->payment, m->location, status_found, q);
    }
}

static void cancel_committed(void *context, enum database_outcome outcome, const struct rows *rows,
                             const struct error *e)
{
    struct question *q = context;
    if (outcome != DATABASE_DONE) {
        /* In doubt or not: the flag is idempotent, the POS asks again with the same key. */
        refuse_unready(q->request, e);
        free(q);
        return;
    }
    struct msg_payment_answer *a = message_new(MESSAGE_PAYMENT_ANSWER);
    payment_answer_read(rows, a);
    ipc_answer(q->request, MESSAGE_PAYMENT_ANSWER, a);
    message_free(MESSAGE_PAYMENT_ANSWER, a);
    resolver_expect(q->g->resolver);
    free(q);
}

void cancel_requested(void *context, struct ipc_request *request, const void *message)
{
    struct gatewayd *g = context;
    const struct msg_cancel *m = message;
    if (refused_while_away(g, request)) {
        return;
    }
    char scope[64], actor[ACTOR_BYTES];
    attempt_scope(scope, sizeof scope, m->location, m->pos);
    attempt_actor(actor, request, m->actor);
    payment_store_cancel(g->db, scope, m->key, actor, cancel_committed, question_new(g, request));
}

static void counted(void *context, enum database_outcome outcome, const struct rows *rows,
                    const struct error *e)
{
    struct question *q = context;
    struct gatewayd *g = q->g;
    struct msg_daemon_state *s = message_new(MESSAGE_DAEMON_STATE);
    (void)e;
    TEXT_COPY(s->daemon, "gatewayd");
    TEXT_COPY(s->version, KOMETPAY_VERSION);
    s->pid = getpid();
    s->up_ms = clock_boot_ms() - g->started_boot_ms;
    s->ready = g->serving && database_ready(g->db) && !daemon_draining(g->daemon);
    s->in_flight = g->job_count;
    s->connections = ipc_server_connections(g->server);
    if (outcome == DATABASE_DONE) {
        s->unknown = rows_int(rows, 0, "unknown");
        s->oldest_unknown_ms = rows_int(rows, 0, "oldest_unknown_ms");
        s->review = rows_int(rows, 0, "review");
    } else {
        TEXT_COPY(s->sentence, "the database doesn't answer");
    }
    ipc_answer(q->request, MESSAGE_DAEMON_STATE, s);
    message_free(MESSAGE_DAEMON_STATE, s);
    free(q);
}

void daemon_requested(void *context, struct ipc_request *request, const void *message)
{
    (void)message;
    struct gatewayd *g = context;
    if (database_ready(g->db)) {
        payment_store_counts(g->db, counted, question_new(g, request));
    } else {
        counted(question_new(g, request), DATABASE_ROLLED_BACK, NULL, NULL);
    }
}
