"""The money paths that are killed: each is a clerk's act, asked again until its answer is final.
Must never ask with a new key for what an old key may have done."""

import datetime
import time
from zoneinfo import ZoneInfo

from tests.faults.ledger import Told
from tests.suite.business import MASTERCARD, VISA, card, invoice, new_key, pay
from tests.suite.frames import ConnectionLost, Refused

FINAL = ("APPROVED", "DECLINED", "NOT_CHARGED")
PATIENCE_S = 60
ASK_S = 6


class Stuck(Exception):
    """An act that reached no final answer within its bound."""


class Clerk:
    """A POS as the protocol asks of it: the key is kept, the same request is asked again, and what
    was said is remembered, for it must never change."""

    def __init__(self, bench, patience=PATIENCE_S):
        self.bench = bench
        self.suite = bench.suite
        self.patience = patience
        self.told = {}
        self.cancel_accepted = set()
        self.complaints = []    # what an act itself finds wrong

    def remember(self, key, answer):
        """What was said is checked at once: it must be committed, and 'not charged' be over."""
        if answer["outcome"] in FINAL:
            at = self.bench.ledger_end() if answer["outcome"] != "APPROVED" else -1
            self.told.setdefault(key, []).append(
                Told(answer["outcome"], self.bench.stored_state(key), at))
        elif answer["outcome"] == "CANCEL_ACCEPTED":
            self.cancel_accepted.add(key)
        return answer

    def once(self, name, body, timeout=ASK_S):
        """One try; None when nothing certain was said."""
        try:
            with self.suite.pos(timeout) as pos:
                return self.remember(body["key"], pos.call(name, body, int(timeout * 1000)))
        except Refused as refused:
            return None if refused.busy or refused.code == "deadline_passed" else {
                "outcome": "REFUSED", "code": refused.code}
        except (ConnectionLost, OSError):
            return None

    def act(self, name, body):
        """Asks once, and the same again until it is final; who was killed meanwhile is revived."""
        answer = self.once(name, body)
        deadline = time.monotonic() + self.patience
        while answer is None or answer["outcome"] not in (*FINAL, "REFUSED"):
            self.bench.after_first_try()
            if time.monotonic() > deadline:
                raise Stuck(f"{name} {body['key']}: last answer {answer}")
            time.sleep(0.01)
            if answer is None:
                answer = self.once(name, body)
            else:
                answer = self.once("payment_status", {"key": body["key"], "location": "MIA"})
        self.bench.after_first_try()
        return answer


def sale_typed(clerk, _):
    clerk.act("pay", pay(4200))


def prepare_token(clerk):
    answer = clerk.act("pay", pay(100, customer="C-1", card=card(MASTERCARD), save=True))
    return answer["token"]


def sale_token(clerk, token):
    clerk.act("pay", pay(4300, customer="C-1", token=token))


def prepare_invoice(clerk):
    return invoice(clerk.suite, 4700)


def sale_invoice(clerk, number):
    """Paid once or open in full, whatever happens in between."""
    answer = clerk.act("pay", pay(4700, customer="C-1", invoices=[
        {"invoice": number, "amount_minor": 4700}]))
    clerk.bench.settled()
    opened = clerk.bench.sql("SELECT open_minor FROM books.invoice WHERE invoice = %s", number)
    expected = 0 if answer["outcome"] == "APPROVED" else 4700
    if opened != [(expected,)]:
        clerk.complaints.append(f"invoice {number}: {answer['outcome']}, and {opened} is open")


def prepare_sale(clerk):
    return clerk.act("pay", pay(4400))["payment"]


def void(clerk, payment):
    clerk.act("void", {"key": new_key(), "location": "MIA", "payment": payment})


def refund(clerk, payment):
    clerk.act("refund", {"key": new_key(), "location": "MIA", "payment": payment})


def auth_capture(clerk, _):
    authorised = clerk.act("pay", pay(4500, kind="AUTH", card=card(VISA)))
    if authorised["outcome"] == "APPROVED":
        clerk.act("capture", {"key": new_key(), "location": "MIA",
                              "payment": authorised["payment"]})


