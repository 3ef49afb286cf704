"""The processor is down, slow, late or somebody else: NOT_CHARGED only when provably nothing was
sent, PENDING for all else, and a charge that comes too late is taken back by itself."""

import contextlib
import shutil
import signal
import socket
import ssl
import threading
import time
import warnings

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import card, pay
from tests.suite.suite import wait_until

A_DAY_IN_SECONDS = 86400 / 20000  # on the fast clock of the suite of `aged`


@pytest.fixture(scope="module")
def house():
    with own_suite(settings={"KOMETPAY_SEND_TIMEOUT_MS": "20000"}) as suite:
        yield suite


@pytest.fixture(scope="module")
def aged():
    """A day passes in 4.3 s, the horizon of ten minutes in 30 ms."""
    with own_suite(fast=20000) as suite:
        yield suite


def rows_of(suite, answer):
    return [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]]


def asked(pos, request):
    return pos.call("payment_status", {"key": request["key"], "location": "MIA"})


def outcome_comes(pos, request, outcome, patience=40):
    return wait_until(lambda: asked(pos, request)["outcome"] == outcome and asked(pos, request),
                      patience=patience, what=outcome)


@contextlib.contextmanager
def processor_certificate(suite, make):
    """The simulator at the same port with another certificate, as `make` writes it."""
    keep = [suite.directory / name for name in ("processor.crt", "processor.key")]
    port = suite.simulator.port
    for path in keep:
        shutil.copy(path, f"{path}.good")
    suite.stop_simulator()
    try:
        make()
        suite.start_simulator(port)
        yield
        suite.stop_simulator()
    finally:
        for path in keep:
            shutil.move(f"{path}.good", path)
        suite.start_simulator(port)


def expired(suite):
    suite.certificate("processor", "/CN=localhost")
    suite.openssl("x509", "-req", "-in", "processor.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                  "-CAcreateserial", "-days", "-1", "-out", "processor.crt", "-extfile",
                  "processor.ext")


def of_another_host(suite):
    suite.certificate("processor", "/CN=elsewhere", "subjectAltName=DNS:elsewhere.example")


def of_nobody_we_trust(suite):
    suite.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", "processor.key", "-out", "processor.crt", "-days", "30", "-subj",
                  "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")


@pytest.mark.parametrize("wrong", [expired, of_another_host, of_nobody_we_trust])
def test_wrong_certificate_sends_nothing_and_says_so(house, wrong):
    with house.pos() as pos:
        with processor_certificate(house, lambda: wrong(house)):
            request = pay(8000)
            answer = pos.call("pay", request)
            assert answer["outcome"] == "NOT_CHARGED" and answer["sentence"]
            assert house.simulator.stats()["requests"].get("sale", 0) == 0 and \
                rows_of(house, answer) == []
        assert pos.call("pay", request)["outcome"] == "NOT_CHARGED", "the same key, the same answer"
        assert pos.call("pay", pay(8000))["outcome"] == "APPROVED"


