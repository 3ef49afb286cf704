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


def open_business(suite):
    """A location, two customers and some invoices, as an operator sets them up."""
    with suite.operator() as settled:
        for code, name in (("MIA", "Miami"), ("BOG", "Bogota desk")):
            settled.call("location_put", {
                "code": code, "name": name, "time_zone": "America/New_York",
                "processor": "clearent", "account": "main", "currency": "USD", "enabled": True})
        for number, name in (("C-1", "Rose Garden Wholesale"), ("C-2", "Tulip Depot")):
            settled.call("customer_put", {"customer": number, "name": name,
                                          "email": "billing@example.com"})


def invoice(suite, amount_minor, customer="C-1", location="MIA"):
    """A new open invoice; returns its number."""
    number = f"INV-{next(_numbers):06d}"
    with suite.operator() as settled:
        settled.call("invoice_put", {
            "invoice": number, "customer": customer, "location": location,
            "invoice_date": "2026-11-20", "due_date": "2026-12-20",
            "amount_minor": amount_minor, "currency": "USD"})
    return number
