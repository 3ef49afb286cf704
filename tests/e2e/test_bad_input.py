"""Bad input, in one table: for each a stable code, a sentence for the clerk and the field at fault;
nothing is written, nothing charged."""

import pytest

from tests.suite.business import (AMEX, act, card, customer, invoice, location, new_key, part, pay,
                                  written)
from tests.suite.frames import Refused


class Shop:
    """What the table speaks of: made once, unchanged by all of it."""

    def __init__(self, suite):
        self.customer, self.other = customer(suite), customer(suite)
        self.open = invoice(suite, 4000, self.customer)
        self.of_other = invoice(suite, 4000, self.other)
        self.paid = invoice(suite, 500, self.customer)
        location(suite, "SHUT", enabled=False)
        location(suite, "KEYLESS", account="no-key-yet")
        with suite.pos() as pos:
            self.saved = pos.call("pay", pay(500, customer=self.customer, card=card(), save=True,
                                             invoices=[part(self.paid, 500)]))
            self.sale = pos.call("pay", pay(7001))
            self.auth = pos.call("pay", pay(7002, kind="AUTH"))
            self.declined = pos.call("pay", pay(21))
            self.voided = pos.call("pay", pay(7003))
            pos.call("void", act(self.voided))
            self.refunded = pos.call("pay", pay(7004))
            pos.call("refund", act(self.refunded))
            captured = pos.call("pay", pay(7005, kind="AUTH"))
            pos.call("capture", act(captured, amount_minor=7000))
            self.captured = captured
        self.token = self.saved["token"]
        assert self.declined["outcome"] == "DECLINED"


@pytest.fixture(scope="module")
def shop(suite):
    suite.simulator.no_faults()
    return Shop(suite)


def typed(**more):
    return {**pay(8000), **more}


def without_card(**more):
    return {name: value for name, value in pay(8000, **more).items() if name != "card"}


def split(shop, *parts, amount=None, **more):
    return pay(amount or sum(p["amount_minor"] for p in parts), invoices=list(parts), **more)


UNKNOWN_PAYMENT = {"payment": "pay_" + "0" * 26}

