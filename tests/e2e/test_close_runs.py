"""Runs of the day's close: one at a time, over every account and batch, and nothing called in
balance that isn't. Each test leaves the day as the next one may need it: differences only grow."""

import concurrent.futures

import pytest

from tests.e2e.own_suite import own_suite
from tests.e2e.test_close import kinds, row_of, sale, today
from tests.suite.business import open_business
from tests.suite.frames import Refused


@pytest.fixture(scope="module")
def shop():
    """Its merchant has the same terminal under a second account's name too."""
    with own_suite(start=False) as suite:
        suite._credential("gatewayd", "clearent-west",
                          (suite.credentials / "gatewayd" / "clearent-main").read_text())
        suite.start()
        open_business(suite)
        yield suite


def close(shop, **more):
    with shop.operator() as settled:
        return settled.call("day_close", {"location": "MIA", "day": today(), **more})


def put_location(shop, account):
    shop.kometpay("location", "add", "MIA", "--name", "Miami", "--time-zone", "America/New_York",
                  "--processor", "clearent", "--account", account, "--currency", "USD", check=0)


def test_a_lost_answer_of_the_batch_close_is_looked_up(shop):
    sale(shop, 5000)
    shop.simulator.fault("batch_close_answer_lost", op="batch_close", count=1)
    answer = close(shop, close_batch=True)
    assert answer["balanced"] and answer["batches"] != ""
    assert [r["op"] for r in shop.simulator.ledger() if r["op"] == "batch_close"] == ["batch_close"]


def test_a_failed_batch_is_not_in_balance(shop):
    sale(shop, 5100)
    shop.simulator.fault("batch_failed", op="batch_close", count=1)
    answer = close(shop, close_batch=True)
    assert kinds(answer) == ["BATCH"] and not answer["balanced"]
    assert "failed" in answer["differences"][0]["sentence"]
    again = close(shop)
    assert kinds(again) == ["BATCH"] and not again["balanced"]
    sale(shop, 5150)  # the processor submits it again with the next one
    assert close(shop, close_batch=True)["balanced"]


def test_a_batch_in_process_is_not_in_balance_yet(shop):
    sale(shop, 5200)
    shop.simulator.fault("batch_pending", op="batch_close", count=1, seconds=3600)
    assert kinds(close(shop, close_batch=True)) == ["BATCH"]
    assert kinds(close(shop)) == ["BATCH"]
    shop.simulator.clock(advance_seconds=3700)
    assert close(shop)["balanced"]


def test_R7_a_day_that_is_not_over_has_no_deposit_yet(shop):
    sale(shop, 5300)
    answer = close(shop)
    assert answer["balanced"] and not answer["day_over"]
    text = shop.kometpay("close", "--location", "MIA", "--date", "today", check=0).stdout
    assert "in balance so far" in text and "deposit to enter" not in text
    assert shop.sql("SELECT day_over FROM books.day_close") == [["f"]]


def test_R4_an_old_day_stays_in_balance_when_the_account_changes(shop):
    put_location(shop, "west")
    try:
        sale(shop, 5400)
        answer = close(shop)
        assert answer["balanced"] and answer["ours_count"] == answer["theirs_count"] >= 5
    finally:
        put_location(shop, "main")


def test_R4_a_sale_voided_in_the_portal_is_named(shop):
    voided = sale(shop, 5500)
    shop.simulator.portal(op="void", id=row_of(shop, voided)["id"])
    answer = close(shop)
    assert kinds(answer) == ["STATUS"] and not answer["balanced"]
    assert answer["differences"][0]["payment"] == voided["payment"]


def test_R7_closes_of_one_day_do_not_destroy_each_other(shop):
    portal = sale(shop, 5600)
    shop.simulator.portal(op="refund", id=row_of(shop, portal)["id"], amount="3.00")

    def try_close(_):
        try:
            return close(shop)
        except Refused as refused:
            assert refused.code == "close_running"
            return None
    with concurrent.futures.ThreadPoolExecutor(8) as clerks:
        answers = [a for a in clerks.map(try_close, range(24)) if a is not None]
    assert answers
    for answer in answers:
        assert kinds(answer) == ["MISSING_HERE", "STATUS"] and not answer["balanced"]
        assert answer["theirs_count"] > 5
    assert shop.sql("SELECT balanced FROM books.day_close") == [["f"]]
    assert shop.sql("SELECT count(DISTINCT run) FROM books.processor_item") == [["1"]]


def test_R7_the_night_closes_the_days_that_were_missed(shop):
    yesterday = shop.kometpay("close", "--location", "MIA", "--since-last").stdout
    assert yesterday.count("MIA 20") == 1
    shop.sql("UPDATE books.day_close SET day = day - 3 WHERE day_over")
    text = shop.kometpay("close", "--every-location", "--since-last").stdout
    assert text.count("MIA 20") == 3 and text.count("BOG 20") == 1
    text = shop.kometpay("close", "--location", "MIA", "--since-last").stdout
    assert text.count("MIA 20") == 1
    assert shop.kometpay("close", "--location", "MIA").returncode == 2
    assert shop.kometpay("close", "--location", "MIA", "--date", "today",
                         "--since-last").returncode == 2
