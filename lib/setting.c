/* Settings: one table a program, read from the environment once, at start.
 * Must never be used for a secret: those are credentials. */
#include "lib/setting.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Strict: an optional minus and digits, nothing else. */
static bool parse_integer(const char *text, int64_t *out)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    size_t n = strlen(digits);
    if (n == 0 || strspn(digits, "0123456789") != n) {
        return false;
    }
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    *out = value;
    return errno == 0;
}

static struct error *read_integer(struct setting *setting)
{
    if (!parse_integer(setting->text, &setting->integer) || setting->integer < setting->minimum ||
        setting->integer > setting->maximum) {
        return error_refused("setting_invalid", setting->name,
                             "%s must be a whole number from %" PRId64 " to %" PRId64 ".",
                             setting->name, setting->minimum, setting->maximum);
    }
    return NULL;
}

/* For a text the bounds, where given, are of its length in bytes. */
static struct error *read_text(struct setting *setting)
{
    int64_t n = (int64_t)strlen(setting->text);
    if (n < setting->minimum || (setting->maximum > 0 && n > setting->maximum)) {
        return error_refused("setting_invalid", setting->name,
                             "%s must have %" PRId64 " to %" PRId64 " characters.", setting->name,
                             setting->minimum, setting->maximum);
    }
    return NULL;
}

struct error *settings_read(struct setting *table)
{
    for (struct setting *setting = table; setting->name != NULL; setting++) {
        const char *value = getenv(setting->name);
        setting->text = value != NULL ? value : setting->fallback;
        if (setting->text == NULL) {
            return error_refused("setting_invalid", setting->name, "%s must be set: %s",
                                 setting->name, setting->sentence);
        }
        struct error *e =
            setting->type == SETTING_INTEGER ? read_integer(setting) : read_text(setting);
        if (e != NULL) {
            return e;
        }
    }
    return NULL;
}

static const struct setting *find(const struct setting *table, const char *name)
{
    const struct setting *setting = table;
    while (setting->name != NULL && strcmp(setting->name, name) != 0) {
        setting++;
    }
    assert(setting->name != NULL); /* a name that the table lacks is our bug */
    assert(setting->text != NULL); /* settings_read() comes first */
    return setting;
}

const char *setting_text(const struct setting *table, const char *name)
{
    return find(table, name)->text;
}

int64_t setting_integer(const struct setting *table, const char *name)
{
    const struct setting *setting = find(table, name);
    assert(setting->type == SETTING_INTEGER);
    return setting->integer;
}

void settings_help(const struct setting *table, FILE *out)
{
    for (const struct setting *setting = table; setting->name != NULL; setting++) {
        (void)fprintf(out, "  %s\n      %s\n", setting->name, setting->sentence);
        if (setting->type == SETTING_INTEGER) {
            (void)fprintf(out, "      %" PRId64 " to %" PRId64 "; ", setting->minimum,
                          setting->maximum);
        } else {
            (void)fprintf(out, "      text; ");
        }
        if (setting->fallback == NULL) {
            (void)fprintf(out, "must be set\n");
        } else {
            (void)fprintf(out, "default '%s'\n", setting->fallback);
        }
    }
}
