"""PostgreSQL absent, unsafe, full or killed in the middle: the daemons wait and say so, what is in
doubt stays PENDING, and nothing is charged twice or lost."""

import contextlib
import os
import re
import signal
import threading
import time
from collections import Counter

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import open_business, pay
from tests.suite.frames import Refused
from tests.suite.suite import DAEMONS, wait_until

KEEPERS = ("vaultd", "gatewayd", "settled")  # the daemons with a database


@pytest.fixture(scope="module")
def house():
    with own_suite() as suite:
        yield suite


def status(suite, daemon):
    with suite.operator(daemon) as operator:
        return operator.call("daemon_status", {}, 4000)


def first_status(suite, daemon):
    """Of a daemon that has just been started: it is heard of once it listens."""
    def asked():
        try:
            return status(suite, daemon)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
    return wait_until(asked, what=f"{daemon} to listen")


def log_since(suite, daemon, size=0):
    return (suite.log / f"{daemon}.log").read_bytes()[size:].decode(errors="replace")


def log_size(suite, daemon):
    return (suite.log / f"{daemon}.log").stat().st_size


def final_answer(pos, key, patience=40):
    def ask():
        try:
            answer = pos.call("payment_status", {"key": key, "location": "MIA"})
        except Refused as refused:
            assert refused.busy, refused
            return None
        return answer if answer["outcome"] != "PENDING" else None
    return wait_until(ask, patience=patience, what=f"the outcome of {key}")


def charges(suite, answer):
    return [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]]


def backends(suite, daemon):
    return [int(pid) for (pid,) in suite.sql(
        f"SELECT pid FROM pg_stat_activity WHERE usename = 'kometpay_{daemon}'")]


def test_database_down_at_start_the_daemons_wait_and_say_so():
    with own_suite(start=False) as suite:
        suite.start_database()
        suite.start_simulator()
        for daemon in DAEMONS:
            suite.environment(daemon)  # passwords are set while the server lives
        suite.cluster.stop()
        for daemon in DAEMONS:
            suite.start_daemon(daemon)
        for daemon in KEEPERS:
            assert not first_status(suite, daemon)["ready"]
            wait_until(lambda d=daemon: "database connection lost" in log_since(suite, d))
        with suite.pos() as pos:
            request = pay(8000)
            with pytest.raises(Refused) as refused:
                pos.call("pay", request, left_ms=20000)
            assert refused.value.busy and refused.value.sentence
            suite.cluster.start()
            suite.wait_ready()
            open_business(suite)
            answer = pos.call("pay", request)
        assert answer["outcome"] == "APPROVED" and len(charges(suite, answer)) == 1


@pytest.mark.parametrize("setting, value, said", [
    ("fsync", "off", "fsync is off"),
    ("full_page_writes", "off", "full_page_writes is off"),
    ("synchronous_commit", "off", "synchronous_commit is off"),
    ("default_transaction_read_only", "on", "the server is read-only"),
])
def test_unsafe_database_is_refused_at_start_by_the_settings_name(house, setting, value, said):
    sizes = {daemon: log_size(house, daemon) for daemon in KEEPERS}
    with server_setting(house, setting, value):
        for daemon in KEEPERS:
            house.processes[daemon].stop()
            house.start_daemon(daemon)
        for daemon in KEEPERS:
            wait_until(lambda d=daemon: f'"{said}"' in log_since(house, d, sizes[d]),
                       what=f"{daemon} names the setting")
            assert not status(house, daemon)["ready"]
        with house.pos() as pos, pytest.raises(Refused) as refused:
            pos.call("pay", pay(8000), left_ms=20000)
        assert refused.value.busy
    house.wait_ready()
    with house.pos() as pos:
        assert pos.call("pay", pay(8000))["outcome"] == "APPROVED"


@contextlib.contextmanager
def server_setting(suite, name, value):
    suite.cluster.psql(f"ALTER SYSTEM SET {name} = '{value}'; SELECT pg_reload_conf();")
    try:
        yield
    finally:
        suite.cluster.psql(f"ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();")


def test_database_made_unsafe_while_running_is_noticed_and_no_longer_served(house):
    size = log_size(house, "gatewayd")
    with server_setting(house, "fsync", "off"):
        wait_until(lambda: '"fsync is off"' in log_since(house, "gatewayd", size), patience=15)
        wait_until_away(house)
        before = len(house.simulator.ledger())
        with house.pos() as pos, pytest.raises(Refused) as refused:
            pos.call("pay", pay(8000), left_ms=20000)
        assert refused.value.busy and len(house.simulator.ledger()) == before
    house.wait_ready()
    with house.pos() as pos:
        assert wait_until(lambda: accepted(pos)) == "APPROVED"


def wait_until_away(suite):
    """gatewayd has seen for longer than a moment (2 s) that there is no database for it."""
    wait_until(lambda: not status(suite, "gatewayd")["ready"])
    until = time.monotonic() + 2.2
    wait_until(lambda: time.monotonic() > until)


def accepted(pos):
    try:
        return pos.call("pay", pay(8000))["outcome"]
    except Refused as refused:
        assert refused.busy, refused
        return None


