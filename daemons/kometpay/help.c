/* Prints help: all commands, or one with its options and examples. */
#include "daemons/kometpay/help.h"

#include <string.h>

static const char EXIT_CODES[] =
    "Exit codes:\n"
    "  0  done: approved, accepted, in balance\n"
    "  1  declined or not charged; a day not in balance; a database not up to date\n"
    "  2  the command line is wrong\n"
    "  3  refused, or failed with nothing done\n"
    "  4  pending: the outcome isn't known yet; ask, don't pay again with a new key\n"
    "  5  the suite or the database can't be reached, isn't ready, or is busy\n"
    "  6  a person must look at it\n";

void help_all(FILE *out)
{
    fputs("kometpay - the command of Komet Payments\n\n"
          "Usage: kometpay COMMAND [ARGUMENTS]\n"
          "       kometpay COMMAND --help\n\n"
          "Commands:\n",
          out);
    for (const struct command *const *c = COMMANDS; *c != NULL; c++) {
        fprintf(out, "  %-15s %s\n", (*c)->name, (*c)->summary);
    }
    fprintf(out, "\n%s\n", EXIT_CODES);
    fputs("With --json a command prints JSON for programs, one object a line. Sockets are in\n"
          "$KOMETPAY_RUN_DIR, /run/kometpay unless set. A card number is never an argument.\n",
          out);
}

static void help_options(const struct option_row *options, FILE *out)
{
    if (options->name == NULL) {
        return;
    }
    fputs("\nOptions:\n", out);
    for (const struct option_row *row = options; row->name != NULL; row++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", row->name, row->value != NULL ? " " : "",
                 row->value != NULL ? row->value : "");
        fprintf(out, "  %-24s %s%s\n", left, row->sentence,
                row->kind == OPTION_REQUIRED ? " (required)" : "");
    }
}

void help_command(const struct command *command, FILE *out)
{
    fprintf(out, "kometpay %s - %s\n\nUsage: kometpay %s%s%s [OPTIONS]\n", command->name,
            command->summary, command->name, command->words[0] != '\0' ? " " : "", command->words);
    help_options(command->options, out);
    fprintf(out, "\nExamples:\n%s\n%s", command->examples, EXIT_CODES);
}
