"""What the command says when something is wrong or not over: the exit code a script can trust, and
advice that is right for what was asked."""

import csv
import io
import json

import pytest

from tests.suite.business import new_key, pay
from tests.suite.suite import wait_until


def sale(suite, amount_minor=5000):
    with suite.pos() as pos:
        answer = pos.call("pay", pay(amount_minor))
    assert answer["outcome"] == "APPROVED"
    return answer["payment"]


@pytest.mark.parametrize("words", [
    ("pay", "--location", "MIA", "--amount", "5,00", "--token", "tok_1"),
    ("pay", "--location", "MIA", "--amount", "0.00", "--token", "tok_1"),
    ("pay", "--location", "MIA", "--amount", "5.00"),
    ("pay", "--location", "MIA", "--amount", "5.00", "--currency", "XXQ", "--token", "tok_1"),
    ("pay", "--location", "MIA", "--amount", "5.00", "--token", "tok_1", "--key", "short"),
    ("pay", "--location", "MIA", "--amount", "5.00", "--token", "tok_1", "--invoice", "I-1"),
    ("pay", "--location", "M" * 30, "--amount", "5.00", "--token", "tok_1"),
    ("refund", "pay_1", "--amount", "x"),
    ("refund", "not-a-payment"),
    ("log", "--limit", "none"),
    ("log", "--from", "2026-13-01"),
    ("log", "--after", "nonsense"),
    ("log", "--amount", "1.2.3"),
    ("invoice", "add", "I-1", "--customer", "C-1", "--location", "MIA", "--amount", "1.00",
     "--date", "yesterday"),
    ("invoice", "list", "--state", "LOST"),
    ("invoice", "import", "file.txt"),
    ("location", "add", "X", "--name", "X", "--account", "main", "--processor", "nobody"),
    ("close", "--location", "MIA"),
    ("close", "--date", "today"),
    ("close", "--location", "MIA", "--date", "31.12.2026"),
    ("completion", "fish"),
    ("no-such-command",),
])
def test_a_wrong_command_line_exits_2(suite, words):
    done = suite.kometpay(*words)
    assert done.returncode == 2, done.stdout + done.stderr


@pytest.mark.parametrize("words", [
    ("refund", "pay_" + "0" * 26, "--location", "MIA"),
    ("invoice", "import", "missing.csv"),
    ("invoice", "add", "I-1", "--customer", "C-404", "--location", "MIA", "--amount", "1.00",
     "--date", "2026-01-01"),
    ("close", "--location", "MIA", "--date", "2999-01-01"),
])
def test_a_right_one_that_is_refused_exits_3(suite, words):
    done = suite.kometpay(*words)
    assert done.returncode == 3, done.stdout + done.stderr


def test_a_pending_refund_is_asked_for_by_its_key(suite):
    payment, key = sale(suite), new_key()
    suite.simulator.fault("refund_answer_lost", op="refund", count=1)
    suite.simulator.fault("search_500", op="search", count=0)
    done = suite.kometpay("refund", payment, "--location", "MIA", "--key", key, check=4)
    assert f"kometpay payment {key} --location MIA" in done.stdout
    assert "refund it twice" in done.stdout and "charge it twice" not in done.stdout
    suite.simulator.no_faults()

    def refunded():
        asked = suite.kometpay("payment", key, "--location", "MIA")
        return asked.returncode == 0 and "REFUND APPROVED" in asked.stdout
    wait_until(refunded, patience=30, what="the refund")


def test_a_declined_refund_does_not_advise_another_card(suite):
    payment = sale(suite)
    suite.simulator.fault("code:025", op="refund", count=1)
    done = suite.kometpay("refund", payment, "--location", "MIA", check=1)
    assert "Nothing was refunded" in done.stdout and "nother card" not in done.stdout


def test_R1_the_log_for_programs_is_whole(suite):
    """More rows than a page for people holds."""
    with suite.pos() as pos:
        for _ in range(55):
            pos.call("pay", pay(333))
    shown = suite.kometpay("log", "--location", "MIA", check=0)
    assert "There are more than these 50" in shown.stderr
    rows = list(csv.reader(io.StringIO(suite.kometpay(
        "log", "--location", "MIA", "--amount", "3.33", "--csv", check=0).stdout)))
    assert len(rows) == 56 and all(len(row) == len(rows[0]) for row in rows)
    whole = json.loads(suite.kometpay("log", "--amount", "3.33", "--json", check=0).stdout)
    assert len(whole["rows"]) == 55 and whole["next"] == ""
    first = json.loads(suite.kometpay("log", "--amount", "3.33", "--json", "--limit", "30").stdout)
    rest = json.loads(suite.kometpay("log", "--amount", "3.33", "--json", "--after",
                                     first["next"]).stdout)
    assert [r["attempt"] for r in first["rows"] + rest["rows"]] == [r["attempt"]
                                                                    for r in whole["rows"]]


def test_R1_the_log_by_method(suite):
    payment = sale(suite, 4711)
    typed = suite.kometpay("log", "--method", "KEYED", "--amount", "47.11", "--last-four", "1111",
                           check=0)
    assert payment in typed.stdout
    stored = suite.kometpay("log", "--method", "STORED", "--amount", "47.11", check=0)
    assert payment not in stored.stdout


def test_what_customers_owe_is_told_by_currency(suite):
    with suite.operator() as settled:
        settled.call("location_put", {
            "code": "AMS", "name": "Amsterdam", "time_zone": "Europe/Amsterdam",
            "processor": "clearent", "account": "main", "currency": "EUR", "enabled": True})
        settled.call("customer_put", {"customer": "C-80", "name": "Two Purses"})
        for number, location, currency, minor in (("D-1", "MIA", "USD", 1250),
                                                  ("D-2", "AMS", "EUR", 990),
                                                  ("D-3", "MIA", "USD", 50)):
            settled.call("invoice_put", {
                "invoice": number, "customer": "C-80", "location": location, "invoice_date":
                "2026-11-20", "due_date": "2026-12-20", "amount_minor": minor,
                "currency": currency})
    lines = [line.split() for line in suite.kometpay("customer", "list", check=0).stdout.splitlines()
             if line.startswith("C-80")]
    assert [line[-2:] for line in lines] == [["9.90", "EUR"], ["13.00", "USD"]]
