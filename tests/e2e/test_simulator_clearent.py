"""The Clearent simulator against its own promises: strict requests, the batch, duplicates,
reports, portal acts, and a ledger that outlives it."""

import json
import socket
import threading
import time
from urllib.parse import urlencode

import pytest
from clearent_processor import VISA, VISA_2, certificate, code, processor, transaction  # noqa: F401


def test_sale_is_approved_and_in_the_ledger(processor):
    status, answer = processor.sale(billing={"street": "1 Main St", "zip": "85284"})
    sale = transaction(answer)
    assert (status, answer["code"], answer["status"]) == (200, "200", "success")
    assert (sale["result"], sale["result-code"], sale["amount"]) == ("APPROVED", "000", "80.00")
    assert sale["card"].endswith("1111") and sale["invoice"] == sale["order-id"] == "REF1"
    assert (sale["avs-result-code"], sale["csc-result-code"]) == ("Y", "M")
    assert answer["links"][0]["id"] == sale["id"]
    row, = processor.executed()
    assert (row["op"], row["ref"], row["amount"]) == ("sale", "REF1", "80.00")
    assert (row["last_four"], row["id"], row["terminal"]) == ("1111", sale["id"], "11110001")
    text = (processor.folder / "ledger").read_text()
    assert VISA not in text and "999" not in row.values() and "key-one" not in text


@pytest.mark.parametrize("change, status, result", [
    ({"software-type": None}, 400, 41), ({"software-type-version": None}, 400, 41),
    ({"colour": "red"}, 400, 41), ({"amount": 80}, 400, 41), ({"amount": "80"}, 400, 41),
    ({"amount": "80.0"}, 400, 41), ({"amount": "080.00"}, 400, 41), ({"amount": "-1.00"}, 400, 41),
    ({"amount": "0.00"}, 400, 44), ({"amount": "1000000.00"}, 400, 43),
    ({"card": "4111111111111112"}, 400, 9), ({"card": "4111-1111-1111-1111"}, 400, 41),
    ({"exp-date": "1335"}, 400, 41), ({"exp-date": "2035-12"}, 400, 41), ({"csc": "12"}, 400, 41),
    ({"invoice": "x" * 101}, 400, 41), ({"order-id": "x" * 51}, 400, 41), ({"id": "1"}, 400, 41),
    ({"billing": {"planet": "Mars"}}, 400, 41), ({"billing": "Main St"}, 400, 41),
    ({"email-receipt": False}, 400, 41), ({"type": "AUTH"}, 400, 890), ({"type": "LOAN"}, 400, 41),
    ({"exp-date": "0120"}, 402, 3)])
def test_sloppy_sales_are_refused(processor, change, status, result):
    body = {"amount": "80.00", "card": VISA, "exp-date": "1235", "invoice": "REF1", **change}
    got, answer = processor.post("sale", body)
    assert (got, code(answer)) == (status, result)
    assert answer["code"] == str(status) and answer["status"] == "fail"
    assert processor.executed() == []
    assert VISA not in json.dumps(answer)


def test_sloppy_heads_are_refused(processor):
    path, body = "/rest/v2/transactions/sale", {"type": "SALE"}

    def refused(method="POST", where=path, what=body, **headers):
        renamed = {k.replace("_", "-"): v for k, v in headers.items()}
        status, answer = processor.call(method, where, what, headers=renamed)
        return status, code(answer)

    assert refused(Accept=None) == (400, 90)
    assert refused(Accept="*/*") == (400, 90)
    assert refused(Content_Type="text/plain") == (400, 90)
    assert refused(api_key=None) == (401, 42)
    assert refused(api_key="wrong") == (401, 42)
    assert refused(what="{not json") == (400, 90)
    assert refused(what='{"type":"SALE","type":"SALE"}') == (400, 90)
    assert refused(what="[]") == (400, 90)
    assert refused(method="DELETE") == (405, 92)
    assert refused(where="/rest/v2/transactions/gift") == (404, 90)
    assert processor.executed() == []


def test_type_in_the_body_alone_is_enough(processor):
    body = {"amount": "5.00", "card": VISA, "exp-date": "1235", "software-type": "T",
            "software-type-version": "1"}
    status, answer = processor.call("POST", "/rest/v2/transactions", {**body, "type": "SALE"})
    assert status == 200 and transaction(answer)["type"] == "SALE"
    status, answer = processor.call("POST", "/rest/v2/transactions", body)
    assert (status, code(answer)) == (400, 41)


