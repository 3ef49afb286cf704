/* kometpay log: the transaction log with filters; kometpay story: one payment's every step. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/payment_report.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"
#include "lib/money.h"

#define ROWS_FALLBACK 50
#define ROWS_MAX 1000000
#define PAGE_MAX 200

static const struct option_row LOG_OPTIONS[] = {
    {"location", OPTION_TEXT, "CODE", "only this location"},
    {"pos", OPTION_TEXT, "NAME", "only this POS"},
    {"from", OPTION_TEXT, "DAY", "first day, YYYY-MM-DD in the location's zone"},
    {"to", OPTION_TEXT, "DAY", "last day"},
    {"customer", OPTION_TEXT, "NUMBER", "only this customer"},
    {"invoice", OPTION_TEXT, "NUMBER", "only payments of this invoice"},
    {"state", OPTION_TEXT, "STATE", "APPROVED, DECLINED, UNKNOWN, REVIEW ..."},
    {"kind", OPTION_TEXT, "KIND", "SALE, AUTH, CAPTURE, VOID, REFUND"},
    {"method", OPTION_TEXT, "METHOD", "KEYED (a typed card) or STORED (one of the vault)"},
    {"last-four", OPTION_TEXT, "DIGITS", "of the card"},
    {"authorisation-code", OPTION_TEXT, "CODE", "of the processor"},
    {"amount", OPTION_TEXT, "AMOUNT", "exactly this amount"},
    {"currency", OPTION_TEXT, "CODE", "of --amount; USD unless given"},
    {"limit", OPTION_TEXT, "ROWS", "at most so many; 50, with --csv and --json all, unless given"},
    {"after", OPTION_TEXT, "CURSOR", "go on after a limit: what --json called next"},
    {"csv", OPTION_FLAG, NULL, "print CSV instead of text"},
    OPTION_JSON,
    OPTION_END,
};

static const struct column LOG_COLUMNS[] = {
    {"at", COLUMN_LEFT},      {"location", COLUMN_LEFT},     {"pos", COLUMN_LEFT},
    {"who", COLUMN_LEFT},     {"kind", COLUMN_LEFT},         {"state", COLUMN_STATE},
    {"amount", COLUMN_RIGHT}, {"currency", COLUMN_LEFT},     {"method", COLUMN_LEFT},
    {"card", COLUMN_LEFT},    {"last four", COLUMN_LEFT},    {"code", COLUMN_LEFT},
    {"reason", COLUMN_LEFT},  {"customer", COLUMN_LEFT},     {"invoices", COLUMN_LEFT},
    {"batch", COLUMN_LEFT},   {"to reconcile", COLUMN_LEFT}, {"payment", COLUMN_LEFT},
    {NULL, COLUMN_LEFT},
};

static struct error *fill_filters(const struct options *o, struct msg_log *m)
{
    const struct {
        const char *name;
        char *field;
        size_t size;
    } filters[] = {
        {"location", m->location, sizeof m->location},
        {"pos", m->pos, sizeof m->pos},
        {"from", m->from, sizeof m->from},
        {"to", m->to, sizeof m->to},
        {"customer", m->customer, sizeof m->customer},
        {"invoice", m->invoice, sizeof m->invoice},
        {"state", m->state, sizeof m->state},
        {"kind", m->kind, sizeof m->kind},
        {"method", m->method, sizeof m->method},
        {"after", m->after, sizeof m->after},
        {"last-four", m->last_four, sizeof m->last_four},
        {"authorisation-code", m->authorisation_code, sizeof m->authorisation_code},
    };
    struct error *e = NULL;
    for (size_t i = 0; e == NULL && i < sizeof filters / sizeof *filters; i++) {
        e = options_copy(o, filters[i].name, filters[i].field, filters[i].size);
    }
    const char *amount = options_text(o, "amount");
    const char *currency = options_text(o, "currency");
    if (e == NULL && amount != NULL) {
        struct money money = {0};
        e = money_parse(amount, strlen(amount), currency != NULL ? currency : "USD", &money);
        m->amount_minor = money.minor;
    }
    return e;
}

static void add_log_rows(struct table *table, const struct msg_log_rows *answer)
{
    for (size_t i = 0; i < answer->rows_count; i++) {
        const struct msg_log_row *r = &answer->rows[i];
        char amount[MONEY_TEXT_MAX];
        table_row(table,
                  (const char *[]){r->at, r->location, r->pos, r->actor, r->kind, r->state,
                                   amount_text(r->amount_minor, r->currency, amount), r->currency,
                                   r->method, r->brand, r->last_four, r->authorisation_code,
                                   r->reason, r->customer, r->invoices, r->batch,
                                   r->to_reconcile ? "yes" : "", r->payment});
    }
}

/* Reads pages until `wanted` rows or the end; m->after is then where it would go on, or "". */
static struct error *read_log(struct msg_log *m, int64_t wanted, struct table *table, json_t *rows)
{
    bool more = true;
    while (more && wanted > 0) {
        m->limit = wanted < PAGE_MAX ? wanted : PAGE_MAX;
        void *got = NULL;
        struct error *e =
            suite_call("settled", MESSAGE_LOG, m, SUITE_WAIT_MS, MESSAGE_LOG_ROWS, &got);
        if (e != NULL) {
            return e;
        }
        const struct msg_log_rows *answer = got;
        if (rows != NULL) {
            suite_collect_rows(rows, MESSAGE_LOG_ROWS, answer);
        } else {
            add_log_rows(table, answer);
        }
        wanted -= (int64_t)answer->rows_count;
        more = answer->next[0] != '\0' && answer->rows_count > 0;
        snprintf(m->after, sizeof m->after, "%s", answer->next);
        message_free(MESSAGE_LOG_ROWS, got);
    }
    return NULL;
}

