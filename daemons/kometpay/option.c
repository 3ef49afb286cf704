/* Parses a subcommand's arguments by its table. Must never repeat a value in an error. */
#include "daemons/kometpay/option.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/memory.h"

#define VALUES_MAX 1100 /* --invoice up to 500 times, and all else */
#define NAME_MAX_BYTES 40

struct value {
    const struct option_row *row; /* NULL: a word */
    const char *text;             /* NULL: a flag */
};

struct options {
    const struct option_row *table;
    struct value values[VALUES_MAX];
    size_t count;
};

static const struct option_row *row_of(const struct option_row *table, const char *name, size_t n)
{
    for (const struct option_row *row = table; row->name != NULL; row++) {
        if (strlen(row->name) == n && strncmp(row->name, name, n) == 0) {
            return row;
        }
    }
    return NULL;
}

static size_t given_count(const struct options *options, const struct option_row *row)
{
    size_t n = 0;
    for (size_t i = 0; i < options->count; i++) {
        n += options->values[i].row == row ? 1 : 0;
    }
    return n;
}

static void keep(struct options *options, const struct option_row *row, const char *text)
{
    assert(options->count < VALUES_MAX);
    options->values[options->count++] = (struct value){row, text};
}

/* True if `name` could be printed without harm: what people call an option, not a number. */
static bool is_plain_name(const char *name, size_t n)
{
    if (n == 0 || n > NAME_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((name[i] < 'a' || name[i] > 'z') && name[i] != '-') {
            return false;
        }
    }
    return true;
}

static struct error *unknown_option(const char *name, size_t n)
{
    if (!is_plain_name(name, n)) {
        return error_refused("option_unknown", "", "There is no such option.");
    }
    return error_refused("option_unknown", "", "There is no option --%.*s.", (int)n, name);
}

/* One option at argv[*at]; moves *at past its value. */
static struct error *take_option(struct options *options, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t n = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option_row *row = row_of(options->table, name, n);
    if (row == NULL) {
        return unknown_option(name, n);
    }
    if (row->kind != OPTION_LIST && given_count(options, row) > 0) {
        return error_refused("option_twice", row->name, "--%s is given twice.", row->name);
    }
    if (row->kind == OPTION_FLAG) {
        if (equals != NULL) {
            return error_refused("option_value_unwanted", row->name, "--%s takes no value.",
                                 row->name);
        }
        keep(options, row, NULL);
        return NULL;
    }
    if (equals == NULL && *at + 1 >= argc) {
        return error_refused("option_value_missing", row->name, "--%s needs a value: %s.",
                             row->name, row->value);
    }
    keep(options, row, equals != NULL ? equals + 1 : argv[++*at]);
    return NULL;
}

static struct error *take_all(struct options *options, unsigned words_max, int argc, char **argv)
{
    unsigned words = 0;
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
            struct error *e = take_option(options, argc, argv, &i);
            if (e != NULL) {
                return e;
            }
        } else if (words++ < words_max) {
            keep(options, NULL, argv[i]);
        } else {
            return error_refused("word_unwanted", "",
                                 "There is an argument too many. (A card number is never an "
                                 "argument: other users could see it.)");
        }
    }
    return NULL;
}

static struct error *check_required(const struct options *options, unsigned words_min)
{
    if (given_count(options, NULL) < words_min) {
        return error_refused("word_missing", "", "An argument is missing.");
    }
    for (const struct option_row *row = options->table; row->name != NULL; row++) {
        if (row->kind == OPTION_REQUIRED && given_count(options, row) == 0) {
            return error_refused("option_missing", row->name, "--%s %s is missing.", row->name,
                                 row->value);
        }
    }
    return NULL;
}

struct error *options_parse(const struct option_row *table, unsigned words_min, unsigned words_max,
                            int argc, char **argv, struct options **out)
{
    *out = NULL;
    if (argc > VALUES_MAX) {
        return error_refused("word_unwanted", "", "There are too many arguments.");
    }
    struct options *options = memory_new(sizeof *options);
    options->table = table;
    struct error *e = take_all(options, words_max, argc, argv);
    if (e == NULL) {
        e = check_required(options, words_min);
    }
    if (e != NULL) {
        options_free(options);
        return e;
    }
    *out = options;
    return NULL;
}

void options_free(struct options *options)
{
    free(options);
}

/* The i-th value of an option of the table. */
static const struct value *value_at(const struct options *options, const char *name, size_t i)
{
    const struct option_row *row = NULL;
    if (name != NULL) {
        row = row_of(options->table, name, strlen(name));
        assert(row != NULL);
    }
    for (size_t at = 0; at < options->count; at++) {
        if (options->values[at].row == row && i-- == 0) {
            return &options->values[at];
        }
    }
    return NULL;
}

bool options_given(const struct options *options, const char *name)
{
    return value_at(options, name, 0) != NULL;
}

const char *options_text(const struct options *options, const char *name)
{
    return options_list_at(options, name, 0);
}

size_t options_list_count(const struct options *options, const char *name)
{
    const struct option_row *row = row_of(options->table, name, strlen(name));
    assert(row != NULL);
    return given_count(options, row);
}

const char *options_list_at(const struct options *options, const char *name, size_t i)
{
    assert(name != NULL);
    const struct value *value = value_at(options, name, i);
    return value != NULL ? value->text : NULL;
}

const char *options_word(const struct options *options, size_t i)
{
    const struct value *value = value_at(options, NULL, i);
    return value != NULL ? value->text : NULL;
}

struct error *option_copy_text(const char *text, const char *name, char *out, size_t size)
{
    size_t n = strlen(text);
    if (n >= size) {
        return error_refused("option_too_long", name, "%s is too long: at most %zu bytes.", name,
                             size - 1);
    }
    memcpy(out, text, n + 1);
    return NULL;
}

struct error *options_copy(const struct options *options, const char *name, char *out, size_t size)
{
    const char *text = options_text(options, name);
    return text != NULL ? option_copy_text(text, name, out, size) : NULL;
}

struct error *options_integer(const struct options *options, const char *name, int64_t minimum,
                              int64_t maximum, int64_t fallback, int64_t *out)
{
    const char *text = options_text(options, name);
    *out = fallback;
    if (text == NULL) {
        return NULL;
    }
    char *end = NULL;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < minimum || number > maximum) {
        return error_refused("option_number", name, "--%s takes a whole number from %lld to %lld.",
                             name, (long long)minimum, (long long)maximum);
    }
    *out = number;
    return NULL;
}