PAY = [
    # wrong length, type, unknown field, out-of-range amount
    ("key_too_short", lambda s: typed(key="1234567"), "field_bounds", "key"),
    ("key_too_long", lambda s: typed(key="k" * 65), "field_bounds", "key"),
    ("key_missing", lambda s: {k: v for k, v in pay(1).items() if k != "key"}, "field_missing", "key"),
    ("location_too_long", lambda s: typed(location="L" * 21), "field_bounds", "location"),
    ("location_missing", lambda s: {k: v for k, v in pay(1).items() if k != "location"},
     "location_missing", "location"),
    ("customer_too_long", lambda s: typed(customer="C" * 41), "field_bounds", "customer"),
    ("amount_zero", lambda s: typed(amount_minor=0), "field_bounds", "amount_minor"),
    ("amount_negative", lambda s: typed(amount_minor=-5), "field_bounds", "amount_minor"),
    ("amount_above_a_million", lambda s: typed(amount_minor=100000000), "field_bounds",
     "amount_minor"),
    ("amount_beyond_64_bits", lambda s: typed(amount_minor=2 ** 64), "field_type", "amount_minor"),
    ("amount_as_text", lambda s: typed(amount_minor="80.00"), "field_type", "amount_minor"),
    ("amount_with_a_point", lambda s: typed(amount_minor=80.5), "field_type", "amount_minor"),
    ("amount_true", lambda s: typed(amount_minor=True), "field_type", "amount_minor"),
    ("amount_null", lambda s: typed(amount_minor=None), "field_type", "amount_minor"),
    ("unknown_field", lambda s: typed(surprise=1), "field_unknown", "surprise"),
    ("unknown_field_of_card", lambda s: typed(card=card(pin="x")), "field_unknown", "card.pin"),
    ("kind_unknown", lambda s: typed(kind="REFUND"), "field_bounds", "kind"),
    ("currency_in_small_letters", lambda s: typed(currency="usd"), "field_bounds", "currency"),
    ("currency_of_another_country", lambda s: typed(currency="EUR"), "currency_mismatch",
     "currency"),
    # the card
    ("no_card", lambda s: without_card(), "card_missing", "card"),
    ("card_and_token", lambda s: typed(customer=s.customer, token=s.token), "card_ambiguous",
     "card"),
    ("two_codes", lambda s: typed(cvv="123"), "card_ambiguous", "cvv"),
    ("save_a_stored_card", lambda s: pay(8000, customer=s.customer, token=s.token, save=True),
     "card_ambiguous", "save"),
    ("save_for_nobody", lambda s: typed(save=True), "customer_missing", "customer"),
    ("save_for_an_unknown_customer", lambda s: typed(save=True, customer="C-404"),
     "customer_unknown", "customer"),
    ("bad_luhn", lambda s: typed(card=card("4111111111111112")), "pan_invalid", "card.pan"),
    ("letters_in_the_number", lambda s: typed(card=card("4111a11111111111")), "pan_invalid",
     "card.pan"),
    ("number_too_short", lambda s: typed(card=card("41111111111")), "field_bounds", "card.pan"),
    ("number_too_long", lambda s: typed(card=card("4" * 20)), "field_bounds", "card.pan"),
    ("expired_last_century", lambda s: typed(card=card(year=1999)), "field_bounds",
     "card.expiry_year"),
    ("expired_card", lambda s: typed(card=card(year=2020)), "card_expired", "card.expiry_year"),
    ("month_13", lambda s: typed(card=card(month=13)), "field_bounds", "card.expiry_month"),
    ("code_of_two_digits", lambda s: typed(card=card(cvv="12")), "field_bounds", "card.cvv"),
    ("code_too_short_for_the_brand", lambda s: typed(card=card(AMEX, cvv="123")), "cvv_invalid",
     "card.cvv"),
    ("code_with_letters", lambda s: typed(card=card(cvv="12x")), "cvv_invalid", "card.cvv"),
    ("number_in_the_description", lambda s: typed(description="4111111111111111"),
     "card_number_in_text", "description"),
    ("token_that_is_none", lambda s: pay(8000, customer=s.customer, token="tok_nonsense"),
     "token_unknown", "token"),
    ("token_of_another_customer", lambda s: pay(8000, customer=s.other, token=s.token),
     "token_unknown", "token"),
    ("token_without_customer", lambda s: pay(8000, token=s.token), "token_unknown", "token"),
    # where and for whom
    ("unknown_location", lambda s: typed(location="NOWHERE"), "location_unknown", "location"),
    ("disabled_location", lambda s: typed(location="SHUT"), "location_disabled", "location"),
    ("location_without_processor", lambda s: typed(location="KEYLESS"), "credential_missing",
     "location"),
    ("unknown_customer", lambda s: typed(customer="C-404"), "customer_unknown", "customer"),
    # invoices
    ("unknown_invoice", lambda s: split(s, part("INV-404", 8000)), "invoice_unknown",
     "invoices[0].invoice"),
    ("second_invoice_unknown", lambda s: split(s, part(s.open, 1), part("INV-404", 1)),
     "invoice_unknown", "invoices[1].invoice"),
    ("closed_invoice", lambda s: split(s, part(s.paid, 1)), "invoice_closed",
     "invoices[0].invoice"),
    ("amount_above_what_is_open", lambda s: split(s, part(s.open, 4001)), "amount_above_open",
     "invoices[0].amount_minor"),
    ("invoice_of_another_customer", lambda s: split(s, part(s.of_other, 1), customer=s.customer),
     "invoice_of_other_customer", "invoices[0].invoice"),
    ("invoices_of_two_customers", lambda s: split(s, part(s.open, 1), part(s.of_other, 1)),
     "invoice_of_other_customer", "invoices[1].invoice"),
    ("invoice_twice", lambda s: split(s, part(s.open, 1), part(s.open, 1)), "invoice_repeated",
     "invoices"),
    ("split_below_the_amount", lambda s: split(s, part(s.open, 1), amount=2), "split_mismatch",
     "invoices"),
    ("split_above_the_amount", lambda s: split(s, part(s.open, 3), amount=2), "split_mismatch",
     "invoices"),
    ("part_of_nothing", lambda s: split(s, part(s.open, 0), amount=1), "field_bounds",
     "invoices[0].amount_minor"),
    ("split_and_oldest_first", lambda s: split(s, part(s.open, 1), customer=s.customer,
                                               oldest_first=True), "split_ambiguous",
     "oldest_first"),
    ("oldest_first_of_nobody", lambda s: typed(oldest_first=True), "customer_missing", "customer"),
    ("oldest_first_above_all_that_is_open",
     lambda s: pay(4001, customer=s.customer, oldest_first=True), "amount_above_open",
     "amount_minor"),
]

