/* Help from the table of commands. */
#ifndef KOMETPAY_HELP_H
#define KOMETPAY_HELP_H

#include <stdio.h>

#include "daemons/kometpay/command.h"

void help_all(FILE *out);
void help_command(const struct command *command, FILE *out);

#endif
