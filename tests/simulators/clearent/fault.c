/* The fault script: rules that say which request meets which fault, and how often.
 * It must refuse a rule that could never fire as written. */
#include "fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "fault_kind.h"
#include "text.h"

enum { RULES_MAX = 4096, REF_BYTES = 101, NAME_BYTES = 48 };

struct rule {
    unsigned number;
    const struct fault_kind *kind;
    char name[NAME_BYTES];
    unsigned operations;
    char ref[REF_BYTES];
    char last_four[5];
    int64_t amount_minor; /* -1: any */
    json_int_t nth;       /* fires from the nth match on */
    json_int_t count;     /* how often; 0 always */
    json_int_t seen, fired;
    int64_t until_us; /* of not_found_then_found, set by its first hit */
    struct fault_hit hit;
};

static struct rule rules[RULES_MAX];
static size_t rules_count;
static unsigned last_number;

static bool keys_known(json_t *object, const char *const *names)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        bool known = false;

        for (size_t i = 0; names[i] != NULL; i++) {
            known = known || strcmp(names[i], name) == 0;
        }
        if (!known) {
            return false;
        }
    }
    return true;
}

static const char *take_match(struct rule *rule, json_t *match)
{
    static const char *const NAMES[] = {"ref", "card_last_four", "amount", "nth", "count", NULL};
    json_t *ref = json_object_get(match, "ref");
    json_t *last_four = json_object_get(match, "card_last_four");
    json_t *amount = json_object_get(match, "amount");
    json_t *nth = json_object_get(match, "nth");
    json_t *count = json_object_get(match, "count");

    if (match != NULL && (!json_is_object(match) || !keys_known(match, NAMES))) {
        return "match takes ref, card_last_four, amount, nth, count";
    }
    if (ref != NULL && (!json_is_string(ref) || json_string_length(ref) >= REF_BYTES)) {
        return "match.ref must be a string of at most 100 characters";
    }
    if (last_four != NULL && json_string_length(last_four) != 4) {
        return "match.card_last_four must be four digits";
    }
    if (amount != NULL && (!json_is_string(amount) || money_parse(json_string_value(amount)) < 0)) {
        return "match.amount must look like \"80.00\"";
    }
    if ((nth != NULL && json_integer_value(nth) < 1) ||
        (count != NULL && (!json_is_integer(count) || json_integer_value(count) < 0))) {
        return "match.nth counts from 1, match.count from 0 (always)";
    }
    snprintf(rule->ref, sizeof rule->ref, "%s", ref == NULL ? "" : json_string_value(ref));
    snprintf(rule->last_four, sizeof rule->last_four, "%s",
             last_four == NULL ? "" : json_string_value(last_four));
    rule->amount_minor = amount == NULL ? -1 : money_parse(json_string_value(amount));
    rule->nth = nth == NULL ? 1 : json_integer_value(nth);
    rule->count = count == NULL ? 1 : json_integer_value(count);
    return NULL;
}

static const char *take_kind(struct rule *rule, const char *name)
{
    const struct fault_kind *kind = fault_kind_by_name(name);
    char *end;

    if (kind == NULL || strlen(name) >= NAME_BYTES) {
        return "there is no fault of that name";
    }
    rule->kind = kind;
    snprintf(rule->name, sizeof rule->name, "%s", name);
    rule->hit = (struct fault_hit){
        .effect = kind->effect, .code = kind->code, .http = kind->http, .delay_ms = kind->delay_ms};
    rule->hit.executed = kind->truth == EXECUTED || kind->truth == ALWAYS_EXECUTED;
    if (strcmp(kind->name, "code:") == 0) {
        const char *digits = name + strlen("code:");

        rule->hit.code = (unsigned)strtoul(digits, &end, 10);
        if (end != digits && *end == '/') {
            digits = end + 1;
            rule->hit.http = (int)strtol(digits, &end, 10);
        }
        if (end == digits || *end != '\0' || rule->hit.code > 999) {
            return "write code:NNN, or code:NNN/HTTP";
        }
    }
    return NULL;
}

static const char *take_truth(struct rule *rule, json_t *executed)
{
    bool wanted = json_is_true(executed);

    if (executed == NULL) {
        return NULL;
    }
    if (!json_is_boolean(executed)) {
        return "executed must be true or false";
    }
    if ((wanted && rule->kind->truth == NEVER_EXECUTED) ||
        (!wanted && rule->kind->truth == ALWAYS_EXECUTED)) {
        return "this fault says by itself whether the request is executed";
    }
    rule->hit.executed = wanted;
    return NULL;
}