@contextlib.contextmanager
def old_tls(suite, port):
    """Who offers TLS 1.1 at most at the processor's address; tells how many came and what it read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(suite.directory / "processor.crt", suite.directory / "processor.key")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():  # that they are old is what they are here for
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(10)
    seen = {"came": 0, "read": b""}

    def serve():
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            seen["came"] += 1
            with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as tls:
                seen["read"] += tls.recv(4096)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_old_tls_version_sends_nothing(house):
    port = house.simulator.port
    house.stop_simulator()
    try:
        with old_tls(house, port) as seen, house.pos() as pos:
            answer = pos.call("pay", pay(8000))
            assert answer["outcome"] == "NOT_CHARGED"
        assert seen == {"came": 1, "read": b""}, "one connection, not one byte of the request"
    finally:
        house.start_simulator(port)


def test_silent_handshake_is_pending_at_the_deadline_and_not_charged_in_the_end(house):
    """A connection that never speaks TLS: the POS that waits two seconds hears PENDING then, and
    NOT_CHARGED when the connect has timed out, for nothing can have been sent."""
    house.simulator.fault("tls_silent", count=1)
    request = pay(8000)
    with house.pos() as pos:
        begun = time.monotonic()
        answer = pos.call("pay", request, left_ms=2000)
        assert answer["outcome"] == "PENDING" and time.monotonic() - begun < 2.0
        final = outcome_comes(pos, request, "NOT_CHARGED")
        assert rows_of(house, final) == [] and house.sql(
            f"SELECT state FROM payment.attempt WHERE ref = '{final['attempt']}'") == [["NOT_SENT"]]


def test_slow_processor_is_pending_at_the_frames_deadline_and_approved_once(house):
    house.simulator.fault("slow_first_byte", op="sale", count=1, seconds=3)
    request = pay(8100)
    with house.pos() as pos:
        begun = time.monotonic()
        first = pos.call("pay", request, left_ms=1500)
        assert first["outcome"] == "PENDING" and first["retry_after_ms"] > 0
        assert time.monotonic() - begun < 1.5, "the answer comes within the time that was left"
        again = pos.call("pay", request, left_ms=800)
        assert again["outcome"] == "PENDING" and again["payment"] == first["payment"]
        final = outcome_comes(pos, request, "APPROVED")
        assert len(rows_of(house, final)) == 1


def test_a_request_read_late_ends_as_its_status_says(house):
    """A frame says how long its caller waits from when it is read. One that lay in the socket of a
    stopped gatewayd is told PENDING in time, and what became of it is told to who asks."""
    gatewayd = house.processes["gatewayd"].popen
    request = pay(8200)
    with house.pos() as pos:
        gatewayd.send_signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            answer = pos.call("pay", request, left_ms=1500)
            assert answer["outcome"] == "PENDING" and time.monotonic() - begun < 1.5
        finally:
            gatewayd.send_signal(signal.SIGCONT)
        final = pos.call("pay", request)
        assert final["outcome"] == "APPROVED" and len(rows_of(house, final)) == 1


def test_P5_executed_after_the_horizon_is_voided_by_itself(aged):
    """On a fast clock (20,000: a day in 4.3 s). Told NOT_CHARGED, executed later: taken back."""
    aged.simulator.no_faults()
    aged.simulator.fault("late_execution", op="sale", count=1, seconds=3)
    request = pay(8000)
    with aged.pos() as pos:
        assert pos.call("pay", request)["outcome"] == "PENDING"
        final = outcome_comes(pos, request, "NOT_CHARGED", patience=2.5)
        assert rows_of(aged, final) == [], "not executed yet"
        assert final["state"] == "NOT_CHARGED"
        wait_until(lambda: rows_of(aged, final), what="the late execution")
        wait_until(lambda: asked(pos, request)["state"] == "REVERSED", patience=30)
        assert asked(pos, request)["outcome"] == "NOT_CHARGED"
        (sale,) = rows_of(aged, final)
        voids = [row for row in aged.simulator.ledger() if row.get("ref_id") == sale["id"]]
        assert [row["op"] for row in voids] == ["void"], "net: nothing was charged"


def test_P8_unknown_for_a_day_is_a_review_with_an_alert_and_watched_on(aged):
    """On a fast clock (20,000: a day in 4.3 s)."""
    aged.simulator.no_faults()
    aged.simulator.fault("answer_lost", op="sale", count=0)
    aged.simulator.fault("search_500", op="search", count=0)
    executed, cancelled = pay(8100), pay(8200, card=card())
    with aged.pos() as pos:
        begun = time.monotonic()
        for request in (executed, cancelled):
            assert pos.call("pay", request)["outcome"] == "PENDING"
        told = pos.call("cancel", {"key": cancelled["key"], "location": "MIA"})
        assert told["outcome"] == "CANCEL_ACCEPTED"
        review = outcome_comes(pos, executed, "REVIEW")
        assert time.monotonic() - begun >= A_DAY_IN_SECONDS * 0.9, "not before a day has passed"
        outcome_comes(pos, cancelled, "REVIEW")
        log = (aged.log / "gatewayd.log").read_text()
        alerts = [line for line in log.splitlines() if "a person must look at this payment" in line]
        assert len([line for line in alerts if review["payment"] in line]) == 1, "told once"
        with aged.operator("gatewayd") as operator:
            assert operator.call("daemon_status", {})["review"] == 2

        aged.simulator.no_faults()
        final = outcome_comes(pos, executed, "APPROVED")
        assert len(rows_of(aged, final)) == 1
        taken_back = outcome_comes(pos, cancelled, "NOT_CHARGED")
        assert taken_back["state"] == "REVERSED", "a cancelled payment is never revived"
