/* Errors as values: a stable code, the field at fault, a sentence for a clerk, context for the log.
 * Must never carry a secret, and must never fail itself: without memory it aborts. */
#define LIB_ERROR_C
#include "lib/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies what fits; a longer text is cut, never refused. */
static void copy_text(char *out, size_t size, const char *text)
{
    size_t n = strnlen(text, size - 1);
    memcpy(out, text, n);
    out[n] = '\0';
}

static void print_text(char *out, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

static void print_text(char *out, size_t size, const char *format, va_list arguments)
{
    int n = vsnprintf(out, size, format, arguments);
    assert(n >= 0);
    (void)n;
}

static struct error *error_new(enum error_kind kind, const char *code, const char *field)
{
    assert(code != NULL && code[0] != '\0');
    assert(field != NULL);
    struct error *e = calloc(1, sizeof *e);
    if (e == NULL) {
        abort();
    }
    e->kind = kind;
    copy_text(e->code, sizeof e->code, code);
    copy_text(e->field, sizeof e->field, field);
    return e;
}

struct error *error_refused(const char *code, const char *field, const char *sentence, ...)
{
    struct error *e = error_new(ERROR_REFUSED, code, field);
    va_list arguments;
    va_start(arguments, sentence);
    print_text(e->sentence, sizeof e->sentence, sentence, arguments);
    va_end(arguments);
    return e;
}

struct error *error_failed(const char *code, const char *sentence, ...)
{
    struct error *e = error_new(ERROR_FAILED, code, "");
    va_list arguments;
    va_start(arguments, sentence);
    print_text(e->sentence, sizeof e->sentence, sentence, arguments);
    va_end(arguments);
    return e;
}

struct error *error_wrap(struct error *e, const char *context, ...)
{
    assert(e != NULL);
    char joined[sizeof e->context];
    va_list arguments;
    va_start(arguments, context);
    print_text(joined, sizeof joined, context, arguments);
    va_end(arguments);
    if (e->context[0] != '\0') {
        size_t n = strlen(joined);
        copy_text(joined + n, sizeof joined - n, ": ");
        n = strlen(joined);
        copy_text(joined + n, sizeof joined - n, e->context);
    }
    copy_text(e->context, sizeof e->context, joined);
    return e;
}

struct error *error_copy(const struct error *e)
{
    assert(e != NULL);
    struct error *copy = error_new(e->kind, e->code, e->field);
    *copy = *e;
    return copy;
}

int error_is(const struct error *e, const char *code)
{
    return e != NULL && strcmp(e->code, code) == 0;
}

void error_free(struct error *e)
{
    free(e);
}
