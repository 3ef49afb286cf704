"""Lost answers by the thousand: all settled within seconds of the processor answering again, none
charged twice."""

import time
from collections import Counter

from tests.e2e.own_suite import own_suite
from tests.suite.business import MASTERCARD, card, pay
from tests.suite.suite import wait_until

SALES = 1000
AT_ONCE = 50
PROMISE_S = 10  # from the processor's first answer to the last payment settled

# Amounts by which the processor loses its answer in one way or another.
LOST = {8000: "answer_lost", 8100: "500_after_charge", 8200: "truncated_json",
        8300: "answer_reset"}
NOT_EXECUTED = {8400: "500_not_executed", 8500: "reset_before"}


def lose_answers(simulator, faults):
    for amount, fault in faults.items():
        simulator.fault(fault, op="sale", amount=f"{amount / 100:.2f}", count=0)


def sell(suite, amounts):
    """Sells in sheaves of AT_ONCE on one connection; every POS hears PENDING."""
    told = {}
    with suite.pos() as pos:
        for start in range(0, len(amounts), AT_ONCE):
            requests = [pay(amount, card=card(MASTERCARD))
                        for amount in amounts[start:start + AT_ONCE]]
            waiting = [(request, pos.send("pay", request)) for request in requests]
            for request, correlation in waiting:
                name, answer = pos.receive(correlation)
                assert (name, answer.get("outcome")) == ("payment_answer", "PENDING"), answer
                told[request["key"]] = answer["attempt"]
    assert len(told) == len(amounts)
    return told


def states(suite):
    return {state: int(count) for state, count in
            suite.sql("SELECT state, count(*) FROM payment.attempt GROUP BY state")}


def charges(suite):
    """How often each reference was charged and taken back, by the processor's own ledger."""
    rows = suite.simulator.ledger()
    return (Counter(row["ref"] for row in rows if row["op"] == "sale"),
            [row for row in rows if row["op"] == "void"])


def test_unknown_1000_lost_answers_are_settled_within_10_s():
    """On the real clock (fast=1): the resolver's own schedule, as in production. Look-ups hang for
    as long as the sales take and 20 s more, so most tries are a minute away, and some questions
    hang on for half a minute, when the processor answers again."""
    with own_suite(fast=1, settings={"KOMETPAY_SEND_TIMEOUT_MS": "75000",
                                     "KOMETPAY_LOOKUP_TIMEOUT_MS": "30000"}) as suite:
        assert suite.environment("gatewayd")["KOMETPAY_FAST_TIME"] == "1"
        lose_answers(suite.simulator, LOST)
        suite.simulator.fault("silent", op="search", count=0, seconds=3600)
        told = sell(suite, [sorted(LOST)[n % len(LOST)] for n in range(SALES)])
        down_until = time.monotonic() + 20
        wait_until(lambda: time.monotonic() > down_until, patience=30, period=1)
        assert states(suite) == {"UNKNOWN": SALES}, "nothing can be known yet"

        suite.simulator.no_faults()
        answering_since = time.monotonic()
        wait_until(lambda: states(suite) == {"APPROVED": SALES}, patience=60, period=0.1,
                   what=f"the settling of all {SALES}")
        took = time.monotonic() - answering_since
        print(f"{SALES} settled within {took:.1f} s of the processor answering again")
        sales, voids = charges(suite)
        assert sales == Counter(told.values()) and not voids, "0 doubled, 0 taken back"
        assert took < PROMISE_S, f"the last one was settled after {took:.1f} s"


def test_unknown_executed_or_not_each_gets_its_truth():
    """On the fast clock (60: a minute is a second), for what was not executed is believed only
    after the horizon of ten minutes and a second look."""
    with own_suite() as suite:
        lose_answers(suite.simulator, {**LOST, **NOT_EXECUTED})
        suite.simulator.fault("search_500", op="search", count=0)
        amounts = [*LOST, *NOT_EXECUTED] * 20
        told = sell(suite, amounts)
        assert set(states(suite)) == {"UNKNOWN"}
        suite.simulator.no_faults()
        wait_until(lambda: set(states(suite)) == {"APPROVED", "NOT_CHARGED"}, patience=40,
                   period=0.2, what="the end of all")
        executed = [ref for ref, amount in zip(told.values(), amounts) if amount in LOST]
        sales, voids = charges(suite)
        assert sales == Counter(executed) and not voids
        approved = {row[0] for row in suite.sql(
            "SELECT ref FROM payment.attempt WHERE state = 'APPROVED'")}
        assert approved == set(executed)


def test_unknown_is_settled_soon_after_gatewayd_was_restarted_in_the_outage():
    """On the real clock (fast=1). The new gatewayd doesn't remember who failed, and the next tries
    are far off: here set to an hour, as after a long outage."""
    with own_suite(fast=1) as suite:
        lose_answers(suite.simulator, LOST)
        suite.simulator.fault("search_500", op="search", count=0)
        told = sell(suite, [*LOST] * 10)
        suite.processes["gatewayd"].stop()
        suite.sql("UPDATE payment.attempt SET next_try_at = now() + interval '1 hour', tries = 30")
        suite.start_daemon("gatewayd")
        suite.wait_ready(["gatewayd"])
        suite.simulator.no_faults()
        wait_until(lambda: states(suite) == {"APPROVED": len(told)}, patience=PROMISE_S)
