"""The TLS door: what a slow, greedy or withdrawn client gets, and what a damaged bundle."""

import os
import re
import socket
import ssl
import time

import pytest

from tests.e2e.own_suite import own_suite, pos_port
from tests.suite.authority import Authority
from tests.suite.business import pay
from tests.suite.frames import Connection, ConnectionLost
from tests.suite.suite import wait_until

HANDSHAKE_MS = 1500
PER_ADDRESS = 64


@pytest.fixture(scope="module")
def house():
    with own_suite(settings={"KOMETPAY_POS_LISTEN": "127.0.0.1:0",
                             "KOMETPAY_POS_HANDSHAKE_MS": str(HANDSHAKE_MS)}) as suite:
        yield suite


@pytest.fixture(scope="module")
def authority(house):
    return Authority(house)


def context_of(suite, name="pos-miami"):
    context = ssl.create_default_context(cafile=str(suite.directory / "ca.crt"))
    context.load_cert_chain(suite.directory / f"{name}.crt", suite.directory / f"{name}.key")
    return context


def pos_from(suite, source, name="pos-miami", timeout=20):
    """A POS whose host has another address of this machine."""
    raw = socket.create_connection(("127.0.0.1", pos_port(suite)), timeout, (source, 0))
    return Connection(context_of(suite, name).wrap_socket(raw, server_hostname="localhost"))


def is_served(connection):
    return connection.call("daemon_status", {})["daemon"] == "terminald"


def refused_at_the_door(suite, name):
    try:
        with pos_from(suite, "127.0.0.1", name) as connection:
            return not is_served(connection)
    except (ConnectionLost, OSError):
        return True


def closed(raw):
    """Whether the other side has ended the connection."""
    raw.setblocking(False)
    try:
        return raw.recv(4096) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def journal(suite):
    return (suite.log / "terminald.log").read_text(errors="replace")


def client_hello(suite):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context_of(suite).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_a_handshake_a_byte_at_a_time_is_dropped(house):
    hello = iter(client_hello(house)[:-1])  # it never gets to its end
    with socket.create_connection(("127.0.0.1", pos_port(house)), 10) as raw:
        def drip():
            if closed(raw):
                return True
            byte = next(hello, None)
            assert byte is not None, "the whole hello was waited for"
            try:
                raw.send(bytes([byte]))
            except ConnectionError:
                return True
            return False
        wait_until(drip, patience=20, period=0.1, what="the end of a handshake that drips")
    assert "handshake not finished in time" in journal(house)


def test_one_address_does_not_take_the_handshakes_of_others(house):
    port = pos_port(house)
    idle = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(PER_ADDRESS + 6)]
    try:
        wait_until(lambda: sum(closed(raw) for raw in idle) >= 6, patience=10,
                   what="refusing what is above the limit")
        assert "too many handshakes at once from this address" in journal(house)
        with pos_from(house, "127.0.0.2") as other:
            assert is_served(other)
        wait_until(lambda: all(closed(raw) for raw in idle), patience=20,
                   what="dropping those that say nothing")
    finally:
        for raw in idle:
            raw.close()
    with pos_from(house, "127.0.0.1") as again:
        assert is_served(again)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def few_descriptors(house):
    """terminald with room for a dozen connections more than it starts with."""
    house.restart_daemon("terminald")
    pid = house.processes["terminald"].pid
    limit = len(os.listdir(f"/proc/{pid}/fd")) + 12
    house.processes["terminald"].kill()
    house.start_daemon("terminald", wrapper=("prlimit", f"--nofile={limit}:{limit}"))
    house.wait_ready(["terminald"])
    yield
    house.restart_daemon("terminald")


def test_out_of_descriptors_it_neither_spins_nor_stays_deaf(house, few_descriptors):
    pid = house.processes["terminald"].pid
    waiting = [socket.create_connection(("127.0.0.1", pos_port(house)), 10) for _ in range(30)]
    waiting += [socket.create_connection(("127.0.0.1", pos_port(house)), 10, ("127.0.0.4", 0))
                for _ in range(30)]
    try:
        began, used, told = time.monotonic(), cpu_seconds(pid), len(journal(house))
        wait_until(lambda: time.monotonic() - began > 1, what="a while")
        share = (cpu_seconds(pid) - used) / (time.monotonic() - began)
        assert share < 0.15, f"it spins: {share:.0%} of a processor"
        assert len(journal(house)) - told < 65536, "it floods the journal"
    finally:
        for raw in waiting:
            raw.close()
    with pos_from(house, "127.0.0.3") as again:
        assert is_served(again)


