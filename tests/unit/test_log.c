/* The journal's line: one write, fields that can be told apart, no card number. stderr is a
 * datagram socket here, so that what was written together arrives together. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"

static int ends[2];
static int real_stderr;
static char line[65536];

static int64_t wall_of_test(void)
{
    return 1795489200123456; /* 2026-11-24T03:00:00.123456Z */
}

static int capture(void **state)
{
    (void)state;
    real_stderr = dup(STDERR_FILENO);
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) {
        return -1;
    }
    clock_set_source(NULL, wall_of_test);
    log_start("testd");
    return 0;
}

static int release(void **state)
{
    (void)state;
    clock_set_source(NULL, NULL);
    return dup2(real_stderr, STDERR_FILENO) < 0 ||
           close(real_stderr) + close(ends[0]) + close(ends[1]) != 0;
}

/* The next write to stderr; "" if there was none. */
static const char *written(void)
{
    ssize_t n = recv(ends[0], line, sizeof line - 1, MSG_DONTWAIT);
    line[n > 0 ? n : 0] = '\0';
    return line;
}

static void one_line_with_time_program_sentence_fields_and_id(void **state)
{
    (void)state;
    log_event(LOG_PAYMENT_SENT, {"KOMETPAY_PAYMENT", "pay_1"}, {"KOMETPAY_NOTHING", NULL},
              {"KOMETPAY_AMOUNT", "80.00"});
    assert_string_equal(written(), "2026-11-24T03:00:00.123Z testd: sent to the processor "
                                   "KOMETPAY_PAYMENT=pay_1 KOMETPAY_AMOUNT=80.00 "
                                   "MESSAGE_ID=5f7c0a5d0e8b4c0c8a3f2a0d6c1e4b0f\n");
    assert_string_equal(written(), "");
    log_event(LOG_DAEMON_STARTED);
    assert_string_equal(written(), "2026-11-24T03:00:00.123Z testd: started "
                                   "MESSAGE_ID=5f7c0a5d0e8b4c0c8a3f2a0d6c1e4b01\n");
}

static void debug_lines_only_when_wanted(void **state)
{
    (void)state;
    log_event(LOG_PEER_CONNECTED, {"KOMETPAY_PEER", "uid:1000"});
    assert_string_equal(written(), "");
    log_debug(true);
    log_event(LOG_PEER_CONNECTED, {"KOMETPAY_PEER", "uid:1000"});
    assert_non_null(strstr(written(), "testd: peer connected KOMETPAY_PEER=uid:1000 "));
    log_debug(false);
}

static void values_are_quoted_so_that_nothing_can_be_forged(void **state)
{
    (void)state;
    log_event(LOG_DAEMON_STARTED, {"KOMETPAY_A", "two words"}, {"KOMETPAY_B", ""},
              {"KOMETPAY_C", "\"\\\n\x1b\xc3\xa9="});
    const char *text = written();
    assert_non_null(strstr(text, " KOMETPAY_A=\"two words\" KOMETPAY_B=\"\" "
                                 "KOMETPAY_C=\"\\\"\\\\\\n\\x1b\\xc3\\xa9=\" MESSAGE_ID="));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void an_endless_value_is_cut(void **state)
{
    (void)state;
    static char value[100000];
    memset(value, '\n', sizeof value - 1);
    errno = EPERM;
    log_event(LOG_DAEMON_STARTED, {"KOMETPAY_A", value}, {"KOMETPAY_B", value},
              {"KOMETPAY_C", value}, {"KOMETPAY_D", value}, {"KOMETPAY_E", value});
    assert_int_equal(errno, EPERM);
    const char *text = written();
    assert_in_range(strlen(text), 1000, 8192);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_string_equal(written(), "");
}

static void card_numbers_are_masked_in_any_field(void **state)
{
    (void)state;
    log_event(LOG_REQUEST_FAILED, {"KOMETPAY_A", "card 4111 1111 1111 1111 refused"},
              {"KOMETPAY_B", "5555555555554444"});
    const char *text = written();
    assert_null(strstr(text, "4111"));
    assert_null(strstr(text, "55555555"));
    assert_non_null(strstr(text, "card **** **** **** 1111 refused"));
    assert_non_null(strstr(text, "KOMETPAY_B=************4444"));
}

static void masks(const char *before, const char *after)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s", before);
    log_mask(text);
    assert_string_equal(text, after);
}

