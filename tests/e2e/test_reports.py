"""The transaction log and the payment history: every filter of R1 in every format, and the story of
one customer and one invoice."""

import csv
import datetime
import io
import json
from zoneinfo import ZoneInfo

import pytest

from tests.suite.business import (AMEX, act, card, customer, invoice, location, log, part, pay)
from tests.suite.frames import Refused

FLORIDA = ZoneInfo("America/New_York")


def day(offset=0):
    return (datetime.datetime.now(FLORIDA) + datetime.timedelta(days=offset)).date().isoformat()


@pytest.fixture(scope="module")
def diary(suite):
    """A customer's day: a sale for an invoice, one by stored card refunded, one declined."""
    number = customer(suite)
    location(suite, "LOG")
    bill = invoice(suite, 4321, number, location="LOG")
    with suite.pos() as pos:
        sale = pos.call("pay", pay(4321, "LOG", customer=number, save=True,
                                   card=card(AMEX, cvv="1234"), invoices=[part(bill, 4321)]))
        stored = pos.call("pay", pay(4322, "LOG", customer=number, token=sale["token"]))
        refund = pos.call("refund", act(stored, "LOG"))
        declined = pos.call("pay", pay(21, "LOG", customer=number))
    assert [a["outcome"] for a in (sale, stored, refund, declined)] == [
        "APPROVED", "APPROVED", "APPROVED", "DECLINED"]
    return {"customer": number, "invoice": bill, "sale": sale, "stored": stored,
            "refund": refund, "declined": declined}


FILTERS = {
    "date": (lambda d: {"from": day(), "to": day()}, ["declined", "refund", "stored", "sale"]),
    "date before": (lambda d: {"to": day(-1)}, []),
    "date after": (lambda d: {"from": day(1)}, []),
    "location": (lambda d: {"location": "LOG"}, ["declined", "refund", "stored", "sale"]),
    "other location": (lambda d: {"location": "BOG"}, []),
    "customer": (lambda d: {"customer": d["customer"]}, ["declined", "refund", "stored", "sale"]),
    "invoice": (lambda d: {"invoice": d["invoice"]}, ["sale"]),
    "state": (lambda d: {"state": "DECLINED"}, ["declined"]),
    "kind": (lambda d: {"kind": "REFUND"}, ["refund"]),
    "method": (lambda d: {"method": "STORED"}, ["refund", "stored"]),
    "amount": (lambda d: {"amount_minor": 4322}, ["refund", "stored"]),
    "last four": (lambda d: {"last_four": "1111"}, ["declined"]),
    "authorisation code": (lambda d: {"authorisation_code": d["sale"]["authorisation_code"]},
                           ["sale"]),
    "refund's code": (lambda d: {"authorisation_code": d["refund"]["authorisation_code"],
                                 "kind": "REFUND"}, ["refund"]),
    "two at once": (lambda d: {"last_four": "0005", "kind": "SALE"}, ["stored", "sale"]),
}


def as_options(filters):
    """The same filters for `kometpay log`."""
    options = []
    for name, value in filters.items():
        if name == "amount_minor":
            name, value = "amount", f"{value // 100}.{value % 100:02d}"
        options += [f"--{name.replace('_', '-')}", str(value)]
    return options


@pytest.mark.parametrize("name", FILTERS)
def test_R1_log_filter(suite, diary, name):
    filters, wanted = FILTERS[name][0](diary), FILTERS[name][1]
    filters = {"customer": diary["customer"], **filters}
    attempts = [diary[which]["attempt"] for which in wanted]
    assert [row["attempt"] for row in log(suite, **filters)] == attempts
    options = as_options(filters)
    printed = json.loads(suite.kometpay("log", "--json", *options, check=0).stdout)["rows"]
    assert [row["attempt"] for row in printed] == attempts
    rows = csv.DictReader(io.StringIO(suite.kometpay("log", "--csv", *options, check=0).stdout))
    assert [row["payment"] for row in rows] == [diary[which]["payment"] for which in wanted]
    text = suite.kometpay("log", *options, check=0).stdout
    if wanted:
        assert len(text.splitlines()) == 1 + len(wanted)
        assert all(diary[which]["payment"] in text for which in wanted)
    else:
        assert text == "No payments match.\n"


