/* The frame's 28 bytes: what is written is read, and every rule of the header is enforced. */
#include "tests/unit/unit.h"

#include <string.h>

#include "ipc/frame.h"

static void good(uint8_t bytes[FRAME_HEADER_BYTES])
{
    struct frame_header header = {.version = FRAME_VERSION,
                                  .flags = FRAME_ANSWER,
                                  .type = 0x1234,
                                  .length = FRAME_PAYLOAD_MAX_BYTES,
                                  .left_ms = 0x89ABCDEF,
                                  .correlation = UINT64_C(0x0102030405060708)};
    frame_write(&header, bytes);
}

static void refused(uint8_t bytes[FRAME_HEADER_BYTES], const char *code)
{
    struct frame_header header;
    struct error *e = frame_parse(bytes, &header);
    assert_non_null(e);
    assert_string_equal(e->code, code);
    error_free(e);
}

static void bytes_are_as_documented(void **state)
{
    (void)state;
    static const uint8_t EXPECTED[FRAME_HEADER_BYTES] = {
        'K',  'P',  'A',  'Y',  1,    1,    0x12, 0x34, 0x00, 0x08, 0x00, 0x00, 0x89, 0xAB,
        0xCD, 0xEF, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0,    0,    0,    0};
    uint8_t bytes[FRAME_HEADER_BYTES];
    good(bytes);
    assert_memory_equal(bytes, EXPECTED, sizeof(bytes));
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    uint8_t bytes[FRAME_HEADER_BYTES];
    struct frame_header header;
    good(bytes);
    assert_null(frame_parse(bytes, &header));
    assert_int_equal(header.version, FRAME_VERSION);
    assert_int_equal(header.flags, FRAME_ANSWER);
    assert_int_equal(header.type, 0x1234);
    assert_int_equal(header.length, FRAME_PAYLOAD_MAX_BYTES);
    assert_int_equal(header.left_ms, 0x89ABCDEF);
    assert_true(header.correlation == UINT64_C(0x0102030405060708));
}

static void every_magic_byte_counts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t bytes[FRAME_HEADER_BYTES];
        good(bytes);
        bytes[i] ^= 0x20;
        refused(bytes, "frame_magic");
    }
}

static void other_versions_and_flags_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[FRAME_HEADER_BYTES];
    good(bytes);
    bytes[4] = 0;
    refused(bytes, "frame_version");
    bytes[4] = 2;
    refused(bytes, "frame_version");
    for (unsigned bit = 2; bit < 8; bit++) {
        good(bytes);
        bytes[5] = (uint8_t)(1u << bit);
        refused(bytes, "frame_flags");
    }
}

static void reserved_bytes_must_be_zero(void **state)
{
    (void)state;
    for (unsigned i = 24; i < FRAME_HEADER_BYTES; i++) {
        uint8_t bytes[FRAME_HEADER_BYTES];
        good(bytes);
        bytes[i] = 1;
        refused(bytes, "frame_reserved");
        bytes[5] |= FRAME_SENT_AT;
        struct frame_header header;
        assert_null(frame_parse(bytes, &header));
        assert_int_equal(header.sent_ms, 1u << (8 * (FRAME_HEADER_BYTES - 1 - i)));
    }
}

static void a_payload_above_the_limit_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[FRAME_HEADER_BYTES];
    good(bytes);
    bytes[11] = 1; /* one byte more */
    refused(bytes, "frame_too_long");
    memset(bytes + 8, 0xFF, 4);
    refused(bytes, "frame_too_long");
}

static void a_strange_stream_leaves_no_correlation(void **state)
{
    (void)state;
    static const uint8_t HTTP[FRAME_HEADER_BYTES] = "GET / HTTP/1.1\r\nHost: x\r\n";
    struct frame_header header;
    struct error *e = frame_parse(HTTP, &header);
    assert_true(error_is(e, "frame_magic"));
    assert_true(header.correlation == 0);
    error_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_as_documented),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(every_magic_byte_counts),
        cmocka_unit_test(other_versions_and_flags_are_refused),
        cmocka_unit_test(reserved_bytes_must_be_zero),
        cmocka_unit_test(a_payload_above_the_limit_is_refused),
        cmocka_unit_test(a_strange_stream_leaves_no_correlation),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
