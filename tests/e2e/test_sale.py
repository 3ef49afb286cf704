"""Sales as a clerk's program makes them, and what the processor's own ledger says of them."""

import http.client
import json
import ssl
import threading

import pytest

from tests.suite.business import AMEX, MASTERCARD, VISA, card, invoice, new_key, pay
from tests.suite.frames import Refused
from tests.suite.suite import API_KEY, wait_until


def executed(suite, answer):
    """What the processor executed under our reference, voids not counted."""
    return [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]]


def settled_answer(pos, key, location="MIA"):
    """Asks until the outcome is no longer PENDING."""
    def ask():
        answer = pos.call("payment_status", {"key": key, "location": location})
        return answer if answer["outcome"] != "PENDING" else None
    return wait_until(ask, patience=40, what=f"the outcome of {key}")


def test_P1_typed_card_is_approved_and_charged_once(suite, pos):
    answer = pos.call("pay", pay(8000))
    assert answer["outcome"] == "APPROVED"
    assert answer["last_four"] == "1111" and answer["brand"] and answer["authorisation_code"]
    rows = executed(suite, answer)
    assert len(rows) == 1 and rows[0]["last_four"] == "1111"


def test_P1_saved_card_pays_again_by_token(suite, pos):
    first = pos.call("pay", pay(1500, customer="C-1", card=card(MASTERCARD), save=True))
    assert first["outcome"] == "APPROVED" and first["token"].startswith("tok_")
    again = pos.call("pay", pay(1600, customer="C-1", token=first["token"]))
    assert again["outcome"] == "APPROVED" and again["last_four"] == "4444"
    same = pos.call("pay", pay(1700, customer="C-1", card=card(MASTERCARD), save=True))
    assert same["token"] == first["token"], "the same card of a customer has one token"
    with pytest.raises(Refused) as refused:
        pos.call("pay", pay(1800, customer="C-2", token=first["token"]))
    assert refused.value.code == "token_unknown"


def test_declined_card_is_told_in_a_clerks_words(pos):
    answer = pos.call("pay", pay(21))  # the sandbox's amount for 'not sufficient funds'
    assert answer["outcome"] == "DECLINED" and answer["reason"] == "NO_FUNDS"
    assert answer["sentence"]


def test_P5_one_payment_over_several_invoices(suite, pos):
    first, second = invoice(suite, 5000), invoice(suite, 7000)
    answer = pos.call("pay", pay(9000, customer="C-1", invoices=[
        {"invoice": first, "amount_minor": 5000}, {"invoice": second, "amount_minor": 4000}]))
    assert answer["outcome"] == "APPROVED"
    states = dict(suite.sql(
        f"SELECT invoice, open_minor FROM books.invoice WHERE invoice IN ('{first}','{second}')"))
    assert states == {first: "0", second: "3000"}


def test_same_key_same_answer_other_request_conflict(suite, pos):
    request = pay(3300)
    first = pos.call("pay", request)
    again = pos.call("pay", request)
    assert again["outcome"] == "APPROVED" and again["payment"] == first["payment"]
    assert len(executed(suite, first)) == 1
    for change in ({"amount_minor": 3301}, {"card": card(AMEX, cvv="9999")},
                   {"description": "other"}, {"kind": "AUTH"}, {"customer": "C-2"}):
        with pytest.raises(Refused) as refused:
            pos.call("pay", {**request, **change})
        assert refused.value.code == "conflict"


def test_same_key_from_many_at_once_charges_once(suite):
    request = pay(4400)
    answers = []

    def ask():
        with suite.pos() as connection:
            answers.append(connection.call("pay", request))
    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16 and {a["payment"] for a in answers} == {answers[0]["payment"]}
    with suite.pos() as connection:
        final = settled_answer(connection, request["key"])
    assert final["outcome"] == "APPROVED" and len(executed(suite, final)) == 1


@pytest.mark.parametrize("fault", ["answer_lost", "answer_reset", "500_after_charge",
                                   "truncated_json", "html_200", "foreign_answer",
                                   "last_four_differs", "wrong_length", "empty_200"])
def test_unclear_answers_are_settled_by_the_resolver(suite, pos, fault):
    suite.simulator.fault(fault, op="sale", count=1, executed=True)
    request = pay(5100)
    answer = pos.call("pay", request)
    assert answer["outcome"] == "PENDING"
    final = settled_answer(pos, request["key"])
    assert final["outcome"] == "APPROVED"
    assert len(executed(suite, final)) == 1


@pytest.mark.parametrize("fault", ["reset_before", "accept_close", "500_not_executed", "502_html"])
def test_not_executed_is_believed_only_after_the_horizon(suite, pos, fault):
    truth = {} if fault == "accept_close" else {"executed": False}
    op = "any" if fault == "accept_close" else "sale"  # below HTTP there is no operation yet
    suite.simulator.fault(fault, op=op, count=1, **truth)
    request = pay(5200)
    assert pos.call("pay", request)["outcome"] in ("PENDING", "NOT_CHARGED")
    final = settled_answer(pos, request["key"])
    assert final["outcome"] == "NOT_CHARGED"
    assert executed(suite, final) == []


def test_processor_down_is_told_as_not_charged(suite, pos):
    port = suite.simulator.port
    suite.stop_simulator()
    try:
        answer = pos.call("pay", pay(5300))
        assert answer["outcome"] == "NOT_CHARGED" and answer["sentence"]
    finally:
        suite.start_simulator(port)


