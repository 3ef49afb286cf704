"""An export is one thing however long it is: what is wrong anywhere in it stops all of it, and the
clerk is told what is true. The pieces it travels in are nobody's business."""

import json

import pytest

from tests.e2e.own_suite import own_suite

HEADER = "invoice,customer,customer_name,location,invoice_date,due_date,amount,currency"
LONG = 6000  # lines: several pieces of 150 KiB


@pytest.fixture(scope="module")
def shop():
    with own_suite() as suite:
        yield suite


def line(number, customer="C-1", name="", amount="12.50", due="2026-12-20"):
    return f"{number},{customer},{name},MIA,2026-11-20,{due},{amount},USD"


def export(shop, lines, name="export.csv", header=HEADER, mark=""):
    path = shop.directory / name
    path.write_text(mark + "\n".join(([header] if header else []) + lines) + "\n", encoding="utf-8")
    return str(path)


def known(shop, like):
    return int(shop.sql(f"SELECT count(*) FROM books.invoice WHERE invoice LIKE '{like}'")[0][0])


def test_a_long_export_is_imported_once(shop):
    path = export(shop, [line(f"L-{i:05d}") for i in range(LONG)])
    done = shop.kometpay("invoice", "import", path, check=0)
    assert f"{LONG} invoices read: {LONG} created, 0 changed" in done.stdout
    assert known(shop, "L-%") == LONG
    again = shop.kometpay("invoice", "import", path, "--json", check=0)
    assert json.loads(again.stdout) == {"imported": True, "read": LONG, "created": 0, "changed": 0,
                                        "same": LONG, "faults": 0}
    assert shop.sql("SELECT count(*) FROM books.import_line") == [["0"]]


def test_an_invoice_named_twice_far_apart_is_refused(shop):
    path = export(shop, [line(f"R-{i:05d}") for i in range(LONG)] + [line("R-00000", amount="99.00")])
    done = shop.kometpay("invoice", "import", path, check=3)
    assert f"{LONG + 2}" in done.stderr and "invoice_repeated" in done.stderr
    assert "Nothing is imported" in done.stderr and known(shop, "R-%") == 0


def test_what_is_found_at_the_end_stops_all_of_it(shop):
    """An invoice that was paid between the reading of the first piece and the end."""
    shop.kometpay("invoice", "import", export(shop, [line("PAID-1")]), check=0)
    shop.sql("UPDATE books.invoice SET open_minor = 0 WHERE invoice = 'PAID-1'")
    lines = [line(f"S-{i:05d}") for i in range(LONG)] + [line("PAID-1", amount="1.00")]
    done = shop.kometpay("invoice", "import", export(shop, lines), check=3)
    assert "invoice_has_payments" in done.stderr and "Nothing is imported" in done.stderr
    assert known(shop, "S-%") == 0


def test_faults_of_the_lines_and_of_the_books_are_told_together(shop):
    lines = [line("T-1", due="never"), line("T-2", customer="C-404"), line("T-3")]
    done = shop.kometpay("invoice", "import", export(shop, lines), check=3)
    assert "date_invalid" in done.stderr and "customer_unknown" in done.stderr
    assert known(shop, "T-%") == 0


def test_a_customer_is_named_on_one_line_only(shop):
    lines = [line("U-1", customer="C-70", name="Fern & Moss")] + [
        line(f"U-{i}", customer="C-70") for i in range(2, LONG)]
    shop.kometpay("invoice", "import", export(shop, lines), check=0)
    assert shop.sql("SELECT name FROM books.customer WHERE customer = 'C-70'") == [["Fern & Moss"]]
    assert known(shop, "U-%") == LONG - 1


@pytest.mark.parametrize("name", ["mark.csv", "mark.jsonl"])
def test_a_byte_order_mark_does_no_harm(shop, name):
    number = "V-" + name[-1]
    row = {"invoice": number, "customer": "C-1", "location": "MIA", "invoice_date": "2026-11-20",
           "due_date": "2026-12-20", "amount": "1.00", "currency": "USD"}
    lines = [line(number)] if name.endswith("csv") else [json.dumps(row)]
    path = export(shop, lines, name, HEADER if name.endswith("csv") else "", "\ufeff")
    shop.kometpay("invoice", "import", path, check=0)
    assert known(shop, number) == 1


def test_a_check_imports_nothing(shop):
    path = export(shop, [line(f"W-{i}") for i in range(10)])
    done = shop.kometpay("invoice", "import", path, "--check", check=0)
    assert "10 invoices read: 10 new" in done.stdout and known(shop, "W-%") == 0


def test_a_piece_without_its_end_changes_nothing(shop):
    with shop.operator() as settled:
        answer = settled.call("invoice_import", {
            "import": "left-behind", "format": "CSV", "header": HEADER, "first_line": 2,
            "lines": line("X-1") + "\n"})
    assert answer["kept"] == 1 and known(shop, "X-%") == 0
