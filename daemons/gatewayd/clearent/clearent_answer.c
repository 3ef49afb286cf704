/* Clearent's answer to a money request -> exactly one outcome. Codes and statuses are decided by
 * the tables of clearent_code.c; here is only what an answer must show before they count. Must
 * never keep the id of a transaction that is not ours. */
#include "daemons/gatewayd/clearent/clearent_answer.h"

#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/clearent/clearent_code.h"
#include "daemons/gatewayd/clearent/clearent_envelope.h"

/* The answer is about something else: only what support needs is kept. */
static void keep_foreign(struct money_outcome *out)
{
    struct money_outcome kept = {.outcome = OUTCOME_UNKNOWN, .alarm = true};
    memcpy(kept.request_id, out->request_id, sizeof kept.request_id);
    memcpy(kept.raw_code, out->raw_code, sizeof kept.raw_code);
    memcpy(kept.raw_message, out->raw_message, sizeof kept.raw_message);
    *out = kept;
}

static void set_reason(struct money_outcome *out, const char *reason, const char *otherwise)
{
    snprintf(out->reason, sizeof out->reason, "%s", reason[0] != '\0' ? reason : otherwise);
}

/* A row that says APPROVED and whose ref, type and card are ours. */
static void read_approval(const struct money_request *request, enum clearent_echo echo,
                          enum clearent_class class, bool has_id, struct money_outcome *out)
{
    if (class != CLEARENT_CLASS_APPROVED || !has_id) {
        out->alarm = true;
        return;
    }
    if (echo == CLEARENT_ECHO_LESS) {
        out->partial = true;
        return;
    }
    if (request->operation == OPERATION_VOID) {
        out->approved_minor = request->amount_minor; /* a void may not repeat it */
    }
    out->outcome = OUTCOME_APPROVED;
}

/* 2xx: the transaction itself decides. */
static void read_transaction(const struct money_request *request,
                             const struct clearent_envelope *envelope, struct money_outcome *out)
{
    const json_t *row = json_object_get(envelope->payload, "transaction");
    if (!json_is_object(row) || envelope->error != NULL) {
        out->alarm = true;
        return;
    }
    bool has_id = clearent_transaction_read(row, request->currency, request->last_four, out);
    enum clearent_echo echo = clearent_echo_of(row, request, true);
    if (clearent_ref_of(row, request->ref) != CLEARENT_REF_OURS || echo == CLEARENT_ECHO_OTHER) {
        keep_foreign(out);
        return;
    }
    const struct clearent_code *code = clearent_code_find(clearent_result_code(row));
    if (clearent_result_is(row, "APPROVED")) {
        read_approval(request, echo, code->class, has_id, out);
    } else if (clearent_result_is(row, "DECLINED")) {
        out->outcome = clearent_verdict(CLEARENT_READ_TRANSACTION, code->class);
        if (out->outcome != OUTCOME_UNKNOWN) {
            set_reason(out, code->reason, "DECLINED_HARD");
        }
    }
    if (out->outcome != OUTCOME_APPROVED && !out->partial) {
        out->approved_minor = 0;
    }
}

/* False if the transaction inside a refusal contradicts it, or is another's. */
static bool refusal_is_ours(const struct money_request *request, const json_t *row)
{
    enum clearent_ref ref = clearent_ref_of(row, request->ref);
    return (ref == CLEARENT_REF_OURS || ref == CLEARENT_REF_NONE) &&
           clearent_echo_of(row, request, false) != CLEARENT_ECHO_OTHER &&
           (!clearent_has(row, "result") || clearent_result_is(row, "DECLINED"));
}

/* Not 2xx: the code decides, wherever it stands; two places must agree. */
static void read_refusal(const struct money_request *request,
                         const struct clearent_envelope *envelope,
                         const struct clearent_status *status, struct money_outcome *out)
{
    const json_t *row = json_object_get(envelope->payload, "transaction");
    int code = clearent_result_code(envelope->error);
    bool agree = true;
    if (json_is_object(row)) {
        clearent_transaction_read(row, request->currency, request->last_four, out);
        out->approved_minor = 0;
        int row_code = clearent_result_code(row);
        agree = code == CLEARENT_CODE_NONE || row_code == CLEARENT_CODE_NONE || code == row_code;
        code = code == CLEARENT_CODE_NONE ? row_code : code;
        if (!refusal_is_ours(request, row)) {
            keep_foreign(out);
            return;
        }
    }
    if (envelope->error != NULL) {
        bool ignored = false;
        clearent_sentence(envelope->error, "error-message", out->raw_message,
                          sizeof out->raw_message);
        clearent_text(envelope->error, "result-code", out->raw_code, sizeof out->raw_code,
                      &ignored);
    }
    const struct clearent_code *listed = clearent_code_find(code);
    if (agree) {
        out->outcome = clearent_verdict(status->reading, listed->class);
    }
    if (out->outcome == OUTCOME_DECLINED) {
        set_reason(out, listed->reason, "DECLINED_HARD");
    } else if (out->outcome == OUTCOME_REFUSED) {
        set_reason(out, listed->reason, status->reason);
    }
}

void clearent_parse_money(const struct money_request *request, const struct http_result *result,
                          struct money_outcome *out)
{
    *out = (struct money_outcome){.outcome = OUTCOME_UNKNOWN};
    if (!connector_transport(result, &out->outcome, &out->alarm)) {
        clearent_redact(result->request_id, out->request_id, sizeof out->request_id);
        clearent_redact(result->error_text, out->raw_message, sizeof out->raw_message);
        return;
    }
    const struct clearent_status *status = clearent_status_find(result->status);
    struct clearent_envelope envelope;
    bool readable = clearent_envelope_open(result, &envelope);
    memcpy(out->request_id, envelope.request_id, sizeof out->request_id);
    out->alarm = status->alarm;
    if (!readable) {
        out->alarm = status->alarm || status->reading == CLEARENT_READ_TRANSACTION;
    } else if (status->reading == CLEARENT_READ_TRANSACTION) {
        read_transaction(request, &envelope, out);
    } else {
        read_refusal(request, &envelope, status, out);
    }
    clearent_envelope_close(&envelope);
}
