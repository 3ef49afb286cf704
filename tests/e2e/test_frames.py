"""Malformed frames and payloads at the POS door: each gets a named error, the connection is kept or
closed as PROTOCOL.md says, and nothing is written."""

import json
import re
import struct
import time
from pathlib import Path

import pytest

from tests.e2e.own_suite import pos_port
from tests.suite.business import card, pay, written
from tests.suite.frames import ConnectionLost, NUMBERS, Refused, frame
from tests.suite.suite import wait_until

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD_MAX_BYTES = 524288


@pytest.fixture(params=["unix", "tls"])
def connection(suite, request):
    made = suite.pos() if request.param == "unix" else suite.pos_tls(pos_port(suite))
    with made:
        yield made


def answer_to(connection, data):
    """(code, field) of the error that those bytes get; its correlation is ours or 0."""
    connection.send_bytes(data)
    correlation, name, body = connection.next()
    assert name == "error" and body["sentence"], (name, body)
    assert correlation in (0, 1)
    return body["code"], body.get("field", "")


def is_open(connection):
    try:
        connection.send_bytes(frame("daemon_status", {}, correlation=7))
        return connection.next()[:2] == (7, "daemon_state")
    except ConnectionLost:
        return False


@pytest.mark.parametrize("code, change", [
    ("frame_magic", {"magic": b"HTTP"}),
    ("frame_version", {"version": 2}),
    ("frame_version", {"version": 0}),
    ("frame_flags", {"flags": 4}),
    ("frame_flags", {"flags": 0x81}),
    ("frame_reserved", {"reserved": 1}),
    ("frame_too_long", {"length": PAYLOAD_MAX_BYTES + 1}),
    ("frame_too_long", {"length": 0xFFFFFFFF}),
])
def test_bad_frame_is_named_and_the_connection_closed(suite, connection, code, change):
    before = written(suite)
    assert answer_to(connection, frame("pay", pay(100), **change)) == (code, "")
    assert not is_open(connection)
    assert written(suite) == before


