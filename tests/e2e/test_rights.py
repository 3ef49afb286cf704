"""Who may send what: every message of the table, from every user, to every daemon; and the card,
which only gatewayd gets, once, for one attempt."""

import os
import re
from pathlib import Path

import pytest

from tests.suite.business import card, customer, executed, pay, written
from tests.suite.frames import Refused, frame
from tests.suite.suite import DAEMONS, UIDS, Suite, wait_until

TABLE = Path(__file__).resolve().parents[2] / "ipc" / "messages.txt"
NOBODY = 64099


def requests_of_table():
    """name -> daemon -> peers that may send it there."""
    requests = {}
    for name, rights in re.findall(r'^message (\w+) \d+ (from [^"]+) "', TABLE.read_text(), re.M):
        requests[name] = {}
        for right in rights.split(";"):
            senders, to = right.strip().removeprefix("from ").split(" to ")
            for daemon in to.split():
                requests[name].setdefault(daemon, set()).update(senders.split())
    return requests


REQUESTS = requests_of_table()


def peers_of(uid):
    """What that user is, as the running daemons were told."""
    rules = dict(rule.split("=") for rule in Suite.peers().split(","))
    return {name for name, who in rules.items() if who in ("*", str(uid))}


USERS = {"operator": 0, **UIDS, "somebody": NOBODY} if os.geteuid() == 0 else {
    "myself": os.geteuid()}


def test_the_table_is_read_whole():
    assert len(REQUESTS) == len(re.findall(r"^message ", TABLE.read_text(), re.M)) > 20
    assert REQUESTS["card_reveal"] == {"vaultd": {"gatewayd"}}
    assert REQUESTS["refund"] == {"terminald": {"pos", "operator"}, "gatewayd": {"terminald"}}


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("user", USERS)
def test_only_who_may_is_heard(suite, user, daemon):
    """The payload is empty, so that a request that is heard does nothing: it lacks its fields. A right
    is refused before the payload is looked at."""
    peers = peers_of(USERS[user])
    before = written(suite)
    with suite.connect_as(USERS[user], daemon) as connection:
        for name, rights in REQUESTS.items():
            try:
                connection.call(name, {})
                code = ""
            except Refused as refused:
                code = refused.code
            may = bool(rights.get(daemon, set()) & peers)
            assert (code != "right_refused") == may, f"{name} from {user} to {daemon}: {code}"
    assert written(suite) == before


@pytest.mark.parametrize("name", ["card_hold", "card_reveal", "card_release", "sale", "invoice_put",
                                  "invoice_import", "location_put", "customer_list", "day_close",
                                  "payment_story", "batch_close", "processor_items"])
def test_a_pos_is_refused_before_the_handler_even_with_a_payload_that_is_none(suite, name):
    with suite.connect_as(USERS.get("somebody", os.geteuid()), "terminald") as pos:
        pos.send_bytes(frame(name, b"this is no JSON"))
        _, answer, body = pos.next()
    assert (answer, body["code"]) == ("error", "right_refused")


# -- the card

@pytest.fixture
def gatewayd(suite):
    """A connection to vaultd that is gatewayd's by all that the kernel can say."""
    with suite.connect_as(UIDS["gatewayd"] if os.geteuid() == 0 else os.geteuid(),
                          "vaultd") as connection:
        yield connection


def reveal(connection, attempt, card_ref):
    with pytest.raises(Refused) as refused:
        connection.call("card_reveal", {"attempt": attempt, "card_ref": card_ref})
    assert "4111" not in refused.value.sentence
    return refused.value.code


def under_way(suite, pos, body):
    """A payment that the processor has not answered yet: (correlation, attempt, card_ref)."""
    suite.simulator.fault("slow_first_byte", op="sale", count=1, seconds=2)
    asked = pos.send("pay", body)
    row = wait_until(lambda: suite.sql(
        "SELECT a.ref, p.card_ref FROM payment.attempt a JOIN payment.payment p ON p.id = a.payment"
        f" JOIN vault.reveal r ON r.attempt = a.ref WHERE a.key = '{body['key']}'"))[0]
    return asked, row[0], row[1]


def test_card_is_given_once_for_its_attempt(suite, pos, gatewayd):
    asked, attempt, card_ref = under_way(suite, pos, pay(5101))
    assert reveal(gatewayd, attempt, card_ref) == "reveal_refused"
    _, answer = pos.receive(asked)
    assert answer["outcome"] == "APPROVED" and len(executed(suite, answer)) == 1
    assert reveal(gatewayd, attempt, card_ref) == "reveal_refused"


def test_stored_card_is_given_once_for_its_attempt_too(suite, pos, gatewayd):
    number = customer(suite)
    token = pos.call("pay", pay(5102, customer=number, card=card(), save=True))["token"]
    asked, attempt, card_ref = under_way(suite, pos, pay(5103, customer=number, token=token))
    assert reveal(gatewayd, attempt, card_ref) == "reveal_refused"
    assert reveal(gatewayd, attempt, token) == "reveal_refused"
    assert pos.receive(asked)[1]["outcome"] == "APPROVED"
    assert reveal(gatewayd, attempt, token) == "reveal_refused"


def test_no_card_without_an_attempt_nor_for_the_attempt_of_another(suite, pos, gatewayd):
    number = customer(suite)
    token = pos.call("pay", pay(5104, customer=number, card=card(), save=True))["token"]
    assert reveal(gatewayd, "0" * 26, token) == "reveal_refused"
    asked, attempt, _ = under_way(suite, pos, pay(5105))
    assert reveal(gatewayd, attempt, token) == "reveal_refused"
    assert pos.receive(asked)[1]["outcome"] == "APPROVED"
