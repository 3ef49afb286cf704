/* kometpay location add and list: where payments are taken, and by which merchant account. */
#include <stdio.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"

static const struct option_row ADD_OPTIONS[] = {
    {"name", OPTION_REQUIRED, "NAME", "as people call it"},
    {"time-zone", OPTION_TEXT, "ZONE", "IANA name; America/New_York unless given"},
    {"processor", OPTION_TEXT, "NAME", "clearent unless given"},
    {"account", OPTION_REQUIRED, "NAME",
     "the merchant account; its key is the credential PROCESSOR-ACCOUNT"},
    {"currency", OPTION_TEXT, "CODE", "USD unless given"},
    {"disabled", OPTION_FLAG, NULL, "refuse payments here"},
    OPTION_JSON,
    OPTION_END,
};

static const struct option_row LIST_OPTIONS[] = {OPTION_JSON, OPTION_END};

static const struct column COLUMNS[] = {
    {"location", COLUMN_LEFT},  {"name", COLUMN_LEFT},    {"time zone", COLUMN_LEFT},
    {"processor", COLUMN_LEFT}, {"account", COLUMN_LEFT}, {"currency", COLUMN_LEFT},
    {"enabled", COLUMN_STATE},  {NULL, COLUMN_LEFT},
};

static const char *text_or(const struct options *o, const char *name, const char *fallback)
{
    const char *text = options_text(o, name);
    return text != NULL ? text : fallback;
}

static struct error *fill(const struct options *o, struct msg_location_put *m)
{
    m->enabled = !options_given(o, "disabled");
    m->processor = location_put_processor_from_text(text_or(o, "processor", "clearent"));
    if (m->processor == 0) {
        return error_refused("option_value_unknown", "processor", "There is no such processor.");
    }
    struct error *e = option_copy_text(options_word(o, 0), "CODE", m->code, sizeof m->code);
    e = e != NULL ? e : options_copy(o, "name", m->name, sizeof m->name);
    e = e != NULL ? e : options_copy(o, "account", m->account, sizeof m->account);
    e = e != NULL ? e
                  : option_copy_text(text_or(o, "time-zone", "America/New_York"), "time-zone",
                                     m->time_zone, sizeof m->time_zone);
    return e != NULL ? e
                     : option_copy_text(text_or(o, "currency", "USD"), "currency", m->currency,
                                        sizeof m->currency);
}

static enum exit_code run_add(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_location_put m = {0};
    void *got = NULL;
    struct error *e = fill(o, &m);
    if (e == NULL) {
        e = suite_call("settled", MESSAGE_LOCATION_PUT, &m, SUITE_WAIT_MS, MESSAGE_DONE, &got);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    if (json) {
        suite_print_json(MESSAGE_DONE, got);
    } else {
        printf("Location %s is stored%s.\n", m.code, m.enabled ? "" : ", disabled");
    }
    message_free(MESSAGE_DONE, got);
    return EXIT_CODE_OK;
}

static void print_locations(const struct msg_location_rows *answer)
{
    struct table *table = table_new(COLUMNS);
    for (size_t i = 0; i < answer->rows_count; i++) {
        const struct msg_location_row *r = &answer->rows[i];
        table_row(table, (const char *[]){r->code, r->name, r->time_zone, r->processor, r->account,
                                          r->currency, r->enabled ? "yes" : "no"});
    }
    table_print(table, stdout, table_colour_wanted(stdout));
    table_free(table);
}

static enum exit_code run_list(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_location_list m = {0};
    void *got = NULL;
    struct error *e = suite_call("settled", MESSAGE_LOCATION_LIST, &m, SUITE_WAIT_MS,
                                 MESSAGE_LOCATION_ROWS, &got);
    if (e != NULL) {
        return suite_error(e, json);
    }
    if (json) {
        suite_print_json(MESSAGE_LOCATION_ROWS, got);
    } else {
        print_locations(got);
    }
    message_free(MESSAGE_LOCATION_ROWS, got);
    return EXIT_CODE_OK;
}

const struct command COMMAND_LOCATION_ADD = {
    .name = "location add",
    .summary = "create a location, or change one",
    .words = "CODE",
    .words_min = 1,
    .words_max = 1,
    .options = ADD_OPTIONS,
    .examples = "  kometpay location add MIA --name Miami --account main\n"
                "  kometpay location add LAX --name 'Los Angeles' --account west \\\n"
                "      --time-zone America/Los_Angeles\n",
    .run = run_add,
};

const struct command COMMAND_LOCATION_LIST = {
    .name = "location list",
    .summary = "all locations",
    .words = "",
    .options = LIST_OPTIONS,
    .examples = "  kometpay location list\n",
    .run = run_list,
};
