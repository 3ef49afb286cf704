/* Calls daemons over their UNIX sockets and explains errors to people. Must never call an outcome
 * certain that isn't. */
#include "daemons/kometpay/suite.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/client.h"

#define RUN_DIR_FALLBACK "/run/kometpay"
#define PATH_MAX_BYTES 108

/* What to do about an error, by its code. */
static const struct {
    const char *code;
    enum exit_code exit;
    const char *next;
} ADVICE[] = {
    {"ipc_unreachable", EXIT_CODE_UNREACHABLE,
     "Nothing was begun. See 'kometpay status'; start with 'systemctl start kometpay.target'. If "
     "permission was denied: operators are in the group kometpay-operator."},
    {"busy", EXIT_CODE_UNREACHABLE,
     "Nothing was begun. Ask the same again in a moment, with the same --key."},
    {"database_busy", EXIT_CODE_UNREACHABLE, "Ask the same again in a moment."},
    {"ipc_lost", EXIT_CODE_PENDING,
     "It may have been done. Ask 'kometpay payment KEY --location CODE'; don't use a new key."},
    {"deadline_passed", EXIT_CODE_UNREACHABLE,
     "Nothing was begun. Ask the same again in a moment, with the same --key."},
    {"ipc_timeout", EXIT_CODE_PENDING,
     "It may have been done. Ask 'kometpay payment KEY --location CODE'; don't use a new key."},
    {"close_running", EXIT_CODE_UNREACHABLE, "Ask the same again in a moment."},
    {"close_superseded", EXIT_CODE_UNREACHABLE, "Ask the same again in a moment."},
    {"batch_open", EXIT_CODE_PENDING, "A close may be run again at any time."},
    {"verify_unfinished", EXIT_CODE_UNREACHABLE, "See 'kometpay status'."},
    {"import_unfinished", EXIT_CODE_PENDING, "An import may be run again at any time."},
    {"close_unfinished", EXIT_CODE_PENDING, "A close may be run again at any time."},
    {"right_refused", EXIT_CODE_REFUSED,
     "Your user may not ask this: operators are in the group kometpay-operator."},
    {"location_missing", EXIT_CODE_USAGE, "Add --location CODE; see 'kometpay location list'."},
    {"location_unknown", EXIT_CODE_REFUSED, "See 'kometpay location list'."},
    {"customer_unknown", EXIT_CODE_REFUSED, "See 'kometpay customer list'."},
    {"invoice_unknown", EXIT_CODE_REFUSED, "See 'kometpay invoice list --customer NUMBER'."},
    {"payment_unknown", EXIT_CODE_REFUSED,
     "See 'kometpay log'. A key belongs to a location: add --location CODE."},
    {"conflict", EXIT_CODE_REFUSED,
     "See what became of that one with 'kometpay payment KEY --location CODE'; use a new key for "
     "this one."},
    {"amount_above_refundable", EXIT_CODE_REFUSED,
     "See what is left of it with 'kometpay payment PAYMENT'."},
    {"already_captured", EXIT_CODE_REFUSED, "To give the money back: 'kometpay refund PAYMENT'."},
};

/* Errors of the command line itself, whoever found them. */
static const char *const USAGE_CODES[] = {
    "option_too_long", "option_number",       "option_value_unknown", "key_too_short",
    "invoice_part",    "too_many_invoices",   "card_missing",         "card_ambiguous",
    "amount_invalid",  "amount_out_of_range", "currency_unknown",     "format_unknown",
    "shell_unknown",   "date_missing",        "date_invalid",         "state_unknown",
    "cursor_invalid",  "key_or_payment",      "field_bounds",         "field_type",
    "field_missing",
};

static enum exit_code exit_of(const struct error *e, const char **next)
{
    *next = NULL;
    for (size_t i = 0; i < sizeof ADVICE / sizeof *ADVICE; i++) {
        if (error_is(e, ADVICE[i].code)) {
            *next = ADVICE[i].next;
            return ADVICE[i].exit;
        }
    }
    for (size_t i = 0; i < sizeof USAGE_CODES / sizeof *USAGE_CODES; i++) {
        if (error_is(e, USAGE_CODES[i])) {
            return EXIT_CODE_USAGE;
        }
    }
    return EXIT_CODE_REFUSED;
}

bool suite_outcome_open(const struct error *e)
{
    return error_is(e, "ipc_lost") || error_is(e, "ipc_timeout");
}

static struct error *socket_path(const char *daemon, char path[PATH_MAX_BYTES])
{
    const char *directory = getenv("KOMETPAY_RUN_DIR");
    if (directory == NULL || directory[0] == '\0') {
        directory = RUN_DIR_FALLBACK;
    }
    int n = snprintf(path, PATH_MAX_BYTES, "%s/%s.sock", directory, daemon);
    if (n < 0 || n >= PATH_MAX_BYTES) {
        return error_refused("setting_invalid", "KOMETPAY_RUN_DIR",
                             "KOMETPAY_RUN_DIR is too long.");
    }
    return NULL;
}

struct error *suite_call(const char *daemon, enum message_type type, const void *message,
                         int64_t wait_ms, enum message_type expect, void **answer)
{
    *answer = NULL;
    char path[PATH_MAX_BYTES];
    struct error *e = socket_path(daemon, path);
    if (e != NULL) {
        return e;
    }
    enum message_type got = 0;
    e = ipc_call_once(path, type, message, wait_ms, &got, answer);
    if (e != NULL) {
        return e;
    }
    assert(got == expect); /* an answer of another type is ipc_lost */
    (void)expect;
    return NULL;
}

static void print_error_json(const struct error *e)
{
    json_t *object = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", e->code, "field", e->field,
                               "sentence", e->sentence);
    assert(object != NULL);
    char *text = json_dumps(object, JSON_COMPACT);
    assert(text != NULL);
    puts(text);
    free(text);
    json_decref(object);
}

enum exit_code suite_error(struct error *e, bool json)
{
    assert(e != NULL);
    const char *next = NULL;
    enum exit_code exit = exit_of(e, &next);
    if (json) {
        print_error_json(e);
    }
    fprintf(stderr, "kometpay: %s (%s%s%s)\n", e->sentence, e->code,
            e->field[0] != '\0' ? ", field " : "", e->field);
    if (e->context[0] != '\0') {
        fprintf(stderr, "kometpay: %s\n", e->context);
    }
    if (next != NULL) {
        fprintf(stderr, "%s\n", next);
    }
    error_free(e);
    return exit;
}

void suite_print_json(enum message_type type, const void *answer)
{
    char *text = message_print(type, answer);
    assert(text != NULL);
    puts(text);
    free(text);
}

void suite_collect_rows(json_t *all, enum message_type type, const void *answer)
{
    char *text = message_print(type, answer);
    json_t *page = json_loads(text, 0, NULL);
    free(text);
    json_t *rows = json_object_get(page, "rows");
    if (rows != NULL && json_array_extend(all, rows) != 0) {
        abort();
    }
    json_decref(page);
}

void suite_print_rows(json_t *all, const char *next)
{
    json_t *object = next != NULL ? json_pack("{s:o, s:s}", "rows", all, "next", next)
                                  : json_pack("{s:o}", "rows", all);
    assert(object != NULL);
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}
