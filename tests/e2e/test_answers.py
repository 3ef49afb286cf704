"""What a POS is told must be the same however often and by whatever way it asks, and a key must be
the same key whether or not the location is named with it."""

import pytest

from tests.suite.business import invoice, new_key, pay
from tests.suite.frames import Refused
from tests.suite.suite import wait_until

TOLD_ONCE = {"retry_after_ms"}


def status(pos, key, location="MIA"):
    return pos.call("payment_status", {"key": key, "location": location})


def facts(answer):
    return {name: value for name, value in answer.items() if name not in TOLD_ONCE}


@pytest.mark.parametrize("amount", [8000, 21], ids=["approved", "declined"])
def test_the_first_answer_and_each_repeated_one_are_the_same(suite, pos, amount):
    request = pay(amount, customer="C-1", invoices=[
        {"invoice": invoice(suite, amount), "amount_minor": amount}])
    first = pos.call("pay", request)
    assert facts(pos.call("pay", request)) == facts(first)
    assert facts(status(pos, request["key"])) == facts(first)


def test_answers_of_acts_on_a_payment_stay_the_same_too(pos):
    for name in ("void", "refund"):
        sale = pos.call("pay", pay(3300))
        act = {"key": new_key(), "location": "MIA", "payment": sale["payment"]}
        first = pos.call(name, act)
        assert first["outcome"] == "APPROVED"
        assert facts(pos.call(name, act)) == facts(first)
        assert facts(status(pos, act["key"])) == facts(first)


def test_a_processor_that_cannot_be_reached_is_told_in_a_clerks_words_each_time(suite, pos):
    request = pay(4100)
    suite.simulator.fault("tls_close", count=1)
    first = pos.call("pay", request)
    assert first["outcome"] == "NOT_CHARGED"
    assert "curl" not in first["sentence"] and "SSL" not in first["sentence"]
    assert facts(pos.call("pay", request)) == facts(first)


def test_a_refunds_key_is_the_same_with_and_without_the_location(suite, pos):
    sale = pos.call("pay", pay(5000))
    refund = {"key": new_key(), "payment": sale["payment"], "amount_minor": 500}
    first = pos.call("refund", refund)
    again = pos.call("refund", {**refund, "location": "MIA"})
    assert again["attempt"] == first["attempt"]
    assert status(pos, refund["key"])["refunded_minor"] == 500
    refunds = [row for row in suite.simulator.ledger()
               if row["op"] == "refund" and row["ref"] == first["attempt"]]
    assert len(refunds) == 1


def test_a_key_without_its_location_is_not_answered(pos):
    request = pay(1100)
    pos.call("pay", request)
    with pytest.raises(Refused) as refused:
        pos.call("payment_status", {"key": request["key"]})
    assert (refused.value.code, refused.value.field) == ("location_missing", "location")


def test_an_unknown_key_is_not_told_as_not_charged(pos):
    with pytest.raises(Refused) as refused:
        status(pos, new_key())
    assert refused.value.code == "payment_unknown"
    assert "nothing was charged" not in refused.value.sentence.lower()
    assert "same key" in refused.value.sentence


def test_another_locations_payment_is_not_told(pos):
    sale = pos.call("pay", pay(1200))
    with pytest.raises(Refused) as refused:
        pos.call("payment_status", {"payment": sale["payment"], "location": "BOG"})
    assert refused.value.code == "payment_of_other_location"
    assert pos.call("payment_status", {"payment": sale["payment"]})["amount_minor"] == 1200


def test_a_cancellation_that_overtakes_its_sale_stands(suite, pos):
    request = pay(6100)
    told = pos.call("cancel", {"key": request["key"], "location": "MIA"})
    assert told["outcome"] == "CANCEL_ACCEPTED"
    with pytest.raises(Refused) as refused:
        pos.call("pay", request)
    assert refused.value.code == "cancelled"
    assert status(pos, request["key"])["outcome"] == "NOT_CHARGED"
    assert suite.sql(f"SELECT count(*) FROM payment.attempt WHERE key = '{request['key']}'") == [["0"]]


def test_cancelling_what_is_approved_tells_the_approval(pos):
    request = pay(6200)
    pos.call("pay", request)
    told = pos.call("cancel", {"key": request["key"], "location": "MIA"})
    assert (told["outcome"], told["amount_minor"], told["kind"]) == ("APPROVED", 6200, "SALE")


def test_a_clerk_who_waits_a_moment_only_never_breaks_a_payment(suite, pos):
    """The time left may end anywhere on the way; whatever is told, the payment ends once."""
    requests = [(pay(700 + left), left) for left in (40, 80, 150, 250, 350, 450, 600, 900)]
    pid = suite.processes["gatewayd"].pid
    for request, left in requests:
        try:
            pos.call("pay", request, left)
        except Refused as refused:
            assert refused.code in ("deadline_passed", "busy")
    for request, _ in requests:
        # The same key again, now with time: one charge, whatever became of the first try.
        def final(request=request):
            answer = pos.call("pay", request)
            return answer if answer["outcome"] in ("APPROVED", "NOT_CHARGED") else None
        answer = wait_until(final, what="an answer")
        charged = [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]]
        assert len(charged) == (1 if answer["outcome"] == "APPROVED" else 0)
    assert suite.processes["gatewayd"].pid == pid and suite.processes["gatewayd"].alive()
