/* A small gzip stream that unpacks to 16 MiB of zeros: one literal, then copies of the longest
 * length at distance one, in deflate's fixed codes. It must stay a valid stream. */
#include "gzip_bomb.h"

#include <stdint.h>

enum { COPY_BYTES = 258, COPIES = 65027, ZEROS = 1 + COPIES * COPY_BYTES };

struct bits {
    struct text *out;
    unsigned held, count;
};

static void put(struct bits *bits, unsigned value, unsigned count)
{
    bits->held |= value << bits->count;
    bits->count += count;
    while (bits->count >= 8) {
        unsigned char byte = (unsigned char)bits->held;

        text_add(bits->out, &byte, 1);
        bits->held >>= 8;
        bits->count -= 8;
    }
}

/* Huffman codes go most significant bit first. */
static void put_code(struct bits *bits, unsigned code, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        put(bits, code >> (i - 1) & 1u, 1);
    }
}

static uint32_t crc_of_zeros(void)
{
    uint32_t crc = 0xffffffffu;

    for (uint32_t i = 0; i < ZEROS; i++) {
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
        }
    }
    return ~crc;
}

void gzip_bomb_write(struct text *out)
{
    static const char HEAD[10] = {'\x1f', '\x8b', 8, 0, 0, 0, 0, 0, 0, 3};
    static uint32_t crc;
    struct bits bits = {.out = out};
    uint32_t size = ZEROS;

    if (crc == 0) {
        crc = crc_of_zeros();
    }
    text_add(out, HEAD, sizeof HEAD);
    put(&bits, 1, 1);         /* the last block */
    put(&bits, 1, 2);         /* fixed codes */
    put_code(&bits, 0x30, 8); /* literal 0 */
    for (int i = 0; i < COPIES; i++) {
        put_code(&bits, 0xc5, 8); /* length 258 */
        put_code(&bits, 0, 5);    /* distance 1 */
    }
    put_code(&bits, 0, 7); /* end of block */
    put(&bits, 0, 7);      /* fills the last byte */
    for (int i = 0; i < 4; i++) {
        text_add(out, &(unsigned char){(unsigned char)(crc >> 8 * i)}, 1);
    }
    for (int i = 0; i < 4; i++) {
        text_add(out, &(unsigned char){(unsigned char)(size >> 8 * i)}, 1);
    }
}
