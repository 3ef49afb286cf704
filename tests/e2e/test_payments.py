"""Payments and refunds by the number of their requirement: what the POS is told, what the books say,
and what the processor's own ledger shows."""

import threading

import pytest

from tests.suite.business import (AMEX, MASTERCARD, act, card, customer, executed, invoice, location,
                                  log, new_key, open_minor, part, pay, written)
from tests.suite.frames import Refused


def approved(pos, body):
    answer = pos.call("pay", body)
    assert answer["outcome"] == "APPROVED", answer
    return answer


def refusal(pos, name, body):
    with pytest.raises(Refused) as refused:
        pos.call(name, body)
    assert refused.value.sentence
    return refused.value.code, refused.value.field


# -- P1: a typed card

def test_P1_typed_card_with_billing_name_and_address(pos, suite):
    answer = approved(pos, pay(8100, card=card(holder="Rosa Diaz", street="12 Palm Ave",
                                               postal_code="33101"), description="walk-in"))
    row = executed(suite, answer)[0]
    assert (row["op"], row["amount"], row["last_four"]) == ("sale", "81.00", "1111")
    assert answer["brand"] == "VISA" and answer["authorisation_code"]
    assert (answer["amount_minor"], answer["currency"]) == (8100, "USD")


def test_P1_card_saved_on_the_same_screen_pays_later_without_its_number(pos, suite):
    number = customer(suite)
    first = approved(pos, pay(2000, customer=number, card=card(AMEX, cvv="1234"), save=True))
    later = approved(pos, pay(2100, customer=number, token=first["token"], cvv="1234"))
    assert (later["brand"], later["last_four"]) == ("AMEX", "0005")
    assert suite.sql(f"SELECT count(*) FROM vault.card WHERE customer = '{number}'") == [["1"]]


def test_P1_card_that_is_not_saved_is_not_in_the_vault(pos, suite):
    number = customer(suite)
    answer = approved(pos, pay(2200, customer=number, card=card(MASTERCARD)))
    assert answer.get("token", "") == ""
    assert suite.sql(f"SELECT count(*) FROM vault.card WHERE customer = '{number}'") == [["0"]]


# -- P3: the virtual terminal

def test_P3_payment_without_invoice_never_passes_to_accounting(pos, suite):
    answer = approved(pos, pay(3100))
    assert suite.sql("SELECT debit, credit, amount_minor FROM books.journal"
                     f" WHERE payment = '{answer['payment']}'") == [
                         ["card_clearing", "suspense", "3100"]]
    assert suite.sql("SELECT count(*) FROM books.application"
                     f" WHERE payment = '{answer['payment']}'") == [["0"]]


def test_P3_payment_without_invoice_is_listed_to_reconcile_by_hand(pos, suite):
    number = customer(suite)
    virtual = approved(pos, pay(3200, customer=number))
    of_invoice = approved(pos, pay(3300, customer=number,
                                   invoices=[part(invoice(suite, 3300, number), 3300)]))
    marks = {row["payment"]: row.get("to_reconcile", False) for row in log(suite, customer=number)}
    assert marks == {virtual["payment"]: True, of_invoice["payment"]: False}


# -- P5: invoices

def test_P5_whole_invoice(pos, suite):
    number = invoice(suite, 4000)
    answer = approved(pos, pay(4000, customer="C-1", invoices=[part(number, 4000)]))
    assert open_minor(suite, number) == [0]
    assert suite.sql("SELECT debit, credit, amount_minor FROM books.journal"
                     f" WHERE payment = '{answer['payment']}'") == [
                         ["card_clearing", "accounts_receivable", "4000"]]


def test_P5_part_of_an_invoice_then_the_rest(pos, suite):
    number = invoice(suite, 4000)
    approved(pos, pay(1500, invoices=[part(number, 1500)]))
    assert open_minor(suite, number) == [2500]
    assert refusal(pos, "pay", pay(2501, invoices=[part(number, 2501)])) == (
        "amount_above_open", "invoices[0].amount_minor")
    approved(pos, pay(2500, invoices=[part(number, 2500)]))
    assert open_minor(suite, number) == [0]


def test_P5_given_split_over_invoices(pos, suite):
    numbers = [invoice(suite, amount) for amount in (5000, 7000, 100)]
    approved(pos, pay(7600, customer="C-1", invoices=[
        part(numbers[1], 6500), part(numbers[0], 1000), part(numbers[2], 100)]))
    assert open_minor(suite, *numbers) == [4000, 500, 0]


def test_P5_oldest_first_over_the_customers_open_invoices(pos, suite):
    number = customer(suite)
    newest = invoice(suite, 3000, number, day="2026-11-03")
    oldest = invoice(suite, 1000, number, day="2026-11-01")
    between = invoice(suite, 2000, number, location="BOG", day="2026-11-02")
    approved(pos, pay(1200, customer=number, oldest_first=True))
    assert open_minor(suite, oldest, between, newest) == [0, 1800, 3000]
    approved(pos, pay(4800, customer=number, oldest_first=True))
    assert open_minor(suite, oldest, between, newest) == [0, 0, 0]
    paid = [row["invoices"].split() for row in log(suite, customer=number)]
    assert paid == [[between, newest], [oldest, between]]


