/* The frame: 28 bytes, big-endian, then one JSON object.
 *  0 magic "KPAY"   4 version (1)   5 flags (1 = answer, 2 = sent at)   6 message type u16
 *  8 payload length u32   12 milliseconds left until the caller stops waiting u32 (0 = none said)
 * 16 correlation id u64   24 u32: with flag 2 the low bits of the sender's boot
 *    clock, in milliseconds, when it sent; else zero. Between processes of one machine, which share
 *    that clock: the time that a frame waits unread counts too.
 * Length is checked before anything is allocated. */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define FRAME_HEADER_BYTES 28u
#define FRAME_PAYLOAD_MAX_BYTES (512u * 1024u)
#define FRAME_VERSION 1u
#define FRAME_ANSWER 1u
#define FRAME_SENT_AT 2u

struct frame_header {
    uint8_t version, flags;
    uint16_t type;
    uint32_t length;
    uint32_t left_ms;
    uint64_t correlation;
    uint32_t sent_ms; /* with FRAME_SENT_AT */
};

/* Errors refused: frame_magic (*out is zero), frame_version, frame_flags, frame_reserved,
 * frame_too_long (*out holds what was read). */
struct error *frame_parse(const uint8_t header[FRAME_HEADER_BYTES],
                          struct frame_header *out) MUST_CHECK;
void frame_write(const struct frame_header *header, uint8_t out[FRAME_HEADER_BYTES]);

#endif