static void mask_knows_card_numbers_from_others(void **state)
{
    (void)state;
    masks("4111111111111111", "************1111");
    masks("378282246310005", "***********0005");
    masks("4222222222222", "*********2222");
    masks("6304000000000000000", "***************0000");
    masks("6304000000000000001", "6304000000000000001"); /* Luhn false */
    masks("4111-1111-1111-1111", "****-****-****-1111");
    masks("3782 822463 10005", "**** ****** *0005");
    masks(";4111111111111111=2712", ";************1111=2712");
    masks("x4111111111111111y", "x************1111y");
    masks("12 4111111111111111", "12 ************1111"); /* another number before it */
    masks("4111111111111111 12 34", "************1111 12 34");
    masks("4111111111111111 4242424242424242", "************1111 ************4242");
    /* The first sixteen digits pass too: the number that starts inside them is seen all the same.
     */
    masks("1004 4111 1111 1111 1111", "**** **** **** **** 1111");
    masks("4111111111111112", "4111111111111112"); /* Luhn false */
    masks("424242424242", "424242424242");         /* twelve */
    masks("4111  1111 1111 1111", "4111  1111 1111 1111");
    masks("", "");
    masks("pay_7ZZZ 80.00 2026-11-24", "pay_7ZZZ 80.00 2026-11-24");
}

static void an_error_is_logged_with_its_context(void **state)
{
    (void)state;
    struct error *e = error_wrap(error_refused("a_code", "a_field", "A sentence."), "on the way");
    log_error(LOG_REQUEST_FAILED, e, "pay_1");
    const char *text = written();
    assert_non_null(strstr(text, " KOMETPAY_PAYMENT=pay_1 KOMETPAY_CODE=a_code "
                                 "KOMETPAY_FIELD=a_field KOMETPAY_SENTENCE=\"A sentence.\" "
                                 "KOMETPAY_CONTEXT=\"on the way\" "));
    error_free(e);
    e = error_failed("b_code", "B.");
    log_error(LOG_REQUEST_FAILED, e, NULL);
    text = written();
    assert_non_null(strstr(text, ": a request failed KOMETPAY_CODE=b_code KOMETPAY_SENTENCE=B. M"));
    error_free(e);
}

static void another_file_than_journalds_gets_lines(void **state)
{
    (void)state;
    assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    log_start("testd");
    log_event(LOG_DAEMON_STARTED);
    assert_non_null(strstr(written(), "testd: started"));
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

static void message_ids_are_unique(void **state)
{
    (void)state;
    static const char *const ids[] = {
#define JOURNAL_KIND(name, message_id, priority, sentence) message_id,
#include "lib/journal_kinds.def"
#undef JOURNAL_KIND
    };
    for (size_t i = 0; i < LOG_KIND_COUNT; i++) {
        assert_int_equal(strlen(ids[i]), 32);
        assert_int_equal(strspn(ids[i], "0123456789abcdef"), 32);
        for (size_t other = i + 1; other < LOG_KIND_COUNT; other++) {
            assert_string_not_equal(ids[i], ids[other]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_with_time_program_sentence_fields_and_id),
        cmocka_unit_test(debug_lines_only_when_wanted),
        cmocka_unit_test(values_are_quoted_so_that_nothing_can_be_forged),
        cmocka_unit_test(an_endless_value_is_cut),
        cmocka_unit_test(card_numbers_are_masked_in_any_field),
        cmocka_unit_test(mask_knows_card_numbers_from_others),
        cmocka_unit_test(an_error_is_logged_with_its_context),
        cmocka_unit_test(another_file_than_journalds_gets_lines),
        cmocka_unit_test(message_ids_are_unique),
    };
    return cmocka_run_group_tests(tests, capture, release);
}
