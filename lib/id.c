/* Identifiers that can't be guessed and don't collide. Must never come from anything but the
 * kernel's randomness. */
#include "lib/id.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char ALPHABET[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void fill_random(uint8_t *bytes, size_t n)
{
    ssize_t got;
    do {
        got = getrandom(bytes, n, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 || (size_t)got != n) {
        abort(); /* an id that might repeat would be worse */
    }
}

void id_new(const char *prefix, char *out)
{
    size_t prefix_size = strlen(prefix);
    assert(prefix_size + ID_RANDOM_CHARS < ID_MAX);
    uint8_t bytes[16];
    fill_random(bytes, sizeof bytes);
    unsigned __int128 value = 0;
    for (size_t i = 0; i < sizeof bytes; i++) {
        value = value << 8 | bytes[i];
    }
    memcpy(out, prefix, prefix_size);
    for (size_t i = ID_RANDOM_CHARS; i > 0; i--) {
        out[prefix_size + i - 1] = ALPHABET[value & 31];
        value >>= 5;
    }
    out[prefix_size + ID_RANDOM_CHARS] = '\0';
    assert(value == 0);
}

bool id_valid(const char *prefix, const char *text)
{
    size_t prefix_size = strlen(prefix);
    if (text == NULL || strncmp(text, prefix, prefix_size) != 0) {
        return false;
    }
    const char *random = text + prefix_size;
    return strnlen(random, ID_RANDOM_CHARS + 1) == ID_RANDOM_CHARS &&
           strspn(random, ALPHABET) == ID_RANDOM_CHARS;
}
