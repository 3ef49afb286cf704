/* Who may send what to whom, and how a peer is known. */
#include "tests/unit/ipc_parts.h"

#include "ipc/message_table.h"

static const char *const DAEMONS[] = {"terminald", "gatewayd", "vaultd", "settled"};

static void a_pos_reaches_only_terminald(void **state)
{
    (void)state;
    unsigned doors = 0;
    for (unsigned i = 0; i < MESSAGE_TYPE_COUNT; i++) {
        doors += peer_may_send(PEER_POS, MESSAGE_ROWS[i].type, "terminald");
        for (unsigned d = 1; d < 4; d++) {
            assert_false(peer_may_send(PEER_POS, MESSAGE_ROWS[i].type, DAEMONS[d]));
        }
    }
    assert_int_equal(doors, 9);
    assert_true(peer_may_send(PEER_POS, MESSAGE_REFUND, "terminald"));
    assert_true(peer_may_send(PEER_TERMINALD, MESSAGE_REFUND, "gatewayd"));
    assert_false(peer_may_send(PEER_OPERATOR, MESSAGE_REFUND, "gatewayd"));
    assert_false(peer_may_send(PEER_SETTLED, MESSAGE_REFUND, "gatewayd"));
}

static void a_card_is_revealed_to_gatewayd_alone(void **state)
{
    (void)state;
    for (unsigned peer = 1; peer <= PEER_SETTLED; peer <<= 1) {
        assert_int_equal(peer_may_send(peer, MESSAGE_CARD_REVEAL, "vaultd"), peer == PEER_GATEWAYD);
        assert_int_equal(peer_may_send(peer, MESSAGE_SALE, "gatewayd"), peer == PEER_TERMINALD);
    }
}

static void an_answer_is_nobodys_request(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MESSAGE_TYPE_COUNT; i++) {
        for (unsigned d = 0; d < 4 && !MESSAGE_ROWS[i].answer; d++) {
            assert_false(peer_may_send(~0u, MESSAGE_ROWS[i].type, DAEMONS[d]));
        }
    }
    assert_false(peer_may_send(~0u, (enum message_type)999, "terminald"));
    assert_false(peer_may_send(~0u, MESSAGE_PAY, "nobody"));
}

static unsigned peers_of_pair(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    unsigned peers = peers_of_socket(fds[0]);
    close(fds[0]);
    close(fds[1]);
    return peers;
}

static void a_peer_is_known_by_its_user(void **state)
{
    (void)state;
    char text[128];
    snprintf(text, sizeof(text), "gatewayd=%u,settled=%u,pos=*", (unsigned)geteuid(),
             (unsigned)geteuid() + 1);
    everybody_is(text);
    assert_int_equal(peers_of_pair(), PEER_GATEWAYD | PEER_POS);
    everybody_is("");
    assert_int_equal(peers_of_pair(), PEER_NONE);
}

static void settings_that_cannot_be_read_are_refused(void **state)
{
    (void)state;
    static const char *const WRONG[] = {"gatewayd", "gatewayd=",   "clerk=*",
                                        "pos=-1",   "pos= 1",      "pos=4294967295",
                                        "pos=1x",   "pos=1,,pos=", "pos=99999999999999999999"};
    for (unsigned i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        assert_int_equal(setenv("KOMETPAY_PEERS", WRONG[i], 1), 0);
        struct error *e = peers_start();
        assert_true(error_is(e, "setting_invalid"));
        error_free(e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pos_reaches_only_terminald),
        cmocka_unit_test(a_card_is_revealed_to_gatewayd_alone),
        cmocka_unit_test(an_answer_is_nobodys_request),
        cmocka_unit_test(a_peer_is_known_by_its_user),
        cmocka_unit_test(settings_that_cannot_be_read_are_refused),
    };
    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
