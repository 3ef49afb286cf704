/* Clearent's search answers: rows are sorted into heaps, then one table of precedence decides.
 * Must never say ABSENT for an answer that could have hidden our row. */
#include "daemons/gatewayd/clearent/clearent_lookup.h"

#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/clearent/clearent_code.h"
#include "daemons/gatewayd/clearent/clearent_envelope.h"

#define ROWS_MAX 500 /* far above what one ref can have */
#define STEP_BY_CARD 2

struct approved {
    struct money_outcome found;
    char created[41];
};

struct heaps {
    struct approved live[CONNECTOR_SEVERAL_MAX]; /* approved and not voided, earliest first */
    size_t live_count;                           /* may be more than fit */
    size_t partial;                              /* of them: for less than asked */
    size_t reversed;
    size_t declined;
    size_t pending;
    size_t mismatched; /* of them: another amount or card */
    size_t foreign;
    size_t odd; /* our ref on a row that can't be ours */
    struct money_outcome reversed_row;
    struct money_outcome declined_row;
    struct money_outcome mismatched_row;
    char reversal_id[CONNECTOR_ID_SIZE];
    bool unreadable;
};

/* Ids are numbers without leading zeros: shorter is earlier. */
static int compare_age(const struct approved *a, const struct approved *b)
{
    int created = strcmp(a->created, b->created);
    if (created != 0 && a->created[0] != '\0' && b->created[0] != '\0') {
        return created;
    }
    size_t a_size = strlen(a->found.processor_id);
    size_t b_size = strlen(b->found.processor_id);
    if (a_size != b_size) {
        return a_size < b_size ? -1 : 1;
    }
    return strcmp(a->found.processor_id, b->found.processor_id);
}

static void add_live(struct heaps *heaps, const struct approved *row)
{
    size_t kept =
        heaps->live_count < CONNECTOR_SEVERAL_MAX ? heaps->live_count : CONNECTOR_SEVERAL_MAX;
    size_t at = kept;
    for (size_t i = 0; i < kept; i++) {
        if (strcmp(heaps->live[i].found.processor_id, row->found.processor_id) == 0) {
            return; /* the same row twice */
        }
    }
    while (at > 0 && compare_age(row, &heaps->live[at - 1]) < 0) {
        at--;
    }
    heaps->live_count++;
    if (at >= CONNECTOR_SEVERAL_MAX) {
        return;
    }
    size_t moved = kept - at - (kept == CONNECTOR_SEVERAL_MAX ? 1 : 0);
    memmove(&heaps->live[at + 1], &heaps->live[at], moved * sizeof heaps->live[0]);
    heaps->live[at] = *row;
}

/* The approved void of transaction `id` among the rows, or NULL. */
static const json_t *void_of(const struct clearent_rows *rows, const char *id)
{
    char follows[CONNECTOR_ID_SIZE];
    bool ignored = false;
    for (size_t i = 0; i < rows->count; i++) {
        const json_t *row = clearent_row(rows, i);
        if (clearent_kind(row) == ITEM_VOID && clearent_result_is(row, "APPROVED") &&
            clearent_text(row, "ref-id", follows, sizeof follows, &ignored) &&
            strcmp(follows, id) == 0) {
            return row;
        }
    }
    return NULL;
}

static void sort_approved(const struct lookup_request *request, const struct clearent_rows *rows,
                          const json_t *row, enum clearent_echo echo, struct approved *approved,
                          struct heaps *heaps)
{
    bool ignored = false;
    const json_t *reversal =
        request->operation == OPERATION_VOID ? NULL : void_of(rows, approved->found.processor_id);
    approved->found.outcome = OUTCOME_APPROVED;
    if (reversal != NULL || (request->operation != OPERATION_VOID && clearent_is_voided(row))) {
        heaps->reversed++;
        heaps->reversed_row = approved->found;
        clearent_id(reversal, "id", request->last_four, heaps->reversal_id,
                    sizeof heaps->reversal_id, &ignored);
    } else if (echo == CLEARENT_ECHO_OURS) {
        if (request->operation == OPERATION_VOID) {
            approved->found.approved_minor = request->amount_minor;
        }
        add_live(heaps, approved);
    } else {
        approved->found.outcome = OUTCOME_UNKNOWN;
        approved->found.partial = echo == CLEARENT_ECHO_LESS;
        heaps->mismatched++;
        heaps->partial += approved->found.partial;
        heaps->mismatched_row = approved->found;
        add_live(heaps, approved);
    }
}

