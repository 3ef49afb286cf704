"""The command `kometpay` as a person and a script meet it: help, exit codes, tables and JSON, the
typed card, the status of the suite, the shell's completion and the manual page."""

import json
import os
import pty
import re
import select
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import (VISA, card, customer, executed, invoice, new_key, open_minor, pay,
                                  written)
from tests.suite.suite import DAEMONS, wait_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("VARIANT", "release")
MANUAL = (ROOT / "systemd" / "kometpay.1").read_text()
CARD_LINE = f"{VISA} 1230 999 33101\n"
OK, DECLINED, USAGE, REFUSED, PENDING, UNREACHABLE, REVIEW = range(7)


def printed(*words):
    return subprocess.run([BUILD / "kometpay", *words], check=True, capture_output=True,
                          text=True).stdout


def commands():
    """All subcommands, as the help lists them."""
    listed = printed("help").split("Commands:\n")[1].split("\n\n")[0]
    return [re.match(r"  (\w+(?: \w+)?)  ", line + "  ")[1] for line in listed.splitlines()]


COMMANDS = commands()


def options_of(command):
    text = printed(*command.split(), "--help")
    return re.findall(r"^  (--[a-z-]+)", text.split("\nExamples:")[0], re.M)


# -- help, manual page, completion

def test_all_subcommands_of_the_requirements_are_there():
    words = {command.split()[0] for command in COMMANDS}
    assert {"pay", "status", "cancel", "refund", "log", "customer", "invoice", "location", "close",
            "db"} <= words
    assert "db migrate" in COMMANDS and len(COMMANDS) == len(set(COMMANDS)) >= 20


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_usage_exit_codes_and_examples_that_could_be_typed(command):
    text = printed(*command.split(), "--help")
    assert text == printed("help", *command.split())
    assert f"Usage: kometpay {command}" in text
    assert ("--json" in text) == (command != "completion")
    examples = text.split("\nExamples:\n")[1].split("\nExit codes:")[0].replace("\\\n", " ")
    lines = [line.strip() for line in examples.strip().splitlines()]
    assert lines
    options = options_of(command)
    for line in lines:
        words = shlex.split(line.split(" > ")[0])
        words = words[words.index("kometpay") + 1:]
        assert words[:len(command.split())] == command.split(), line
        for word in words:
            assert not word.startswith("--") or word in options, f"{line}: no option {word}"
    assert re.findall(r"^  (\d)  ", text.split("Exit codes:\n")[1], re.M) == list("0123456")


def test_manual_page_has_every_subcommand_option_and_exit_code():
    plain = re.sub(r"\.(?:It|Cm|Fl|Ar|Op|Pq|Ql|Nm) |\n", " ", MANUAL)
    for command in COMMANDS:
        assert re.search(rf"^\.It Cm {command}\b", MANUAL, re.M), command
        for option in options_of(command):
            assert re.search(rf"[ -]{option[1:]}\b", plain), f"{command} {option}"
    assert re.findall(r"^\.It (\d)$", MANUAL, re.M) == list("0123456")


def test_manual_pages_exit_codes_say_the_same_as_the_help():
    said = re.findall(r"^\.It \d\n((?:[^.\n].*\n)+)", MANUAL, re.M)
    assert len(said) == 7
    help_text = " ".join(printed("help").split()).lower()
    for sentence in said:
        first = sentence.split("\n")[0].rstrip(".").lower()
        assert first in help_text, first


