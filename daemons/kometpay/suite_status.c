/* kometpay status: the suite at a glance, with an exit code for monitors; or, with a key, one
 * payment. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/payment.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"

#define DAEMON_WAIT_MS 3000
#define NUMBER_MAX_BYTES 32

static const struct option_row OPTIONS[] = {
    {"location", OPTION_TEXT, "CODE", "with a key: the location it was used at"},
    OPTION_JSON,
    OPTION_END,
};

static const char *const DAEMONS[] = {"terminald", "gatewayd", "vaultd", "settled"};

static const struct column COLUMNS[] = {
    {"daemon", COLUMN_LEFT},     {"state", COLUMN_STATE},       {"up", COLUMN_RIGHT},
    {"in flight", COLUMN_RIGHT}, {"connections", COLUMN_RIGHT}, {"unknown", COLUMN_RIGHT},
    {"oldest", COLUMN_RIGHT},    {"review", COLUMN_RIGHT},      {"version", COLUMN_LEFT},
    {"says", COLUMN_LEFT},       {NULL, COLUMN_LEFT},
};

/* What matters most to a monitor comes last and wins. */
static enum exit_code worse(enum exit_code a, enum exit_code b)
{
    static const int RANK[] = {
        [EXIT_CODE_OK] = 0,
        [EXIT_CODE_PENDING] = 1,
        [EXIT_CODE_REVIEW] = 2,
        [EXIT_CODE_UNREACHABLE] = 3,
    };
    return RANK[a] >= RANK[b] ? a : b;
}

static const char *duration(int64_t ms, char out[NUMBER_MAX_BYTES])
{
    int64_t s = ms / 1000;
    if (s < 120) {
        snprintf(out, NUMBER_MAX_BYTES, "%" PRId64 "s", s);
    } else if (s < 7200) {
        snprintf(out, NUMBER_MAX_BYTES, "%" PRId64 "min", s / 60);
    } else if (s < 172800) {
        snprintf(out, NUMBER_MAX_BYTES, "%" PRId64 "h", s / 3600);
    } else {
        snprintf(out, NUMBER_MAX_BYTES, "%" PRId64 "d", s / 86400);
    }
    return out;
}

static const char *number(int64_t n, char out[NUMBER_MAX_BYTES])
{
    snprintf(out, NUMBER_MAX_BYTES, "%" PRId64, n);
    return out;
}

static enum exit_code add_state(struct table *table, const struct msg_daemon_state *s)
{
    char up[NUMBER_MAX_BYTES], flight[NUMBER_MAX_BYTES], connections[NUMBER_MAX_BYTES],
        unknown[NUMBER_MAX_BYTES], oldest[NUMBER_MAX_BYTES], review[NUMBER_MAX_BYTES];
    table_row(table, (const char *[]){
                         s->daemon, s->ready ? "ready" : "not ready", duration(s->up_ms, up),
                         number(s->in_flight, flight), number(s->connections, connections),
                         s->unknown > 0 ? number(s->unknown, unknown) : "",
                         s->unknown > 0 ? duration(s->oldest_unknown_ms, oldest) : "",
                         s->review > 0 ? number(s->review, review) : "", s->version, s->sentence});
    enum exit_code exit = s->ready ? EXIT_CODE_OK : EXIT_CODE_UNREACHABLE;
    exit = worse(exit, s->unknown > 0 ? EXIT_CODE_PENDING : EXIT_CODE_OK);
    return worse(exit, s->review > 0 ? EXIT_CODE_REVIEW : EXIT_CODE_OK);
}

static void add_json(json_t *daemons, const struct msg_daemon_state *state)
{
    char *text = message_print(MESSAGE_DAEMON_STATE, state);
    json_t *object = json_loads(text, 0, NULL);
    free(text);
    if (object == NULL || json_array_append_new(daemons, object) != 0) {
        abort();
    }
}

static enum exit_code ask_daemon(const char *daemon, struct table *table, json_t *daemons)
{
    struct msg_daemon_status question = {0};
    void *got = NULL;
    struct error *e = suite_call(daemon, MESSAGE_DAEMON_STATUS, &question, DAEMON_WAIT_MS,
                                 MESSAGE_DAEMON_STATE, &got);
    if (e == NULL) {
        enum exit_code exit = add_state(table, got);
        add_json(daemons, got);
        message_free(MESSAGE_DAEMON_STATE, got);
        return exit;
    }
    table_row(table, (const char *[]){daemon, "unreachable", NULL, NULL, NULL, NULL, NULL, NULL,
                                      NULL, e->sentence});
    if (json_array_append_new(daemons, json_pack("{s:s, s:b, s:s, s:s}", "daemon", daemon, "ready",
                                                 0, "code", e->code, "sentence", e->sentence)) !=
        0) {
        abort();
    }
    error_free(e);
    return EXIT_CODE_UNREACHABLE;
}

static enum exit_code run(const struct options *o)
{
    if (options_word(o, 0) != NULL) {
        return payment_ask(o);
    }
    struct table *table = table_new(COLUMNS);
    json_t *daemons = json_array();
    enum exit_code exit = EXIT_CODE_OK;
    for (size_t i = 0; i < sizeof DAEMONS / sizeof *DAEMONS; i++) {
        exit = worse(exit, ask_daemon(DAEMONS[i], table, daemons));
    }
    if (options_given(o, "json")) {
        json_t *all = json_pack("{s:O}", "daemons", daemons);
        (void)json_dumpf(all, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(all);
    } else {
        table_print(table, stdout, table_colour_wanted(stdout));
        if (exit == EXIT_CODE_UNREACHABLE) {
            fputs("Not all of the suite serves: see 'systemctl status kometpay.target' and "
                  "'journalctl -u kometpay-...'.\n",
                  stderr);
        }
    }
    json_decref(daemons);
    table_free(table);
    return exit;
}

const struct command COMMAND_STATUS = {
    .name = "status",
    .summary = "the suite at a glance; with a key, what became of that payment",
    .words = "[KEY|PAYMENT]",
    .words_max = 1,
    .options = OPTIONS,
    .examples = "  kometpay status\n"
                "  kometpay status 0FZ4K2M8... --location MIA\n",
    .run = run,
};