PAYLOADS = {
    "no such message": ("message_unknown", frame(9999, {})),
    "message zero": ("message_unknown", frame(0, {})),
    "an answer sent as a request": ("message_unknown", frame("payment_answer", {})),
    "marked as an answer": ("frame_flags", frame("pay", pay(100), flags=1)),
    "nothing": ("json_invalid", frame("pay", b"")),
    "half an object": ("json_invalid", frame("pay", b"{")),
    "a list": ("json_invalid", frame("pay", b"[]")),
    "null": ("json_invalid", frame("pay", b"null")),
    "two objects": ("json_invalid", frame("pay", json.dumps(pay(100)).encode() + b"{}")),
    "a byte after the object": ("json_invalid", frame("pay", json.dumps(pay(100)).encode() + b"\0")),
    "not UTF-8": ("field_bounds", frame("pay", json.dumps(pay(100)).encode().replace(
        b"key-", b"key\xff"))),
    "a field twice": ("json_invalid", frame("pay", b'{"key": "12345678", "key": "12345678"}')),
    "deep lists": ("json_invalid", frame("pay", b"[" * 100000)),
    "deep objects": ("field_unknown", frame("pay", b'{"card":' * 20000)),
    "as long as a pay may be": ("json_invalid", frame("pay", b" " * 200000)),
    "longer than a pay can be": ("frame_too_long", frame("pay", b" " * PAYLOAD_MAX_BYTES)),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_bad_payload_is_named_and_the_connection_kept(suite, connection, name):
    code, data = PAYLOADS[name]
    before = written(suite)
    assert answer_to(connection, data)[0] == code
    assert is_open(connection)
    assert written(suite) == before


@pytest.mark.parametrize("code, field, change", [
    ("field_unknown", "surprise", {"surprise": 1}),
    ("field_unknown", "card.track", {"card": {**card(), "track": "x"}}),
    ("field_unknown", "?", {"4111111111111111": "x"}),
    ("field_type", "amount_minor", {"amount_minor": 80.5}),
    ("field_type", "amount_minor", {"amount_minor": "8000"}),
    ("field_type", "amount_minor", {"amount_minor": True}),
    ("field_type", "key", {"key": 12345678}),
    ("field_type", "card", {"card": "4111111111111111"}),
    ("field_type", "invoices", {"invoices": {}}),
    ("field_type", "save", {"save": "yes"}),
    ("field_type", "card.pan", {"card": {**card(), "pan": 4111111111111111}}),
    ("field_bounds", "amount_minor", {"amount_minor": 0}),
    ("field_bounds", "amount_minor", {"amount_minor": 100000000}),
    ("field_bounds", "key", {"key": "short"}),
    ("field_bounds", "key", {"key": "k" * 65}),
    ("field_bounds", "kind", {"kind": "GIFT"}),
    ("field_bounds", "currency", {"currency": "usd"}),
    ("field_bounds", "card.pan", {"card": card("4111")}),
    ("field_bounds", "card.expiry_month", {"card": card(month=13)}),
    ("field_bounds", "card.cvv", {"card": card(cvv="12345")}),
    ("field_bounds", "description", {"description": "d" * 51}),
    ("field_bounds", "invoices", {"invoices": [{"invoice": "A", "amount_minor": 1}] * 501}),
    ("field_missing", "invoices[0].amount_minor", {"invoices": [{"invoice": "A"}]}),
])
def test_bad_field_is_named(suite, connection, code, field, change):
    before = written(suite)
    assert answer_to(connection, frame("pay", {**pay(8000), **change})) == (code, field)
    assert is_open(connection)
    assert written(suite) == before


@pytest.mark.parametrize("text, code", [
    ("1e3", "field_type"), ("1.0", "field_type"), ("null", "field_type"),
    ("99999999999999999999", "field_type"), ("0100", "json_invalid"), ("-0", "field_bounds"),
    ("NaN", "json_invalid"),
])
def test_amount_is_a_whole_number_of_cents(suite, connection, text, code):
    before = written(suite)
    body = json.dumps(pay(123456)).replace("123456", text).encode()
    assert answer_to(connection, frame("pay", body))[0] == code
    assert written(suite) == before


@pytest.mark.parametrize("name", ["key", "kind", "amount_minor", "currency"])
def test_missing_field_is_named(suite, connection, name):
    before = written(suite)
    body = {key: value for key, value in pay(8000).items() if key != name}
    assert answer_to(connection, frame("pay", body)) == ("field_missing", name)
    assert is_open(connection) and written(suite) == before


def test_text_with_a_control_character_is_refused(connection):
    body = pay(8000, description="two\nlines")
    assert answer_to(connection, frame("pay", body))[1] == "description"
    assert is_open(connection)


def test_one_byte_at_a_time_is_a_frame_too(connection):
    for byte in frame("daemon_status", {}, correlation=3):
        connection.send_bytes(bytes([byte]))
    assert connection.next()[:2] == (3, "daemon_state")


def test_two_frames_in_one_piece_get_two_answers(connection):
    connection.send_bytes(frame("daemon_status", {}, correlation=3) +
                          frame("location_list", {}, correlation=4))
    assert sorted(connection.next()[:2] for _ in range(2)) == [
        (3, "daemon_state"), (4, "location_rows")]


def test_correlation_id_of_64_bits_comes_back(connection):
    data = bytearray(frame("daemon_status", {}))
    struct.pack_into(">Q", data, 16, 0xFEDCBA9876543210)
    connection.send_bytes(bytes(data))
    header = connection._read(28)
    assert header[16:24] == bytes.fromhex("FEDCBA9876543210")


def test_frame_that_does_not_end_is_given_ten_seconds(suite):
    before = written(suite)
    begun = time.monotonic()
    with suite.pos() as connection:
        connection.send_bytes(frame("pay", pay(100))[:-1])
        with pytest.raises(ConnectionLost):
            connection.next()
    assert time.monotonic() - begun > 9
    assert written(suite) == before


def test_request_whose_time_is_over_is_never_sent(suite, pos):
    """One millisecond is over before a card is held: whatever is told, nothing goes out."""
    before = len(suite.simulator.ledger())
    requests = [pay(100 + n) for n in range(8)]
    for correlation in [pos.send("pay", request, left_ms=1) for request in requests]:
        _, body = pos.receive(correlation)
        assert body.get("code") in ("deadline_passed", "busy") or (
            body["outcome"] in ("PENDING", "NOT_CHARGED"))

    def outcome(request):
        try:
            return pos.call("payment_status", {"key": request["key"], "location": "MIA"})["outcome"]
        except Refused as refused:
            return refused.code
    # Asked once a turn: one that isn't known yet may be PENDING a moment later. And all of them
    # once more, lest one was on its way while it wasn't known.
    for pause in (0, 1):
        time.sleep(pause)
        for request in requests:
            final = wait_until(lambda: (told := outcome(request)) != "PENDING" and told, patience=30)
            assert final in ("NOT_CHARGED", "payment_unknown")
    assert len(suite.simulator.ledger()) == before


# -- the page

PAGE = (ROOT / "ipc" / "PROTOCOL.md").read_text()
CODES = set(re.findall(r"^\| `([a-z_]+)` \| [^|]+ \|$", PAGE.split("## Error codes")[1], re.M))
CODE_IN_C = re.compile(r'error_refused\(\s*"([a-z_]+)"')
CODE_OF_LINE = re.compile(r'(?:FAULT\(r, [^"]*(?:"[a-z_]*", )?|csv_fault\(c, )"([a-z_]+)"')
CODE_IN_SQL = re.compile(r"(?:refuse|refusal_of)\('([a-z_]+)'")
# Said between daemons or at start-up; a POS or operator never hears them.
INTERNAL = {"setting_invalid", "fenced", "not_reversing", "processor_id_unknown",
            "certificate_location", "certificate_pos"}


def test_every_code_that_a_pos_may_hear_is_on_the_page():
    said = set()
    for folder in ("daemons/terminald", "daemons/settled", "ipc"):
        for path in (ROOT / folder).glob("*.c"):
            said |= set(CODE_IN_C.findall(path.read_text()))
            said |= set(CODE_OF_LINE.findall(path.read_text()))
    for path in (ROOT / "sql/migrations").glob("*.sql"):
        said |= set(CODE_IN_SQL.findall(path.read_text()))
    assert {"conflict", "quote_open", "field_count", "space_around"} - said == {"conflict"}
    assert len(said) > 50
    assert said - INTERNAL - CODES == set()


def test_the_page_has_every_request_of_a_pos():
    for name in ("pay", "capture", "void", "refund", "cancel", "payment_status", "log",
                 "daemon_status", "location_list"):
        assert f"### {NUMBERS[name]} `{name}`" in PAGE
    assert "card_reveal" not in PAGE and "### 20 `sale`" not in PAGE
