"""A typed card between the keyboard and the processor: how long it is held, and when it is stored."""

import os
import signal

import pytest

from tests.e2e.own_suite import own_suite
from tests.e2e.test_sale import settled_answer
from tests.suite.business import AMEX, DISCOVER, card, invoice, new_key, pay
from tests.suite.frames import Refused
from tests.suite.suite import wait_until


def held_cards(suite):
    """How many typed cards and security codes vaultd holds."""
    with suite.operator("vaultd") as vaultd:
        return int(vaultd.call("daemon_status", {})["sentence"].split()[0])


def nothing_held(suite):
    wait_until(lambda: held_cards(suite) == 0, patience=5, what="forgetting the typed cards")


def stored_cards(suite):
    return int(suite.sql("SELECT count(*) FROM vault.card")[0][0])


def refused_code(pos, request):
    with pytest.raises(Refused) as refused:
        pos.call("pay", request)
    return refused.value.code


def test_a_repeated_pay_leaves_no_card_and_no_code_held(suite, pos):
    nothing_held(suite)
    request = pay(2101)
    first = pos.call("pay", request)
    for _ in range(6):
        assert pos.call("pay", request)["payment"] == first["payment"]
    nothing_held(suite)


def test_a_repeated_pay_by_token_leaves_no_code_held(suite, pos):
    token = pos.call("pay", pay(2102, customer="C-2", card=card(DISCOVER), save=True))["token"]
    request = pay(2103, customer="C-2", token=token, cvv="999")
    first = pos.call("pay", request)
    assert pos.call("pay", request)["payment"] == first["payment"]
    nothing_held(suite)


def test_a_repeated_pay_that_is_pending_leaves_no_card_held(suite, pos):
    suite.simulator.fault("answer_lost", op="sale", count=1)
    request = pay(2104)
    assert pos.call("pay", request)["outcome"] == "PENDING"
    pos.call("pay", request)
    nothing_held(suite)
    assert settled_answer(pos, request["key"])["outcome"] == "APPROVED"


def test_a_sale_that_gatewayd_dies_of_leaves_no_card_held():
    with own_suite() as suite:
        gatewayd = suite.processes["gatewayd"]
        os.kill(gatewayd.pid, signal.SIGSTOP)  # it takes the sale and never comes to the card
        with suite.pos() as pos:
            asked = pos.send("pay", pay(2104))
            wait_until(lambda: held_cards(suite) == 1, what="the card to be held")
            gatewayd.kill()
            assert pos.receive(asked)[1]["outcome"] == "PENDING"
            nothing_held(suite)


def test_a_refused_or_conflicting_pay_leaves_no_card_held(suite, pos):
    request = pay(2105)
    pos.call("pay", request)
    assert refused_code(pos, {**request, "amount_minor": 2106}) == "conflict"
    assert refused_code(pos, pay(2107, location="NOWHERE")) == "location_unknown"
    nothing_held(suite)


def test_a_refused_pay_stores_no_card(suite, pos):
    before = stored_cards(suite)
    paid = invoice(suite, 2200)
    part = [{"invoice": paid, "amount_minor": 2200}]
    pos.call("pay", pay(2200, customer="C-1", invoices=part))
    keep = {"card": card("4242424242424242"), "save": True}
    assert refused_code(pos, pay(2201, location="NOWHERE", customer="C-1", **keep)) == \
        "location_unknown"
    assert refused_code(pos, pay(2200, customer="C-1", invoices=part, **keep)) == "invoice_closed"
    assert refused_code(pos, pay(2202, customer="C-404", **keep)) == "customer_unknown"
    assert refused_code(pos, pay(2203, **keep)) == "customer_missing"
    known = pay(2204)
    pos.call("pay", known)
    assert refused_code(pos, {**known, "customer": "C-1", **keep}) == "conflict"
    assert stored_cards(suite) == before


def test_a_declined_card_is_kept_as_the_clerk_asked(suite, pos):
    before = stored_cards(suite)
    answer = pos.call("pay", pay(21, customer="C-2", card=card(AMEX, cvv="9999"), save=True))
    assert answer["outcome"] == "DECLINED" and answer["token"].startswith("tok_")
    assert stored_cards(suite) == before + 1
    again = pos.call("pay", pay(2300, customer="C-2", token=answer["token"]))
    assert again["outcome"] == "APPROVED" and again["last_four"] == "0005"


def test_the_token_of_a_saved_card_is_told_whenever_it_is_asked_for(suite, pos):
    suite.simulator.fault("answer_lost", op="sale", count=1)
    request = pay(2400, customer="C-1", card=card("4012888888881881"), save=True,
                  key=new_key("save"))
    first = pos.call("pay", request)
    assert first["outcome"] == "PENDING"
    final = settled_answer(pos, request["key"])
    assert final["outcome"] == "APPROVED" and final["token"].startswith("tok_")
    assert pos.call("pay", request)["token"] == final["token"], "the same request, the same answer"
    by_number = pos.call("payment_status", {"payment": final["payment"], "location": "MIA"})
    assert by_number["token"] == final["token"]
    same_card = pos.call("pay", pay(2401, customer="C-1", card=card("4012888888881881"), save=True))
    assert same_card["token"] == final["token"], "one card of one customer has one token"


def test_a_card_that_cannot_be_stored_is_not_charged(suite, pos):
    suite.sql("ALTER TABLE vault.card ADD CONSTRAINT none_today CHECK (last_four <> '1117') NOT VALID")
    try:
        answer = pos.call("pay", pay(2500, customer="C-1", card=card("6011111111111117"), save=True))
    finally:
        suite.sql("ALTER TABLE vault.card DROP CONSTRAINT none_today")
    assert answer["outcome"] == "NOT_CHARGED" and "token" not in answer
    assert [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]] == []
    nothing_held(suite)
