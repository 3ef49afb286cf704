/* kometpay completion bash: the completion of all commands and options, from their table. */
#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/suite.h"

static const struct option_row OPTIONS[] = {OPTION_END};

/* First words, each once. */
static void print_first_words(void)
{
    const char *before = "";
    size_t before_size = 0;
    for (const struct command *const *c = COMMANDS; *c != NULL; c++) {
        size_t n = strcspn((*c)->name, " ");
        if (n != before_size || strncmp((*c)->name, before, n) != 0) {
            printf("%.*s ", (int)n, (*c)->name);
        }
        before = (*c)->name;
        before_size = n;
    }
    fputs("help", stdout);
}

/* "customer) second words" for commands of two words; those of one noun stand together. */
static void print_second_words(void)
{
    const char *open = "";
    for (const struct command *const *c = COMMANDS; *c != NULL; c++) {
        const char *space = strchr((*c)->name, ' ');
        if (space == NULL) {
            continue;
        }
        size_t n = (size_t)(space - (*c)->name);
        if (strncmp(open, (*c)->name, n + 1) != 0) {
            printf("%s        %.*s) words=\"", open[0] != '\0' ? "\" ;;\n" : "", (int)n,
                   (*c)->name);
            open = (*c)->name;
        } else {
            putchar(' ');
        }
        fputs(space + 1, stdout);
    }
    fputs(open[0] != '\0' ? "\" ;;\n" : "", stdout);
}

/* "customer|location": the first words that a second one follows. */
static void print_nouns(void)
{
    const char *before = "";
    for (const struct command *const *c = COMMANDS; *c != NULL; c++) {
        size_t n = strcspn((*c)->name, " ");
        if ((*c)->name[n] == ' ' && strncmp(before, (*c)->name, n + 1) != 0) {
            printf("%s%.*s", before[0] != '\0' ? "|" : "", (int)n, (*c)->name);
            before = (*c)->name;
        }
    }
}

static void print_options(void)
{
    for (const struct command *const *c = COMMANDS; *c != NULL; c++) {
        printf("        '%s') words=\"--help", (*c)->name);
        for (const struct option_row *row = (*c)->options; row->name != NULL; row++) {
            printf(" --%s", row->name);
        }
        fputs("\" ;;\n", stdout);
    }
}

static void print_bash(void)
{
    fputs("# bash completion for kometpay; made by 'kometpay completion bash', not edited.\n"
          "_kometpay()\n{\n"
          "    local current=\"${COMP_WORDS[COMP_CWORD]}\" first=\"${COMP_WORDS[1]}\" words=\"\"\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        words=\"",
          stdout);
    print_first_words();
    fputs("\"\n        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
          "        return\n    fi\n"
          "    if [ \"$COMP_CWORD\" -eq 2 ]; then\n        case \"$first\" in\n",
          stdout);
    print_second_words();
    fputs("        esac\n"
          "        if [ -n \"$words\" ]; then\n"
          "            mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
          "            return\n        fi\n    fi\n"
          "    if [[ \"$current\" != -* ]]; then\n"
          "        compopt -o default\n        return\n    fi\n"
          "    local command=\"$first\"\n"
          "    case \"$first\" in\n        ",
          stdout);
    print_nouns();
    fputs(") command=\"$first ${COMP_WORDS[2]}\" ;;\n    esac\n    case \"$command\" in\n", stdout);
    print_options();
    fputs("    esac\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n}\n"
          "complete -F _kometpay kometpay\n",
          stdout);
}

static enum exit_code run(const struct options *o)
{
    if (strcmp(options_word(o, 0), "bash") != 0) {
        return suite_error(error_refused("shell_unknown", "", "There is completion for bash only."),
                           false);
    }
    print_bash();
    return EXIT_CODE_OK;
}

const struct command COMMAND_COMPLETION = {
    .name = "completion",
    .summary = "print the shell's completion",
    .words = "bash",
    .words_min = 1,
    .words_max = 1,
    .options = OPTIONS,
    .examples = "  kometpay completion bash > /usr/share/bash-completion/completions/kometpay\n",
    .run = run,
};