@pytest.mark.parametrize("amount, status, result", [
    ("0.21", 402, 12), ("0.14", 400, 9), ("0.29", 402, 3), ("0.16", 400, 22), ("0.03", 402, 31),
    ("0.54", 402, 32), ("0.49", 200, 0), ("0.80", 200, 0), ("1.00", 200, 0)])
def test_sandbox_amounts(processor, amount, status, result):
    got, answer = processor.sale(amount=amount)
    assert got == status
    assert (int(transaction(answer)["result-code"]) if result == 0 else code(answer)) == result
    kept = processor.found(invoice="REF1")
    assert [row["result"] for row in kept] == {200: ["APPROVED"]}.get(
        status, [] if result in (31, 32) else ["DECLINED"])
    assert len(processor.executed()) == (1 if result == 0 else 0)


def test_both_faces_of_answers(processor):
    processor.settings(decline_as_transaction=True, numbers_variant=True, card_as_mask=False)
    status, answer = processor.sale(amount="0.21")
    declined = transaction(answer)
    assert (status, answer["code"], answer["status"]) == (402, 402, "FAIL")
    assert (declined["result"], declined["result-code"]) == ("Declined", "0012")
    _, answer = processor.sale("REF2")
    assert answer["links"][0]["id"] == int(transaction(answer)["id"])
    assert transaction(answer)["result"] == "Approved"
    assert (transaction(answer)["result-code"], transaction(answer)["card"]) == ("0000", "1111")


def test_auth_is_in_no_total_until_captured(processor):
    _, answer = processor.sale("A1", kind="auth")
    auth = transaction(answer)["id"]
    _, batch = processor.call("GET", "/rest/v2/batches/open")
    assert batch["payload"]["batch"]["sales-total"] == "0.00"
    status, answer = processor.post("capture", {"id": auth, "amount": "90.00", "invoice": "C0"})
    assert (status, code(answer)) == (402, 8)
    status, answer = processor.post("capture", {"id": auth, "amount": "70.00", "invoice": "C1"})
    assert status == 200 and transaction(answer)["ref-id"] == auth
    _, batch = processor.call("GET", "/rest/v2/batches/open")
    assert batch["payload"]["batch"]["sales-total"] == "70.00"
    status, answer = processor.post("capture", {"id": auth, "amount": "10.00", "invoice": "C2"})
    assert (status, code(answer)) == (402, 27)


def test_void_needs_the_open_batch(processor):
    _, answer = processor.sale()
    sale = transaction(answer)["id"]
    status, answer = processor.post("void", {"id": sale})
    assert (status, code(answer)) == (400, 41)
    status, answer = processor.post("void", {"id": sale, "amount": "80.00", "invoice": "V1"})
    assert status == 200
    assert (transaction(answer)["type"], transaction(answer)["ref-id"]) == ("VOID", sale)
    _, batch = processor.call("GET", "/rest/v2/batches/open")
    assert batch["payload"]["batch"]["total-count"] == "0"
    status, answer = processor.post("void", {"id": sale, "amount": "80.00", "invoice": "V2"})
    assert (status, code(answer)) == (402, 24)
    status, answer = processor.post("refund", {"id": sale, "amount": "1.00", "invoice": "R1"})
    assert (status, code(answer)) == (402, 24)

    _, answer = processor.sale("REF2")
    sale = transaction(answer)["id"]
    assert processor.call("PUT", "/rest/v2/batches/open", {})[0] == 200
    status, answer = processor.post("void", {"id": sale, "amount": "80.00"})
    assert (status, code(answer)) == (402, 40)
    status, answer = processor.post("void", {"id": "12", "amount": "80.00"})
    assert (status, code(answer)) == (402, 27)
    status, answer = processor.post("void", {"id": sale, "amount": "80.00"}, key="key-two")
    assert (status, code(answer)) == (402, 27)


def test_refunds_keep_to_what_is_left(processor):
    _, answer = processor.sale()
    sale = transaction(answer)["id"]

    def refund(ref, amount):
        status, got = processor.post("refund", {"id": sale, "amount": amount, "invoice": ref})
        return status, 0 if status == 200 else code(got)

    assert refund("R1", "80.01") == (402, 25)
    assert refund("R2", "30.00") == (200, 0)
    assert refund("R3", "50.01") == (402, 25)
    assert refund("R4", "50.00") == (200, 0)
    assert refund("R5", "0.50") == (402, 24)
    rows = processor.found(type="REFUND", isDescending="false")
    assert [(r["amount"], r["ref-id"]) for r in rows] == [("30.00", sale), ("50.00", sale)]
    status, answer = processor.post(
        "refund", {"card": VISA, "exp-date": "1235", "amount": "5.00", "invoice": "U1"})
    assert (status, code(answer)) == (402, 13)
    processor.settings(unmatched_refund=True)
    assert processor.post("refund", {"card": VISA, "exp-date": "1235", "amount": "5.00",
                                     "invoice": "U1"})[0] == 200
    _, batch = processor.call("GET", "/rest/v2/batches/open")
    assert batch["payload"]["batch"]["net-amount"] == "-5.00"


