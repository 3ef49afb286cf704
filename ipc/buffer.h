/* A growing byte buffer for payloads: what it leaves behind, when it grows, is emptied or is freed,
 * is wiped. Must never be used for anything that outlives one frame. */
#ifndef IPC_BUFFER_H
#define IPC_BUFFER_H

#include <stddef.h>
#include <string.h>

struct buffer {
    char *bytes;
    size_t used, size;
};

/* Makes room for `more` bytes beyond `used`; aborts without memory. */
void buffer_grow(struct buffer *buffer, size_t more);
/* Wipes and empties; a small buffer keeps its memory for the next frame. */
void buffer_empty(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

static inline void buffer_add(struct buffer *buffer, const char *bytes, size_t n)
{
    if (buffer->size - buffer->used < n) {
        buffer_grow(buffer, n);
    }
    if (n > 0) {
        memcpy(buffer->bytes + buffer->used, bytes, n);
        buffer->used += n;
    }
}

static inline void buffer_add_byte(struct buffer *buffer, char byte)
{
    buffer_add(buffer, &byte, 1);
}

#endif
