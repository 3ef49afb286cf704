"""kometpay audit verify: whole while only the suite wrote; the first bad row by name once somebody
changed the database past it."""

import json

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import new_key, pay


@pytest.fixture(scope="module")
def shop():
    with own_suite() as suite:
        yield suite


def tamper(shop, statement):
    shop.sql(f"SET session_replication_role = replica; {statement}")


def test_the_suite_s_own_work_is_whole(shop):
    with shop.pos() as pos:
        first = pos.call("pay", pay(5000))
        pos.call("pay", pay(21))
        assert pos.call("refund", {"key": new_key(), "location": "MIA", "amount_minor": 100,
                                   "payment": first["payment"]})["outcome"] == "APPROVED"
    assert "Whole" in shop.kometpay("audit", "verify", check=0).stdout
    assert json.loads(shop.kometpay("audit", "verify", "--json", check=0).stdout).get(
        "rows", []) == []


def test_a_story_that_was_cut_is_named(shop):
    with shop.pos() as pos:
        payment = pos.call("pay", pay(5100))["payment"]
    tamper(shop, f"DELETE FROM payment.event WHERE payment = '{payment}' AND number = 2")
    text = shop.kometpay("audit", "verify", check=6).stdout
    assert f"{payment} 2" in text and "is missing" in text


def test_the_audit_log_is_read_too(shop):
    tamper(shop, "UPDATE audit.log SET actor = 'nobody' WHERE number = 2")
    rows = json.loads(shop.kometpay("audit", "verify", "--json", check=6).stdout)["rows"]
    assert [row["chain"] for row in rows] == ["EVENTS", "AUDIT"]
    assert rows[1]["place"] == "2" and rows[1]["problem"] == "row 2 was changed"