def test_duplicates_in_all_modes(processor):
    first = transaction(processor.sale()[1])["id"]

    def again(ref="REF1", key="key-one", card=VISA):
        status, got = processor.sale(ref, card=card, key=key)
        if status != 200:
            return status, code(got)
        return transaction(got)["id"], transaction(got)["display-message"]

    previously = (first, "Transaction Previously Approved")
    assert again(card=VISA_2) == previously
    assert again(key="key-two") == previously
    assert again(key="key-alien")[0] != first
    processor.settings(duplicates_merchant_level=False)
    assert again(key="key-two")[0] != first
    processor.settings(duplicates_respond_with_error=True)
    assert again() == (402, 32)
    processor.settings(duplicates_code=45)
    assert again() == (402, 45)
    processor.settings(duplicates_criterion="last_four", duplicates_minutes=5)
    assert again("REF9") == (402, 45)
    assert again("REF9", card="5555555555554444")[1] == "Transaction approved"
    processor.settings(duplicates_criterion="include_invoice")
    assert again("REF10")[1] == "Transaction approved"
    assert again("REF10") == (402, 45)
    processor.control("POST", "clock", {"advance_seconds": 301})
    assert again("REF10")[1] == "Transaction approved"
    processor.settings(duplicates_enabled=False)
    assert again("REF10")[1] == "Transaction approved"
    assert processor.control("GET", "stats")["executions_by_ref"]["REF10"] == 3
    assert processor.control("GET", "stats")["executed_twice"]["REF10"] == 3


def test_batches_close_with_totals_and_list(processor):
    assert processor.call("GET", "/rest/v2/batches/open")[0] == 402
    status, answer = processor.call("PUT", "/rest/v2/batches/open", {})
    assert (status, code(answer)) == (402, 40)
    processor.settings(no_batch_204=True)
    assert processor.call("PUT", "/rest/v2/batches/open", {})[0] == 204
    processor.sale("S1", "10.00")
    sale = transaction(processor.sale("S2", "2.50")[1])
    processor.post("refund", {"id": sale["id"], "amount": "0.50", "invoice": "R1"})
    wrong = {"total-count": "3", "net-amount": "12.50"}
    status, answer = processor.call("PUT", "/rest/v2/batches/open", wrong)
    assert (status, code(answer)) == (402, 39)
    assert processor.call("PUT", "/rest/v2/batches/open", {"hurry": "yes"})[0] == 400
    right = {"total-count": "3", "net-amount": "12.00"}
    status, answer = processor.call("PUT", "/rest/v2/batches/open", right)
    batch = answer["payload"]["batch"]
    assert (status, batch["status"], batch["id"]) == (200, "CLOSED", sale["batch-string-id"])
    assert (batch["sales-count"], batch["sales-total"]) == ("2", "12.50")
    assert (batch["refund-count"], batch["refund-total"]) == ("1", "0.50")
    assert len(batch["confirmation-code"]) == 8 and batch["terminal-id"] == "11110001"
    processor.sale("S3", key="key-two")
    status, answer = processor.call("GET", "/rest/v2/batches?status=CLOSED&level=merchant")
    assert [b["id"] for b in answer["payload"]["batches"]["batch"]] == [batch["id"]]
    status, answer = processor.call("GET", "/rest/v2/batches?level=merchant&page=1&page-size=1")
    assert answer["payload"]["batches"]["batch"][0]["id"] == batch["id"]
    assert answer["page"]["last"] and answer["page"]["total-elements"] == 2
    query = urlencode({"start-date": "2031-01-01 00:00 UTC"})
    status, answer = processor.call("GET", f"/rest/v2/batches?{query}")
    assert answer["payload"]["batches"]["batch"] == []
    assert processor.executed()[-2]["op"] == "batch_close"


