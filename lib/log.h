/* The journal. Every line is an event kind from lib/journal_kinds.def (name, MESSAGE_ID, priority,
 * sentence) plus fields; nothing logs free text about money. Goes to journald by sd_journal_sendv
 * when stderr is connected to it, else one line of the same fields on stderr.
 * A secret can't be passed: there is no field type for it. Digit runs that look like a PAN
 * (13..19 digits passing Luhn) in any text field are masked as a last net. */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

enum log_kind {
#define JOURNAL_KIND(name, message_id, priority, sentence) LOG_##name,
#include "lib/journal_kinds.def"
#undef JOURNAL_KIND
    LOG_KIND_COUNT,
};

struct log_field {
    const char *name;  /* "KOMETPAY_PAYMENT" */
    const char *value; /* text; NULL leaves the field out */
};

void log_start(const char *program); /* borrowed for ever */
/* Whether kinds of priority debug are written; at first they are not. */
void log_debug(bool wanted);
#define LOG_FIELDS_MAX 16
/* log_event(LOG_PAYMENT_ANSWERED, {"KOMETPAY_PAYMENT", id}, {"KOMETPAY_OUTCOME", "APPROVED"}); */
#define log_event(kind, ...)                                                                       \
    log_event_fields(kind, (const struct log_field[LOG_FIELDS_MAX + 1]){__VA_ARGS__})
/* `fields` ends with a {NULL, NULL}. */
void log_event_fields(enum log_kind kind, const struct log_field *fields);
/* An error with its context; does not take it. payment may be NULL. */
void log_error(enum log_kind kind, const struct error *e, const char *payment);
/* Masks in place all but the last four digits of what looks like a PAN: 13..19 digits passing Luhn,
 * in groups with single spaces or dashes between them or in one piece. */
void log_mask(char *text);

#endif
