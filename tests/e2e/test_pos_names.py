"""Whose key a key is, and whom the books name as the one who did it."""

import os

import pytest

from tests.e2e.own_suite import pos_port
from tests.suite.business import new_key, pay
from tests.suite.frames import ConnectionLost, Refused

ME = f"uid:{os.geteuid()}"


@pytest.fixture
def counter(suite):
    """The POS counter1 of Miami, by certificate."""
    with suite.pos_tls(pos_port(suite)) as connection:
        yield connection


def story(suite, payment):
    with suite.operator() as settled:
        return settled.call("payment_story", {"payment": payment})["rows"]


def log_of(suite, payment, **filters):
    with suite.operator() as settled:
        rows = settled.call("log", {"limit": 200, **filters})["rows"]
    return {row["kind"]: row for row in rows if row["payment"] == payment}


def test_the_operator_who_refunded_is_recorded_and_shown(suite, counter, pos):
    sale = counter.call("pay", pay(7100))
    refund = pos.call("refund", {"key": new_key(), "location": "MIA", "payment": sale["payment"],
                                 "pos": "office", "actor": "MIA/somebody-else"})
    assert refund["outcome"] == "APPROVED"
    first = {row["kind"]: row["actor"] for row in story(suite, sale["payment"])
             if not row.get("from_state")}
    assert first == {"SALE": "MIA/counter1", "REFUND": ME}
    assert suite.sql("SELECT actor, detail->>'scope' FROM audit.log WHERE act = 'payment.refund' "
                     f"AND object = '{sale['payment']}'") == [[ME, "MIA/office"]]
    rows = log_of(suite, sale["payment"])
    assert (rows["SALE"]["pos"], rows["SALE"]["actor"]) == ("counter1", "MIA/counter1")
    assert (rows["REFUND"]["pos"], rows["REFUND"]["actor"]) == ("office", ME)
    assert set(log_of(suite, sale["payment"], pos="office")) == {"REFUND"}
    assert ME in suite.kometpay("log", "--pos", "office", check=0).stdout


def test_who_cancelled_is_recorded(suite, pos):
    suite.simulator.fault("answer_lost", op="sale", count=1)
    request = pay(7200)
    answer = pos.call("pay", request)
    told = pos.call("cancel", {"key": request["key"], "location": "MIA"})
    if told["outcome"] == "CANCEL_ACCEPTED":
        assert suite.sql("SELECT actor FROM audit.log WHERE act = 'payment.cancel' "
                         f"AND object = '{answer['payment']}'") == [[ME]]


def test_programs_that_name_themselves_have_keys_of_their_own(pos):
    key = new_key()
    front = pos.call("pay", pay(7300, key=key, pos="front-desk"))
    back = pos.call("pay", pay(7400, key=key, pos="back_office.2"))
    unnamed = pos.call("pay", pay(7500, key=key))
    assert len({answer["payment"] for answer in (front, back, unnamed)}) == 3
    for name, answer in (("front-desk", front), ("back_office.2", back), ("local", unnamed)):
        asked = pos.call("payment_status", {"key": key, "location": "MIA", "pos": name})
        assert asked["payment"] == answer["payment"]
    with pytest.raises(Refused) as refused:
        pos.call("pay", pay(7400, key=key, pos="front-desk"))
    assert refused.value.code == "conflict"


@pytest.mark.parametrize("name", ["a/b", "till 1", "Málaga", "../x"])
def test_a_name_that_reads_as_something_else_is_refused(pos, name):
    with pytest.raises(Refused) as refused:
        pos.call("pay", pay(7600, pos=name))
    assert (refused.value.code, refused.value.field) == ("pos_invalid", "pos")


def test_a_certificate_is_its_own_name(counter):
    with pytest.raises(Refused) as refused:
        counter.call("pay", pay(7700, pos="counter2"))
    assert (refused.value.code, refused.value.field) == ("pos_fixed", "pos")
    assert counter.call("pay", pay(7700, pos="counter1"))["outcome"] == "APPROVED"


def test_no_certificate_shares_the_unix_sockets_keys(suite):
    suite.certificate("pos-as-local", "/OU=MIA/CN=local")
    with pytest.raises((ConnectionLost, OSError)):
        with suite.pos_tls(pos_port(suite), "pos-as-local") as connection:
            connection.call("daemon_status", {})


def test_a_certified_pos_is_told_of_its_own_location_only(suite, counter, pos):
    rows = counter.call("location_list", {})["rows"]
    assert [row["code"] for row in rows] == ["MIA"] and not rows[0].get("account")
    everywhere = pos.call("location_list", {})["rows"]
    assert {"MIA", "BOG"} <= {row["code"] for row in everywhere} and everywhere[0]["account"]
