/* Reads and writes the 28 bytes before each payload. Must never allocate by a length it has not
 * checked, nor let pass a bit whose meaning it does not know. */
#include "ipc/frame.h"

#include <string.h>

static const uint8_t FRAME_MAGIC[4] = {'K', 'P', 'A', 'Y'};

static uint64_t read_number(const uint8_t *bytes, unsigned n)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < n; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static void write_number(uint8_t *bytes, unsigned n, uint64_t value)
{
    for (unsigned i = 0; i < n; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    }
}

struct error *frame_parse(const uint8_t header[FRAME_HEADER_BYTES], struct frame_header *out)
{
    *out = (struct frame_header){0};
    if (memcmp(header, FRAME_MAGIC, sizeof(FRAME_MAGIC)) != 0) {
        return error_refused("frame_magic", "", "The stream doesn't carry our frames.");
    }
    *out = (struct frame_header){
        .version = header[4],
        .flags = header[5],
        .type = (uint16_t)read_number(header + 6, 2),
        .length = (uint32_t)read_number(header + 8, 4),
        .left_ms = (uint32_t)read_number(header + 12, 4),
        .correlation = read_number(header + 16, 8),
        .sent_ms = (uint32_t)read_number(header + 24, 4),
    };
    if (out->version != FRAME_VERSION) {
        return error_refused("frame_version", "", "Frame version %u isn't spoken here, %u is.",
                             out->version, FRAME_VERSION);
    }
    if (out->flags & ~(FRAME_ANSWER | FRAME_SENT_AT)) {
        return error_refused("frame_flags", "", "The frame has unknown flags.");
    }
    if (!(out->flags & FRAME_SENT_AT) && out->sent_ms != 0) {
        return error_refused("frame_reserved", "", "The frame's reserved bytes aren't zero.");
    }
    if (out->length > FRAME_PAYLOAD_MAX_BYTES) {
        return error_refused("frame_too_long", "",
                             "A payload of %u bytes is above the limit of %u.", out->length,
                             FRAME_PAYLOAD_MAX_BYTES);
    }
    return NULL;
}

void frame_write(const struct frame_header *header, uint8_t out[FRAME_HEADER_BYTES])
{
    memcpy(out, FRAME_MAGIC, sizeof(FRAME_MAGIC));
    out[4] = header->version;
    out[5] = header->flags;
    write_number(out + 6, 2, header->type);
    write_number(out + 8, 4, header->length);
    write_number(out + 12, 4, header->left_ms);
    write_number(out + 16, 8, header->correlation);
    write_number(out + 24, 4, header->sent_ms);
}
