"""The Clearent simulator's faults: each strikes the request it was meant for, and the ledger
tells whether the request was executed, whatever the answer said."""

import gzip
import http.client
import json
import socket
import time

import pytest
from clearent_processor import VISA, VISA_2, certificate, code, processor, transaction  # noqa: F401


def broken(processor, ref="REF1"):
    """A sale whose answer can't be read; says how."""
    try:
        status, answer = processor.sale(ref)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        return type(problem).__name__
    return status, answer


@pytest.mark.parametrize("fault, executed", [
    ("reset_before", False), ("answer_lost", True), ("answer_reset", True),
    ("reset_mid_answer", True), ("reset_after_headers", False), ("reset_mid_request", False),
    ("wrong_length", True), ("bad_chunk", True), ("truncated_json", True), ("html_200", True),
    ("502_html", False), ("bom", True), ("invalid_utf8", True), ("gzip_bomb", True)])
def test_faults_that_break_the_answer(processor, fault, executed):
    processor.fault(fault, op="sale", ref="REF1")
    assert isinstance(broken(processor), str)
    assert len(processor.executed("REF1")) == executed
    status, answer = processor.sale("REF2")
    assert status == 200 and transaction(answer)["invoice"] == "REF2"


def test_faults_before_a_request(processor):
    for fault in ("tls_close", "accept_close"):
        processor.fault(fault)
        assert isinstance(broken(processor), str)
    processor.fault("tls_silent")
    with pytest.raises((TimeoutError, socket.timeout)):
        processor.tls.wrap_socket(socket.create_connection(("127.0.0.1", processor.port), 0.5),
                                  server_hostname="127.0.0.1")
    assert processor.sale()[0] == 200
    assert len(processor.executed()) == 1
    processor.control("POST", "faults", {"fault": "tls_close", "op": "sale"}, expect=400)


@pytest.mark.parametrize("fault, status, executed", [
    ("500_after_charge", 500, True), ("500_not_executed", 500, False), ("429", 429, False),
    ("400", 400, False), ("401", 401, False), ("duplicate_402", 402, False),
    ("code:012", 402, False), ("code:003/500", 500, False), ("code:057", 402, False)])
def test_faults_with_another_status(processor, fault, status, executed):
    processor.fault(fault, op="sale")
    got, answer = processor.sale()
    assert got == status and answer["code"] == str(status)
    assert len(processor.executed("REF1")) == executed
    if fault.startswith("code:"):
        assert code(answer) == int(fault[5:8])
    assert len(processor.found(status="DECLINED")) == (fault == "code:012")


def test_gateway_voids_what_avs_refuses(processor):
    processor.fault("code:046", op="sale", executed=True)
    status, answer = processor.sale()
    assert (status, code(answer)) == (402, 46)
    assert [row["op"] for row in processor.executed()] == ["sale", "void"]


def test_faults_of_odd_bodies(processor):
    processor.fault("302", op="sale")
    status, headers, _ = processor.raw("POST", "/rest/v2/transactions/sale", "{}")
    assert status == 302 and headers["Location"]
    processor.fault("empty_200", op="search")
    assert processor.raw("GET", "/rest/v2/transactions")[::2] == (200, b"")
    processor.fault("big_body", op="search")
    assert len(processor.raw("GET", "/rest/v2/transactions")[2]) > 10 << 20
    processor.fault("gzip_bomb", op="search")
    _, headers, data = processor.raw("GET", "/rest/v2/transactions")
    assert headers["Content-Encoding"] == "gzip"
    assert len(gzip.decompress(data)) > 100 * len(data)
    processor.fault("deep_nesting", op="search")
    assert b"[" * 50000 in processor.raw("GET", "/rest/v2/transactions")[2]
    processor.fault("nan", op="sale", ref="N1")
    processor.fault("duplicate_keys", op="sale", ref="N2")

    def sale_bytes(ref):
        body = {"amount": "1.00", "card": VISA, "exp-date": "1235", "invoice": ref,
                "software-type": "T", "software-type-version": "1"}
        return processor.raw("POST", "/rest/v2/transactions/sale", body)[2]

    assert b'"amount":NaN' in sale_bytes("N1")
    assert sale_bytes("N2").count(b'"amount":') == 2
    assert [len(processor.executed(ref)) for ref in ("N1", "N2")] == [1, 1]


