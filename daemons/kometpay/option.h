/* Arguments of a subcommand by a table of options: --name value, --name=value, flags, lists, and
 * words. Must never repeat a value in an error: it may be a card number typed in the wrong place.
 */
#ifndef KOMETPAY_OPTION_H
#define KOMETPAY_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,     /* at most once */
    OPTION_REQUIRED, /* exactly once */
    OPTION_LIST,     /* any number of times */
};

struct option_row {
    const char *name; /* "location", without dashes; NULL ends a table */
    enum option_kind kind;
    const char *value; /* what help calls the value: "CODE"; NULL for a flag */
    const char *sentence;
};

#define OPTION_JSON                                                                                \
    {                                                                                              \
        "json", OPTION_FLAG, NULL, "print JSON instead of text"                                    \
    }
#define OPTION_END                                                                                 \
    {                                                                                              \
        NULL, OPTION_FLAG, NULL, NULL                                                              \
    }

struct options; /* parsed arguments; values borrow argv */

/* Errors refused: option_unknown, option_value_missing, option_value_unwanted, option_twice,
 * option_missing, word_missing, word_unwanted (field = the option's name). The caller owns *out. */
struct error *options_parse(const struct option_row *table, unsigned words_min, unsigned words_max,
                            int argc, char **argv, struct options **out) MUST_CHECK;
void options_free(struct options *options);

/* A name that isn't in the table is a bug. Values are NULL when not given. */
bool options_given(const struct options *options, const char *name);
const char *options_text(const struct options *options, const char *name);
size_t options_list_count(const struct options *options, const char *name);
const char *options_list_at(const struct options *options, const char *name, size_t i);
const char *options_word(const struct options *options, size_t i);

/* Copies the text of an option (nothing if not given) into a message's field of `size` bytes.
 * Errors refused: option_too_long. */
struct error *options_copy(const struct options *options, const char *name, char *out,
                           size_t size) MUST_CHECK;
/* The same for a text from elsewhere; `name` is for the error. */
struct error *option_copy_text(const char *text, const char *name, char *out,
                               size_t size) MUST_CHECK;
/* A whole number within bounds; `fallback` when not given. Errors refused: option_number. */
struct error *options_integer(const struct options *options, const char *name, int64_t minimum,
                              int64_t maximum, int64_t fallback, int64_t *out) MUST_CHECK;

#endif