static const char *take_rest(struct rule *rule, json_t *given)
{
    json_t *seconds = json_object_get(given, "seconds");
    json_t *op = json_object_get(given, "op");
    const char *op_name = op == NULL ? "any" : json_string_value(op);

    if (seconds != NULL && (!json_is_number(seconds) || json_number_value(seconds) < 0)) {
        return "seconds must be a number from 0";
    }
    if (seconds != NULL) {
        rule->hit.delay_ms = (int64_t)(json_number_value(seconds) * 1000);
    }
    rule->operations = op_name == NULL ? 0 : operation_mask(op_name);
    if (rule->operations == 0) {
        return "op must be sale, auth, capture, void, refund, search, batch, batch_open, "
               "batch_close, batch_list, other or any";
    }
    rule->operations &= rule->kind->operations;
    if (rule->operations == 0) {
        return "this fault does not happen to that op";
    }
    rule->hit.silent = json_is_true(json_object_get(given, "silent"));
    if (rule->kind->phase == PHASE_CONNECT &&
        (rule->ref[0] != '\0' || rule->last_four[0] != '\0' || rule->amount_minor >= 0 ||
         strcmp(op_name, "any") != 0)) {
        return "this fault comes before any request: only nth and count can match";
    }
    return NULL;
}

const char *fault_add(json_t *given, unsigned *number)
{
    static const char *const NAMES[] = {"op",       "match",  "fault", "seconds",
                                        "executed", "silent", NULL};
    json_t *fault = json_object_get(given, "fault");
    struct rule rule = {0};
    const char *wrong;

    if (rules_count == RULES_MAX) {
        return "too many rules";
    }
    if (!json_is_object(given) || !keys_known(given, NAMES) || !json_is_string(fault)) {
        return "a rule takes op, match, fault, seconds, executed, silent";
    }
    wrong = take_kind(&rule, json_string_value(fault));
    wrong = wrong != NULL ? wrong : take_match(&rule, json_object_get(given, "match"));
    wrong = wrong != NULL ? wrong : take_truth(&rule, json_object_get(given, "executed"));
    wrong = wrong != NULL ? wrong : take_rest(&rule, given);
    if (wrong != NULL) {
        return wrong;
    }
    rule.number = ++last_number;
    *number = rule.number;
    rules[rules_count++] = rule;
    return NULL;
}

bool fault_remove(unsigned number)
{
    if (number == 0) {
        rules_count = 0;
        return true;
    }
    for (size_t i = 0; i < rules_count; i++) {
        if (rules[i].number == number) {
            memmove(&rules[i], &rules[i + 1], (rules_count - i - 1) * sizeof rules[0]);
            rules_count--;
            return true;
        }
    }
    return false;
}

json_t *fault_list(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < rules_count; i++) {
        const struct rule *rule = &rules[i];

        json_array_append_new(list,
                              json_pack("{s:i,s:s,s:s,s:I,s:I,s:I,s:I,s:b}", "id",
                                        (int)rule->number, "fault", rule->name, "ref", rule->ref,
                                        "nth", rule->nth, "count", rule->count, "seen", rule->seen,
                                        "fired", rule->fired, "executed", (int)rule->hit.executed));
    }
    return list;
}

static bool needs_body(const struct rule *rule)
{
    return rule->ref[0] != '\0' || rule->last_four[0] != '\0' || rule->amount_minor >= 0;
}

static bool same(const char *wanted, const char *found)
{
    return wanted[0] == '\0' || (found != NULL && strcmp(wanted, found) == 0);
}

static bool matches(const struct rule *rule, enum fault_phase phase,
                    const struct fault_subject *subject)
{
    enum fault_phase own = rule->kind->phase;

    /* A reset on the headers that must know the reference waits until the body has told it. */
    own = own == PHASE_HEADERS && needs_body(rule) ? PHASE_REQUEST : own;
    return own == phase && (rule->operations & 1u << subject->op) != 0 &&
           (same(rule->ref, subject->ref) || same(rule->ref, subject->order_id)) &&
           same(rule->last_four, subject->last_four) &&
           (rule->amount_minor < 0 || rule->amount_minor == subject->amount_minor);
}

/* 'Not found, then found' with seconds holds by the clock once it has begun, not by count. */
static bool still_fires(struct rule *rule)
{
    if (rule->hit.effect == FAULT_NOT_FOUND_THEN_FOUND && rule->hit.delay_ms > 0) {
        if (rule->fired == 0) {
            rule->until_us = clock_now_us() + rule->hit.delay_ms * 1000;
        }
        return clock_now_us() <= rule->until_us;
    }
    return rule->count == 0 || rule->fired < rule->count;
}

bool fault_take(enum fault_phase phase, const struct fault_subject *subject, struct fault_hit *hit)
{
    for (size_t i = 0; i < rules_count; i++) {
        struct rule *rule = &rules[i];

        if (!matches(rule, phase, subject)) {
            continue;
        }
        rule->seen++;
        if (rule->seen < rule->nth || !still_fires(rule)) {
            continue;
        }
        rule->fired++;
        *hit = rule->hit;
        return true;
    }
    return false;
}