def test_faults_that_answer_something_else(processor):
    processor.sale("OTHER", "5.00", card=VISA_2)
    processor.fault("foreign_answer", op="sale", ref="S1")
    assert transaction(processor.sale("S1")[1])["invoice"] == "OTHER"
    processor.fault("amount_differs", op="sale", ref="S2")
    assert transaction(processor.sale("S2")[1])["amount"] == "81.00"
    processor.fault("last_four_differs", op="sale", ref="S3")
    assert transaction(processor.sale("S3")[1])["card"].endswith("0000")
    processor.fault("previously_approved_other_card", op="sale", ref="S4")
    answer = transaction(processor.sale("S4")[1])
    assert answer["display-message"] == "Transaction Previously Approved"
    assert answer["card"].endswith("4242")
    processor.fault("pending_result", op="search", ref="S1")
    assert processor.found(invoice="S1")[0]["result"] == "PENDING"
    assert [len(processor.executed(ref)) for ref in ("S1", "S2", "S3", "S4")] == [1, 1, 1, 0]
    assert processor.executed("S2")[0]["amount"] == "80.00"


def test_slow_and_silent_answers(processor):
    processor.fault("slow_first_byte", op="sale", seconds=0.4)
    begun = time.monotonic()
    assert processor.sale()[0] == 200 and time.monotonic() - begun > 0.39
    processor.fault("byte_per_second", op="search", seconds=0.001)
    assert len(processor.found()) == 1
    processor.fault("headers_then_pause", op="search", seconds=0.3)
    begun = time.monotonic()
    assert len(processor.found()) == 1 and time.monotonic() - begun > 0.29
    processor.fault("silent", op="search", seconds=0.2)
    with pytest.raises((http.client.HTTPException, OSError)):
        processor.search()
    assert processor.sale("REF2")[0] == 200


@pytest.mark.parametrize("silent", [False, True])
def test_late_execution_on_the_simulated_clock(processor, silent):
    processor.fault("late_execution", op="sale", seconds=3600, silent=silent)
    if silent:
        connection = processor.connect(timeout=0.3)
        with pytest.raises((TimeoutError, socket.timeout)):
            connection.request("POST", "/rest/v2/transactions/sale", json.dumps(
                {"amount": "80.00", "card": VISA, "exp-date": "1235", "invoice": "REF1",
                 "software-type": "T", "software-type-version": "1"}),
                {"api-key": "key-one", "Accept": "application/json",
                 "Content-Type": "application/json"})
            connection.getresponse()
        connection.close()
    else:
        assert broken(processor) == "JSONDecodeError"
    assert processor.executed() == [] and processor.found(invoice="REF1") == []
    assert processor.control("GET", "stats")["late_waiting"] == 1
    processor.control("POST", "clock", {"advance_seconds": 3500})
    assert processor.executed() == []
    processor.control("POST", "clock", {"rate": 1000})
    deadline = time.monotonic() + 5
    while not processor.executed() and time.monotonic() < deadline:
        time.sleep(0.02)
    row, = processor.executed("REF1")
    assert row["by"] == "late" and row["last_four"] == "1111"


