/* Copying text into fixed fields: it fits, or that is our bug. */
#ifndef LIB_TEXT_COPY_H
#define LIB_TEXT_COPY_H

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* Copies `from` (NULL = "") with its NUL; asserts that it fits into `size` bytes. For texts whose
 * bounds were checked before, such as fields of messages and columns of the database. */
static inline void text_copy(char *to, size_t size, const char *from)
{
    size_t n = from ? strlen(from) : 0;
    assert(n < size);
    if (n) {
        memcpy(to, from, n);
    }
    to[n] = 0;
}

#define TEXT_COPY(to, from) text_copy((to), sizeof(to), (from))

#endif
