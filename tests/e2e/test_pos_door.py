"""The POS door: TLS 1.3 with a certificate that says which location and POS it is, and the UNIX
socket. Nobody without a certificate of ours comes in, and no POS acts for another location."""

import socket
import ssl

import pytest

from tests.e2e.own_suite import pos_port
from tests.suite.business import act, executed, invoice, log, new_key, part, pay, written
from tests.suite.frames import ConnectionLost, Refused, frame


@pytest.fixture(scope="module")
def door(suite):
    """The port for POS clients, and certificates for the tests."""
    suite.certificate("pos-miami-2", "/OU=MIA/CN=counter2")
    suite.certificate("pos-bogota", "/OU=BOG/CN=counter1")
    suite.certificate("pos-nowhere", "/OU=NOWHERE/CN=counter1")
    suite.certificate("pos-expired", "/OU=MIA/CN=counter1", days=-1)
    suite.certificate("pos-no-location", "/CN=counter1")
    suite.certificate("pos-no-name", "/OU=MIA")
    suite.certificate("pos-two-locations", "/OU=MIA/OU=BOG/CN=counter1")
    suite.authority("stranger", "/CN=Komet test authority")
    suite.certificate("pos-foreign", "/OU=MIA/CN=counter1", authority="stranger")
    return pos_port(suite)


@pytest.fixture
def miami(suite, door):
    suite.simulator.no_faults()
    with suite.pos_tls(door) as connection:
        yield connection


@pytest.fixture
def bogota(suite, door):
    with suite.pos_tls(door, "pos-bogota") as connection:
        yield connection


def refusal(pos, name, body):
    with pytest.raises(Refused) as refused:
        pos.call(name, body)
    assert refused.value.sentence
    return refused.value.code, refused.value.field


def without_location(body):
    return {name: value for name, value in body.items() if name != "location"}


# -- who comes in

def test_certificate_says_location_and_pos(suite, miami):
    assert miami.socket.version() == "TLSv1.3"
    answer = miami.call("pay", without_location(pay(4101)))
    assert answer["outcome"] == "APPROVED"
    row = log(suite, amount_minor=4101)[0]
    assert (row["location"], row["pos"]) == ("MIA", "counter1")


@pytest.mark.parametrize("name", [None, "pos-foreign", "pos-expired", "pos-no-location",
                                  "pos-no-name", "pos-two-locations"])
def test_no_certificate_of_ours_no_service(suite, door, name):
    """In TLS 1.3 the client has finished before the server has seen its certificate: what counts is
    that no request is answered."""
    with pytest.raises((ssl.SSLError, ConnectionLost, OSError)):
        with suite.pos_tls(door, name) as stranger:
            stranger.call("daemon_status", {})
    with suite.pos_tls(door) as known:
        assert known.call("daemon_status", {})["ready"], "others are served as before"


def test_older_tls_is_refused(suite, door):
    with pytest.raises(ssl.SSLError):
        suite.pos_tls(door, newest=ssl.TLSVersion.TLSv1_2)


def test_plain_text_on_the_tls_port_is_refused(door):
    with socket.create_connection(("127.0.0.1", door), timeout=10) as raw:
        raw.sendall(frame("daemon_status", {}))
        heard = b""
        try:
            while piece := raw.recv(100):
                heard += piece
        except ConnectionResetError:
            pass
    assert b"KPAY" not in heard


def test_certificate_of_an_unknown_location_takes_no_payment(suite, door):
    before = written(suite)
    with suite.pos_tls(door, "pos-nowhere") as pos:
        assert refusal(pos, "pay", without_location(pay(4102))) == ("location_unknown", "location")
    assert written(suite) == before


# -- nobody acts for another location

def test_pos_of_bogota_cannot_pay_for_miami(suite, bogota):
    before = written(suite)
    assert refusal(bogota, "pay", pay(4201)) == ("location_of_other_pos", "location")
    assert written(suite) == before