def test_completion_is_the_one_in_the_tree_and_loads_in_bash(tmp_path):
    script = tmp_path / "completion"
    script.write_text(printed("completion", "bash"))
    assert script.read_text() == (ROOT / "systemd/kometpay.bash-completion").read_text()

    def complete(*words):
        line = " ".join(shlex.quote(word) for word in ("kometpay", *words))
        done = subprocess.run(
            ["bash", "--norc", "-u", "-c",
             f"source {script}; complete -p kometpay >&2; COMP_WORDS=({line});"
             f" COMP_CWORD={len(words)}; _kometpay; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
            check=True, capture_output=True, text=True)
        assert "-F _kometpay kometpay" in done.stderr
        return done.stdout.split()
    assert set(complete("")) == {command.split()[0] for command in COMMANDS} | {"help"}
    assert complete("ref") == ["refund"]
    assert complete("invoice", "") == ["add", "list", "import"]
    assert complete("invoice", "im") == ["import"]
    assert complete("pay", "--lo") == ["--location"]
    assert complete("invoice", "import", "--") == ["--help", *options_of("invoice import")]
    for command in COMMANDS:
        assert set(complete(*command.split(), "--")) == {"--help", *options_of(command)}


def test_wrong_command_line_is_exit_2_and_never_repeated():
    for words in (["gift"], ["pay"], ["pay", "--location"], ["pay", VISA], ["log", "--nonsense"],
                  ["pay", f"--{VISA}"], ["refund"], ["invoice"], ["log", "--json", "--json"],
                  ["refund", "pay_1", VISA], ["pay", "--card", VISA], []):
        done = subprocess.run([BUILD / "kometpay", *words], capture_output=True, text=True)
        assert done.returncode == USAGE, words
        assert done.stderr and VISA not in done.stdout + done.stderr


# -- a payment's life

def pay_words(amount, *more, location="MIA"):
    return ["pay", "--location", location, "--amount", amount, "--card-stdin", *more]


def test_pay_refund_and_status_in_text_and_json(suite, pos):
    done = suite.kometpay(*pay_words("81.01"), stdin=CARD_LINE, check=OK)
    assert done.stdout.startswith("SALE APPROVED\n") and "81.01 USD" in done.stdout
    payment = re.search(r"payment +(pay_\w+)", done.stdout)[1]
    key = re.search(r"^key (\w+)$", done.stderr, re.M)[1]
    asked = json.loads(suite.kometpay("status", key, "--location", "MIA", "--json", check=OK).stdout)
    assert (asked["payment"], asked["outcome"]) == (payment, "APPROVED")
    assert "APPROVED" in suite.kometpay("payment", payment, check=OK).stdout
    refund = json.loads(suite.kometpay("refund", payment, "--json", check=OK).stdout)
    assert refund["authorisation_code"].startswith("Refund ")
    again = suite.kometpay("refund", payment, "--json", check=REFUSED)
    assert json.loads(again.stdout)["error"]["code"] == "already_refunded"
    assert "refund has already been issued" in again.stderr


def test_same_key_typed_again_is_the_same_payment(suite, pos):
    words = pay_words("81.02", "--key", new_key(), "--json")
    first = json.loads(suite.kometpay(*words, stdin=CARD_LINE, check=OK).stdout)
    assert json.loads(suite.kometpay(*words, stdin=CARD_LINE, check=OK).stdout) == first
    assert len(executed(suite, first)) == 1


def test_auth_capture_and_void(suite, pos):
    auth = json.loads(suite.kometpay(*pay_words("60.00", "--auth", "--json"), stdin=CARD_LINE,
                                     check=OK).stdout)
    captured = suite.kometpay("capture", auth["payment"], "--amount", "55.00", check=OK).stdout
    assert captured.startswith("CAPTURE APPROVED\n") and "55.00 USD" in captured
    sale = json.loads(suite.kometpay(*pay_words("60.01", "--json"), stdin=CARD_LINE, check=OK).stdout)
    assert suite.kometpay("void", sale["payment"], check=OK).stdout.startswith("VOID APPROVED\n")
    assert "already_voided" in suite.kometpay("void", sale["payment"], check=REFUSED).stderr


def test_saved_card_pays_invoices_oldest_first(suite, pos):
    number = customer(suite)
    bills = [invoice(suite, 1000, number, day=f"2026-11-0{n}") for n in (2, 1)]
    saved = json.loads(suite.kometpay(
        *pay_words("2.50", "--customer", number, "--invoice", f"{bills[0]}=2.50", "--save",
                   "--json"), stdin=CARD_LINE, check=OK).stdout)
    suite.kometpay("pay", "--location", "MIA", "--amount", "11.00", "--customer", number, "--token",
                   saved["token"], "--cvv-stdin", "--oldest-first", stdin="999\n", check=OK)
    assert open_minor(suite, *bills) == [650, 0]


def test_declined_is_exit_1_with_the_clerks_sentence(suite, pos):
    done = suite.kometpay(*pay_words("0.21"), stdin=CARD_LINE, check=DECLINED)
    assert done.stdout.startswith("SALE DECLINED\n") and "not enough money" in done.stdout


def refused_words(suite, words, stdin, check):
    """Runs what must be refused; returns its code, after seeing that nothing was written."""
    before = written(suite)
    done = suite.kometpay(*words, "--json", stdin=stdin, check=check)
    error = json.loads(done.stdout)["error"]
    assert error["sentence"] and VISA not in done.stderr + done.stdout
    assert done.stderr.startswith(("kometpay: ", "key "))
    assert written(suite) == before
    return error["code"]


@pytest.mark.parametrize("words, stdin, code", [
    (pay_words("0"), CARD_LINE, "amount_out_of_range"),
    (pay_words("10.001"), CARD_LINE, "amount"),
    (pay_words("ten"), CARD_LINE, "amount_invalid"),
    (pay_words("10.00", "--token", "tok_x"), CARD_LINE, "card_ambiguous"),
    (pay_words("10.00", "--key", "short"), CARD_LINE, "key_too_short"),
    (pay_words("10.00", "--invoice", "INV-7"), CARD_LINE, "invoice_part"),
    (["refund", "pay_nonsense"], "", "field_bounds"),
    (["log", "--state", "APROVED"], "", "state_unknown"),
    (["location", "add", "X", "--name", "X", "--account", "a", "--processor", "paper"], "",
     "option_value_unknown"),
    (["invoice", "list", "--state", "OWED"], "", "state_unknown"),
])
def test_a_wrong_command_line_is_exit_2_with_code_and_nothing_done(suite, pos, words, stdin, code):
    assert refused_words(suite, words, stdin, USAGE).startswith(code)


@pytest.mark.parametrize("words, stdin, code", [
    (pay_words("10.00", location="NOWHERE"), CARD_LINE, "location_unknown"),
    (pay_words("10.00"), "4111111111111112 1230\n", "pan_invalid"),
    (pay_words("10.00"), f"{VISA} 0120\n", "card_expired"),
    (pay_words("10.00"), f"{VISA}\n", "card_line"),
    (pay_words("10.00"), "", "card_line"),
    (["payment", "no-such-key", "--location", "MIA"], "", "payment_unknown"),
    (["story", "pay_" + "0" * 26], "", "payment_unknown"),
    (["location", "add", "X", "--name", "X", "--account", "a b"], "", "account_invalid"),
    (["close", "--location", "NOWHERE", "--date", "today"], "", "location_unknown"),
])
def test_refused_is_exit_3_with_code_and_nothing_done(suite, pos, words, stdin, code):
    assert refused_words(suite, words, stdin, REFUSED).startswith(code)


def test_pending_is_exit_4_and_cancel_ends_it(suite, pos):
    suite.simulator.fault("answer_lost", op="sale", count=1)
    suite.simulator.fault("search_500", op="search", count=0)
    key = new_key()
    done = suite.kometpay(*pay_words("82.00", "--key", key), stdin=CARD_LINE, check=PENDING)
    assert "paying again with a new key could charge it twice" in done.stdout
    assert "Ask again in a moment: kometpay payment pay_" in done.stdout
    cancel = suite.kometpay("cancel", key, "--location", "MIA", check=OK)
    assert "CANCEL_ACCEPTED" in cancel.stdout
    status = suite.kometpay("status")
    assert status.returncode == PENDING and re.search(r"gatewayd +ready .* 1 ", status.stdout)
    suite.simulator.no_faults()
    final = wait_until(lambda: (lambda d: d if d.returncode != PENDING else None)(
        suite.kometpay("payment", key, "--location", "MIA", "--json")), patience=40, period=0.2)
    assert final.returncode == DECLINED and json.loads(final.stdout)["outcome"] == "NOT_CHARGED"
    assert suite.kometpay("cancel", key, "--location", "MIA").returncode == OK


def test_cancel_of_an_approved_payment_says_what_to_do_instead(suite, pos):
    key = new_key()
    suite.kometpay(*pay_words("83.00", "--key", key), stdin=CARD_LINE, check=OK)
    done = suite.kometpay("cancel", key, "--location", "MIA", check=REFUSED)
    assert "Too late to cancel. To undo it: kometpay void pay_" in done.stdout


# -- the typed card

class Terminal:
    """A terminal with the command in it, and a clerk who reads and types."""

    def __init__(self, suite, *words):
        self.master, slave = pty.openpty()
        env = dict(os.environ, KOMETPAY_RUN_DIR=str(suite.run))
        self.process = subprocess.Popen([BUILD / "kometpay", *words], env=env, stdin=slave,
                                        stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.screen = ""

    def read_until(self, text):
        deadline = time.monotonic() + 30
        while text not in self.screen:
            assert time.monotonic() < deadline, self.screen
            if select.select([self.master], [], [], 1)[0]:
                try:
                    self.screen += os.read(self.master, 4096).decode()
                except OSError:  # the program has ended
                    break
        assert text in self.screen, self.screen

    def type(self, text):
        os.write(self.master, text.encode() + b"\n")

    def end(self):
        code = self.process.wait(30)
        os.close(self.master)
        return code


def test_card_is_asked_for_on_the_terminal_and_never_shown(suite, pos):
    terminal = Terminal(suite, *pay_words("84.00"))
    terminal.read_until("Card number: ")
    terminal.type("4111 1111-1111 1111")
    terminal.read_until("Expiry (MMYY): ")
    terminal.type("1230")
    terminal.read_until("Security code (empty if none): ")
    process = Path(f"/proc/{terminal.process.pid}")
    seen = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    assert b"4111" not in seen
    terminal.type("987")
    terminal.read_until("Postal code (empty if none): ")
    terminal.type("33101")
    terminal.read_until("APPROVED")
    terminal.read_until("84.00 USD")
    assert terminal.end() == OK
    assert "4111" not in terminal.screen and "987" not in terminal.screen
    assert "33101" in terminal.screen, "what is no secret is shown as it is typed"


def test_card_that_is_not_typed_charges_nothing(suite, pos):
    before = written(suite)
    terminal = Terminal(suite, *pay_words("85.00"))
    terminal.read_until("Card number: ")
    os.write(terminal.master, b"\x04")  # Ctrl-D
    assert terminal.end() == REFUSED
    assert written(suite) == before


# -- the suite

def test_status_of_a_suite_that_serves(suite, pos):
    wait_until(lambda: suite.kometpay("status").returncode == OK, patience=40, period=0.2,
               what="the end of what other tests left unknown")
    done = suite.kometpay("status", check=OK)
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [
        [daemon, "ready"] for daemon in ("terminald", "gatewayd", "vaultd", "settled")]
    rows = json.loads(suite.kometpay("status", "--json", check=OK).stdout)["daemons"]
    assert {row["daemon"] for row in rows} == set(DAEMONS) and all(row["ready"] for row in rows)


def test_unreachable_suite_is_exit_5(suite):
    env = dict(os.environ, KOMETPAY_RUN_DIR="/nonexistent", NO_COLOR="1")
    for words in (["status"], ["log"], ["customer", "list"], ["payment", "pay_" + "0" * 26],
                  ["close", "--every-location", "--date", "today"]):
        done = subprocess.run([BUILD / "kometpay", *words], env=env, capture_output=True, text=True)
        assert done.returncode == UNREACHABLE, words
        assert "unreachable" in done.stdout or "kometpay status" in done.stderr


def test_status_with_one_daemon_down_and_what_then_works():
    with own_suite() as suite:
        suite.processes["vaultd"].stop()
        done = suite.kometpay("status", check=UNREACHABLE)
        states = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
        assert states == {"terminald": "ready", "gatewayd": "ready", "vaultd": "unreachable",
                          "settled": "ready"}
        assert "systemctl status kometpay.target" in done.stderr
        rows = json.loads(suite.kometpay("status", "--json", check=UNREACHABLE).stdout)["daemons"]
        assert [row["daemon"] for row in rows if not row["ready"]] == ["vaultd"]
        before = written(suite)
        assert suite.kometpay(*pay_words("86.00"), stdin=CARD_LINE).returncode == UNREACHABLE
        assert written(suite) == before
        suite.kometpay("log", check=OK)
        suite.start_daemon("vaultd")
        suite.wait_ready(["vaultd"])
        suite.kometpay("status", check=OK)
        suite.kometpay(*pay_words("86.00"), stdin=CARD_LINE, check=OK)


def test_review_is_exit_6_and_status_says_that_a_person_must_look():
    """A day without any word from the processor is some seconds here."""
    with own_suite(fast=20000) as suite:
        suite.simulator.fault("answer_lost", op="sale", count=1)
        suite.simulator.fault("search_500", op="search", count=0)
        with suite.pos() as pos:
            request = pay(8700, card=card())
            payment = pos.call("pay", request)["payment"]
        done = wait_until(lambda: (lambda d: d if d.returncode == REVIEW else None)(
            suite.kometpay("payment", payment)), patience=60, period=0.2, what="REVIEW")
        assert f"A person must look at it: kometpay story {payment}" in done.stdout
        suite.kometpay("status", check=REVIEW)
        assert payment in suite.kometpay("log", "--state", "REVIEW", check=OK).stdout