def test_faults_of_the_look_up(processor):
    processor.sale()
    processor.fault("not_found_though_executed", op="search", ref="REF1", count=2)
    assert [len(processor.found(invoice="REF1")) for _ in range(3)] == [0, 0, 1]
    processor.fault("not_found_then_found", op="search", count=2)
    assert [len(processor.found(invoice="REF1")) for _ in range(3)] == [0, 0, 1]
    processor.fault("not_found_then_found", seconds=100)
    assert processor.found(order_id="REF1") == [] and processor.found(order_id="REF1") == []
    processor.control("POST", "clock", {"advance_seconds": 101})
    assert len(processor.found(order_id="REF1")) == 1
    processor.fault("search_lag", seconds=3600)
    assert processor.found(invoice="REF1") == []
    processor.fault("two_rows", op="search")
    first, second = processor.found(invoice="REF1")
    assert first["id"] != second["id"] and first["invoice"] == second["invoice"]
    assert len(processor.executed()) == 1
    processor.fault("search_500")
    assert processor.search()[0] == 500
    processor.fault("two_rows", op="sale")
    assert processor.sale("TWICE")[0] == 200
    assert len(processor.executed("TWICE")) == 2


def test_faults_of_voids_refunds_and_batches(processor):
    sale = transaction(processor.sale()[1])["id"]
    void = {"id": sale, "amount": "80.00", "invoice": "V1"}
    processor.fault("void_refused_batch_closed")
    status, answer = processor.post("void", void)
    assert (status, code(answer)) == (402, 40) and len(processor.executed()) == 1
    processor.fault("void_unknown")
    status, answer = processor.post("void", void)
    assert (status, code(answer)) == (402, 31) and len(processor.executed("V1")) == 1
    sale = transaction(processor.sale("S2")[1])["id"]
    processor.fault("refund_answer_lost")
    with pytest.raises((http.client.HTTPException, OSError)):
        processor.post("refund", {"id": sale, "amount": "80.00", "invoice": "R1"})
    assert len(processor.executed("R1")) == 1
    processor.fault("batch_close_answer_lost")
    with pytest.raises((http.client.HTTPException, OSError)):
        processor.call("PUT", "/rest/v2/batches/open", {})
    status, answer = processor.call("GET", "/rest/v2/batches?status=CLOSED")
    assert len(answer["payload"]["batches"]["batch"]) == 1
    processor.sale("S3")
    processor.fault("batch_pending", seconds=60)
    assert processor.call("PUT", "/rest/v2/batches/open",
                          {})[1]["payload"]["batch"]["status"] == "PENDING"
    processor.control("POST", "clock", {"advance_seconds": 61})
    status, answer = processor.call("GET", "/rest/v2/batches")
    assert [b["status"] for b in answer["payload"]["batches"]["batch"]] == ["CLOSED", "CLOSED"]
    processor.sale("S4")
    processor.fault("batch_failed")
    assert processor.call("PUT", "/rest/v2/batches/open", {})[0] == 500
    assert processor.call("PUT", "/rest/v2/batches/open",
                          {})[1]["payload"]["batch"]["status"] == "CLOSED"


def test_rules_match_and_are_used_up(processor):
    processor.fault("500_not_executed", op="sale", card_last_four="4242", nth=2, count=1)
    processor.fault("429", op="sale", amount="7.00")
    got = [processor.sale(f"S{n}", amount, card)[0] for n, (amount, card) in enumerate([
        ("1.00", VISA), ("1.00", VISA_2), ("1.00", VISA_2), ("1.00", VISA_2), ("7.00", VISA),
        ("7.00", VISA)])]
    assert got == [200, 200, 500, 200, 429, 200]
    rules = processor.control("GET", "faults")["faults"]
    assert [(r["seen"], r["fired"]) for r in rules] == [(3, 1), (2, 1)]
    assert processor.control("DELETE", "faults")["faults"] == []
    for wrong in ({"fault": "no such"}, {"fault": "429", "match": {"colour": "red"}},
                  {"fault": "search_lag", "op": "sale"}, {"fault": "late_execution", "op": "batch"},
                  {"fault": "500_after_charge", "executed": False}, {"op": "sale"},
                  {"fault": "code:12x"}, {"fault": "429", "match": {"amount": 7}}):
        assert "error" in processor.control("POST", "faults", wrong, expect=400)