@pytest.mark.parametrize("name", ["refund", "void", "capture"])
def test_pos_of_bogota_cannot_act_on_a_payment_of_miami(suite, miami, bogota, name):
    kind = "AUTH" if name == "capture" else "SALE"
    payment = miami.call("pay", pay(4202, kind=kind))
    assert payment["outcome"] == "APPROVED"
    before = written(suite)
    assert refusal(bogota, name, act(payment)) == ("location_of_other_pos", "location")
    assert refusal(bogota, name, without_location(act(payment))) == (
        "payment_of_other_location", "location")
    assert written(suite) == before


def test_pos_of_bogota_hears_nothing_of_a_payment_of_miami(miami, bogota):
    request = pay(4203)
    payment = miami.call("pay", request)
    assert refusal(bogota, "payment_status", {"payment": payment["payment"]}) == (
        "payment_of_other_location", "location")
    assert refusal(bogota, "payment_status", {"key": request["key"]}) == ("payment_unknown", "key")
    assert bogota.call("cancel", {"key": request["key"]})["outcome"] == "CANCEL_ACCEPTED"
    own = miami.call("payment_status", {"key": request["key"]})
    assert own["outcome"] == "APPROVED", "what Bogota cancelled is a key of its own"
    assert refusal(bogota, "log", {"location": "MIA"}) == ("location_of_other_pos", "location")
    assert {row["location"] for row in bogota.call("log", {})["rows"]} <= {"BOG"}


def test_pos_of_the_same_location_hears_and_acts(suite, door, miami):
    payment = miami.call("pay", pay(4204))
    with suite.pos_tls(door, "pos-miami-2") as other:
        assert other.call("payment_status", {"payment": payment["payment"]})["outcome"] == "APPROVED"
        assert other.call("void", without_location(act(payment)))["outcome"] == "APPROVED"


# -- keys

def test_a_key_belongs_to_the_pos_that_sent_it(suite, door, miami, pos):
    """As PROTOCOL.md says: the same key of two certificates, or of a certificate and the UNIX
    socket, are two keys; of two connections of one POS it is one."""
    request = pay(4301)
    first = miami.call("pay", request)
    with suite.pos_tls(door) as again:
        assert again.call("pay", request)["payment"] == first["payment"]
    with suite.pos_tls(door, "pos-miami-2") as other:
        second = other.call("pay", request)
    third = pos.call("pay", request)
    with suite.pos() as again:
        assert again.call("pay", request)["payment"] == third["payment"]
    assert len({answer["payment"] for answer in (first, second, third)}) == 3


# -- many at once

@pytest.mark.parametrize("kind", ["tls", "unix"])
def test_many_requests_on_one_connection_are_answered_in_any_order(suite, door, kind):
    suite.simulator.no_faults()
    suite.simulator.fault("slow_first_byte", op="sale", amount="45.01", count=1, seconds=1)
    with suite.pos_tls(door) if kind == "tls" else suite.pos() as pos:
        slow = pos.send("pay", pay(4501))
        asked = {pos.send("pay", pay(4600 + n)): 4600 + n for n in range(24)}
        status = pos.send("daemon_status", {})
        order = []
        for _ in range(len(asked) + 2):
            correlation, name, body = pos.next()
            order.append(correlation)
            if correlation in asked:
                assert body["outcome"] == "APPROVED" and body["amount_minor"] == asked[correlation]
                assert len(executed(suite, body)) == 1
            else:
                assert (correlation, name) in ((slow, "payment_answer"), (status, "daemon_state"))
    assert sorted(order) == sorted([slow, status, *asked])
    assert order.index(slow) > 0, "the slow one keeps nobody waiting"
    suite.simulator.no_faults()


def test_the_pos_that_hangs_up_has_its_answer_kept(suite, pos):
    suite.simulator.fault("slow_first_byte", op="sale", count=1, seconds=1)
    number = invoice(suite, 4700)
    request = pay(4700, key=new_key(), invoices=[part(number, 4700)])
    with suite.pos() as hasty:
        hasty.send("pay", request)
    again = pos.call("pay", request)
    assert again["outcome"] == "APPROVED" and len(executed(suite, again)) == 1
