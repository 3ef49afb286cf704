/* Passes requests on and their answers back, with location, POS and actor filled in. Knows nothing
 * of money. Must never turn a lost answer into an error (that is PENDING), nor tell a POS with a
 * certificate of other locations. */
#include "daemons/terminald/pos_request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemons/terminald/pos_answer.h"
#include "daemons/terminald/pos_session.h"
#include "daemons/terminald/terminald.h"
#include "lib/clock.h"
#include "lib/id.h"
#include "lib/version.h"

/* What a lost answer means to the POS. */
enum loss {
    LOSS_IS_PENDING, /* something may have been done: ask for the status */
    LOSS_IS_BUSY,    /* only a question: ask it again */
};

/* One request on its way to another daemon. Freed when the answer is passed back. */
struct errand {
    struct ipc_request *request;
    enum loss loss;
    enum payment_answer_kind kind; /* for PENDING */
    char payment[ID_MAX + 1];
};

static struct errand *errand_new(struct ipc_request *request, enum loss loss)
{
    struct errand *errand = calloc(1, sizeof *errand);
    assert(errand != NULL);
    errand->request = request;
    errand->loss = loss;
    errand->kind = PAYMENT_ANSWER_KIND_SALE;
    return errand;
}

/* An act on a payment, or a question about one. */
static struct errand *errand_of_payment(struct ipc_request *request, enum payment_answer_kind kind,
                                        const char *payment)
{
    struct errand *errand = errand_new(request, LOSS_IS_PENDING);
    errand->kind = kind;
    snprintf(errand->payment, sizeof errand->payment, "%s", payment);
    return errand;
}

static void errand_done(void *context, const struct error *e, enum message_type type,
                        const void *answer)
{
    struct errand *errand = context;
    if (e == NULL) {
        ipc_answer(errand->request, type, answer);
    } else if (!pos_outcome_open(e)) {
        pos_answer_error(errand->request, e);
    } else if (errand->loss == LOSS_IS_PENDING) {
        pos_answer_pending(errand->request, errand->kind, errand->payment, 0, "");
    } else {
        ipc_refuse(errand->request, error_refused("busy", "", "No answer in time; ask again."));
    }
    free(errand);
}

static void errand_send(struct terminald *t, struct ipc_client *to, struct errand *errand,
                        enum message_type type, const void *message)
{
    ipc_call(to, type, message, pos_answer_deadline(errand->request, t->patience_ms), errand_done,
             errand);
}

/* Fills in location and POS, or refuses the request. False: it is answered. */
static bool placed(struct ipc_request *request, enum pos_location_need need,
                   char location[POS_LOCATION_MAX_BYTES + 1], char pos[POS_NAME_MAX_BYTES + 1])
{
    struct error *e = pos_session_place(request, need, location, pos);
    if (e != NULL) {
        ipc_refuse(request, e);
        return false;
    }
    return true;
}

void pos_request_capture(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    struct msg_capture capture = *(const struct msg_capture *)message;
    if (placed(request, POS_LOCATION_OPTIONAL, capture.location, capture.pos)) {
        pos_session_actor(request, capture.actor);
        errand_send(t, t->gatewayd,
                    errand_of_payment(request, PAYMENT_ANSWER_KIND_CAPTURE, capture.payment),
                    MESSAGE_CAPTURE, &capture);
    }
}

void pos_request_void(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    struct msg_void undo = *(const struct msg_void *)message;
    if (placed(request, POS_LOCATION_OPTIONAL, undo.location, undo.pos)) {
        pos_session_actor(request, undo.actor);
        errand_send(t, t->gatewayd,
                    errand_of_payment(request, PAYMENT_ANSWER_KIND_VOID, undo.payment),
                    MESSAGE_VOID, &undo);
    }
}

void pos_request_refund(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    struct msg_refund refund = *(const struct msg_refund *)message;
    if (placed(request, POS_LOCATION_OPTIONAL, refund.location, refund.pos)) {
        pos_session_actor(request, refund.actor);
        errand_send(t, t->gatewayd,
                    errand_of_payment(request, PAYMENT_ANSWER_KIND_REFUND, refund.payment),
                    MESSAGE_REFUND, &refund);
    }
}

