/* Settings from the environment: a table a program, type, bounds, default and sentence; --help and
 * the check come from it. Secrets are never settings. */
#ifndef LIB_SETTING_H
#define LIB_SETTING_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/error.h"

enum setting_type {
    SETTING_TEXT,
    SETTING_INTEGER,
};

struct setting {
    const char *name; /* "KOMETPAY_HORIZON_MS" */
    enum setting_type type;
    const char *fallback; /* default, as text; NULL = must be set */
    int64_t minimum, maximum;
    const char *sentence;
    const char *text; /* filled by settings_read; borrowed from the environment */
    int64_t integer;
};

/* Reads all settings of the table (ends with name NULL). Errors: setting_invalid (field = name). */
struct error *settings_read(struct setting *table) MUST_CHECK;
const char *setting_text(const struct setting *table, const char *name);
int64_t setting_integer(const struct setting *table, const char *name);
void settings_help(const struct setting *table, FILE *out);

#endif