def test_R1_row_tells_all_of_a_payment_but_the_card(suite, diary):
    row = log(suite, invoice=diary["invoice"])[0]
    sale = diary["sale"]
    assert {key: row[key] for key in (
        "payment", "attempt", "kind", "state", "location", "customer", "invoices", "amount_minor",
        "currency", "method", "brand", "last_four", "authorisation_code")} == {
            "payment": sale["payment"], "attempt": sale["attempt"], "kind": "SALE",
            "state": "APPROVED", "location": "LOG", "customer": diary["customer"],
            "invoices": diary["invoice"], "amount_minor": 4321, "currency": "USD",
            "method": "KEYED", "brand": "AMEX", "last_four": "0005",
            "authorisation_code": sale["authorisation_code"]}
    assert row["at"].endswith("Z") and row["batch"]
    assert AMEX not in json.dumps(row)


@pytest.mark.parametrize("filters, code, field", [
    ({"state": "APROVED"}, "state_unknown", "state"),
    ({"kind": "SALES"}, "kind_unknown", "kind"),
    ({"method": "CASH"}, "method_unknown", "method"),
    ({"from": "2026-02-30"}, "date_invalid", "from"),
    ({"to": "yesterday!"}, "date_invalid", "to"),
    ({"after": "nonsense"}, "cursor_invalid", "after"),
    ({"limit": 201}, "field_bounds", "limit"),
])
def test_R1_mistyped_filter_is_refused_by_name(suite, filters, code, field):
    with pytest.raises(Refused) as refused:
        log(suite, **filters)
    assert (refused.value.code, refused.value.field) == (code, field) and refused.value.sentence


def test_R1_pages_neither_repeat_nor_lose_a_row(suite, diary):
    whole = [row["attempt"] for row in log(suite, customer=diary["customer"])]
    seen, after = [], ""
    with suite.operator() as settled:
        while len(seen) <= len(whole):
            page = settled.call("log", {"customer": diary["customer"], "limit": 1, "after": after})
            seen += [row["attempt"] for row in page["rows"]]
            after = page.get("next", "")
            if not after:
                break
    assert seen == whole


def test_R1_log_is_asked_through_the_pos_socket_too(suite, pos, diary):
    rows = pos.call("log", {"customer": diary["customer"]})["rows"]
    assert [row["attempt"] for row in rows] == [
        diary[which]["attempt"] for which in ("declined", "refund", "stored", "sale")]


def test_R2_history_of_a_customer_and_of_an_invoice(suite, diary):
    kinds = [(row["kind"], row["state"]) for row in log(suite, customer=diary["customer"])]
    assert kinds == [("SALE", "DECLINED"), ("REFUND", "APPROVED"), ("SALE", "APPROVED"),
                     ("SALE", "APPROVED")]
    assert [row["payment"] for row in log(suite, invoice=diary["invoice"])] == [
        diary["sale"]["payment"]]


def test_R2_story_of_a_payment_has_every_step_with_who_did_it(suite, diary):
    with suite.operator() as settled:
        steps = settled.call("payment_story", {"payment": diary["stored"]["payment"]})["rows"]
    assert [(s["kind"], s.get("from_state", ""), s["to_state"]) for s in steps] == [
        ("SALE", "", "SENDING"), ("SALE", "SENDING", "APPROVED"),
        ("REFUND", "", "SENDING"), ("REFUND", "SENDING", "APPROVED")]
    assert all(step["actor"] and step["at"] for step in steps)
    text = suite.kometpay("story", diary["stored"]["payment"], check=0).stdout
    assert f"journalctl KOMETPAY_PAYMENT={diary['stored']['payment']}" in text