def test_database_down_in_the_middle_is_pending_and_settled_later(house):
    house.simulator.fault("slow_first_byte", op="sale", count=1, seconds=1.5)
    request = pay(8100)
    with house.pos() as pos:
        correlation = pos.send("pay", request, left_ms=4000)
        wait_until(lambda: house.sql("SELECT 1 FROM payment.attempt WHERE state = 'SENDING'"))
        house.cluster.stop("immediate")
        try:
            name, answer = pos.receive(correlation)
            assert (name, answer["outcome"]) == ("payment_answer", "PENDING")
            assert len(charges(house, answer)) == 1, "charged, though nobody may say so yet"
            with pytest.raises(Refused) as refused:
                pos.call("payment_status", {"key": request["key"], "location": "MIA"})
            assert refused.value.busy, "a question is not answered by a guess"
        finally:
            house.cluster.start()
        final = final_answer(pos, request["key"])
        assert final["outcome"] == "APPROVED" and final["attempt"] == answer["attempt"]
        assert pos.call("pay", request)["outcome"] == "APPROVED"
        assert len(charges(house, final)) == 1


def test_what_the_database_takes_too_late_is_not_sent_any_more(house):
    """The intent is committed after the caller stopped waiting: no charge, and it is said so."""
    house.cluster.stop("immediate")
    request = pay(8200)
    with house.pos() as pos:
        answer = pos.call("pay", request, left_ms=3000)
        assert answer["outcome"] == "PENDING"
        house.cluster.start()
        house.wait_ready()

        def told():
            try:
                return pos.call("payment_status", {"key": request["key"], "location": "MIA"})
            except Refused as refused:
                assert refused.busy or refused.code == "payment_unknown", refused
                return None
        final = wait_until(lambda: (told() or {}).get("outcome") == "NOT_CHARGED" and told())
        assert charges(house, final) == []


def test_backends_killed_during_commits_and_a_restart_lose_and_double_nothing(house):
    """Sales in four lanes while gatewayd's backends are killed all the time, and the server is
    restarted once. Each key ends charged once or not at all, as it is told."""
    ended = threading.Event()
    requests, kills = [], 0

    def sell():
        with house.pos() as pos:
            while not ended.is_set():
                request = pay(8300)
                requests.append(request)
                while True:
                    try:
                        pos.call("pay", request)
                        break
                    except Refused as refused:
                        assert refused.busy, refused  # the same key again, as the protocol says
                        time.sleep(0.05)
    clerks = [threading.Thread(target=sell) for _ in range(4)]
    for clerk in clerks:
        clerk.start()
    until = time.monotonic() + 4
    while time.monotonic() < until:
        kills += len(house.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                               " WHERE usename = 'kometpay_gatewayd'"))
        time.sleep(0.01)
    house.cluster.restart("immediate")
    ended.set()
    for clerk in clerks:
        clerk.join(60)
        assert not clerk.is_alive()
    assert kills > 20 and len(requests) > 20, (kills, len(requests))
    with house.pos() as pos:
        finals = [final_answer(pos, request["key"]) for request in requests]
    charged = Counter(row["ref"] for row in house.simulator.ledger())
    for final in finals:
        assert final["outcome"] in ("APPROVED", "NOT_CHARGED")
        assert charged[final["attempt"]] == (final["outcome"] == "APPROVED"), final


def test_a_role_without_connections_is_waited_for(house):
    limit = "ALTER ROLE kometpay_gatewayd CONNECTION LIMIT {}"
    house.cluster.psql(limit.format(0))
    try:
        house.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                  " WHERE usename = 'kometpay_gatewayd'")
        wait_until_away(house)
        before = house.sql("SELECT count(*) FROM payment.attempt")
        request = pay(8400)
        with house.pos() as pos:
            with pytest.raises(Refused) as refused:
                pos.call("pay", request, left_ms=20000)
            assert refused.value.busy
            assert house.sql("SELECT count(*) FROM payment.attempt") == before
            house.cluster.psql(limit.format(-1))
            house.wait_ready()
            answer = wait_until(lambda: sold(pos, request))
            assert answer["outcome"] == "APPROVED" and len(charges(house, answer)) == 1
    finally:
        house.cluster.psql(limit.format(-1))


def sold(pos, request):
    try:
        return pos.call("pay", request)
    except Refused as refused:
        assert refused.busy, refused
        return None


def stop_process(pid):
    os.kill(pid, signal.SIGSTOP)

    def stopped():
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return re.sub(r".*\) ", "", stat.read()).startswith("T")
    wait_until(stopped)


def test_an_intent_whose_commit_is_in_doubt_is_asked_for_until_it_is_known(house):
    """The backend applies the intent when gatewayd has given it up, and then nobody can connect for
    longer than a call may take. 'Nothing was begun' would be an invention: it stays PENDING, and
    when the server is back it goes on from where it was. Ends in seconds, not at a restart."""
    house.wait_ready()
    postmaster = house.cluster.pid()
    stopped = [postmaster, *backends(house, "gatewayd")]
    size = log_size(house, "gatewayd")
    request = pay(8500)
    with house.pos(timeout=90) as pos:
        for pid in stopped:
            stop_process(pid)
        try:
            correlation = pos.send("pay", request, left_ms=60000)
            wait_until(lambda: "answer of a commit was lost" in log_since(house, "gatewayd", size),
                       patience=20)
            for pid in stopped[1:]:
                os.kill(pid, signal.SIGCONT)  # it commits, and then finds its client gone
            committed = time.monotonic() + 12  # longer than a call of the database may take
            wait_until(lambda: time.monotonic() > committed, patience=20, period=0.5)
        finally:
            for pid in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        name, answer = pos.receive(correlation)
        assert name == "payment_answer", answer
        final = final_answer(pos, request["key"])
        assert final["outcome"] == "APPROVED" and len(charges(house, final)) == 1
