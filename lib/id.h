/* Identifiers: 128 random bits as 26 characters of lower-case-free base32 (Crockford's alphabet
 * without I, L, O, U, upper case), with a prefix that says what they name. */
#ifndef LIB_ID_H
#define LIB_ID_H

#include <stdbool.h>
#include <stddef.h>

#define ID_RANDOM_CHARS 26
#define ID_MAX 40 /* prefix + 26 + NUL, rounded up */

/* Writes prefix ("pay_", or "" for an attempt's ref) and 26 characters. `out` has ID_MAX bytes.
 * Randomness from the kernel; aborts if that fails. */
void id_new(const char *prefix, char *out);
/* True if text is exactly prefix + 26 characters of the alphabet. */
bool id_valid(const char *prefix, const char *text);

#endif
