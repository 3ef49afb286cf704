/* A growing run of bytes for answers and ledger lines, with the few printers they need.
 * It must never hold a card number: callers hand it last fours only. */
#ifndef CLEARENT_SIM_TEXT_H
#define CLEARENT_SIM_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Owned by whoever embeds it; all zero is the empty text. */
struct text {
    char *bytes;
    size_t size;
    size_t room;
};

/* Makes room for `more` further bytes; stops the program when memory is gone. */
void text_reserve(struct text *text, size_t more);
void text_add(struct text *text, const void *bytes, size_t size);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds `string` as a JSON string with its quotes. */
void text_json(struct text *text, const char *string);
/* Adds `,"name":"value"`; nothing at all when value is NULL or empty. */
void text_json_field(struct text *text, const char *name, const char *value);
/* Adds minor units (cents) as 80.00, negative ones as -80.00. */
void text_money(struct text *text, int64_t minor);
/* Replaces the first `from` by `to`; false when `from` isn't there. */
_Bool text_replace(struct text *text, const char *from, const char *to);
void text_clear(struct text *text);
void text_free(struct text *text);

/* Reads a whole 80.00; returns minor units or -1 when the form is another. */
int64_t money_parse(const char *string);

#endif
