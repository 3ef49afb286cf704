"""Daemons that stop, hang or die in the middle of a sale: a stale one cannot act, one that is asked
to stop finishes first, and a card that is gone is never asked for again."""

import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import new_key, pay
from tests.suite.frames import Refused
from tests.suite.suite import GROUP, UIDS, Process, wait_until

DRAIN_MAX_S = 5


@pytest.fixture(scope="module")
def house():
    with own_suite(settings={"KOMETPAY_DRAIN_MAX_MS": str(DRAIN_MAX_S * 1000),
                             "KOMETPAY_SEND_TIMEOUT_MS": "60000"}) as suite:
        yield suite


def rows_of(suite, answer):
    return [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]]


def asked(pos, request):
    return pos.call("payment_status", {"key": request["key"], "location": "MIA"})


def outcome_comes(pos, request, outcome, patience=40):
    return wait_until(lambda: asked(pos, request)["outcome"] == outcome and asked(pos, request),
                      patience=patience, what=outcome)


def sale_under_way(suite, pos, request, left_ms=50000):
    """Sent, and known to be at the processor."""
    before = len(suite.simulator.ledger())
    correlation = pos.send("pay", request, left_ms)
    wait_until(lambda: len(suite.simulator.ledger()) > before, what="the charge")
    return correlation


@contextlib.contextmanager
def second_gatewayd(suite):
    """Another instance on the same host and state, with a socket folder of its own."""
    run = Path(tempfile.mkdtemp(dir=suite.directory))
    os.symlink(suite.socket_path("vaultd"), run / "vaultd.sock")
    if os.geteuid() == 0:
        os.chown(run, UIDS["gatewayd"], GROUP)
    env = {**suite.environment("gatewayd"), "KOMETPAY_RUN_DIR": str(run)}
    log = suite.log / "gatewayd2.log"
    size = log.stat().st_size if log.exists() else 0
    process = Process("gatewayd", [str(suite.programs / "gatewayd")], env, log, UIDS["gatewayd"],
                      GROUP)
    try:
        wait_until(lambda: b"ready to serve" in log.read_bytes()[size:])
        yield process
    finally:
        process.stop()


def attempt_row(suite, request, columns):
    """Of the payment with this request's key."""
    (row,) = suite.sql(f"SELECT {columns} FROM payment.attempt WHERE key = '{request['key']}'")
    return row


def charge_count(suite):
    return len(suite.simulator.ledger())


def instances(suite):
    """Ids of the living ones, oldest first."""
    return [row[0] for row in suite.sql(
        "SELECT id FROM payment.instance WHERE ended_at IS NULL ORDER BY started_at")]


def test_P9_a_stopped_gatewayd_is_not_taken_for_dead(house):
    """Its lock is held, so another instance leaves its sale alone; continued, it finishes it."""
    house.simulator.fault("slow_first_byte", op="sale", count=1, seconds=0.5)
    request = pay(8000)
    gatewayd = house.processes["gatewayd"].popen
    with house.pos() as pos:
        correlation = sale_under_way(house, pos, request)
        gatewayd.send_signal(signal.SIGSTOP)
        try:
            with second_gatewayd(house):
                wait_until(lambda: len(instances(house)) == 2)
                passed = time.monotonic() + 1  # it looks for dead ones every 10 s / 60
                wait_until(lambda: time.monotonic() > passed)
                assert attempt_row(house, request, "state, epoch") == ["SENDING", "1"]
                assert "taken over" not in (house.log / "gatewayd2.log").read_text()
        finally:
            gatewayd.send_signal(signal.SIGCONT)
        name, answer = pos.receive(correlation)
        assert (name, answer["outcome"]) == ("payment_answer", "APPROVED")
        assert len(rows_of(house, answer)) == 1


@pytest.mark.parametrize("daemon", ["gatewayd", "terminald"])
def test_sigterm_answers_what_is_in_flight_and_begins_nothing_new(house, daemon):
    house.simulator.fault("slow_first_byte", op="sale", count=1, seconds=2)
    request, late = pay(8300), pay(8400)
    process, before = house.processes[daemon].popen, charge_count(house)
    with house.pos() as pos:
        correlation = sale_under_way(house, pos, request)
        process.terminate()
        wait_until(lambda: "asked to stop" in (house.log / f"{daemon}.log").read_text())
        with pytest.raises(Refused) as refused:
            pos.call("pay", late)
        assert refused.value.busy, "the same key again, when it is back"
        name, answer = pos.receive(correlation)
        assert (name, answer["outcome"]) == ("payment_answer", "APPROVED")
        assert process.wait(DRAIN_MAX_S) == 0
    house.start_daemon(daemon)
    house.wait_ready([daemon])
    with house.pos() as pos:
        assert pos.call("pay", request)["attempt"] == answer["attempt"]
        assert pos.call("pay", late)["outcome"] == "APPROVED"
    assert charge_count(house) == before + 2


