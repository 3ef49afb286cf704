/* kometpay customer add and list: customers by their number in the ERP. */
#include <jansson.h>
#include <stdio.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/payment_report.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"
#include "lib/money.h"

#define PAGE_MAX 200

static const struct option_row ADD_OPTIONS[] = {
    {"name", OPTION_REQUIRED, "NAME", "as on the invoices"},
    {"email", OPTION_TEXT, "ADDRESS", "for links and receipts"},
    OPTION_JSON,
    OPTION_END,
};

static const struct option_row LIST_OPTIONS[] = {OPTION_JSON, OPTION_END};

static const struct column COLUMNS[] = {
    {"customer", COLUMN_LEFT}, {"name", COLUMN_LEFT},     {"email", COLUMN_LEFT},
    {"open", COLUMN_RIGHT},    {"currency", COLUMN_LEFT}, {NULL, COLUMN_LEFT},
};

static enum exit_code run_add(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_customer_put m = {0};
    void *got = NULL;
    struct error *e = option_copy_text(options_word(o, 0), "NUMBER", m.customer, sizeof m.customer);
    e = e != NULL ? e : options_copy(o, "name", m.name, sizeof m.name);
    e = e != NULL ? e : options_copy(o, "email", m.email, sizeof m.email);
    if (e == NULL) {
        e = suite_call("settled", MESSAGE_CUSTOMER_PUT, &m, SUITE_WAIT_MS, MESSAGE_DONE, &got);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    if (json) {
        suite_print_json(MESSAGE_DONE, got);
    } else {
        printf("Customer %s is stored.\n", m.customer);
    }
    message_free(MESSAGE_DONE, got);
    return EXIT_CODE_OK;
}

static struct error *read_customers(struct table *table, json_t *rows)
{
    struct msg_customer_list m = {.limit = PAGE_MAX};
    bool more = true;
    while (more) {
        void *got = NULL;
        struct error *e = suite_call("settled", MESSAGE_CUSTOMER_LIST, &m, SUITE_WAIT_MS,
                                     MESSAGE_CUSTOMER_ROWS, &got);
        if (e != NULL) {
            return e;
        }
        const struct msg_customer_rows *answer = got;
        for (size_t i = 0; i < answer->rows_count; i++) {
            const struct msg_customer_row *r = &answer->rows[i];
            char open[MONEY_TEXT_MAX];
            bool owes = r->currency[0] != '\0';
            table_row(table,
                      (const char *[]){r->customer, r->name, r->email,
                                       owes ? amount_text(r->open_minor, r->currency, open) : "",
                                       r->currency});
            snprintf(m.after, sizeof m.after, "%s", r->customer);
            snprintf(m.after_currency, sizeof m.after_currency, "%s", r->currency);
        }
        suite_collect_rows(rows, MESSAGE_CUSTOMER_ROWS, answer);
        more = answer->more && answer->rows_count > 0;
        message_free(MESSAGE_CUSTOMER_ROWS, got);
    }
    return NULL;
}

static enum exit_code run_list(const struct options *o)
{
    bool json = options_given(o, "json");
    struct table *table = table_new(COLUMNS);
    json_t *rows = json_array();
    enum exit_code exit = EXIT_CODE_OK;
    struct error *e = read_customers(table, rows);
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

const struct command COMMAND_CUSTOMER_ADD = {
    .name = "customer add",
    .summary = "create a customer, or change one",
    .words = "NUMBER",
    .words_min = 1,
    .words_max = 1,
    .options = ADD_OPTIONS,
    .examples = "  kometpay customer add 1001 --name 'Rosa Flowers' --email ap@rosa.example\n",
    .run = run_add,
};

const struct command COMMAND_CUSTOMER_LIST = {
    .name = "customer list",
    .summary = "all customers and what they owe",
    .words = "",
    .options = LIST_OPTIONS,
    .examples = "  kometpay customer list\n"
                "  kometpay customer list --json\n",
    .run = run_list,
};