def test_a_connection_ends_with_its_certificate(house, authority):
    authority.certificate("pos-brief", "/OU=MIA/CN=brief", seconds=6)
    with pos_from(house, "127.0.0.1", "pos-brief") as brief:
        assert is_served(brief)
        with pytest.raises((ConnectionLost, OSError)):
            wait_until(lambda: not is_served(brief), patience=30, what="the certificate's end")
    assert "the certificate has ended" in journal(house)
    assert refused_at_the_door(house, "pos-brief")


def credential(suite, name, text):
    """Puts a credential in place for the next start; None takes it away."""
    path = suite.credentials / "terminald" / name
    path.parent.chmod(0o700)
    path.unlink(missing_ok=True)
    if text is not None:
        suite._credential("terminald", name, text)


@pytest.fixture
def door(house):
    """terminald starts anew with the credentials that a test gives; afterwards as it was."""
    folder = house.credentials / "terminald"
    names = ("pos-tls-cert", "pos-tls-key", "pos-client-ca")
    before = {name: (folder / name).read_text() for name in names}

    def start(**changed):
        for name, text in changed.items():
            credential(house, name.replace("_", "-"), text)
        house.processes["terminald"].kill()
        return house.start_daemon("terminald")
    yield start
    start(pos_client_crl=None, **{name.replace("-", "_"): before[name] for name in names})
    house.wait_ready(["terminald"])


def refuses_to_start(suite, process, code):
    wait_until(lambda: not process.alive(), patience=10, what="a refusal to start")
    assert process.popen.returncode != 0
    assert re.search(rf"can't be used\. \({code}\)", journal(suite).splitlines()[-1])


def test_a_withdrawn_certificate_is_refused_and_others_are_served(house, authority, door):
    authority.certificate("pos-lost", "/OU=MIA/CN=lost")
    with pos_from(house, "127.0.0.1", "pos-lost") as lost:
        assert is_served(lost)
    authority.withdraw("pos-lost")
    door(pos_client_crl=authority.revocation_list())
    house.wait_ready(["terminald"])
    assert refused_at_the_door(house, "pos-lost")
    with pos_from(house, "127.0.0.1") as other:
        assert other.call("pay", pay(9100))["outcome"] == "APPROVED"


def test_an_outdated_revocation_list_lets_nobody_in(house, authority, door):
    outdated = authority.revocation_list("-crl_lastupdate", "20200101000000Z",
                                         "-crl_nextupdate", "20200102000000Z")
    door(pos_client_crl=outdated)
    house.wait_ready(["terminald"])
    assert refused_at_the_door(house, "pos-miami")


def test_a_revocation_list_that_cannot_be_read_is_not_left_out(house, door):
    refuses_to_start(house, door(pos_client_crl="nothing of use\n"), "tls_client_crl")


def test_a_long_chain_fits(house, door):
    suite = house
    for name, subject in (("deep-root", "/CN=Deep root"), ("deep-one", "/CN=Deep one"),
                          ("deep-two", "/CN=Deep two")):
        suite.openssl("req", "-x509", "-newkey", "rsa:4096", "-nodes", "-keyout", f"{name}.key",
                      "-out", f"{name}.crt", "-days", "30", "-subj", subject)
    chain = "".join((suite.directory / f"{name}.crt").read_text()
                    for name in ("server", "deep-two", "deep-one", "deep-root"))
    assert len(chain) > 4096
    door(pos_tls_cert=chain)
    suite.wait_ready(["terminald"])
    raw = socket.create_connection(("127.0.0.1", pos_port(suite)), 10)
    with context_of(suite).wrap_socket(raw, server_hostname="localhost") as client:
        assert client.version() == "TLSv1.3"


def damaged(certificate):
    lines = certificate.splitlines(keepends=True)
    return "".join([lines[0], "!" + lines[1][1:], *lines[2:]])


def test_a_bundle_that_is_damaged_or_too_long_is_refused(house, door):
    ours = (house.directory / "ca.crt").read_text()
    server = (house.directory / "server.crt").read_text()
    refuses_to_start(house, door(pos_tls_cert=server + damaged(ours)), "tls_certificate")
    refuses_to_start(house, door(pos_tls_cert=server + 5 * ours), "tls_certificate")
    refuses_to_start(house, door(pos_tls_cert=server,
                                 pos_client_ca=ours + damaged(server)), "tls_client_ca")
    refuses_to_start(house, door(pos_client_ca=17 * ours), "tls_client_ca")
