/* kometpay: the operator's command. A table of subcommands, each of which asks a daemon; only
 * 'kometpay db' talks to PostgreSQL. Must never take a card number as an argument. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/help.h"
#include "daemons/kometpay/suite.h"
#include "lib/secret.h"
#include "lib/version.h"

#define SECRET_HEAP_BYTES (64u * 1024u)

const struct command *const COMMANDS[] = {
    &COMMAND_PAY,
    &COMMAND_PAYMENT,
    &COMMAND_CAPTURE,
    &COMMAND_VOID,
    &COMMAND_CANCEL,
    &COMMAND_REFUND,
    &COMMAND_LOG,
    &COMMAND_STORY,
    &COMMAND_CUSTOMER_ADD,
    &COMMAND_CUSTOMER_LIST,
    &COMMAND_LOCATION_ADD,
    &COMMAND_LOCATION_LIST,
    &COMMAND_INVOICE_ADD,
    &COMMAND_INVOICE_LIST,
    &COMMAND_INVOICE_IMPORT,
    &COMMAND_CLOSE,
    &COMMAND_AUDIT_VERIFY,
    &COMMAND_STATUS,
    &COMMAND_DB_MIGRATE,
    &COMMAND_DB_STATUS,
    &COMMAND_COMPLETION,
    NULL,
};

/* The command whose one or two words the arguments begin with; *used says how many. */
static const struct command *find_command(int argc, char **argv, int *used)
{
    for (const struct command *const *c = COMMANDS; *c != NULL; c++) {
        const char *space = strchr((*c)->name, ' ');
        size_t n = space != NULL ? (size_t)(space - (*c)->name) : strlen((*c)->name);
        if (argc < 1 || strlen(argv[0]) != n || strncmp(argv[0], (*c)->name, n) != 0) {
            continue;
        }
        if (space == NULL) {
            *used = 1;
            return *c;
        }
        if (argc > 1 && strcmp(argv[1], space + 1) == 0) {
            *used = 2;
            return *c;
        }
    }
    return NULL;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

static enum exit_code usage_error(const struct command *command, struct error *e)
{
    fprintf(stderr, "kometpay %s: %s\nTry 'kometpay %s --help'.\n", command->name, e->sentence,
            command->name);
    error_free(e);
    return EXIT_CODE_USAGE;
}

static enum exit_code run_command(const struct command *command, int argc, char **argv)
{
    struct error *e = command->cards ? secret_memory_start(SECRET_HEAP_BYTES) : NULL;
    if (e != NULL) {
        return suite_error(e, false);
    }
    struct options *options = NULL;
    e = options_parse(command->options, command->words_min, command->words_max, argc, argv,
                      &options);
    if (e != NULL) {
        return usage_error(command, e);
    }
    enum exit_code exit = command->run(options);
    options_free(options);
    if (fflush(stdout) != 0 && exit == EXIT_CODE_OK) {
        fputs("kometpay: it was done, but the answer couldn't be written.\n", stderr);
        return EXIT_CODE_REFUSED;
    }
    return exit;
}

/* 'kometpay help [COMMAND]', --help, --version, or nothing at all. */
static enum exit_code without_command(int argc, char **argv)
{
    if (argc == 1 && strcmp(argv[0], "--version") == 0) {
        printf("kometpay (Komet Payments) %s\n", KOMETPAY_VERSION);
        return EXIT_CODE_OK;
    }
    if (argc == 0) {
        help_all(stderr);
        return EXIT_CODE_USAGE;
    }
    if (strcmp(argv[0], "help") == 0 || asks_help(argc, argv)) {
        int used = 0;
        const struct command *command = find_command(argc - 1, argv + 1, &used);
        if (command != NULL) {
            help_command(command, stdout);
        } else {
            help_all(stdout);
        }
        return EXIT_CODE_OK;
    }
    fputs("kometpay: there is no such command. Try 'kometpay help'.\n", stderr);
    return EXIT_CODE_USAGE;
}

int main(int argc, char **argv)
{
    /* Texts are UTF-8 whatever the environment says, so that tables line up. */
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    int used = 0;
    const struct command *command = find_command(argc - 1, argv + 1, &used);
    if (command == NULL) {
        return (int)without_command(argc - 1, argv + 1);
    }
    if (asks_help(argc - 1 - used, argv + 1 + used)) {
        help_command(command, stdout);
        return EXIT_CODE_OK;
    }
    return (int)run_command(command, argc - 1 - used, argv + 1 + used);
}