ACTS = [
    ("refund", "unknown_payment", lambda s: act(UNKNOWN_PAYMENT), "payment_unknown", "payment"),
    ("refund", "number_that_is_none", lambda s: act({"payment": "pay_123"}), "field_bounds",
     "payment"),
    ("refund", "above_what_was_paid", lambda s: act(s.sale, amount_minor=7002),
     "amount_above_refundable", "amount_minor"),
    ("refund", "negative", lambda s: act(s.sale, amount_minor=-1), "field_bounds", "amount_minor"),
    ("refund", "second_refund", lambda s: act(s.refunded), "already_refunded", "payment"),
    ("refund", "of_a_decline", lambda s: act(s.declined), "payment_not_approved", "payment"),
    ("refund", "of_a_voided_payment", lambda s: act(s.voided), "already_voided", "payment"),
    ("refund", "of_an_authorisation", lambda s: act(s.auth), "not_captured", "payment"),
    ("refund", "from_another_location", lambda s: act(s.sale, "BOG"), "payment_of_other_location",
     "location"),
    ("void", "unknown_payment", lambda s: act(UNKNOWN_PAYMENT), "payment_unknown", "payment"),
    ("void", "twice", lambda s: act(s.voided), "already_voided", "payment"),
    ("void", "of_a_decline", lambda s: act(s.declined), "payment_not_approved", "payment"),
    ("void", "with_an_amount", lambda s: act(s.sale, amount_minor=1), "field_unknown",
     "amount_minor"),
    ("capture", "of_a_sale", lambda s: act(s.sale), "not_an_authorisation", "payment"),
    ("capture", "above_what_was_authorised", lambda s: act(s.auth, amount_minor=7003),
     "amount_above_authorised", "amount_minor"),
    ("capture", "twice", lambda s: act(s.captured), "already_captured", "payment"),
    ("cancel", "no_location", lambda s: {"key": new_key()}, "location_missing", "location"),
    ("payment_status", "key_without_its_location", lambda s: {"key": new_key()},
     "location_missing", "location"),
    ("payment_status", "nothing_asked", lambda s: {"location": "MIA"}, "key_or_payment", "key"),
    ("payment_status", "both_asked", lambda s: {"key": new_key(), **UNKNOWN_PAYMENT},
     "key_or_payment", "key"),
    ("payment_status", "unknown_payment", lambda s: UNKNOWN_PAYMENT, "payment_unknown", "key"),
    ("payment_status", "unknown_key", lambda s: {"key": new_key(), "location": "MIA"},
     "payment_unknown", "key"),
]


def a_location(**more):
    return {"code": "BAD", "name": "Bad", "time_zone": "UTC", "processor": "clearent",
            "account": "main", "currency": "USD", "enabled": True, **more}


def an_invoice(s, **more):
    return {"invoice": "INV-BAD", "customer": s.customer, "location": "MIA",
            "invoice_date": "2026-11-01", "due_date": "2026-11-30", "amount_minor": 100,
            "currency": "USD", **more}


