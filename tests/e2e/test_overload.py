"""More than the suite can take, and the same request from many: BUSY before anything is written,
one effect for one key."""

import signal
from collections import Counter

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import new_key, pay
from tests.suite.suite import wait_until

CLERKS = 64
ROUNDS = 30
BUSY_MAX = 6
HOLDS_MAX = 8


@pytest.fixture(scope="module")
def house():
    with own_suite(settings={"KOMETPAY_POS_BUSY_MAX": str(BUSY_MAX),
                             "KOMETPAY_HOLDS_MAX": str(HOLDS_MAX),
                             "KOMETPAY_HOLD_MS": "3000"}) as suite:
        yield suite


def attempts(suite):
    return int(suite.sql("SELECT count(*) FROM payment.attempt")[0][0])


def ask_all(pos, requests):
    """All at once on one connection; (request, name, answer) each."""
    waiting = [(request, pos.send("pay", request)) for request in requests]
    return [(request, *pos.receive(correlation)) for request, correlation in waiting]


def sell_all(pos, requests):
    """Each asked with its key until it is no longer busy."""
    answers = {}

    def rest_sold():
        left = [request for request in requests if request["key"] not in answers]
        for request, name, answer in ask_all(pos, left[:BUSY_MAX]):
            assert name == "payment_answer" or answer["busy"], answer
            if name == "payment_answer":
                answers[request["key"]] = answer
        return len(answers) == len(requests)
    wait_until(rest_sold, patience=30, what="the sale of all")
    return answers


def charged_once_each(suite, answers):
    count = Counter(row["ref"] for row in suite.simulator.ledger())
    return all(answer["outcome"] == "APPROVED" and count[answer["attempt"]] == 1
               for answer in answers.values())


def test_more_requests_than_terminald_takes_are_busy_and_leave_nothing(house):
    house.simulator.fault("slow_first_byte", op="sale", count=BUSY_MAX, seconds=1)
    before = attempts(house)
    requests = [pay(8000) for _ in range(3 * BUSY_MAX)]
    with house.pos() as pos:
        told = ask_all(pos, requests)
        busy = [(request, answer) for request, name, answer in told if name == "error"]
        sold = {request["key"]: answer for request, name, answer in told if name != "error"}
        assert len(sold) == BUSY_MAX and len(busy) == 2 * BUSY_MAX
        assert all(answer["code"] == "busy" and answer["busy"] for _, answer in busy)
        assert attempts(house) == before + BUSY_MAX, "BUSY before anything is written"
        assert charged_once_each(house, sold)
        later = sell_all(pos, [request for request, _ in busy])
        assert charged_once_each(house, later), "the same keys, later, each once"


def test_more_cards_than_vaultd_holds_are_busy_and_leave_nothing():
    """gatewayd stands still, so the cards of the first wait in vaultd; the next is told busy at
    once, and nothing of it stays."""
    with own_suite(settings={"KOMETPAY_HOLDS_MAX": str(HOLDS_MAX),
                             "KOMETPAY_HOLD_MS": "3000"}) as suite:
        gatewayd = suite.processes["gatewayd"].popen
        requests = [pay(8100) for _ in range(HOLDS_MAX + 4)]
        before = attempts(suite)
        with suite.pos() as pos:
            gatewayd.send_signal(signal.SIGSTOP)
            try:
                waiting = [pos.send("pay", request, left_ms=3000) for request in requests]
                told = [pos.receive(correlation) for correlation in waiting]
            finally:
                gatewayd.send_signal(signal.SIGCONT)
            kinds = Counter((name, answer.get("code", answer.get("outcome")))
                            for name, answer in told)
            assert kinds == {("payment_answer", "PENDING"): HOLDS_MAX, ("error", "busy"): 4}
            held = [request["key"] for request, (name, _) in zip(requests, told)
                    if name != "error"]
            answers = sell_all(pos, requests[:HOLDS_MAX])
            assert sorted(answers) == sorted(held) and attempts(suite) == before + HOLDS_MAX
            answers |= sell_all(pos, requests[HOLDS_MAX:])
            assert charged_once_each(suite, answers)


def test_P7_same_key_from_64_clerks_has_one_effect_and_one_answer():
    with own_suite() as suite:
        clerks = [suite.pos() for _ in range(CLERKS)]
        keys = []
        for round_number in range(ROUNDS):
            request = pay(8200 + round_number, key=new_key("same"))
            keys.append(request["key"])
            waiting = [(clerk, clerk.send("pay", request)) for clerk in clerks]
            told = [clerk.receive(correlation) for clerk, correlation in waiting]
            assert {name for name, _ in told} == {"payment_answer"}
            answers = [answer for _, answer in told]
            assert len({answer["attempt"] for answer in answers}) == 1
            # Who asks while it runs hears PENDING at worst, never a second truth.
            assert {answer["outcome"] for answer in answers} <= {"APPROVED", "PENDING"}
            final = clerks[round_number].call("pay", request)
            assert final["outcome"] == "APPROVED" and final["attempt"] == answers[0]["attempt"]
        for clerk in clerks:
            clerk.close()
        assert Counter(Counter(row["ref"] for row in suite.simulator.ledger()).values()) == {
            1: ROUNDS}
        assert suite.sql("SELECT count(*) FROM payment.attempt") == [[str(ROUNDS)]]
