/* A secret: bytes that have no printer, live in locked memory kept out of cores, and are wiped.
 * PAN, CVV, account numbers, passwords and keys are this type and no other. */
#ifndef LIB_SECRET_H
#define LIB_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct secret; /* opaque */

/* Prepares the locked heap (OpenSSL's secure heap of `bytes`, a power of two), turns cores and
 * ptrace-by-others off, locks all memory where that is allowed without a limit (LimitMEMLOCK=
 * infinity; a service of systemd is refused when it then fails), and makes OpenSSL, libevent, curl
 * and jansson wipe what they free. Call it first in main, before any of those libraries is used.
 * Errors: secret_memory_unavailable. */
struct error *secret_memory_start(size_t bytes) MUST_CHECK;
/* Is all our memory locked, not only the secrets' heap? */
bool secret_memory_locked(void);
/* Bytes of the secrets' heap that are free; a secret takes the next power of two above its size. */
size_t secret_memory_left(void);
/* A copy of n bytes (n <= 64 KiB). The caller owns it. NULL only when the secure heap is full. */
struct secret *secret_new(const void *bytes, size_t n);
struct secret *secret_copy(const struct secret *s); /* NULL in, NULL out; NULL when full too */
/* Takes what `text` holds, wiping the source. NULL when the heap is full; wiped all the same. */
struct secret *secret_take_text(char *text);
size_t secret_size(const struct secret *s);
/* The bytes, followed by a NUL that is not counted; valid while the secret lives.
 * Only for handing to crypto and to the wire. */
const char *secret_expose(const struct secret *s);
bool secret_equal(const struct secret *a, const struct secret *b); /* constant time */
void secret_free(struct secret *s);                                /* wipes; NULL is allowed */
/* Wipes any memory, never optimised away. */
void secret_wipe(void *p, size_t n);
/* The folder of credentials: $CREDENTIALS_DIRECTORY, else KOMETPAY_CREDENTIALS; NULL if neither. */
const char *secret_credential_folder(void);
/* Reads a credential file whole (<= 64 KiB, not readable by group/others, trailing newline
 * dropped) from that folder. `name` has no slash.
 * Errors: credential_missing, credential_unsafe_mode. */
struct error *secret_credential(const char *name, struct secret **out) MUST_CHECK;
/* Is there one of this name? For those that may be left out: what is there must be readable. */
bool secret_credential_given(const char *name);

#endif