def test_search_by_every_parameter(processor):
    one = transaction(processor.sale("S1", "10.00", description="first")[1])
    processor.sale("S2", "20.00", card=VISA_2, order_id="O-2", customer_id="C 88")
    processor.sale("S3", "0.21")
    processor.sale("S4", key="key-two")
    processor.sale("S5", key="key-alien")

    def refs(**parameters):
        return [row["invoice"] for row in processor.found(**parameters)]

    assert refs() == ["S3", "S2", "S1"]
    assert refs(isDescending="false") == ["S1", "S2", "S3"]
    assert refs(level="merchant") == ["S4", "S3", "S2", "S1"]
    assert refs(id=one["id"]) == ["S1"] and refs(invoice="S2") == ["S2"]
    assert refs(order_id="O-2") == ["S2"] and refs(amount="10.00") == ["S1"]
    assert refs(type="SALE", last_four="4242") == ["S2"] and refs(type="VOID") == []
    assert refs(status="DECLINED") == ["S3"]
    assert refs(authorization_code=one["authorization-code"]) == ["S1"]
    assert refs(display_message="Not Sufficient Funds") == ["S3"]
    assert refs(invoice="S5", level="merchant") == []
    for form in ("%Y-%m-%d %H:%M UTC", "%m-%d-%Y %I:%M %p", "%m-%d-%y %H:%M",
                 "%m-%d-%y %H:%M UTC", "%Y-%m-%d %H:%M"):
        assert len(refs(start_date=time.strftime(form, time.gmtime(time.time() - 90)))) == 3
        assert refs(end_date=time.strftime(form, time.gmtime(time.time() - 90))) == []
    for wrong in ({"colour": "red"}, {"start_date": "yesterday"}, {"amount": "1"},
                  {"level": "world"}, {"page": "x"}, {"status": "LOST"}, {"isDescending": "1"}):
        status, answer = processor.search(**wrong)
        assert (status, code(answer)) == (400, 41), wrong
    processor.control("POST", "clock", {"advance_seconds": 91 * 86400})
    assert refs() == []


def test_search_pages_and_shapes_of_nothing(processor):
    for number in range(5):
        processor.sale(f"S{number}")
    seen, number = [], 0
    while True:
        _, answer = processor.search(page=str(number), page_size="2")
        seen += [row["invoice"] for row in answer["payload"]["transactions"]["transaction"]]
        if answer["page"]["last"]:
            break
        number += 1
    assert seen == ["S4", "S3", "S2", "S1", "S0"] and answer["page"]["total-pages"] == 3
    assert processor.found(invoice="NONE") == []
    processor.settings(not_found="204")
    assert processor.search(invoice="NONE") == (204, None)
    processor.settings(not_found="404")
    status, answer = processor.search(invoice="NONE")
    assert (status, code(answer)) == (404, 82)


def test_search_lag_setting(processor):
    processor.settings(search_lag_ms=30000)
    processor.sale()
    assert processor.found(invoice="REF1") == []
    processor.control("POST", "clock", {"advance_seconds": 31})
    assert len(processor.found(invoice="REF1")) == 1


def test_portal_and_seeded_differences(processor):
    one = transaction(processor.sale("S1", "10.00")[1])["id"]
    two = transaction(processor.sale("S2", "20.00")[1])["id"]
    three = transaction(processor.sale("S3", "30.00")[1])["id"]
    by_hand = processor.control("POST", "portal", {"op": "sale", "terminal": "11110001",
                                                   "amount": "4.00"})["id"]
    processor.control("POST", "portal", {"op": "void", "id": one})
    processor.control("POST", "portal", {"op": "refund", "id": two, "amount": "5.00"})
    processor.control("POST", "portal", {"op": "void", "id": one}, expect=400)
    processor.control("POST", "hide", {"id": three})
    processor.control("POST", "alter", {"id": two, "amount": "20.01"})
    rows = {row["id"]: row for row in processor.found()}
    assert three not in rows and rows[two]["amount"] == "20.01" and by_hand in rows
    _, answer = processor.call("GET", "/rest/v2/batches/open")
    assert answer["payload"]["batch"]["sales-total"] == "24.01"
    assert answer["payload"]["batch"]["refund-total"] == "5.00"
    truth = {row["id"]: row for row in processor.executed()}
    assert truth[two]["amount"] == "20.00" and truth[three]["amount"] == "30.00"
    assert [row["op"] for row in truth.values() if row["by"] == "portal"] == ["sale", "void",
                                                                             "refund"]
    since = processor.control("GET", "ledger?since=4")
    assert [row["n"] for row in since["rows"]] == [5, 6] and since["last"] == 8
    processor.control("DELETE", "ledger-rows", expect=404)