void pos_request_cancel(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    struct msg_cancel cancel = *(const struct msg_cancel *)message;
    if (placed(request, POS_LOCATION_REQUIRED, cancel.location, cancel.pos)) {
        pos_session_actor(request, cancel.actor);
        errand_send(t, t->gatewayd, errand_of_payment(request, PAYMENT_ANSWER_KIND_SALE, ""),
                    MESSAGE_CANCEL, &cancel);
    }
}

void pos_request_status(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    struct msg_payment_status status = *(const struct msg_payment_status *)message;
    if ((status.key[0] == '\0') == (status.payment[0] == '\0')) {
        ipc_refuse(request, error_refused("key_or_payment", "key",
                                          "Ask either by the key or by the payment."));
        return;
    }
    /* a key is of a location and a POS: without the location it would be another's */
    enum pos_location_need need =
        status.key[0] != '\0' ? POS_LOCATION_REQUIRED : POS_LOCATION_OPTIONAL;
    if (placed(request, need, status.location, status.pos)) {
        errand_send(t, t->gatewayd,
                    errand_of_payment(request, PAYMENT_ANSWER_KIND_SALE, status.payment),
                    MESSAGE_PAYMENT_STATUS, &status);
    }
}

void pos_request_log(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    struct msg_log log = *(const struct msg_log *)message;
    /* A TLS client sees its location's rows, of all its POS: `pos` stays the caller's filter. */
    char nobody[POS_NAME_MAX_BYTES + 1] = "";
    if (placed(request, POS_LOCATION_OPTIONAL, log.location, nobody)) {
        errand_send(t, t->settled, errand_new(request, LOSS_IS_BUSY), MESSAGE_LOG, &log);
    }
}

/* A POS with a certificate is told of its own location, and not whose merchant account it has. */
static void locations_answer(struct ipc_request *request, const struct msg_location_rows *all)
{
    const char *certified = ipc_request_location(request);
    if (certified[0] == '\0') {
        ipc_answer(request, MESSAGE_LOCATION_ROWS, all);
        return;
    }
    struct msg_location_rows *own = message_new(MESSAGE_LOCATION_ROWS);
    for (size_t i = 0; i < all->rows_count; i++) {
        if (strcmp(all->rows[i].code, certified) == 0) {
            struct msg_location_row *row = message_list_add(MESSAGE_LOCATION_ROWS, own, "rows");
            assert(row != NULL);
            *row = all->rows[i];
            row->account[0] = '\0';
        }
    }
    ipc_answer(request, MESSAGE_LOCATION_ROWS, own);
    message_free(MESSAGE_LOCATION_ROWS, own);
}

static void locations_done(void *context, const struct error *e, enum message_type type,
                           const void *answer)
{
    struct errand *errand = context;
    if (e != NULL) {
        errand_done(errand, e, type, answer);
        return;
    }
    locations_answer(errand->request, answer);
    free(errand);
}

void pos_request_locations(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    struct errand *errand = errand_new(request, LOSS_IS_BUSY);
    ipc_call(t->settled, MESSAGE_LOCATION_LIST, message,
             pos_answer_deadline(request, t->patience_ms), locations_done, errand);
}

void pos_request_daemon_status(void *context, struct ipc_request *request, const void *message)
{
    struct terminald *t = context;
    (void)message;
    struct msg_daemon_state *state = message_new(MESSAGE_DAEMON_STATE);
    snprintf(state->daemon, sizeof state->daemon, "terminald");
    snprintf(state->version, sizeof state->version, "%s", KOMETPAY_VERSION);
    state->pid = getpid();
    state->up_ms = clock_boot_ms() - t->started_boot_ms;
    state->ready = !daemon_draining(t->daemon);
    state->in_flight = ipc_server_in_flight(t->server);
    state->connections = ipc_server_connections(t->server);
    snprintf(state->sentence, sizeof state->sentence, "%s",
             t->tls != NULL ? "UNIX socket and TLS" : "UNIX socket; TLS is off");
    ipc_answer(request, MESSAGE_DAEMON_STATE, state);
    message_free(MESSAGE_DAEMON_STATE, state);
}
