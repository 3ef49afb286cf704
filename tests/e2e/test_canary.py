"""A card number goes through every path of the suite and is afterwards found nowhere: not in logs,
not in the database's files, not in a core of any daemon, not in /proc, not in a temporary file.

Only published test numbers; each path has one of its own, so that a find tells its way."""

import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest
from canary_search import (needles_of, search_bytes, search_core, search_file, search_process,
                           search_tree)
from own_suite import own_suite, pos_port

from tests.suite.business import card, invoice, new_key, pay
from tests.suite.frames import HEADER, NUMBERS, Refused
from tests.suite.suite import DAEMONS, UIDS, wait_until

TYPED = "4000056655665556"
SAVED = "5105105105105100"
AMEX = "371449635398431"
COMMAND = "6011000990139424"
BROKEN = "4012888888881881"  # only ever in requests that are refused
TYPED_CVV, AMEX_CVV = "737", "9137"
PASSWORD = "Correct-Horse-Battery-77"
CONTROL = "canary-control-7c1d29e0"  # planted on purpose: the search must find it

SECRETS = needles_of({"typed card": TYPED, "saved card": SAVED, "card with 4-digit code": AMEX,
                      "card of the command": COMMAND, "card of refused requests": BROKEN,
                      "password": PASSWORD})
# Three digits alone are everywhere; as a member of a message or a request they are a code.
for code in (TYPED_CVV, AMEX_CVV):
    for member in ("cvv", "csc"):
        for between in ('":"', '": "'):
            SECRETS[f"code {code} in {member}{between}"] = f"{member}{between}{code}".encode()
PLANTED = needles_of({"control": CONTROL})


def raw_frame(name, payload, length=None):
    return HEADER.pack(b"KPAY", 1, 0, NUMBERS[name], len(payload) if length is None else length,
                       5000, 1, 0) + payload


def send_raw(suite, data, answers=True):
    """Bytes on a connection of its own, which is closed afterwards."""
    with suite.pos(timeout=5) as connection:
        connection.socket.sendall(data)
        if answers:
            try:
                connection.socket.recv(65536)
            except OSError:
                pass


def refused_requests():
    """A good sale with the canary, spoilt in one field each."""
    good = pay(8000, card=card(BROKEN))
    for field, values in {
            "key": ["", "short", 5, BROKEN, f"key-{BROKEN}"], "location": ["NOWHERE", BROKEN, ""],
            "kind": ["LOAN"], "amount_minor": [0, -1, "8000", 80.5, 10**12, int(BROKEN)],
            "currency": ["EUR", "usd", 840], "customer": ["C-404", "x" * 41, BROKEN],
            "invoices": [[{"invoice": "INV-404", "amount_minor": 8000}],
                         [{"invoice": BROKEN, "amount_minor": 8000}],
                         [{"invoice": "INV-404", "amount_minor": 1}], "none"],
            "token": ["tok_" + "0" * 26, BROKEN], "cvv": [TYPED_CVV, PASSWORD],
            "save": ["yes", True], "description": ["x" * 51, BROKEN, f"card {BROKEN} again"],
            "surprise": [BROKEN], BROKEN: [1], PASSWORD: ["x"]}.items():
        for value in values:
            yield {**good, "key": new_key(), field: value}
    for field, values in {
            "pan": [BROKEN + "x", BROKEN[:-1] + "2", BROKEN + "0000", int(BROKEN), PASSWORD, None],
            "expiry_month": [0, 13, BROKEN], "expiry_year": [1999, 2020, 2100],
            "cvv": ["12", "12345", 737, PASSWORD], "holder": ["x" * 61], "street": ["\n" + BROKEN],
            "postal_code": [BROKEN], "number": [BROKEN]}.items():
        for value in values:
            yield {**good, "key": new_key(), "card": {**card(BROKEN), field: value}}