SET_UP = [
    ("location_put", "no_code", lambda s: a_location(code=""), "field_bounds", "code"),
    ("location_put", "code_with_a_slash", lambda s: a_location(code="MIA/2"),
     "location_code_invalid", "code"),
    ("location_put", "unknown_time_zone", lambda s: a_location(time_zone="Florida"),
     "time_zone_unknown", "time_zone"),
    ("location_put", "unknown_processor", lambda s: a_location(processor="paper"), "field_bounds",
     "processor"),
    ("location_put", "account_that_is_a_path", lambda s: a_location(account="../vault"),
     "account_invalid", "account"),
    ("location_put", "currency_of_one_with_payments",
     lambda s: a_location(code="MIA", currency="EUR"), "currency_fixed", "currency"),
    ("customer_put", "no_name", lambda s: {"customer": "C-BAD", "name": ""}, "field_bounds", "name"),
    ("invoice_put", "unknown_customer", lambda s: an_invoice(s, customer="C-404"),
     "customer_unknown", "customer"),
    ("invoice_put", "unknown_location", lambda s: an_invoice(s, location="NOWHERE"),
     "location_unknown", "location"),
    ("invoice_put", "another_currency", lambda s: an_invoice(s, currency="EUR"),
     "currency_mismatch", "currency"),
    ("invoice_put", "due_before_it_was_made", lambda s: an_invoice(s, due_date="2026-10-01"),
     "due_before_invoice", "due_date"),
    ("invoice_put", "no_such_day", lambda s: an_invoice(s, invoice_date="2026-02-30"),
     "field_bounds", "invoice_date"),
    ("invoice_put", "amount_zero", lambda s: an_invoice(s, amount_minor=0), "field_bounds",
     "amount_minor"),
    ("invoice_put", "paid_one", lambda s: an_invoice(s, invoice=s.paid, amount_minor=600),
     "invoice_has_payments", "invoice"),
    ("invoice_list", "unknown_state", lambda s: {"state": "OWED"}, "state_unknown", "state"),
    ("payment_story", "unknown_payment", lambda s: UNKNOWN_PAYMENT, "payment_unknown", "payment"),
    ("day_close", "unknown_location", lambda s: {"location": "NOWHERE", "day": "2026-11-01"},
     "location_unknown", "location"),
    ("day_close", "day_to_come", lambda s: {"location": "MIA", "day": "2099-01-01"},
     "day_not_begun", "day"),
    ("day_close", "no_such_day", lambda s: {"location": "MIA", "day": "2026-02-30"},
     "field_bounds", "day"),
]


def refuse(suite, connection, name, body, code, field):
    before = written(suite)
    with pytest.raises(Refused) as refused:
        connection.call(name, body)
    assert (refused.value.code, refused.value.field) == (code, field)
    sentence = refused.value.sentence
    assert sentence[0].isupper() or sentence.startswith(f"{field} "), sentence
    assert sentence.endswith(".") and len(sentence.split()) > 2, sentence
    assert "4111111111111111" not in sentence
    assert written(suite) == before


@pytest.mark.parametrize("body, code, field", [row[1:] for row in PAY],
                         ids=[row[0] for row in PAY])
def test_bad_pay(suite, pos, shop, body, code, field):
    refuse(suite, pos, "pay", body(shop), code, field)


@pytest.mark.parametrize("name, body, code, field", [(row[0], *row[2:]) for row in ACTS],
                         ids=[f"{row[0]}-{row[1]}" for row in ACTS])
def test_bad_act_on_a_payment(suite, pos, shop, name, body, code, field):
    refuse(suite, pos, name, body(shop), code, field)


@pytest.mark.parametrize("name, body, code, field", [(row[0], *row[2:]) for row in SET_UP],
                         ids=[f"{row[0]}-{row[1]}" for row in SET_UP])
def test_bad_set_up(suite, shop, name, body, code, field):
    with suite.operator() as settled:
        refuse(suite, settled, name, body(shop), code, field)


def test_refused_request_may_be_corrected_with_the_same_key(suite, pos, shop):
    request = pay(8001, location="NOWHERE")
    refuse(suite, pos, "pay", request, "location_unknown", "location")
    answer = pos.call("pay", {**request, "location": "MIA"})
    assert answer["outcome"] == "APPROVED"