def cancel(clerk, _):
    """A sale, and its cancellation as soon as its key is known."""
    request = pay(4600)
    try:
        with clerk.suite.pos(ASK_S) as pos:
            asked = pos.send("pay", request)
            clerk.once("cancel", {"key": request["key"], "location": "MIA"})
            name, answer = pos.receive(asked)
            if name == "payment_answer":
                clerk.remember(request["key"], answer)
    except (ConnectionLost, OSError):
        pass
    clerk.act("pay", request)


def cancel_first(clerk, _):
    """The cancellation overtakes its sale: it is never begun."""
    request = pay(4600)
    deadline = time.monotonic() + clerk.patience
    while request["key"] not in clerk.cancel_accepted:
        clerk.once("cancel", {"key": request["key"], "location": "MIA"})
        clerk.bench.after_first_try()
        if time.monotonic() > deadline:
            raise Stuck(f"cancel {request['key']}")
        time.sleep(0.01)
    answer = clerk.act("pay", request)
    if answer.get("code") != "cancelled" and answer["outcome"] != "NOT_CHARGED":
        clerk.complaints.append(f"{request['key']}: cancelled in advance, and {answer}")


def today():
    return datetime.datetime.now(ZoneInfo("America/New_York")).date().isoformat()


def close_again(clerk, deadline, **more):
    """The day's close, run again until it has answered."""
    while True:
        try:
            with clerk.suite.operator() as settled:
                return settled.call("day_close", {"location": "MIA", "day": today(), **more}, 20000)
        except (Refused, ConnectionLost, OSError) as why:
            if time.monotonic() > deadline:
                raise Stuck(f"day_close: {why}") from why
        clerk.bench.after_first_try()
        time.sleep(0.02)


def batches_closed(clerk, since=0):
    return [row["batch"] for row in clerk.suite.simulator.ledger(since)
            if row["op"] == "batch_close"]


def only_batches(answer, why):
    """True if the day differs in nothing but batches that the processor says this of."""
    return bool(answer["differences"]) and not answer["balanced"] and all(
        d["kind"] == "BATCH" and why in d["sentence"] for d in answer["differences"])


def close(clerk, payment):
    """Run again after a crash, the day's close ends in balance, with each movement in exactly one
    closed batch, and stays so."""
    deadline = time.monotonic() + clerk.patience
    before = clerk.bench.ledger_start
    close_again(clerk, deadline, close_batch=True)
    sold = [row["batch"] for row in clerk.suite.simulator.ledger(before) if row["op"] == "sale"][0]
    while sold not in batches_closed(clerk, before):  # pending or failed: a later run closes it
        if time.monotonic() > deadline:
            raise Stuck(f"batch {sold} stays open")
        close_again(clerk, deadline, close_batch=True)
    first = close_again(clerk, deadline)
    while only_batches(first, "being processed"):  # true, and the one thing that waiting ends
        if time.monotonic() > deadline:
            raise Stuck(f"day_close: {first}")
        time.sleep(0.02)
        first = close_again(clerk, deadline)
    failed = only_batches(first, "failed")  # true as well: a person submits it again
    if not failed and (not first["balanced"] or first["differences"]):
        clerk.complaints.append(f"close after {payment}: {first}")
    second = close_again(clerk, deadline)
    if second != first:
        clerk.complaints.append(f"close after {payment}: first {first}, run again {second}")
    closed = batches_closed(clerk, before)
    if len(set(closed)) != len(closed):
        clerk.complaints.append(f"close after {payment}: closed twice among {closed}")


def nothing(_clerk):
    return None


# name: (what must be there before, the act)
PATHS = {
    "sale_typed": (nothing, sale_typed),
    "sale_token": (prepare_token, sale_token),
    "sale_invoice": (prepare_invoice, sale_invoice),
    "auth_capture": (nothing, auth_capture),
    "void": (prepare_sale, void),
    "refund": (prepare_sale, refund),
    "cancel": (nothing, cancel),
    "cancel_first": (nothing, cancel_first),
    "close": (prepare_sale, close),
}
