"""The words of a business day: cards, keys, customers, sales. Only published test card numbers."""

import itertools
import os
import secrets

VISA = "4111111111111111"
MASTERCARD = "5555555555554444"
AMEX = "378282246310005"
DISCOVER = "6011111111111117"

_numbers = itertools.count(1)


def new_key(prefix="key"):
    """An idempotency key, as a POS makes and stores it before it sends."""
    return f"{prefix}-{os.getpid()}-{next(_numbers)}-{secrets.token_hex(6)}"


def card(pan=VISA, month=12, year=2030, cvv="999", **more):
    body = {"pan": pan, "expiry_month": month, "expiry_year": year}
    if cvv:
        body["cvv"] = cvv
    body.update(more)
    return body


def pay(amount_minor, location="MIA", key=None, **more):
    """The body of a `pay` by typed card unless a token is given."""
    body = {"key": key or new_key(), "location": location, "kind": more.pop("kind", "SALE"),
            "amount_minor": amount_minor, "currency": "USD"}
    if "token" not in more and "card" not in more:
        body["card"] = card()
    body.update(more)
    return body


def location(suite, code, **more):
    """A location of the merchant account `main` in dollars, unless told otherwise; changed if known."""
    with suite.operator() as settled:
        settled.call("location_put", {
            "code": code, "name": f"Location {code}", "time_zone": "America/New_York",
            "processor": "clearent", "account": "main", "currency": "USD", "enabled": True, **more})
    return code


def customer(suite, name="Lily & Co"):
    """A new customer; returns the number."""
    number = f"C-{next(_numbers):06d}"
    with suite.operator() as settled:
        settled.call("customer_put", {"customer": number, "name": name})
    return number


def open_business(suite):
    """Two locations and two customers, as an operator sets them up."""
    location(suite, "MIA", name="Miami")
    location(suite, "BOG", name="Bogota desk")
    with suite.operator() as settled:
        for number, name in (("C-1", "Rose Garden Wholesale"), ("C-2", "Tulip Depot")):
            settled.call("customer_put", {"customer": number, "name": name,
                                          "email": "billing@example.com"})


def invoice(suite, amount_minor, customer="C-1", location="MIA", day="2026-11-20"):
    """A new open invoice; returns its number."""
    number = f"INV-{next(_numbers):06d}"
    with suite.operator() as settled:
        settled.call("invoice_put", {
            "invoice": number, "customer": customer, "location": location,
            "invoice_date": day, "due_date": "2026-12-20",
            "amount_minor": amount_minor, "currency": "USD"})
    return number


def part(number, amount_minor):
    """A part of a payment for one invoice."""
    return {"invoice": number, "amount_minor": amount_minor}


def act(payment, location="MIA", key=None, **more):
    """The body of a capture, void or refund of that payment."""
    return {"key": key or new_key(), "location": location, "payment": payment["payment"], **more}


def open_minor(suite, *numbers):
    """What is open of each invoice, in cents."""
    with suite.operator() as settled:
        found, after = {}, ""
        while True:
            page = settled.call("invoice_list", {"after": after, "limit": 200})
            found.update({row["invoice"]: row["open_minor"] for row in page["rows"]})
            if not page["more"]:
                return [found[number] for number in numbers]
            after = page["rows"][-1]["invoice"]


def log(suite, **filters):
    """The transaction log's rows, newest first."""
    with suite.operator() as settled:
        return settled.call("log", {"limit": 200, **filters})["rows"]


def executed(suite, answer):
    """What the processor executed under the reference of that answer."""
    return [row for row in suite.simulator.ledger() if row.get("ref") == answer["attempt"]]


def written(suite):
    """How much our database and the processor have written: equal before and after a refusal."""
    counts = suite.sql("SELECT (SELECT count(*) FROM payment.attempt),"
                       " (SELECT count(*) FROM payment.payment),"
                       " (SELECT count(*) FROM payment.event),"
                       " (SELECT count(*) FROM vault.card), (SELECT count(*) FROM books.journal),"
                       " (SELECT count(*) FROM books.invoice)")[0]
    return counts, len(suite.simulator.ledger())