static void print_log(const struct table *table, bool csv, bool more)
{
    if (csv) {
        table_print_csv(table, stdout);
    } else if (table_rows(table) == 0) {
        puts("No payments match.");
    } else {
        table_print(table, stdout, table_colour_wanted(stdout));
    }
    if (more) { /* on stderr: a spreadsheet's rows are rows */
        fprintf(stderr, "There are more than these %zu: see --limit.\n", table_rows(table));
    }
}

static enum exit_code run_log(const struct options *o)
{
    bool json = options_given(o, "json");
    bool csv = options_given(o, "csv");
    struct msg_log m = {0};
    int64_t wanted = 0;
    struct error *e = fill_filters(o, &m);
    e = e != NULL ? e
                  : options_integer(o, "limit", 1, ROWS_MAX, json || csv ? ROWS_MAX : ROWS_FALLBACK,
                                    &wanted);
    struct table *table = table_new(LOG_COLUMNS);
    json_t *rows = json ? json_array() : NULL;
    e = e != NULL ? e : read_log(&m, wanted, table, rows);
    enum exit_code exit = EXIT_CODE_OK;
    if (e != NULL) {
        json_decref(rows);
        exit = suite_error(e, json);
    } else if (json) {
        suite_print_rows(rows, m.after);
    } else {
        print_log(table, csv, m.after[0] != '\0');
    }
    table_free(table);
    return exit;
}

static const struct option_row STORY_OPTIONS[] = {OPTION_JSON, OPTION_END};

static const struct column STORY_COLUMNS[] = {
    {"at", COLUMN_LEFT},  {"kind", COLUMN_LEFT}, {"from", COLUMN_STATE},   {"to", COLUMN_STATE},
    {"who", COLUMN_LEFT}, {"note", COLUMN_LEFT}, {"attempt", COLUMN_LEFT}, {NULL, COLUMN_LEFT},
};

static void print_story(const struct msg_story_rows *answer)
{
    struct table *table = table_new(STORY_COLUMNS);
    for (size_t i = 0; i < answer->rows_count; i++) {
        const struct msg_event_row *r = &answer->rows[i];
        table_row(table, (const char *[]){r->at, r->kind, r->from_state, r->to_state, r->actor,
                                          r->note, r->attempt});
    }
    table_print(table, stdout, table_colour_wanted(stdout));
    table_free(table);
}

static enum exit_code run_story(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_payment_story m = {0};
    void *got = NULL;
    struct error *e = option_copy_text(options_word(o, 0), "PAYMENT", m.payment, sizeof m.payment);
    if (e == NULL) {
        e = suite_call("settled", MESSAGE_PAYMENT_STORY, &m, SUITE_WAIT_MS, MESSAGE_STORY_ROWS,
                       &got);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    if (json) {
        suite_print_json(MESSAGE_STORY_ROWS, got);
    } else {
        print_story(got);
        printf("What the daemons logged: journalctl KOMETPAY_PAYMENT=%s\n", m.payment);
    }
    message_free(MESSAGE_STORY_ROWS, got);
    return EXIT_CODE_OK;
}

const struct command COMMAND_LOG = {
    .name = "log",
    .summary = "the transaction log, newest first",
    .words = "",
    .options = LOG_OPTIONS,
    .examples = "  kometpay log --location MIA --from 2026-03-01 --to 2026-03-01\n"
                "  kometpay log --state REVIEW\n"
                "  kometpay log --customer 1001 --csv > payments.csv\n",
    .run = run_log,
};

const struct command COMMAND_STORY = {
    .name = "story",
    .summary = "every step of one payment's life",
    .words = "PAYMENT",
    .words_min = 1,
    .words_max = 1,
    .options = STORY_OPTIONS,
    .examples = "  kometpay story pay_...\n",
    .run = run_story,
};
