/* Memory that is wiped when it is given back. Installed into OpenSSL, libevent and jansson by
 * memory_start(); lib/http.c hands the same functions to curl_global_init_mem(). */
#ifndef LIB_MEMORY_H
#define LIB_MEMORY_H

#include <stddef.h>

#include "lib/error.h"

/* malloc/calloc/realloc/strdup/free whose freed (and moved) blocks are overwritten first. They
 * have the C library's own signatures and results, NULL when there is no memory. */
void *memory_malloc(size_t n);
void *memory_calloc(size_t count, size_t n);
void *memory_realloc(void *p, size_t n);
char *memory_strdup(const char *text);
void memory_free(void *p);

/* n zeroed bytes, never NULL: aborts without memory, the supervisor starts us again. Give back
 * with free() or, if anything secret was in them, memory_free(). */
void *memory_new(size_t n);

/* Gives back what only start-up needed: free heap pages, and the pages of programs and libraries
 * that were read while they were loaded. They come back by themselves when they are used. Does
 * nothing to memory that is locked. */
void memory_settle(void);

/* Installs them into OpenSSL, libevent and jansson; a second call does nothing.
 * Errors: secret_memory_unavailable when OpenSSL has allocated already. */
struct error *memory_start(void) MUST_CHECK;

#endif
