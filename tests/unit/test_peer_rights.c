/* Who may send what: the timer's user closes days and nothing else. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "ipc/message_table.h"
#include "ipc/peer.h"

#define MESSAGE_NUMBER_MAX 300

static bool may(unsigned peers, unsigned type)
{
    static const char *const DAEMONS[] = {"terminald", "gatewayd", "vaultd", "settled"};
    bool may_send = false;
    for (size_t i = 0; i < sizeof DAEMONS / sizeof *DAEMONS; i++) {
        may_send = may_send || peer_may_send(peers, (enum message_type)type, DAEMONS[i]);
    }
    return may_send;
}

static void test_the_night_only_closes(void **state)
{
    (void)state;
    unsigned allowed = 0;
    for (unsigned type = 1; type < MESSAGE_NUMBER_MAX; type++) {
        if (message_row((enum message_type)type) != NULL && may(PEER_NIGHT, type)) {
            assert_true(type == MESSAGE_DAY_CLOSE || type == MESSAGE_CLOSE_DAYS ||
                        type == MESSAGE_LOCATION_LIST);
            allowed++;
        }
    }
    assert_int_equal(allowed, 3);
    assert_true(peer_may_send(PEER_NIGHT, MESSAGE_DAY_CLOSE, "settled"));
    assert_false(may(PEER_NIGHT, MESSAGE_REFUND));
    assert_false(may(PEER_NIGHT, MESSAGE_PAY));
}

static void test_the_night_is_a_peer_by_name(void **state)
{
    (void)state;
    setenv("KOMETPAY_PEERS", "night=64005,operator=0", 1);
    assert_null(peers_start());
    setenv("KOMETPAY_PEERS", "day=64005", 1);
    struct error *e = peers_start();
    assert_true(error_is(e, "setting_invalid"));
    error_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_night_only_closes),
        cmocka_unit_test(test_the_night_is_a_peer_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
