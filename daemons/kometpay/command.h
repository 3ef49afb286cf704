/* A subcommand of kometpay: what help, completion and the dispatcher need to know of it, and the
 * exit codes that all of them share. */
#ifndef KOMETPAY_COMMAND_H
#define KOMETPAY_COMMAND_H

#include "daemons/kometpay/option.h"

/* Promised in --help and the manual page; never renumbered. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_DECLINED = 1,    /* declined, not charged; a day not in balance; not up to date */
    EXIT_CODE_USAGE = 2,       /* the command line is wrong */
    EXIT_CODE_REFUSED = 3,     /* refused, or failed with nothing done */
    EXIT_CODE_PENDING = 4,     /* the outcome isn't known yet */
    EXIT_CODE_UNREACHABLE = 5, /* the suite or the database can't be reached, or is busy */
    EXIT_CODE_REVIEW = 6,      /* a person must look */
};

struct command {
    const char *name;    /* one or two words: "customer add" */
    const char *summary; /* one line */
    const char *words;   /* the words it takes besides options: "PAYMENT", "" */
    unsigned words_min, words_max;
    const struct option_row *options; /* ends with name NULL */
    const char *examples;             /* lines, each ends with a line end */
    bool cards;                       /* card data may pass through: locked memory from the start */
    enum exit_code (*run)(const struct options *options);
};

extern const struct command COMMAND_PAY;
extern const struct command COMMAND_PAYMENT;
extern const struct command COMMAND_CAPTURE;
extern const struct command COMMAND_VOID;
extern const struct command COMMAND_CANCEL;
extern const struct command COMMAND_REFUND;
extern const struct command COMMAND_LOG;
extern const struct command COMMAND_STORY;
extern const struct command COMMAND_CUSTOMER_ADD;
extern const struct command COMMAND_CUSTOMER_LIST;
extern const struct command COMMAND_LOCATION_ADD;
extern const struct command COMMAND_LOCATION_LIST;
extern const struct command COMMAND_INVOICE_ADD;
extern const struct command COMMAND_INVOICE_LIST;
extern const struct command COMMAND_INVOICE_IMPORT;
extern const struct command COMMAND_CLOSE;
extern const struct command COMMAND_AUDIT_VERIFY;
extern const struct command COMMAND_STATUS;
extern const struct command COMMAND_DB_MIGRATE;
extern const struct command COMMAND_DB_STATUS;
extern const struct command COMMAND_COMPLETION;

/* All of them, in the order of help; ends with NULL. */
extern const struct command *const COMMANDS[];

#endif
