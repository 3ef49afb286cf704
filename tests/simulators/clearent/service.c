/* From a request to its answer: route, script of faults, checks of the head, operation, damage.
 * It must never execute before the faults had their say. */
#include "service.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "account.h"
#include "batch_call.h"
#include "clock.h"
#include "damage.h"
#include "late.h"
#include "result_code.h"
#include "search.h"
#include "settings.h"
#include "stats.h"
#include "transaction_request.h"

struct route {
    const char *method;
    const char *path;
    enum operation op; /* OP_COUNT: the body's type tells */
};

static const struct route ROUTES[] = {
    {"POST", "/rest/v2/transactions/sale", OP_SALE},
    {"POST", "/rest/v2/transactions/auth", OP_AUTH},
    {"POST", "/rest/v2/transactions/capture", OP_CAPTURE},
    {"POST", "/rest/v2/transactions/void", OP_VOID},
    {"POST", "/rest/v2/transactions/refund", OP_REFUND},
    {"POST", "/rest/v2/transactions", OP_COUNT},
    {"GET", "/rest/v2/transactions", OP_SEARCH},
    {"GET", "/rest/v2/batches/open", OP_BATCH_OPEN},
    {"PUT", "/rest/v2/batches/open", OP_BATCH_CLOSE},
    {"GET", "/rest/v2/batches", OP_BATCH_LIST},
};

/* One request on its way; lives on the stack of service_answer. */
struct call {
    const struct request *request;
    const struct route *route;
    enum operation op;
    const struct account *account;
    json_t *body;                /* NULL when there is none or it isn't JSON */
    const struct fault_hit *hit; /* NULL when no fault strikes */
    struct search search;
    bool search_good;
    struct outcome refused;
};

static const struct route *route_find(const struct request *request, bool *path_known)
{
    *path_known = false;
    for (size_t i = 0; i < sizeof ROUTES / sizeof ROUTES[0]; i++) {
        if (strcmp(ROUTES[i].path, request->path) == 0) {
            *path_known = true;
            if (strcmp(ROUTES[i].method, request->method) == 0) {
                return &ROUTES[i];
            }
        }
    }
    return NULL;
}

bool service_fault_on_headers(const struct request *request, struct fault_hit *hit)
{
    bool known;
    const struct route *route = route_find(request, &known);
    struct fault_subject subject = {.op = OP_OTHER, .amount_minor = -1};

    if (route != NULL && route->op != OP_COUNT) {
        subject.op = route->op;
    }
    if (!fault_take(PHASE_HEADERS, &subject, hit)) {
        return false;
    }
    stats.faults++;
    return true;
}

static const char *body_word(const struct call *call, const char *name)
{
    return json_string_value(json_object_get(call->body, name));
}

/* What the fault rules can match on, read leniently: a fault may also strike a bad request. */
static struct fault_subject subject_of(const struct call *call)
{
    struct fault_subject subject = {.op = call->op, .amount_minor = -1};
    const char *const *values = call->search.query.values;
    const char *amount = body_word(call, "amount");
    const char *card = body_word(call, "card");

    if (call->op == OP_SEARCH) {
        uint32_t place = ROW_NONE;

        subject.ref = values[SEARCH_INVOICE];
        subject.order_id = values[SEARCH_ORDER_ID];
        if (values[SEARCH_ID] != NULL) {
            place = row_by_id(values[SEARCH_ID]);
        }
        if (subject.ref == NULL && place != ROW_NONE) {
            subject.ref = row_at(place)->invoice;
        }
        subject.last_four = values[SEARCH_LAST_FOUR];
        amount = values[SEARCH_AMOUNT];
    } else {
        subject.ref = body_word(call, "invoice");
        subject.order_id = body_word(call, "order-id");
        if (card != NULL && strlen(card) > 4) {
            subject.last_four = card + strlen(card) - 4;
        }
    }
    if (amount != NULL) {
        subject.amount_minor = money_parse(amount);
    }
    return subject;
}

/* False, with the refusal in the answer, when the head of the request is not as documented. */
static bool head_good(struct call *call, struct answer *answer)
{
    const struct request *request = call->request;
    bool has_body = strcmp(request->method, "GET") != 0;

    call->account = request->api_key == NULL ? NULL : account_by_key(request->api_key);
    if (call->account == NULL) {
        answer_error(answer, CODE_KEY, NULL);
        return false;
    }
    if (request->accept == NULL || strstr(request->accept, "application/json") == NULL) {
        answer_error(answer, CODE_REQUEST_FORMAT, "Accept must be application/json");
        return false;
    }
    if (has_body && (request->content_type == NULL ||
                     strncasecmp(request->content_type, "application/json", 16) != 0 ||
                     strchr("; ", request->content_type[16]) == NULL)) {
        answer_error(answer, CODE_REQUEST_FORMAT, "Content-Type must be application/json");
        return false;
    }
    if (has_body && !json_is_object(call->body)) {
        answer_error(answer, CODE_REQUEST_FORMAT, "The body must be one JSON object");
        return false;
    }
    if (!has_body && request->body_size > 0) {
        answer_error(answer, CODE_REQUEST_FORMAT, "A GET takes no body");
        return false;
    }
    return true;
}

/* AVS and CSC refusals of the gateway void the approval they came with. */
static void gateway_void(const struct transaction *asked, const struct outcome *approved)
{
    struct transaction voiding = {.type = OP_VOID,
                                  .account = asked->account,
                                  .amount_minor = approved->view.amount_minor,
                                  .original = row_count() - 1};
    struct outcome unheard;

    transaction_execute(&voiding, "gateway", &unheard);
}