def test_drain_ends_within_its_bound_though_the_processor_is_silent(house):
    """What still runs then is found by the next instance; the POS asks again and hears the truth."""
    house.simulator.fault("silent", op="sale", count=1, seconds=60)
    request = pay(8500)
    with house.pos() as pos:
        correlation = sale_under_way(house, pos, request, left_ms=1500)
        name, answer = pos.receive(correlation)
        assert (name, answer["outcome"]) == ("payment_answer", "PENDING")
        gatewayd = house.processes["gatewayd"].popen
        gatewayd.terminate()
        assert gatewayd.wait(DRAIN_MAX_S + 5) == 0
        house.start_daemon("gatewayd")
        house.wait_ready(["gatewayd"])
        final = outcome_comes(pos, request, "APPROVED")
        assert len(rows_of(house, final)) == 1


def test_P15_a_card_lost_with_vaultd_is_never_asked_for_again(house):
    """vaultd dies with the typed card while gatewayd stands still; the sale ends as NOT_CHARGED
    and stays so for its key, whatever is typed again: no second use of a security code."""
    gatewayd, before = house.processes["gatewayd"].popen, charge_count(house)
    log = house.log / "vaultd.log"
    size = log.stat().st_size
    request = pay(8600)
    with house.pos() as pos:
        gatewayd.send_signal(signal.SIGSTOP)
        try:
            correlation = pos.send("pay", request)
            wait_until(lambda: b"card held" in log.read_bytes()[size:])
            house.restart_daemon("vaultd")
        finally:
            gatewayd.send_signal(signal.SIGCONT)
        name, answer = pos.receive(correlation)
        assert (name, answer["outcome"]) == ("payment_answer", "NOT_CHARGED"), answer
        assert pos.call("pay", request)["outcome"] == "NOT_CHARGED"
        assert charge_count(house) == before
        assert pos.call("pay", {**request, "key": new_key()})["outcome"] == "APPROVED"
        assert charge_count(house) == before + 1


def test_vaultd_killed_after_the_card_was_sent_changes_nothing(house):
    house.simulator.fault("slow_first_byte", op="sale", count=1, seconds=1)
    request = pay(8700)
    with house.pos() as pos:
        correlation = sale_under_way(house, pos, request)
        house.restart_daemon("vaultd")
        name, answer = pos.receive(correlation)
        assert (name, answer["outcome"]) == ("payment_answer", "APPROVED")
        assert pos.call("pay", request)["attempt"] == answer["attempt"]
        assert len(rows_of(house, answer)) == 1
        assert pos.call("pay", pay(8800))["outcome"] == "APPROVED", "vaultd serves again"


def test_P9_a_stale_gatewayd_cannot_act_after_a_takeover(house):
    """Stopped in the middle of a sale, declared dead (its row is ended, as a new boot of the host
    would), taken over, continued: what it still wants to write is refused, it begins nothing, and
    ends, for the supervisor to start another."""
    house.simulator.fault("slow_first_byte", op="sale", count=1, seconds=0.5)
    request = pay(8100)
    gatewayd = house.processes["gatewayd"].popen
    with house.pos() as pos:
        correlation = sale_under_way(house, pos, request)
        stale = instances(house)
        gatewayd.send_signal(signal.SIGSTOP)
        with second_gatewayd(house):
            try:
                house.sql(f"SELECT payment.instance_end('{stale[0]}')")
                wait_until(lambda: attempt_row(house, request, "state") == ["APPROVED"],
                           what="the takeover's settling")
                before = attempt_row(house, request, "state, epoch, holder")
                assert before[1] == "2" and before[2] != stale[0]
            finally:
                gatewayd.send_signal(signal.SIGCONT)
            name, answer = pos.receive(correlation)
            assert name == "payment_answer" and answer["outcome"] in ("APPROVED", "PENDING")
            charged, late = charge_count(house), pay(8200)
            with pytest.raises(Refused) as refused:
                pos.call("pay", late)
            assert refused.value.busy or refused.value.code == "instance_ended"
            assert gatewayd.wait(20) != 0, "it ends, for the supervisor to start another"
            assert attempt_row(house, request, "state, epoch, holder") == before
            assert charge_count(house) == charged
    house.start_daemon("gatewayd")
    house.wait_ready(["gatewayd"])
    with house.pos() as pos:
        assert pos.call("pay", late)["outcome"] == "APPROVED"
        final = asked(pos, request)
        assert final["outcome"] == "APPROVED" and len(rows_of(house, final)) == 1


def test_P22_deadlines_run_on_the_boot_clock_alone():
    """Wall time is data. Only lib/clock.c may read a clock, so that no deadline can come from it."""
    root = Path(__file__).resolve().parents[2]
    readers = [str(path.relative_to(root)) for folder in ("lib", "ipc", "daemons")
               for path in sorted((root / folder).rglob("*.c"))
               if any(word in path.read_text() for word in
                      ("CLOCK_REALTIME", "gettimeofday(", " time(NULL)", "clock_gettime("))]
    assert readers == ["lib/clock.c"]
