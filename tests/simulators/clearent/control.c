/* The control API of tests and benches: plain HTTP with JSON under /_sim/.
 * It must never take a row out of the ledger, nor show an api-key. */
#include "control.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "account.h"
#include "batch_call.h"
#include "clock.h"
#include "fault.h"
#include "late.h"
#include "ledger.h"
#include "portal.h"
#include "settings.h"
#include "stats.h"
#include "transaction.h"

/* One request: `body` is NULL unless POST, `query` holds its parameters. */
struct asked {
    enum evhttp_cmd_type method;
    json_t *body;
    struct evkeyvalq query;
};

/* Each fills `out` with JSON; returns NULL when good, else a sentence for a 400. */
typedef const char *control_function(struct asked *asked, struct text *out);

static void put_json(struct text *out, json_t *value)
{
    char *dumped = json_dumps(value, JSON_COMPACT);

    if (dumped == NULL) {
        abort();
    }
    text_puts(out, dumped);
    free(dumped);
    json_decref(value);
}

static uint32_t place_of(json_t *body)
{
    const char *id = json_string_value(json_object_get(body, "id"));

    return id == NULL ? ROW_NONE : row_by_id(id);
}

static const char *serve_ledger(struct asked *asked, struct text *out)
{
    const char *since = evhttp_find_header(&asked->query, "since");
    bool all = evhttp_find_header(&asked->query, "all") != NULL;

    text_puts(out, "{\"rows\":[");
    ledger_read(out, since == NULL ? 0 : strtoull(since, NULL, 10), all,
                evhttp_find_header(&asked->query, "ref"));
    text_printf(out, "],\"last\":%llu}", (unsigned long long)ledger_last());
    return NULL;
}

static const char *serve_faults(struct asked *asked, struct text *out)
{
    const char *number = evhttp_find_header(&asked->query, "id");
    const char *wrong;
    unsigned added;

    if (asked->method == EVHTTP_REQ_POST) {
        wrong = fault_add(asked->body, &added);
        if (wrong == NULL) {
            text_printf(out, "{\"id\":%u}", added);
        }
        return wrong;
    }
    if (asked->method == EVHTTP_REQ_DELETE &&
        !fault_remove(number == NULL ? 0 : (unsigned)strtoul(number, NULL, 10))) {
        return "there is no rule of that id";
    }
    put_json(out, json_pack("{s:o}", "faults", fault_list()));
    return NULL;
}

static const char *serve_clock(struct asked *asked, struct text *out)
{
    json_t *advance = json_object_get(asked->body, "advance_seconds");
    json_t *rate = json_object_get(asked->body, "rate");
    int64_t rate_permille = clock_rate_permille();
    char now[32];

    if (asked->method == EVHTTP_REQ_POST) {
        if ((advance != NULL && (!json_is_number(advance) || json_number_value(advance) < 0)) ||
            (rate != NULL && (!json_is_number(rate) || json_number_value(rate) < 0)) ||
            (advance == NULL && rate == NULL)) {
            return "give advance_seconds and/or rate, numbers from 0; the clock never goes back";
        }
        rate_permille = rate == NULL ? rate_permille : (int64_t)(json_number_value(rate) * 1000);
        clock_change((int64_t)(json_number_value(advance) * 1e6), rate_permille);
        ledger_clock(clock_ahead_us(), rate_permille);
        late_execute();
    }
    clock_print_iso(clock_now_us(), now, sizeof now);
    text_printf(out, "{\"now\":\"%s\",\"now_us\":%lld,\"ahead_us\":%lld,\"rate\":%lld.%03lld}", now,
                (long long)clock_now_us(), (long long)clock_ahead_us(),
                (long long)(rate_permille / 1000), (long long)(rate_permille % 1000));
    return NULL;
}

static const char *serve_settings(struct asked *asked, struct text *out)
{
    const char *wrong = NULL;

    if (asked->method == EVHTTP_REQ_POST) {
        wrong = settings_change(asked->body);
    }
    put_json(out, settings_show());
    return wrong;
}

static const char *serve_hide(struct asked *asked, struct text *out)
{
    uint32_t place = place_of(asked->body);

    if (place == ROW_NONE) {
        return "id must be the id of a transaction, as a string";
    }
    transaction_report(place, true, -1);
    ledger_hide(place);
    text_puts(out, "{}");
    return NULL;
}

static const char *serve_alter(struct asked *asked, struct text *out)
{
    uint32_t place = place_of(asked->body);
    const char *amount = json_string_value(json_object_get(asked->body, "amount"));

    if (place == ROW_NONE || amount == NULL || money_parse(amount) < 0) {
        return "give id and amount, strings, the amount like \"80.00\"";
    }
    transaction_report(place, false, money_parse(amount));
    ledger_alter(place, money_parse(amount));
    text_puts(out, "{}");
    return NULL;
}

static const char *serve_portal(struct asked *asked, struct text *out)
{
    return portal_act(asked->body, out);
}

static uint64_t times_executed(const char *ref)
{
    uint64_t times = 0;

    for (uint32_t i = row_next_by_invoice(ref, ROW_NONE); i != ROW_NONE;
         i = row_next_by_invoice(ref, i)) {
        times += row_at(i)->approved;
    }
    return times;
}

/* With `least` 2 only the references executed more than once. */
static void put_references(struct text *out, uint64_t least)
{
    bool first = true;

    text_add(out, "{", 1);
    for (uint32_t i = 0; i < row_count(); i++) {
        const char *ref = row_at(i)->invoice;
        uint64_t times;

        if (ref == NULL || row_next_by_invoice(ref, ROW_NONE) != i) {
            continue;
        }
        times = times_executed(ref);
        if (times >= least) {
            text_add(out, ",", first ? 0 : 1);
            text_json(out, ref);
            text_printf(out, ":%llu", (unsigned long long)times);
            first = false;
        }
    }
    text_add(out, "}", 1);
}