static void money_code(const struct transaction *asked, const struct fault_hit *hit,
                       struct outcome *out)
{
    bool approved = hit->executed && out->code == CODE_APPROVED && out->has_view;
    bool listed = hit->http == 0 || hit->http == result_code(hit->code)->http;

    if (approved && hit->code >= CODE_AVS_REFUSED && hit->code <= CODE_CSC_REFUSED_LAST) {
        gateway_void(asked, out);
    }
    if (!hit->executed && listed && hit->code != CODE_APPROVED) {
        transaction_decline(asked, hit->code, "api", out);
    } else {
        outcome_refuse(out, hit->code, NULL);
    }
    out->http = hit->http != 0 ? hit->http : out->http;
}

static void money_previous(const struct transaction *asked, struct outcome *out)
{
    uint32_t place = row_count();

    while (place > 0 && (!row_at(place - 1)->approved || row_at(place - 1)->type != OP_SALE ||
                         strcmp(row_at(place - 1)->last_four, asked->last_four) == 0)) {
        place--;
    }
    transaction_imagine(asked, out);
    if (place > 0) {
        out->view = view_of(place - 1);
    } else {
        memcpy(out->view.last_four, strcmp(asked->last_four, "4242") == 0 ? "1111" : "4242", 5);
    }
    out->words = out->view.words = "Transaction Previously Approved";
}

static void money_execute(const struct transaction *asked, const struct fault_hit *hit,
                          struct outcome *out)
{
    if (hit != NULL && !hit->executed) {
        transaction_imagine(asked, out);
    } else {
        transaction_execute(asked, "api", out);
    }
    if (hit == NULL) {
        return;
    }
    if (hit->effect == FAULT_TWO_ROWS) {
        bool shield = settings.duplicates_enabled;
        struct outcome unheard;

        settings.duplicates_enabled = false;
        transaction_execute(asked, "api", &unheard);
        settings.duplicates_enabled = shield;
    } else if (hit->effect == FAULT_CODE) {
        money_code(asked, hit, out);
    } else if (hit->effect == FAULT_PREVIOUS_OTHER_CARD) {
        money_previous(asked, out);
    }
    if (out->has_view && out->code == CODE_APPROVED) {
        view_change(&out->view, hit);
    }
}

static void money_late(struct transaction *asked, const struct fault_hit *hit,
                       struct answer *answer)
{
    late_add(asked, clock_now_us() + hit->delay_ms * 1000);
    asked->body = NULL;
    answer_replace(answer, 504, "text/html", "<html><body>Gateway Timeout</body></html>");
    if (hit->silent) {
        answer->delivery = DELIVER_SILENT;
        answer->delay_ms = 3600000;
    }
}

static void money_answer(struct call *call, struct answer *answer)
{
    struct transaction asked;
    struct outcome out;
    bool good = transaction_read(call->body, call->route->op, call->account->number, &asked, &out);

    call->body = NULL; /* taken */
    if (good && call->hit != NULL && call->hit->effect == FAULT_LATE_EXECUTION) {
        money_late(&asked, call->hit, answer);
    } else {
        if (good) {
            money_execute(&asked, call->hit, &out);
        }
        answer_outcome(answer, &out);
    }
    transaction_forget(&asked);
}

static void report_answer(struct call *call, struct answer *answer)
{
    uint32_t account = call->account->number;
    bool executed = call->hit == NULL || call->hit->executed;

    if (call->hit != NULL && call->hit->effect == FAULT_CODE) {
        unsigned code = call->hit->code;
        int http = call->hit->http != 0 ? call->hit->http : result_code(code)->http;

        answer_error_http(answer, http, code, result_code(code)->words);
    } else if (call->op == OP_SEARCH && !call->search_good) {
        answer_outcome(answer, &call->refused);
    } else if (call->op == OP_SEARCH) {
        call->search.account = account;
        search_answer(&call->search, call->hit, answer);
    } else if (call->op == OP_BATCH_LIST) {
        batch_list_answer(account, call->request->query, answer);
    } else if (call->op == OP_BATCH_CLOSE && executed) {
        batch_close_answer(account, call->body, call->hit, answer);
    } else {
        batch_open_answer(account, answer);
    }
}

/* Reads what the fault rules need, before anything is checked. */
static void call_read(struct call *call)
{
    const struct request *request = call->request;
    const char *type;

    if (request->body_size > 0) {
        call->body = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, NULL);
    }
    call->op = call->route->op;
    if (call->op == OP_COUNT) {
        type = body_word(call, "type");
        call->op = type == NULL ? OP_OTHER : operation_of_type(type);
        call->op = call->op == OP_COUNT ? OP_OTHER : call->op;
    }
    if (call->op == OP_SEARCH) {
        call->search_good = search_read(request->query, 0, &call->search, &call->refused);
    }
}

void service_answer(const struct request *request, struct answer *answer)
{
    struct call call = {.request = request};
    struct fault_subject subject;
    struct fault_hit hit;
    bool path_known;

    call.route = route_find(request, &path_known);
    if (call.route == NULL) {
        stats.requests[OP_OTHER]++;
        answer_error_http(answer, path_known ? 405 : 404,
                          path_known ? CODE_METHOD : CODE_REQUEST_FORMAT,
                          path_known ? "Method not allowed" : "Not found");
        return;
    }
    call_read(&call);
    stats.requests[call.op]++;
    subject = subject_of(&call);
    if (fault_take(PHASE_REQUEST, &subject, &hit)) {
        call.hit = &hit;
        stats.faults++;
    }
    if (head_good(&call, answer)) {
        if ((int)call.op < OP_MONEY_COUNT || call.op == OP_OTHER) {
            money_answer(&call, answer);
        } else {
            report_answer(&call, answer);
        }
    }
    answer_damage(answer, call.hit);
    json_decref(call.body);
}
