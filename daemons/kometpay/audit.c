/* kometpay audit verify: are the stories of the payments and the log of privileged acts whole? Must
 * never say so unless settled read both to their end. */
#include <stdio.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"

#define VERIFY_WAIT_MS 600000 /* every event there is */

static const struct option_row OPTIONS[] = {OPTION_JSON, OPTION_END};

static const struct column COLUMNS[] = {
    {"chain", COLUMN_LEFT},
    {"row", COLUMN_LEFT},
    {"what is wrong", COLUMN_LEFT},
    {NULL, COLUMN_LEFT},
};

static void print_state(const struct msg_audit_state *answer)
{
    if (answer->rows_count == 0) {
        puts("Whole: every payment's events and the audit log.");
        return;
    }
    struct table *table = table_new(COLUMNS);
    for (size_t i = 0; i < answer->rows_count; i++) {
        const struct msg_audit_break *r = &answer->rows[i];
        table_row(table, (const char *[]){audit_break_chain_text(r->chain), r->place, r->problem});
    }
    table_print(table, stdout, table_colour_wanted(stdout));
    table_free(table);
    puts("Somebody changed the database past the suite. These rows are the first of each chain.");
}

static enum exit_code run(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_audit_verify m = {0};
    void *got = NULL;
    struct error *e =
        suite_call("settled", MESSAGE_AUDIT_VERIFY, &m, VERIFY_WAIT_MS, MESSAGE_AUDIT_STATE, &got);
    if (suite_outcome_open(e)) { /* a question: it changed nothing */
        error_free(e);
        e = error_failed("verify_unfinished", "It didn't answer in time; run it again.");
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    const struct msg_audit_state *answer = got;
    enum exit_code exit = answer->rows_count == 0 ? EXIT_CODE_OK : EXIT_CODE_REVIEW;
    if (json) {
        suite_print_json(MESSAGE_AUDIT_STATE, answer);
    } else {
        print_state(answer);
    }
    message_free(MESSAGE_AUDIT_STATE, got);
    return exit;
}

const struct command COMMAND_AUDIT_VERIFY = {
    .name = "audit verify",
    .summary = "are the payments' stories and the audit log whole?",
    .words = "",
    .options = OPTIONS,
    .examples = "  kometpay audit verify\n",
    .run = run,
};
