/* What the fuzzers share: the first word of an input chooses what is done with the rest, a rule
 * that must hold, and locked memory as the daemons have it. Must never need a file, a database or
 * the network. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "lib/secret.h"

#define FUZZ_SECRET_BYTES (1024u * 1024u)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A rule that must hold whatever comes in. */
#define MUST(rule)                                                                                 \
    do {                                                                                           \
        if (!(rule)) {                                                                             \
            fuzz_broken(#rule, __FILE__, __LINE__);                                                \
        }                                                                                          \
    } while (0)

_Noreturn static inline void fuzz_broken(const char *rule, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, rule);
    abort();
}

struct fuzz_text {
    const char *p;
    size_t n;
};

/* Takes what stands before the next `end` (or all), and `end` itself. */
static inline struct fuzz_text fuzz_take(struct fuzz_text *from, char end)
{
    const char *at = from->n > 0 ? memchr(from->p, end, from->n) : NULL;
    struct fuzz_text taken = {from->p, at != NULL ? (size_t)(at - from->p) : from->n};
    size_t moved = taken.n + (at != NULL ? 1 : 0);
    from->p += moved;
    from->n -= moved;
    return taken;
}

static inline bool fuzz_is(struct fuzz_text text, const char *word)
{
    return text.n == strlen(word) && memcmp(text.p, word, text.n) == 0;
}

/* The number at the front of a text, at most `most`; what isn't one is 0. */
static inline uint64_t fuzz_number(struct fuzz_text text, uint64_t most)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.n && text.p[i] >= '0' && text.p[i] <= '9'; i++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.p[i] - '0'), &value)) {
            return most;
        }
    }
    return value < most ? value : most;
}

/* A block of its own with exactly these bytes, so that a byte read beyond them is seen. */
static inline char *fuzz_exact(struct fuzz_text text)
{
    char *copy = malloc(text.n == 0 ? 1 : text.n);
    MUST(copy != NULL);
    if (text.n > 0) {
        memcpy(copy, text.p, text.n);
    }
    return copy;
}

/* The same with a NUL after it. */
static inline char *fuzz_string(struct fuzz_text text)
{
    char *copy = calloc(1, text.n + 1);
    MUST(copy != NULL);
    if (text.n > 0) {
        memcpy(copy, text.p, text.n);
    }
    return copy;
}

/* Locked memory, and wiping allocators. Still dumpable, for the search for leaks traces us. */
static inline void fuzz_secret_memory(void)
{
    struct error *e = secret_memory_start(FUZZ_SECRET_BYTES);
    MUST(e == NULL);
    MUST(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

#endif
