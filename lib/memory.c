/* Wiping allocation for the libraries that handle secrets on our behalf (TLS, JSON, buffers).
 * Must never return a block with an old owner's bytes to the C library unwiped. */
#include "lib/memory.h"

#include <event2/event.h>
#include <jansson.h>
#include <link.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *memory_malloc(size_t n)
{
    return malloc(n == 0 ? 1 : n);
}

void *memory_calloc(size_t count, size_t n)
{
    return calloc(count == 0 ? 1 : count, n == 0 ? 1 : n);
}

void *memory_realloc(void *p, size_t n)
{
    if (p == NULL) {
        return memory_malloc(n);
    }
    if (n == 0) {
        memory_free(p);
        return NULL;
    }
    size_t usable = malloc_usable_size(p);
    /* In place when it fits and does not waste much: realloc() itself could move and not wipe. */
    if (n <= usable && n >= usable / 2) {
        return p;
    }
    void *moved = malloc(n);
    if (moved == NULL) {
        return NULL;
    }
    memcpy(moved, p, usable < n ? usable : n);
    memory_free(p);
    return moved;
}

char *memory_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = memory_malloc(n);
    return copy == NULL ? NULL : memcpy(copy, text, n);
}

void memory_free(void *p)
{
    if (p != NULL) {
        explicit_bzero(p, malloc_usable_size(p));
        free(p);
    }
}

void *memory_new(size_t n)
{
    void *p = calloc(1, n == 0 ? 1 : n);
    if (p == NULL) {
        abort();
    }
    return p;
}

/* OpenSSL passes its own file and line. */
static void *openssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n == 0 ? NULL : memory_malloc(n);
}

static void *openssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return memory_realloc(p, n);
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    memory_free(p);
}

struct error *memory_start(void)
{
    static bool started;
    if (started) {
        return NULL;
    }
    if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1) {
        return error_failed("secret_memory_unavailable",
                            "OpenSSL was used before the secret memory was prepared");
    }
    event_set_mem_functions(memory_malloc, memory_realloc, memory_free);
    json_set_alloc_funcs(memory_malloc, memory_free);
    started = true;
    return NULL;
}

/* The segments of one loaded object that nobody can have written to. */
static int give_back_segments(struct dl_phdr_info *object, size_t size, void *context)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)context;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) {
            continue;
        }
        uintptr_t begin = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t end = object->dlpi_addr + segment->p_vaddr + segment->p_filesz;
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* refused for locked pages */
    }
    return 0;
}

void memory_settle(void)
{
    malloc_trim(0);
    dl_iterate_phdr(give_back_segments, NULL);
}