def test_auto_close_at_its_hour(processor):
    processor.sale()
    now = time.gmtime(time.time() + 120)
    processor.settings(auto_close_minute=now.tm_hour * 60 + now.tm_min)
    processor.control("POST", "clock", {"advance_seconds": 180})
    assert processor.call("GET", "/rest/v2/batches/open")[0] == 402
    assert processor.executed()[-1]["by"] == "gateway"


@pytest.mark.parametrize("kill", [False, True])
def test_restart_keeps_the_ledger(processor, kill):
    sale = transaction(processor.sale()[1])["id"]
    processor.sale("BAD", "0.21")
    auth = transaction(processor.sale("A1", kind="auth")[1])["id"]
    processor.post("capture", {"id": auth, "amount": "80.00", "invoice": "C1"})
    processor.call("PUT", "/rest/v2/batches/open", {})
    open_sale = transaction(processor.sale("S2", "20.00")[1])["id"]
    processor.post("refund", {"id": sale, "amount": "30.00", "invoice": "R1"})
    processor.control("POST", "clock", {"advance_seconds": 7200})
    processor.control("POST", "hide", {"id": auth})
    before = processor.executed()
    seen = processor.found()
    ahead = processor.control("GET", "clock")["ahead_us"]
    _, batch = processor.call("GET", "/rest/v2/batches/open")
    processor.stop(kill)
    if kill:
        with open(processor.folder / "ledger", "a") as ledger:
            ledger.write('{"n":99,"event":"exec')  # torn: was never answered
    processor.start()
    assert processor.executed() == before and processor.found() == seen
    assert abs(processor.control("GET", "clock")["ahead_us"] - ahead) < 2000000
    again = processor.call("GET", "/rest/v2/batches/open")[1]
    assert again["payload"] == batch["payload"]
    assert transaction(processor.sale()[1])["id"] == sale  # still a duplicate
    status, answer = processor.post("refund", {"id": sale, "amount": "50.01", "invoice": "R2"})
    assert (status, code(answer)) == (402, 25)
    status, answer = processor.post("void", {"id": sale, "amount": "80.00"})
    assert status == 402
    assert processor.post("void", {"id": open_sale, "amount": "20.00"})[0] == 200
    assert len(processor.executed()) == len(before) + 1


def test_many_connections_and_session_tickets(processor):
    failures = []

    def clerk(number):
        for turn in range(20):
            status, answer = processor.sale(f"T{number}-{turn}", "1.00")
            if status != 200 or transaction(answer)["invoice"] != f"T{number}-{turn}":
                failures.append((number, turn))

    clerks = [threading.Thread(target=clerk, args=(number,)) for number in range(8)]
    for one in clerks:
        one.start()
    for one in clerks:
        one.join()
    stats = processor.control("GET", "stats")
    assert failures == [] and stats["executed_twice"] == {}
    assert stats["executions"]["sale"] == stats["requests"]["sale"] == 160
    assert stats["handshakes"] == 160 and stats["cpu_us"] > 0
    session = None
    for _ in range(2):
        plain = socket.create_connection(("127.0.0.1", processor.port), 5)
        with processor.tls.wrap_socket(plain, server_hostname="127.0.0.1",
                                       session=session) as wire:
            wire.sendall(b"GET /rest/v2/batches/open HTTP/1.1\r\nHost: x\r\napi-key: key-one\r\n"
                         b"Accept: application/json\r\n\r\n")
            wire.recv(4096)
            session = wire.session
    assert processor.control("GET", "stats?brief=1")["resumed"] == 1


def test_requests_in_a_row_and_in_pieces(processor):
    plain = socket.create_connection(("127.0.0.1", processor.port), 5)
    get = (b"GET /rest/v2/batches HTTP/1.1\r\nHost: x\r\napi-key: key-one\r\n"
           b"Accept: application/json\r\n\r\n")
    with processor.tls.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
        wire.sendall(get + get)
        for byte in get:
            wire.sendall(bytes([byte]))
        data = b""
        while data.count(b"HTTP/1.1 200 OK") < 3 or not data.endswith(b"}"):
            data += wire.recv(65536)
        wire.sendall(b"NONSENSE\r\n\r\n")
        data = b""
        while chunk := wire.recv(65536):
            data += chunk
        assert data.startswith(b"HTTP/1.1 400 ") and b"Connection: close" in data
