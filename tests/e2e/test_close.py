"""The day's close against the processor's own list, on a suite of its own: every difference is
named by kind, and only an exact day is in balance."""

import datetime
import os
import tempfile
from zoneinfo import ZoneInfo

import pytest

from tests.suite.business import new_key, open_business, pay
from tests.suite.frames import Refused
from tests.suite.suite import TERMINAL_ID, Suite, wait_until

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


def test_R7_close_again_gives_the_same_result(shop):
    first = close(shop)
    assert first["balanced"]
    assert close(shop) == first
    assert close(shop, close_batch=True) == first, "nothing is open that could be closed again"


def test_R7_interrupted_close_is_done_by_running_it_again(shop):
    before = close(shop)
    shop.simulator.fault("slow_first_byte", op="search", count=1, seconds=2)
    seen = shop.simulator.stats()["requests"]["search"]
    with shop.operator() as settled:
        settled.send("day_close", {"location": "MIA", "day": today()})
        wait_until(lambda: shop.simulator.stats()["requests"]["search"] > seen,
                   what="the question to the processor")
        shop.restart_daemon("settled")
    shop.simulator.no_faults()
    assert close(shop) == before


def test_R7_a_day_before_the_first_payment_is_closed_too(shop):
    with shop.operator() as settled:
        answer = settled.call("day_close", {"location": "BOG", "day": "2026-01-05"})
    assert answer["balanced"] and answer.get("net_minor", 0) == 0
    with shop.operator() as settled, pytest.raises(Refused) as refused:
        settled.call("day_close", {"location": "BOG", "day": "2099-01-01"})
    assert (refused.value.code, refused.value.field) == ("day_not_begun", "day")


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


def kinds_added(shop, before):
    """The kinds that the close names now and did not name then."""
    now = kinds(close(shop))
    for kind in before:
        now.remove(kind)
    return now


def test_R4_voided_at_the_processors_desk_is_a_difference_of_status(shop):
    before = kinds(close(shop))
    payment = sale(shop, 1310)
    assert kinds_added(shop, before) == []
    shop.simulator.portal(op="void", id=row_of(shop, payment)["id"])
    assert kinds_added(shop, before) == ["STATUS"]
    named = [d for d in close(shop)["differences"] if d["kind"] == "STATUS"][0]
    assert named["payment"] == payment["payment"] and named["sentence"]


def test_R4_charged_twice_at_the_processors_desk_is_a_duplicate(shop):
    before = kinds(close(shop))
    payment = sale(shop, 1320)
    shop.simulator.portal(op="sale", terminal=TERMINAL_ID, amount="13.20",
                          ref=payment["attempt"], last_four="1111")
    assert kinds_added(shop, before) == ["DUPLICATE"]


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


def test_R4_executed_after_midnight_at_the_processor_is_a_difference_of_date(shop):
    """Last in this file: the processor's clock never goes back."""
    before = kinds(close(shop))
    now = datetime.datetime.now(ZoneInfo("America/New_York"))
    midnight = (now + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0)
    shop.simulator.clock(advance_seconds=int((midnight - now).total_seconds()) + 600)
    payment = sale(shop, 1330)
    answer = close(shop)
    assert kinds_added(shop, before) == ["DATE"]
    named = [d for d in answer["differences"] if d["kind"] == "DATE"][0]
    assert named["payment"] == payment["payment"] and not answer["balanced"]
