/* kometpay invoice add and list. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/payment_report.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"
#include "lib/money.h"

#define PAGE_MAX 200

static const struct option_row ADD_OPTIONS[] = {
    {"customer", OPTION_REQUIRED, "NUMBER", "who owes it"},
    {"location", OPTION_REQUIRED, "CODE", "where it was made"},
    {"amount", OPTION_REQUIRED, "AMOUNT", "such as 80.00"},
    {"currency", OPTION_TEXT, "CODE", "USD unless given"},
    {"date", OPTION_REQUIRED, "DAY", "of the invoice, YYYY-MM-DD"},
    {"due", OPTION_TEXT, "DAY", "the invoice's day unless given"},
    OPTION_JSON,
    OPTION_END,
};

static const struct option_row LIST_OPTIONS[] = {
    {"customer", OPTION_TEXT, "NUMBER", "only this customer's"},
    {"state", OPTION_TEXT, "STATE", "OPEN, PARTLY_PAID or PAID"},
    OPTION_JSON,
    OPTION_END,
};

static const struct column COLUMNS[] = {
    {"invoice", COLUMN_LEFT}, {"customer", COLUMN_LEFT}, {"location", COLUMN_LEFT},
    {"date", COLUMN_LEFT},    {"due", COLUMN_LEFT},      {"amount", COLUMN_RIGHT},
    {"open", COLUMN_RIGHT},   {"currency", COLUMN_LEFT}, {"state", COLUMN_STATE},
    {NULL, COLUMN_LEFT},
};

static struct error *fill(const struct options *o, struct msg_invoice_put *m)
{
    const char *amount = options_text(o, "amount");
    const char *currency = options_text(o, "currency");
    const char *due = options_text(o, "due");
    struct money money = {0};
    struct error *e = option_copy_text(options_word(o, 0), "NUMBER", m->invoice, sizeof m->invoice);
    e = e != NULL ? e : options_copy(o, "customer", m->customer, sizeof m->customer);
    e = e != NULL ? e : options_copy(o, "location", m->location, sizeof m->location);
    e = e != NULL ? e : options_copy(o, "date", m->invoice_date, sizeof m->invoice_date);
    e = e != NULL ? e
                  : option_copy_text(due != NULL ? due : m->invoice_date, "due", m->due_date,
                                     sizeof m->due_date);
    e = e != NULL ? e
                  : option_copy_text(currency != NULL ? currency : "USD", "currency", m->currency,
                                     sizeof m->currency);
    e = e != NULL ? e : money_parse(amount, strlen(amount), m->currency, &money);
    m->amount_minor = money.minor;
    return e;
}

static enum exit_code run_add(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_invoice_put m = {0};
    void *got = NULL;
    struct error *e = fill(o, &m);
    if (e == NULL) {
        e = suite_call("settled", MESSAGE_INVOICE_PUT, &m, SUITE_WAIT_MS, MESSAGE_DONE, &got);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    if (json) {
        suite_print_json(MESSAGE_DONE, got);
    } else {
        printf("Invoice %s is stored.\n", m.invoice);
    }
    message_free(MESSAGE_DONE, got);
    return EXIT_CODE_OK;
}

static void add_rows(struct table *table, const struct msg_invoice_rows *answer)
{
    for (size_t i = 0; i < answer->rows_count; i++) {
        const struct msg_invoice_row *r = &answer->rows[i];
        char amount[MONEY_TEXT_MAX], open[MONEY_TEXT_MAX];
        table_row(table,
                  (const char *[]){r->invoice, r->customer, r->location, r->invoice_date,
                                   r->due_date, amount_text(r->amount_minor, r->currency, amount),
                                   amount_text(r->open_minor, r->currency, open), r->currency,
                                   invoice_row_state_text(r->state)});
    }
}

static struct error *read_invoices(struct msg_invoice_list *m, struct table *table, json_t *rows)
{
    bool more = true;
    m->limit = PAGE_MAX;
    while (more) {
        void *got = NULL;
        struct error *e = suite_call("settled", MESSAGE_INVOICE_LIST, m, SUITE_WAIT_MS,
                                     MESSAGE_INVOICE_ROWS, &got);
        if (e != NULL) {
            return e;
        }
        const struct msg_invoice_rows *answer = got;
        add_rows(table, answer);
        suite_collect_rows(rows, MESSAGE_INVOICE_ROWS, answer);
        more = answer->more && answer->rows_count > 0;
        if (more) {
            snprintf(m->after, sizeof m->after, "%s", answer->rows[answer->rows_count - 1].invoice);
        }
        message_free(MESSAGE_INVOICE_ROWS, got);
    }
    return NULL;
}

static enum exit_code run_list(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_invoice_list m = {0};
    struct table *table = table_new(COLUMNS);
    json_t *rows = json_array();
    enum exit_code exit = EXIT_CODE_OK;
    struct error *e = options_copy(o, "customer", m.customer, sizeof m.customer);
    e = e != NULL ? e : options_copy(o, "state", m.state, sizeof m.state);
    e = e != NULL ? e : read_invoices(&m, table, rows);
    if (e != NULL) {
        json_decref(rows);
        exit = suite_error(e, json);
    } else if (json) {
        suite_print_rows(rows, NULL);
    } else {
        json_decref(rows);
        table_print(table, stdout, table_colour_wanted(stdout));
    }
    table_free(table);
    return exit;
}

const struct command COMMAND_INVOICE_ADD = {
    .name = "invoice add",
    .summary = "create an invoice, or change one that nothing was paid on",
    .words = "NUMBER",
    .words_min = 1,
    .words_max = 1,
    .options = ADD_OPTIONS,
    .examples = "  kometpay invoice add INV-7 --customer 1001 --location MIA --amount 80.00 \\\n"
                "      --date 2026-03-01 --due 2026-03-31\n",
    .run = run_add,
};

const struct command COMMAND_INVOICE_LIST = {
    .name = "invoice list",
    .summary = "invoices, and what is open of them",
    .words = "",
    .options = LIST_OPTIONS,
    .examples = "  kometpay invoice list --customer 1001 --state OPEN\n",
    .run = run_list,
};
