/* A growing byte buffer that wipes what it leaves behind. realloc would leave copies of card data
 * in freed memory, so growing is new memory, copy, wipe, free. */
#include "ipc/buffer.h"

#include <stdlib.h>

#include "lib/secret.h"

#define BUFFER_FIRST_BYTES 1024u
#define BUFFER_KEPT_BYTES (16u * 1024u)

void buffer_grow(struct buffer *buffer, size_t more)
{
    size_t size = buffer->size ? buffer->size : BUFFER_FIRST_BYTES;
    while (size - buffer->used < more) {
        size *= 2;
    }
    char *bytes = malloc(size);
    if (!bytes) {
        abort();
    }
    if (buffer->bytes) {
        memcpy(bytes, buffer->bytes, buffer->used);
        secret_wipe(buffer->bytes, buffer->used);
        free(buffer->bytes);
    }
    buffer->bytes = bytes;
    buffer->size = size;
}

void buffer_empty(struct buffer *buffer)
{
    if (buffer->size > BUFFER_KEPT_BYTES) {
        buffer_free(buffer);
        return;
    }
    if (buffer->used > 0) {
        secret_wipe(buffer->bytes, buffer->used);
        buffer->used = 0;
    }
}

void buffer_free(struct buffer *buffer)
{
    if (buffer->bytes) {
        secret_wipe(buffer->bytes, buffer->used);
        free(buffer->bytes);
    }
    *buffer = (struct buffer){0};
}
