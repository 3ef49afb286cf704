"""The day's close against the processor's own list, on a suite of its own: every difference is
named by kind, and only an exact day is in balance."""

import datetime
import os
import tempfile
from zoneinfo import ZoneInfo

import pytest

from tests.suite.business import invoice, new_key, open_business, pay
from tests.suite.suite import Suite, wait_until

FAST = 60


@pytest.fixture(scope="module")
def shop():
    with tempfile.TemporaryDirectory(prefix="kometpay-close-") as directory:
        os.chmod(directory, 0o755)
        variant = os.environ.get("VARIANT", "release")
        with Suite(directory, variant, fast=FAST,
                   settings={"KOMETPAY_SEND_TIMEOUT_MS": "4000"}).prepare() as running:
            running.start()
            open_business(running)
            yield running


def today():
    return datetime.datetime.now(ZoneInfo("America/New_York")).date().isoformat()


def close(shop, **more):
    with shop.operator() as settled:
        return settled.call("day_close", {"location": "MIA", "day": today(), **more})


def sale(shop, amount_minor=5000, **more):
    with shop.pos() as pos:
        answer = pos.call("pay", pay(amount_minor, **more))
    assert answer["outcome"] == "APPROVED"
    return answer


def row_of(shop, answer):
    return [r for r in shop.simulator.ledger() if r.get("ref") == answer["attempt"]][0]


def kinds(answer):
    return sorted(d["kind"] for d in answer["differences"])


def test_R4_exact_day_is_in_balance_and_stays_so(shop):
    first = sale(shop, 5000)
    sale(shop, 6000)
    with shop.pos() as pos:
        assert pos.call("pay", pay(21))["outcome"] == "DECLINED"
        assert pos.call("refund", {"key": new_key(), "location": "MIA",
                                   "payment": first["payment"]})["outcome"] == "APPROVED"
        voided = sale(shop, 7000)
        assert pos.call("void", {"key": new_key(), "location": "MIA",
                                 "payment": voided["payment"]})["outcome"] == "APPROVED"
    answer = close(shop, close_batch=True)
    assert answer["balanced"] and answer["differences"] == []
    assert answer["net_minor"] == answer["ours_gross_minor"] - answer["ours_refund_minor"]
    assert answer["ours_gross_minor"] == answer["theirs_gross_minor"]
    again = close(shop)
    assert again == answer | {"batches": again["batches"]}


def test_R4_each_kind_of_difference_is_named(shop):
    hidden, changed = sale(shop, 1100), sale(shop, 1200)
    shop.simulator.hide(row_of(shop, hidden)["id"])
    assert kinds(close(shop)) == ["MISSING_AT_PROCESSOR"]
    shop.simulator.alter(row_of(shop, changed)["id"], "12.01")
    answer = close(shop)
    assert kinds(answer) == ["AMOUNT", "MISSING_AT_PROCESSOR"] and not answer["balanced"]
    by_kind = {d["kind"]: d for d in answer["differences"]}
    assert by_kind["AMOUNT"]["payment"] == changed["payment"]
    assert (by_kind["AMOUNT"]["ours_minor"], by_kind["AMOUNT"]["theirs_minor"]) == (1200, 1201)
    assert by_kind["MISSING_AT_PROCESSOR"]["payment"] == hidden["payment"]
    portal = sale(shop, 1300)
    shop.simulator.portal(op="refund", id=row_of(shop, portal)["id"], amount="3.00")
    answer = close(shop)
    assert kinds(answer) == ["AMOUNT", "MISSING_AT_PROCESSOR", "MISSING_HERE"]
    assert [d["sentence"] for d in answer["differences"] if not d["sentence"]] == []


def test_a_day_with_an_unresolved_payment_is_not_in_balance(shop):
    shop.simulator.fault("answer_lost", op="sale", count=1)
    shop.simulator.fault("search_500", op="search", count=0)
    request = pay(1400)
    with shop.pos() as pos:
        assert pos.call("pay", request)["outcome"] == "PENDING"
        shop.simulator.no_faults()
        shop.simulator.fault("not_found_though_executed", op="search", count=2)
        answer = close(shop)
        assert not answer["balanced"]
        shop.simulator.no_faults()
        wait_until(lambda: pos.call("payment_status", {"key": request["key"], "location": "MIA"})
                   ["outcome"] == "APPROVED", patience=30, what="the outcome")


def test_P3_virtual_terminal_is_to_reconcile_by_hand(shop):
    number = invoice(shop, 900)
    virtual = sale(shop, 800)
    applied = sale(shop, 900, customer="C-1",
                   invoices=[{"invoice": number, "amount_minor": 900}])
    with shop.operator() as settled:
        rows = settled.call("log", {"location": "MIA"})["rows"]
    marks = {row["payment"]: row.get("to_reconcile", False) for row in rows}
    assert marks[virtual["payment"]] and not marks[applied["payment"]]


def test_R1_log_filters(shop):
    number = invoice(shop, 4321)
    answer = sale(shop, 4321, customer="C-1",
                  invoices=[{"invoice": number, "amount_minor": 4321}])
    sale(shop, 4322)
    with shop.operator() as settled:
        for wanted in ({"invoice": number}, {"amount_minor": 4321},
                       {"authorisation_code": answer["authorisation_code"]},
                       {"customer": "C-1", "amount_minor": 4321}):
            rows = settled.call("log", {"location": "MIA", **wanted})["rows"]
            assert [row["payment"] for row in rows] == [answer["payment"]], wanted
        assert settled.call("log", {"location": "BOG"})["rows"] == []
        assert all(row["last_four"] == "1111" for row in
                   settled.call("log", {"last_four": "1111", "limit": 5})["rows"])
        page = settled.call("log", {"location": "MIA", "limit": 2})
        other = settled.call("log", {"location": "MIA", "limit": 2, "after": page["next"]})
    seen = [row["attempt"] for row in page["rows"] + other["rows"]]
    assert len(seen) == len(set(seen)) == 4