def try_refused(suite, pos):
    taken = []
    for request in refused_requests():
        try:
            pos.call("pay", request)
            taken.append(request)
        except Refused as refused:
            assert search_bytes(str(refused).encode(), SECRETS, "an answer") == []
    assert taken == []
    body = json.dumps(pay(8000, card=card(BROKEN))).encode()
    send_raw(suite, raw_frame("pay", body[:-1]))                        # no end
    send_raw(suite, raw_frame("pay", body + b"}"))                      # too much
    send_raw(suite, raw_frame("pay", body.replace(b'"4012', b'"\xff4012')))   # no UTF-8
    send_raw(suite, raw_frame("pay", body.replace(b'"key"', b'"location": "X", "key"')))  # twice
    send_raw(suite, raw_frame("pay", b"[" * 5000 + body))               # nested
    send_raw(suite, raw_frame("pay", body, length=len(body) + 500), answers=False)  # broken off
    send_raw(suite, raw_frame("card_reveal", body))                     # no right to ask that
    send_raw(suite, raw_frame("payment_answer", body))                  # not a request
    send_raw(suite, b"POST / HTTP/1.1\r\n\r\n" + body)                   # not our protocol


def kill_in_the_middle(suite, daemon, amount):
    """A sale whose daemon is killed while the processor thinks."""
    suite.simulator.fault("slow_first_byte", op="sale", count=1, seconds=0.6, executed=True)
    request = pay(amount, card=card(TYPED, cvv=TYPED_CVV))
    with suite.pos() as pos:
        before = len(suite.simulator.ledger())
        pos.send("pay", request)
        wait_until(lambda: suite.sql("SELECT 1 FROM payment.attempt WHERE state = 'SENDING'"),
                   what="the intent")
        suite.restart_daemon(daemon)
    with suite.pos() as pos:
        def settled():
            try:
                answer = pos.call("payment_status", {"key": request["key"], "location": "MIA"})
            except Refused:
                return None
            return answer["outcome"] != "PENDING"
        wait_until(settled, patience=40, what=f"the outcome after {daemon} was killed")
    assert len(suite.simulator.ledger()) >= before