static void sort_declined(const struct clearent_code *code, struct money_outcome *found,
                          struct heaps *heaps)
{
    /* 'Duplicate' means another row with this ref exists, which the search may not show yet;
     * 'approved' contradicts the row. */
    if (code->class == CLEARENT_CLASS_DUPLICATE || code->class == CLEARENT_CLASS_APPROVED) {
        heaps->pending++;
        return;
    }
    found->outcome = OUTCOME_DECLINED;
    found->approved_minor = 0;
    snprintf(found->reason, sizeof found->reason, "%s",
             code->reason[0] != '\0' ? code->reason : "DECLINED_HARD");
    heaps->declined++;
    heaps->declined_row = *found;
}

/* A row that carries our ref. */
static void sort_own(const struct lookup_request *request, const struct clearent_rows *rows,
                     const json_t *row, struct heaps *heaps)
{
    if (!clearent_is_ours(row, request->operation)) {
        /* A void made by hand may repeat the invoice; it is seen by its ref-id. */
        heaps->odd += clearent_kind(row) == ITEM_VOID ? 0 : 1;
        return;
    }
    const struct money_request asked = {
        .operation = request->operation,
        .ref = request->ref,
        .amount_minor = request->amount_minor,
        .currency = {request->currency[0], request->currency[1], request->currency[2], '\0'},
        .last_four = {request->last_four[0], request->last_four[1], request->last_four[2],
                      request->last_four[3], '\0'},
    };
    struct approved approved = {.found = {.outcome = OUTCOME_UNKNOWN}};
    bool ignored = false;
    bool has_id =
        clearent_transaction_read(row, request->currency, request->last_four, &approved.found);
    clearent_text(row, "created", approved.created, sizeof approved.created, &ignored);
    const struct clearent_code *code = clearent_code_find(clearent_result_code(row));
    bool code_fits = code->class == CLEARENT_CLASS_APPROVED || !clearent_has(row, "result-code");
    if (clearent_result_is(row, "APPROVED") && code_fits) {
        heaps->unreadable = heaps->unreadable || !has_id;
        sort_approved(request, rows, row, clearent_echo_of(row, &asked, true), &approved, heaps);
    } else if (clearent_result_is(row, "DECLINED")) {
        sort_declined(code, &approved.found, heaps);
    } else {
        heaps->pending++;
    }
}

static void sort_rows(const struct lookup_request *request, const struct clearent_rows *rows,
                      struct heaps *heaps)
{
    for (size_t i = 0; i < rows->count; i++) {
        const json_t *row = clearent_row(rows, i);
        switch (clearent_ref_of(row, request->ref)) {
        case CLEARENT_REF_OURS:
            sort_own(request, rows, row, heaps);
            break;
        case CLEARENT_REF_HALF:
            heaps->odd++;
            break;
        case CLEARENT_REF_NONE:
        case CLEARENT_REF_OTHER:
            heaps->foreign++;
            break;
        }
    }
}

static void set_found(struct lookup_outcome *out, enum lookup lookup,
                      const struct money_outcome *found, bool alarm)
{
    out->lookup = lookup;
    out->found = *found;
    out->alarm = out->alarm || alarm;
}

static void list_live(const struct heaps *heaps, struct lookup_outcome *out)
{
    for (size_t i = 0; i < heaps->live_count && i < CONNECTOR_SEVERAL_MAX; i++) {
        const struct money_outcome *row = &heaps->live[i].found;
        memcpy(out->standing[i].id, row->processor_id, sizeof out->standing[i].id);
        out->standing[i].amount_minor = row->approved_minor;
        out->standing_count = i + 1;
    }
    out->more = heaps->live_count > CONNECTOR_SEVERAL_MAX;
}

/* Order matters: what may cost money or hide a charge comes first. */
static void decide(const struct lookup_request *request, const struct heaps *heaps,
                   struct lookup_outcome *out)
{
    out->alarm = heaps->odd > 0;
    if (heaps->unreadable) {
        out->lookup = LOOKUP_UNCLEAR;
    } else if (heaps->mismatched > 0) {
        set_found(out,
                  heaps->partial == 1 && heaps->live_count == 1 ? LOOKUP_PARTIAL : LOOKUP_MISMATCH,
                  &heaps->mismatched_row, true);
        list_live(heaps, out);
    } else if (heaps->live_count > 1) {
        set_found(out, LOOKUP_SEVERAL, &heaps->live[0].found, true);
        list_live(heaps, out);
    } else if (heaps->pending > 0) {
        out->lookup = LOOKUP_PENDING;
        out->alarm = out->alarm || heaps->live_count > 0;
    } else if (heaps->live_count == 1) {
        set_found(out, LOOKUP_APPROVED, &heaps->live[0].found, heaps->reversed > 0);
        list_live(heaps, out);
    } else if (heaps->reversed > 0) {
        set_found(out, LOOKUP_REVERSED, &heaps->reversed_row, false);
        memcpy(out->reversal_id, heaps->reversal_id, sizeof out->reversal_id);
    } else if (heaps->declined > 0) {
        set_found(out, LOOKUP_DECLINED, &heaps->declined_row, false);
    } else if (heaps->odd == 0 && heaps->foreign == 0 && request->step != STEP_BY_CARD) {
        out->lookup = LOOKUP_ABSENT;
    }
}

