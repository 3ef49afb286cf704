"""`kometpay` and the books: customers, locations, invoices one by one and as an ERP exports them, and
the day's close by hand."""

import csv
import datetime
import io
import json
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import VISA, customer, invoice, new_key, open_minor, part, pay, written

OK, DECLINED, USAGE, REFUSED = range(4)
COLUMNS = ["invoice", "customer", "customer_name", "location", "invoice_date", "due_date", "amount",
           "currency"]


def rows_of(suite, *words):
    return json.loads(suite.kometpay(*words, "--json", check=OK).stdout)["rows"]


# -- customers and locations

def test_customer_is_added_changed_and_listed(suite):
    suite.kometpay("customer", "add", "K-1", "--name", "Rosa Flowers", check=OK)
    again = ["customer", "add", "K-1", "--name", "Rosa's Flowers", "--email", "ap@rosa.example"]
    assert json.loads(suite.kometpay(*again, "--json", check=OK).stdout) == {
        "id": "changed", "count": 1}
    assert json.loads(suite.kometpay(*again, "--json", check=OK).stdout)["id"] == "same"
    row = [row for row in rows_of(suite, "customer", "list") if row["customer"] == "K-1"][0]
    assert (row["name"], row["email"]) == ("Rosa's Flowers", "ap@rosa.example")
    assert "Rosa's Flowers" in suite.kometpay("customer", "list", check=OK).stdout


def test_location_is_added_disabled_and_listed(suite):
    words = ["location", "add", "LAX", "--name", "Los Angeles", "--account", "main", "--time-zone",
             "America/Los_Angeles"]
    suite.kometpay(*words, check=OK)
    assert "disabled" in suite.kometpay(*words, "--disabled", check=OK).stdout
    row = [row for row in rows_of(suite, "location", "list") if row["code"] == "LAX"][0]
    assert row == {"code": "LAX", "name": "Los Angeles", "time_zone": "America/Los_Angeles",
                   "processor": "clearent", "account": "main", "currency": "USD", "enabled": False}
    table = suite.kometpay("location", "list", check=OK).stdout.splitlines()
    assert table[0].split()[0] == "location" and any("Los Angeles" in line for line in table)


# -- invoices

def test_invoice_is_added_listed_and_fixed_once_paid(suite, pos):
    number = customer(suite)
    words = ["invoice", "add", "KI-1", "--customer", number, "--location", "MIA", "--date",
             "2026-11-01", "--due", "2026-11-30", "--amount"]
    suite.kometpay(*words, "80.00", check=OK)
    suite.kometpay(*words, "90.00", check=OK)
    pos.call("pay", pay(1000, invoices=[part("KI-1", 1000)]))
    assert "invoice_has_payments" in suite.kometpay(*words, "95.00", check=REFUSED).stderr
    assert rows_of(suite, "invoice", "list", "--customer", number) == [{
        "invoice": "KI-1", "customer": number, "location": "MIA", "invoice_date": "2026-11-01",
        "due_date": "2026-11-30", "amount_minor": 9000, "open_minor": 8000, "currency": "USD",
        "state": "PARTLY_PAID"}]
    line = suite.kometpay("invoice", "list", "--customer", number, check=OK).stdout.splitlines()[1]
    assert line.split() == ["KI-1", number, "MIA", "2026-11-01", "2026-11-30", "90.00", "80.00",
                            "USD", "PARTLY_PAID"]
    assert rows_of(suite, "invoice", "list", "--customer", number, "--state", "PAID") == []


class Export:
    """A file as the ERP writes it: CSV or one JSON object a line."""

    def __init__(self, suite, folder, prefix, count):
        self.suite, self.folder, self.prefix = suite, folder, prefix
        self.rows = [{
            "invoice": f"{prefix}-{n:05d}", "customer": f"{prefix}-C{n % 7}",
            "customer_name": f'Flores "Niña" & Söhne, No. {n % 7}', "location": "MIA",
            "invoice_date": "2026-10-01", "due_date": "2026-10-31",
            "amount": f"{n // 100 + 1}.{n % 100:02d}", "currency": "USD"} for n in range(count)]

    def csv(self, end="\r\n", mark=""):
        path = self.folder / f"{self.prefix}.csv"
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(mark)
            writer = csv.DictWriter(file, COLUMNS, lineterminator=end)
            writer.writeheader()
            writer.writerows(self.rows)
        return path

    def json(self):
        path = self.folder / f"{self.prefix}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows))
        return path

    def load(self, path, *more, check=OK):
        return self.suite.kometpay("invoice", "import", str(path), "--json", *more, check=check)

    def stored(self):
        return self.suite.sql("SELECT count(*), coalesce(sum(amount_minor), 0) FROM books.invoice"
                              f" WHERE invoice LIKE '{self.prefix}-%'")[0]

    def cents(self):
        return sum(int(row["amount"].replace(".", "")) for row in self.rows)


