/* Errors as values. NULL is success. Two kinds: REFUSED is the caller's fault and carries a stable
 * code, the field at fault and a sentence for a clerk; FAILED is the world's fault (retried or
 * parked). Our own bugs are assertions, never errors. Must never carry a secret. */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

#ifdef __cppcheck__ /* it can't read an attribute after a pointer to a function */
#define MUST_CHECK
#else
#define MUST_CHECK __attribute__((warn_unused_result))
#endif
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NEVER_NULL __attribute__((returns_nonnull))

enum error_kind {
    ERROR_REFUSED,
    ERROR_FAILED,
};

struct error {
    enum error_kind kind;
    char code[48];      /* stable, lower case with underscores: "amount_out_of_range" */
    char field[64];     /* the field at fault, or "" */
    char sentence[256]; /* what a clerk understands */
    char context[512];  /* added on the way up by error_wrap(), for the log */
};

/* A refusal; `field` may be "". The caller owns the result (error_free). Never returns NULL. */
struct error *error_refused(const char *code, const char *field, const char *sentence, ...)
    PRINTF_LIKE(3, 4) MUST_CHECK NEVER_NULL;
/* A failure of the world. The caller owns the result. Never returns NULL. */
struct error *error_failed(const char *code, const char *sentence, ...)
    PRINTF_LIKE(2, 3) MUST_CHECK NEVER_NULL;
/* Takes `e` (not NULL), prepends context, returns the same error. */
struct error *error_wrap(struct error *e, const char *context, ...)
    PRINTF_LIKE(2, 3) MUST_CHECK NEVER_NULL;
/* A copy that the caller owns. */
struct error *error_copy(const struct error *e) MUST_CHECK NEVER_NULL;
/* True if `e` is not NULL and has this code. */
int error_is(const struct error *e, const char *code);
void error_free(struct error *e); /* NULL is allowed */

#if defined(__clang_analyzer__) && !defined(LIB_ERROR_C)
/* clang's analyzer does not believe NEVER_NULL; only it sees this. */
static inline struct error *error_present(struct error *e)
{
    if (!e) {
        __builtin_unreachable();
    }
    return e;
}
#define error_refused(...) error_present(error_refused(__VA_ARGS__))
#define error_failed(...) error_present(error_failed(__VA_ARGS__))
#define error_wrap(...) error_present(error_wrap(__VA_ARGS__))
#endif

#endif