/* All rows of the answer, and it is the only page. */
static bool complete(const struct clearent_rows *rows)
{
    return rows->count <= ROWS_MAX && (!rows->last_known || rows->last) &&
           (rows->total < 0 || rows->total == (int64_t)rows->count);
}

void clearent_parse_lookup(const struct lookup_request *request, const struct http_result *result,
                           struct lookup_outcome *out)
{
    *out = (struct lookup_outcome){.lookup = LOOKUP_UNCLEAR, .found = {.outcome = OUTCOME_UNKNOWN}};
    struct clearent_envelope envelope;
    struct clearent_rows rows;
    enum clearent_list list =
        clearent_rows_open(result, "transactions", "transaction", &envelope, &rows);
    struct heaps heaps = {0};
    if (list == CLEARENT_LIST_ROWS && complete(&rows)) {
        sort_rows(request, &rows, &heaps);
        decide(request, &heaps, out);
    } else if (list == CLEARENT_LIST_NOTHING) {
        decide(request, &heaps, out);
    } else {
        out->alarm = clearent_status_find(result->status)->alarm && result->status != 404;
    }
    memcpy(out->found.request_id, envelope.request_id, sizeof out->found.request_id);
    clearent_envelope_close(&envelope);
}

/* ---- the original of a void, capture or refund ---- */

static void add_child(const json_t *row, const char *currency, struct original_outcome *out,
                      bool *voided)
{
    int64_t minor = 0;
    bool ignored = false;
    clearent_amount(row, "amount", currency, &minor);
    enum item_kind kind = clearent_kind(row);
    if (kind == ITEM_VOID) {
        *voided = true;
        clearent_id(row, "id", "", out->void_id, sizeof out->void_id, &ignored);
        if (!clearent_id(row, "invoice", "", out->void_ref, sizeof out->void_ref, &ignored)) {
            clearent_id(row, "order-id", "", out->void_ref, sizeof out->void_ref, &ignored);
        }
    } else if (kind == ITEM_CAPTURE && minor > 0 &&
               __builtin_add_overflow(out->captured_minor, minor, &out->captured_minor)) {
        out->captured_minor = INT64_MAX;
    } else if (kind == ITEM_REFUND && minor > 0 &&
               __builtin_add_overflow(out->refunded_minor, minor, &out->refunded_minor)) {
        out->refunded_minor = INT64_MAX;
    }
}

static void read_original(const struct original_request *request, const struct clearent_rows *rows,
                          struct original_outcome *out)
{
    bool voided = false;
    const json_t *original = NULL;
    bool ignored = false;
    for (size_t i = 0; i < rows->count; i++) {
        const json_t *row = clearent_row(rows, i);
        char id[CONNECTOR_ID_SIZE];
        char follows[CONNECTOR_ID_SIZE];
        bool approved = clearent_result_is(row, "APPROVED");
        if (clearent_text(row, "id", id, sizeof id, &ignored) &&
            strcmp(id, request->follows) == 0) {
            original = row;
        } else if (approved && clearent_text(row, "ref-id", follows, sizeof follows, &ignored) &&
                   strcmp(follows, request->follows) == 0) {
            add_child(row, request->currency, out, &voided);
        }
    }
    if (voided || (original != NULL && clearent_is_voided(original))) {
        out->original = ORIGINAL_VOIDED;
    } else if (original != NULL && clearent_result_is(original, "APPROVED")) {
        out->original = clearent_is_settled(original) ? ORIGINAL_SETTLED : ORIGINAL_LIVE;
    } else if (rows->count == 0) {
        out->original = ORIGINAL_ABSENT;
    }
    clearent_shown(original, "batch-string-id", out->batch, sizeof out->batch);
}

void clearent_parse_original(const struct original_request *request,
                             const struct http_result *result, struct original_outcome *out)
{
    *out = (struct original_outcome){.original = ORIGINAL_UNCLEAR};
    struct clearent_envelope envelope;
    struct clearent_rows rows;
    enum clearent_list list =
        clearent_rows_open(result, "transactions", "transaction", &envelope, &rows);
    if (list == CLEARENT_LIST_NOTHING) {
        out->original = ORIGINAL_ABSENT;
    } else if (list == CLEARENT_LIST_ROWS && complete(&rows)) {
        read_original(request, &rows, out);
    }
    clearent_envelope_close(&envelope);
}