def many_sales(suite, count, threads):
    """So that buffers grow, are reused and go back to the allocator."""
    def sell(n):
        with suite.pos() as pos:
            for _ in range(n):
                answer = pos.call("pay", pay(1234, card=card(TYPED, cvv=TYPED_CVV)))
                assert answer["outcome"] == "APPROVED"
    workers = [threading.Thread(target=sell, args=(count // threads,)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def pay_by_command(suite):
    done = suite.kometpay("pay", "--location", "MIA", "--amount", "12.34", "--card-stdin",
                          stdin=f"{COMMAND} 1230 {TYPED_CVV}\n", check=0)
    declined = suite.kometpay("pay", "--location", "MIA", "--amount", "0.21", "--card-stdin",
                              stdin=f"{COMMAND} 1230 {TYPED_CVV} 33101\n", check=1)
    refused = [
        suite.kometpay("pay", "--location", "MIA", "--amount", "12.34", "--card-stdin",
                       stdin=f"{BROKEN}x 1230\n", check=3),
        suite.kometpay("pay", "--location", "MIA", "--amount", "12.34", "--card-stdin",
                       stdin=f"{BROKEN} {PASSWORD}\n", check=3),
        suite.kometpay("pay", "--location", "MIA", "--amount", "12.34", BROKEN, check=2),
        suite.kometpay("pay", "--location", "MIA", "--amount", BROKEN, "--card-stdin",
                       stdin=f"{BROKEN} 1230\n", check=2),
        suite.kometpay("pay", f"--{BROKEN}", check=2)]
    for said in (done, declined, *refused):
        assert search_bytes((said.stdout + said.stderr).encode(), SECRETS, "the command") == []


@pytest.fixture(scope="module")
def story():
    """Every path has been walked; daemons and two of the POS connections are still there."""
    with tempfile.TemporaryDirectory(prefix="kometpay-canary-") as elsewhere, own_suite(settings={
            "KOMETPAY_POS_LISTEN": "127.0.0.1:0", "KOMETPAY_LOG_DEBUG": "1",
            "TMPDIR": elsewhere, "CANARY_CONTROL": CONTROL}) as suite:
        os.chmod(elsewhere, 0o1777)
        begun = time.time()
        for amount, daemon in ((3301, "gatewayd"), (3302, "vaultd"), (3303, "terminald")):
            kill_in_the_middle(suite, daemon, amount)
        pos, tls = suite.pos(), suite.pos_tls(pos_port(suite))
        number = invoice(suite, 8000)
        assert pos.call("pay", pay(8000, customer="C-1", card=card(TYPED, cvv=TYPED_CVV),
                                   description=CONTROL, invoices=[
                                       {"invoice": number, "amount_minor": 8000}]))["outcome"] \
            == "APPROVED"
        saved = pos.call("pay", pay(1500, customer="C-1", save=True,
                                    card=card(SAVED, cvv=TYPED_CVV, holder="Rose Garden",
                                              street="1 Main St", postal_code="33101")))
        for connection in (pos, tls):
            assert connection.call("pay", pay(1600, customer="C-1", token=saved["token"],
                                              cvv=TYPED_CVV))["outcome"] == "APPROVED"
            assert connection.call("pay", pay(21, card=card(AMEX, cvv=AMEX_CVV)))["outcome"] \
                == "DECLINED"
            assert connection.call("pay", pay(1700, card=card(AMEX, cvv=AMEX_CVV)))["outcome"] \
                == "APPROVED"
            authorised = connection.call("pay", pay(6000, kind="AUTH", card=card(TYPED)))
            connection.call("void", {"key": new_key(), "location": "MIA",
                                     "payment": authorised["payment"]})
            for fault in ("answer_lost", "500_after_charge", "truncated_json", "html_200"):
                suite.simulator.fault(fault, op="sale", count=1, executed=True)
                connection.call("pay", pay(5100, card=card(TYPED, cvv=TYPED_CVV)))
        try_refused(suite, pos)
        pay_by_command(suite)
        with suite.pos() as impatient:  # whose time is over before the work has begun, or soon after
            impatient.receive(impatient.send("pay", pay(1800, card=card(TYPED)), left_ms=1))
        many_sales(suite, count=160, threads=8)
        assert pos.call("pay", pay(1900, card=card(TYPED, cvv=TYPED_CVV)))["outcome"] == "APPROVED"
        assert tls.call("pay", pay(1901, card=card(TYPED, cvv=TYPED_CVV)))["outcome"] == "APPROVED"
        suite.elsewhere, suite.begun = elsewhere, begun
        yield suite
        pos.close()
        tls.close()


def test_the_search_finds_what_is_there(tmp_path):
    """Each spelling, between other bytes and at each place of a base64 group."""
    import base64
    raw = TYPED.encode()
    for text in (raw, raw.hex().encode(), raw.hex().upper().encode(), TYPED.encode("utf-16"),
                 b"4000 0566 5566 5556", b"4000-0566-5566-5556", bytes.fromhex(TYPED),
                 int(TYPED).to_bytes(8, "little"), base64.b64encode(raw),
                 base64.b64encode(b"x" + raw + b"y"), base64.b64encode(b"ab" + raw + b"cde"),
                 base64.b64encode(json.dumps({"pan": TYPED}).encode())):
        (tmp_path / "file").write_bytes(b"\0" * 5000 + text + b"\1" * 77)
        assert search_file(tmp_path / "file", SECRETS), text
    (tmp_path / "file").write_bytes(b'{"csc":"737"}')
    assert search_tree(tmp_path, SECRETS)
    (tmp_path / "file").write_bytes(TYPED[:-1].encode() + b"0" + TYPED.encode()[1:])
    assert search_tree(tmp_path, SECRETS) == []


def test_canary_no_card_in_cores(story, tmp_path):
    """gcore of the running daemons, right after the sales. Locked pages are not part of a core;
    a copy anywhere else is a leak."""
    hits = []
    for daemon in DAEMONS:
        pid = story.processes[daemon].pid
        hits += search_core(pid, SECRETS, tmp_path, daemon)
        assert search_core(pid, PLANTED, tmp_path, daemon), f"{daemon}'s core lacks its environment"
    assert not hits, "\n".join(hits)


def test_canary_no_card_in_logs_and_database(story):
    """Log files, PostgreSQL's data directory with the WAL, state and run folders, raw bytes."""
    story.sql("CHECKPOINT")
    for _ in range(2):  # what autovacuum or the log still write
        hits = search_tree(story.directory, SECRETS, skip=("clearent.ledger", "accounts",
                                                           "log/clearent-sim.log"))
        assert hits == []
    data = story.directory / "postgresql" / "data"
    assert search_tree(data / "base", PLANTED), "the search doesn't see what a table holds"
    assert search_tree(data / "pg_wal", PLANTED), "the search doesn't see what the WAL holds"
    for daemon in ("gatewayd", "vaultd", "terminald"):
        assert (story.log / f"{daemon}.log").stat().st_size > 0, f"{daemon} logged nothing"


def test_canary_no_card_in_process_lists(story):
    pids = [story.processes[daemon].pid for daemon in DAEMONS]
    postmaster = story.cluster.pid()
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (*pids, postmaster, *children):
        assert search_process(pid, SECRETS, pid) == []
    for pid in pids:
        assert search_process(pid, PLANTED, pid), "the search doesn't see an environment"


def test_canary_no_card_in_temporary_files(story):
    """TMPDIR, /dev/shm, /var/tmp and whatever the daemons' users made in /tmp."""
    (Path(story.elsewhere) / "planted").write_text(CONTROL)
    assert search_tree(story.elsewhere, PLANTED)
    assert search_tree(story.elsewhere, SECRETS) == []
    hits = []
    for root in ("/dev/shm", "/var/tmp", "/tmp"):
        for entry in os.scandir(root):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # another's, and gone since it was listed: ours are still running
            ours = status.st_uid in UIDS.values() or root == "/dev/shm"
            if ours and status.st_mtime >= story.begun and entry.is_file(follow_symlinks=False):
                hits += search_file(entry.path, SECRETS)
    assert hits == []


def test_canary_no_core_is_written_and_none_may_trace(story):
    """A crash leaves no core, and a process of the same user can't read the memory."""
    for daemon in DAEMONS:
        pid = story.processes[daemon].pid
        limits = Path(f"/proc/{pid}/limits").read_text()
        line, = [x for x in limits.splitlines() if x.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"], daemon
        told = subprocess.run(["/usr/bin/python3", "-c", f"open('/proc/{pid}/mem', 'rb')"],
                              user=UIDS[daemon], group=64000, extra_groups=[],
                              capture_output=True, text=True)
        assert "PermissionError" in told.stderr, daemon


def test_canary_secrets_of_the_suite_stay_in_locked_memory(story, tmp_path):
    """The vault's key and the processor's API key: not in a core, a log, a table, /proc."""
    kek = (story.credentials / "vaultd" / "vault-kek-1").read_text()
    api_key = (story.credentials / "gatewayd" / "clearent-main").read_text()
    needles = {"vault's key, hex": kek.encode(), "vault's key": bytes.fromhex(kek),
               "API key": api_key.encode()}
    hits = []
    for daemon in DAEMONS:
        pid = story.processes[daemon].pid
        hits += search_core(pid, needles, tmp_path, daemon)
        hits += search_process(pid, needles, daemon)
    hits += search_tree(story.directory, needles, skip=("credentials", "accounts"))
    assert hits == []