static void put_counts(struct text *out, const char *name, const uint64_t *counts, int kinds)
{
    text_printf(out, ",\"%s\":{", name);
    for (int op = 0; op < kinds; op++) {
        text_printf(out, "%s\"%s\":%llu", op == 0 ? "" : ",", operation_name((enum operation)op),
                    (unsigned long long)counts[op]);
    }
    text_add(out, "}", 1);
}

static const char *serve_stats(struct asked *asked, struct text *out)
{
    uint64_t executions[OP_MONEY_COUNT] = {0};
    struct rusage used;
    int64_t cpu_us;

    getrusage(RUSAGE_SELF, &used);
    cpu_us = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * SECOND_US + used.ru_utime.tv_usec +
             used.ru_stime.tv_usec;
    for (uint32_t i = 0; i < row_count(); i++) {
        executions[row_at(i)->type] += row_at(i)->approved;
    }
    text_printf(out, "{\"cpu_us\":%lld,\"rss_max_kib\":%ld", (long long)cpu_us, used.ru_maxrss);
    text_printf(out, ",\"connections\":%llu,\"handshakes\":%llu,\"resumed\":%llu,\"faults\":%llu",
                (unsigned long long)stats.connections, (unsigned long long)stats.handshakes,
                (unsigned long long)stats.resumed, (unsigned long long)stats.faults);
    text_printf(out, ",\"late_waiting\":%zu,\"rows\":%u", late_count(), row_count());
    put_counts(out, "requests", stats.requests, OP_COUNT);
    put_counts(out, "executions", executions, OP_MONEY_COUNT);
    text_puts(out, ",\"executed_twice\":");
    put_references(out, 2);
    if (evhttp_find_header(&asked->query, "brief") == NULL) {
        text_puts(out, ",\"executions_by_ref\":");
        put_references(out, 1);
    }
    text_add(out, "}", 1);
    return NULL;
}

enum { GET = EVHTTP_REQ_GET, POST = EVHTTP_REQ_POST, DELETE = EVHTTP_REQ_DELETE };

static const struct {
    const char *path;
    int methods;
    control_function *serve;
} CALLS[] = {
    {"/_sim/ledger", GET, serve_ledger},      {"/_sim/faults", GET | POST | DELETE, serve_faults},
    {"/_sim/clock", GET | POST, serve_clock}, {"/_sim/settings", GET | POST, serve_settings},
    {"/_sim/portal", POST, serve_portal},     {"/_sim/stats", GET, serve_stats},
    {"/_sim/hide", POST, serve_hide},         {"/_sim/alter", POST, serve_alter},
};

static control_function *call_find(const char *path, enum evhttp_cmd_type method, int *status)
{
    *status = HTTP_NOTFOUND;
    for (size_t i = 0; i < sizeof CALLS / sizeof CALLS[0]; i++) {
        if (strcmp(CALLS[i].path, path) == 0) {
            *status = (CALLS[i].methods & (int)method) != 0 ? HTTP_OK : HTTP_BADMETHOD;
            return *status == HTTP_OK ? CALLS[i].serve : NULL;
        }
    }
    return NULL;
}

static int asked_serve(struct evhttp_request *request, struct text *out)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(request);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *query = evhttp_uri_get_query(uri);
    struct asked asked = {.method = evhttp_request_get_command(request)};
    const char *wrong = NULL;
    int status;
    control_function *serve = call_find(evhttp_uri_get_path(uri), asked.method, &status);

    if (serve == NULL) {
        text_puts(out, "{\"error\":\"there is no such control call\"}");
        return status;
    }
    evhttp_parse_query_str(query == NULL ? "" : query, &asked.query);
    if (asked.method == EVHTTP_REQ_POST) {
        size_t size = evbuffer_get_length(input);

        asked.body = json_loadb((const char *)evbuffer_pullup(input, -1), size,
                                JSON_REJECT_DUPLICATES, NULL);
        wrong = json_is_object(asked.body) ? NULL : "the body must be one JSON object";
    }
    if (wrong == NULL) {
        wrong = serve(&asked, out);
    }
    if (wrong != NULL) {
        text_clear(out);
        text_puts(out, "{\"error\":");
        text_json(out, wrong);
        text_add(out, "}", 1);
    }
    evhttp_clear_headers(&asked.query);
    json_decref(asked.body);
    return wrong == NULL ? HTTP_OK : HTTP_BADREQUEST;
}

static void on_request(struct evhttp_request *request, void *context)
{
    struct evbuffer *output = evhttp_request_get_output_buffer(request);
    struct text out = {0};
    int status = asked_serve(request, &out);

    (void)context;
    ledger_save();
    evbuffer_add(output, out.bytes, out.size);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                      "application/json");
    evhttp_send_reply(request, status, NULL, NULL);
    text_free(&out);
}

bool control_start(struct event_base *base, const char *address, unsigned short port_wanted,
                   unsigned short *port)
{
    struct evhttp *http = evhttp_new(base);
    struct evhttp_bound_socket *bound;
    struct sockaddr_in name = {0};
    socklen_t size = sizeof name;

    if (http == NULL) {
        return false;
    }
    evhttp_set_gencb(http, on_request, NULL);
    bound = evhttp_bind_socket_with_handle(http, address, port_wanted);
    if (bound == NULL || getsockname(evhttp_bound_socket_get_fd(bound),
                                     (struct sockaddr *)(void *)&name, &size) != 0) {
        return false;
    }
    *port = ntohs(name.sin_port);
    return true;
}