@pytest.mark.parametrize("form", ["csv", "csv with line feeds and a mark", "json"])
def test_import_of_an_export_and_of_the_same_file_again(suite, tmp_path, form):
    export = Export(suite, tmp_path, f"IM{len(form)}", 250)
    path = {"csv": export.csv, "json": export.json}.get(
        form, lambda: export.csv(end="\n", mark="\ufeff"))()
    checked = json.loads(export.load(path, "--check").stdout)
    assert checked == {"imported": False, "read": 250, "created": 250, "changed": 0, "same": 0,
                       "faults": 0}
    assert export.stored() == ["0", "0"]
    first = json.loads(export.load(path).stdout)
    assert first == {**checked, "imported": True}
    assert export.stored() == ["250", str(export.cents())]
    again = json.loads(export.load(path).stdout)
    assert again == {**first, "created": 0, "same": 250}
    assert export.stored() == ["250", str(export.cents())]
    name = suite.sql(f"SELECT name FROM books.customer WHERE customer = '{export.prefix}-C3'")
    assert name == [['Flores "Niña" & Söhne, No. 3']]


def test_import_of_a_file_of_many_pieces(suite, tmp_path):
    export = Export(suite, tmp_path, "BIG", 4000)
    path = export.csv()
    assert path.stat().st_size > 300000
    assert json.loads(export.load(path).stdout)["created"] == 4000
    assert export.stored() == ["4000", str(export.cents())]


def test_import_of_a_later_export_changes_what_changed(suite, tmp_path):
    export = Export(suite, tmp_path, "LATER", 20)
    export.load(export.csv())
    export.rows[3]["amount"] = "99.99"
    done = json.loads(export.load(export.csv()).stdout)
    assert (done["created"], done["changed"], done["same"]) == (0, 1, 19)
    assert open_minor(suite, "LATER-00003") == [9999]


@pytest.mark.parametrize("change, field, code", [
    ({"amount": "12.345"}, "amount", "amount"),
    ({"amount": "-5.00"}, "amount", "amount_out_of_range"),
    ({"amount": "0.00"}, "amount", "amount_out_of_range"),
    ({"amount": "twelve"}, "amount", "amount_invalid"),
    ({"location": "NOWHERE"}, "location", "location_unknown"),
    ({"customer": "NEW-1", "customer_name": ""}, "customer", "customer_unknown"),
    ({"customer": ""}, "customer", "field_missing"),
    ({"due_date": "2026-09-30"}, "due_date", "due_before_invoice"),
    ({"invoice_date": "2026-02-30"}, "invoice_date", "date_invalid"),
    ({"invoice": "I" * 41}, "invoice", "text_too_long"),
    ({"currency": "EUR"}, "currency", "currency_mismatch"),
    ({"location": " MIA"}, "location", "space_around"),
])
@pytest.mark.parametrize("form", ["csv", "json"])
def test_bad_row_is_named_by_line_and_field_and_nothing_is_imported(suite, tmp_path, form, change,
                                                                    field, code):
    export = Export(suite, tmp_path, "BADROW", 210)
    export.rows[122].update(change)
    before = written(suite)
    path = export.csv() if form == "csv" else export.json()
    done = export.load(path, check=REFUSED)
    answer = json.loads(done.stdout)
    assert (answer["imported"], answer["faults"]) == (False, 1)
    line = 124 if form == "csv" else 123  # CSV has a header line
    fault = done.stderr.splitlines()[1].split()
    assert fault[:2] == [str(line), field] and fault[2].startswith(code), done.stderr
    assert "Nothing is imported: 1 faults." in done.stderr
    assert written(suite) == before


@pytest.mark.parametrize("text, code", [
    ("", "file_unreadable"),
    (",".join(COLUMNS) + "\n", "file_empty"),
    ("invoice,amount\nA,1.00\n", "column_missing"),
    (",".join([*COLUMNS, "colour"]) + "\n", "file_empty"),
    (",".join([*COLUMNS, "colour"]) + "\nx\n", "column_unknown"),
    (",".join([*COLUMNS[:-1], "invoice"]) + "\nx\n", "column_repeated"),
    (",".join(COLUMNS) + "\n\0\n", "file_not_text"),
], ids=["nothing", "no rows", "column missing", "no rows and a column too many", "column too many",
        "column twice", "no text"])