def test_cancelled_while_unknown_never_becomes_approved(suite, pos):
    suite.simulator.fault("answer_lost", op="sale", count=1)
    request = pay(5400)
    answer = pos.call("pay", request)
    assert answer["outcome"] == "PENDING"
    told = pos.call("cancel", {"key": request["key"], "location": "MIA"})
    assert told["outcome"] in ("CANCEL_ACCEPTED", "APPROVED")
    final = settled_answer(pos, request["key"])
    if told["outcome"] == "CANCEL_ACCEPTED":
        assert final["outcome"] == "NOT_CHARGED"
        sale = executed(suite, answer)[0]
        assert [row["op"] for row in suite.simulator.ledger()
                if row.get("ref_id") == sale["id"]] == ["void"]


def test_killed_gatewayd_loses_nothing(suite, pos):
    suite.simulator.fault("slow_first_byte", op="sale", count=1, seconds=2, executed=True)
    request = pay(5500)
    correlation = pos.send("pay", request)
    wait_until(lambda: suite.sql("SELECT 1 FROM payment.attempt WHERE state='SENDING'"))
    suite.restart_daemon("gatewayd")
    name, answer = pos.receive(correlation)
    assert name == "payment_answer" and answer["outcome"] == "PENDING"
    final = settled_answer(pos, request["key"])
    assert final["outcome"] in ("APPROVED", "NOT_CHARGED")
    assert len(executed(suite, final)) == (1 if final["outcome"] == "APPROVED" else 0)


def test_auth_then_capture(suite, pos):
    authorised = pos.call("pay", pay(6000, kind="AUTH"))
    assert authorised["outcome"] == "APPROVED" and authorised["kind"] == "AUTH"
    captured = pos.call("capture", {"key": new_key(), "location": "MIA",
                                    "payment": authorised["payment"], "amount_minor": 5500})
    assert captured["outcome"] == "APPROVED" and captured["amount_minor"] == 5500
    with pytest.raises(Refused) as refused:
        pos.call("capture", {"key": new_key(), "location": "MIA",
                             "payment": authorised["payment"]})
    assert refused.value.code == "already_captured"


def test_void_reopens_the_invoice(suite, pos):
    number = invoice(suite, 2500)
    sale = pos.call("pay", pay(2500, customer="C-1",
                               invoices=[{"invoice": number, "amount_minor": 2500}]))
    assert sale["outcome"] == "APPROVED"
    voided = pos.call("void", {"key": new_key(), "location": "MIA", "payment": sale["payment"]})
    assert voided["outcome"] == "APPROVED" and voided["kind"] == "VOID"
    assert suite.sql(f"SELECT open_minor FROM books.invoice WHERE invoice='{number}'") == [["2500"]]


def test_P8_full_refund_once(suite, pos):
    sale = pos.call("pay", pay(6600))
    refund = {"key": new_key(), "location": "MIA", "payment": sale["payment"]}
    answer = pos.call("refund", refund)
    assert answer["outcome"] == "APPROVED"
    assert answer["authorisation_code"].startswith("Refund ")
    assert pos.call("refund", refund)["attempt"] == answer["attempt"]
    with pytest.raises(Refused) as refused:
        pos.call("refund", {**refund, "key": new_key()})
    assert refused.value.code == "already_refunded"
    assert "refund has already been issued" in refused.value.sentence
    rows = [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]]
    assert len(rows) == 1


def test_refund_with_lost_answer_is_not_made_twice(suite, pos):
    sale = pos.call("pay", pay(6700))
    suite.simulator.fault("refund_answer_lost", op="refund", count=1)
    refund = {"key": new_key(), "location": "MIA", "payment": sale["payment"]}
    assert pos.call("refund", refund)["outcome"] == "PENDING"
    final = settled_answer(pos, refund["key"])
    assert final["outcome"] == "APPROVED"
    assert len([r for r in suite.simulator.ledger() if r.get("ref") == final["attempt"]]) == 1


def test_an_act_on_another_locations_payment_is_refused(pos):
    sale = pos.call("pay", pay(6800))
    for act in ("refund", "void"):
        with pytest.raises(Refused) as refused:
            pos.call(act, {"key": new_key(), "location": "BOG", "payment": sale["payment"]})
        assert (refused.value.code, refused.value.field) == ("payment_of_other_location",
                                                             "location")


def charge_again(suite, answer, amount):
    """The second charge that must never be: somebody posts the same reference once more."""
    context = ssl.create_default_context(cafile=str(suite.directory / "ca.crt"))
    connection = http.client.HTTPSConnection("127.0.0.1", suite.simulator.port, context=context)
    connection.request("POST", "/rest/v2/transactions/sale", json.dumps({
        "type": "SALE", "amount": amount, "card": VISA, "exp-date": "1230",
        "invoice": answer["attempt"], "order-id": answer["attempt"],
        "software-type": "Other", "software-type-version": "1"}), {
            "api-key": API_KEY, "Content-Type": "application/json",
            "Accept": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()


def test_charged_twice_keeps_the_earliest_and_takes_the_other_back(suite, pos):
    suite.simulator.settings(duplicates_enabled=False)
    try:
        suite.simulator.fault("answer_lost", op="sale", count=1)
        suite.simulator.fault("search_500", op="search", count=0)
        request = pay(6900)
        answer = pos.call("pay", request)
        assert answer["outcome"] == "PENDING"
        charge_again(suite, answer, "69.00")
        suite.simulator.no_faults()
        final = settled_answer(pos, request["key"])
    finally:
        suite.simulator.settings(duplicates_enabled=True)
    assert final["outcome"] == "APPROVED"
    rows = executed(suite, final)
    assert len(rows) == 2
    taken_back = [row["ref_id"] for row in suite.simulator.ledger()
                  if row.get("ref_id") and row["op"] in ("void", "refund")]
    assert rows[1]["id"] in taken_back and rows[0]["id"] not in taken_back