def test_P5_oldest_first_is_refused_above_what_is_open(pos, suite):
    number = customer(suite)
    invoice(suite, 1000, number)
    before = written(suite)
    assert refusal(pos, "pay", pay(1001, customer=number, oldest_first=True)) == (
        "amount_above_open", "amount_minor")
    assert refusal(pos, "pay", pay(1000, oldest_first=True)) == ("customer_missing", "customer")
    assert written(suite) == before


def test_P5_oldest_first_is_another_request_than_without(pos, suite):
    number = customer(suite)
    invoice(suite, 1000, number)
    request = pay(600, customer=number, oldest_first=True)
    first = approved(pos, request)
    assert pos.call("pay", request)["payment"] == first["payment"]
    assert refusal(pos, "pay", {**request, "oldest_first": False}) == ("conflict", "key")


def test_P5_oldest_first_from_many_tills_at_once_never_pays_too_much(suite):
    suite.simulator.no_faults()
    number = customer(suite)
    bills = [invoice(suite, 1000, number) for _ in range(3)]
    told = []

    def till(amount):
        with suite.pos() as pos:
            try:
                told.append((pos.call("pay", pay(amount, customer=number, oldest_first=True))
                             ["outcome"], amount))
            except Refused as refused:
                told.append((refused.code, amount))
    tills = [threading.Thread(target=till, args=(700 + n,)) for n in range(8)]
    for thread in tills:
        thread.start()
    for thread in tills:
        thread.join()
    assert {outcome for outcome, _ in told} <= {
        "APPROVED", "invoice_payment_in_progress", "amount_above_open"}
    paid = sum(amount for outcome, amount in told if outcome == "APPROVED")
    assert 0 < paid == 3000 - sum(open_minor(suite, *bills))


def test_P5_declined_payment_leaves_the_invoice_open(pos, suite):
    number = invoice(suite, 21)  # the sandbox's amount for 'not sufficient funds'
    answer = pos.call("pay", pay(21, invoices=[part(number, 21)]))
    assert answer["outcome"] == "DECLINED" and open_minor(suite, number) == [21]


# -- P6: received for a customer

def test_P6_payment_received_for_a_customer_typed_or_stored(pos, suite):
    number = customer(suite)
    bills = [invoice(suite, 900, number), invoice(suite, 800, number)]
    typed = approved(pos, pay(900, customer=number, card=card(MASTERCARD), save=True,
                              invoices=[part(bills[0], 900)]))
    stored = approved(pos, pay(800, customer=number, token=typed["token"], oldest_first=True))
    assert open_minor(suite, *bills) == [0, 0]
    rows = log(suite, customer=number)
    assert [(row["payment"], row["method"], row["last_four"]) for row in rows] == [
        (stored["payment"], "STORED", "4444"), (typed["payment"], "KEYED", "4444")]


# -- P8: the full refund

def test_P8_refund_carries_the_word_and_is_to_reconcile_by_hand(pos, suite):
    number = customer(suite)
    bill = invoice(suite, 6100, number)
    sale = approved(pos, pay(6100, customer=number, invoices=[part(bill, 6100)]))
    refund = pos.call("refund", act(sale))
    assert refund["outcome"] == "APPROVED" and refund["amount_minor"] == 6100
    assert refund["authorisation_code"].startswith("Refund ")
    row = log(suite, customer=number, kind="REFUND")[0]
    assert row["authorisation_code"] == refund["authorisation_code"] and row["to_reconcile"]
    assert log(suite, customer=number, kind="SALE")[0].get("to_reconcile", False) is False


def test_P8_second_refund_moves_no_money(pos, suite):
    sale = approved(pos, pay(6200))
    refund = pos.call("refund", act(sale))
    assert refund["outcome"] == "APPROVED"
    before = written(suite)
    assert refusal(pos, "refund", act(sale)) == ("already_refunded", "payment")
    assert written(suite) == before
    assert [row["amount"] for row in executed(suite, refund)] == ["62.00"]


@pytest.mark.parametrize("name", ["authorisation", "capture"])
def test_P1_asked_again_the_answer_is_the_same(pos, name):
    message, body = "pay", pay(6302, kind="AUTH")
    first = approved(pos, body)
    if name == "capture":
        message, body = "capture", act(first)
        first = pos.call(message, body)
    assert pos.call(message, body) == first
    assert pos.call("payment_status", {"key": body["key"], "location": "MIA"}) == first


# -- S1: where payments can be taken

def test_S1_disabled_location_takes_no_payment_until_it_is_enabled(pos, suite):
    location(suite, "OFF", enabled=False)
    before = written(suite)
    assert refusal(pos, "pay", pay(7100, location="OFF")) == ("location_disabled", "location")
    assert written(suite) == before
    location(suite, "OFF", enabled=True)
    approved(pos, pay(7100, location="OFF"))


def test_S1_location_whose_account_has_no_key_is_told_so(pos, suite):
    location(suite, "NEW", account="applied-for")
    before = written(suite)
    assert refusal(pos, "pay", pay(7200, location="NEW")) == ("credential_missing", "location")
    assert written(suite) == before


def test_S1_payment_is_taken_with_the_account_of_its_location(pos, suite):
    answer = approved(pos, pay(7300, location="BOG", key=new_key()))
    assert log(suite, location="BOG", amount_minor=7300)[0]["payment"] == answer["payment"]