def test_file_that_is_no_export_is_refused(suite, tmp_path, text, code):
    path = tmp_path / "export.csv"
    path.write_text(text)
    before = written(suite)
    done = suite.kometpay("invoice", "import", str(path), "--json", check=REFUSED)
    assert json.loads(done.stdout)["error"]["code"] == code
    assert written(suite) == before


@pytest.mark.parametrize("line, code", [
    ("A,B", "field_count"),
    ('"A,B', "quote_open"),
    ('A"x",C,N,MIA,2026-10-01,2026-10-31,1.00,USD', "quote_misplaced"),
])
def test_line_that_is_no_csv_is_named(suite, tmp_path, line, code):
    path = tmp_path / "export.csv"
    path.write_text(",".join(COLUMNS) + f"\n\n{line}\n")
    done = suite.kometpay("invoice", "import", str(path), check=REFUSED)
    assert done.stderr.splitlines()[1].split()[:2] == ["3", code], done.stderr


def test_invoice_named_twice_in_one_file_is_refused(suite, tmp_path):
    export = Export(suite, tmp_path, "TWICE", 3)
    export.rows.append(dict(export.rows[0], amount="7.00"))
    done = export.load(export.csv(), check=REFUSED)
    assert done.stderr.splitlines()[1].split()[:3] == ["5", "invoice", "invoice_repeated"]
    assert export.stored() == ["0", "0"]


def test_file_that_is_not_there_and_a_name_that_says_no_format(suite, tmp_path):
    missing = suite.kometpay("invoice", "import", str(tmp_path / "none.csv"), check=REFUSED)
    assert "file_unreadable" in missing.stderr
    path = tmp_path / "export.txt"
    path.write_text("{}\n")
    assert "format_unknown" in suite.kometpay("invoice", "import", str(path), check=USAGE).stderr
    told = suite.kometpay("invoice", "import", str(path), "--format", "json", check=REFUSED)
    assert "field_missing" in told.stderr


# -- the day's close

def today():
    return datetime.datetime.now(ZoneInfo("America/New_York")).date().isoformat()


@pytest.fixture(scope="module")
def shop():
    with own_suite() as suite:
        yield suite


def test_close_in_balance_is_exit_0_and_names_the_deposit_of_a_day_that_is_over(shop):
    number = invoice(shop, 5000)
    shop.kometpay("pay", "--location", "MIA", "--amount", "50.00", "--invoice", f"{number}=50.00",
                  "--card-stdin", "--key", new_key(), stdin=f"{VISA} 1230\n", check=OK)
    done = shop.kometpay("close", "--location", "MIA", "--date", "today", "--batch", check=OK)
    assert done.stdout.startswith(f"MIA {today()}: in balance so far\n")
    assert "50.00" in done.stdout and "deposit to enter" not in done.stdout
    again = json.loads(shop.kometpay("close", "--location", "MIA", "--date", today(), "--json",
                                     check=OK).stdout)
    assert again["balanced"] and again["net_minor"] == 5000 and again["batches"]
    every = shop.kometpay("close", "--every-location", "--date", "yesterday", check=OK).stdout
    assert every.count("in balance\n") == 2 and "BOG" in every and "MIA" in every
    assert every.count("deposit to enter, before fees: 0.00 USD") == 2


def test_close_with_a_difference_is_exit_1_and_names_it(shop):
    with shop.pos() as pos:
        sale = pos.call("pay", pay(6000))
    shop.simulator.hide([row["id"] for row in shop.simulator.ledger()
                         if row.get("ref") == sale["attempt"]][0])
    done = shop.kometpay("close", "--location", "MIA", "--date", "today", check=DECLINED)
    assert "NOT IN BALANCE" in done.stdout and "deposit to enter" not in done.stdout
    line = [line for line in done.stdout.splitlines() if "MISSING_AT_PROCESSOR" in line][0]
    assert sale["payment"] in line and "60.00" in line


def test_close_needs_one_location_or_all(shop):
    for words in ([], ["--location", "MIA", "--every-location"]):
        assert shop.kometpay("close", "--date", "today", *words).returncode == USAGE


def test_table_of_the_log_as_csv_opens_in_a_spreadsheet(shop):
    number = customer(shop, 'Comma, "Quote" & Co')
    with shop.pos() as pos:
        pos.call("pay", pay(6100, customer=number))
    text = shop.kometpay("log", "--customer", number, "--csv", check=OK).stdout
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert "amount" in rows[0] and dict(zip(rows[0], rows[1]))["amount"] == "61.00"
    assert len({len(row) for row in rows}) == 1
