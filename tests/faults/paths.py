"""The money paths that are killed: each is a clerk's act, asked again until its answer is final."""

import time

from tests.suite.business import MASTERCARD, VISA, card, new_key, pay
from tests.suite.frames import ConnectionLost, Refused

FINAL = ("APPROVED", "DECLINED", "NOT_CHARGED")
PATIENCE_S = 60


class Stuck(Exception):
    """An act that reached no final answer within its bound."""


class Clerk:
    """A POS as the protocol asks of it: the key is kept, the same request is asked again, and what
    was said is remembered, for it must never change."""

    def __init__(self, suite, revive):
        self.suite = suite
        self.revive = revive
        self.told = {}

    def remember(self, key, answer):
        if answer["outcome"] in FINAL:
            self.told.setdefault(key, []).append((answer["outcome"], answer.get("attempt")))
        return answer

    def once(self, name, body, timeout):
        """One try; None when nothing certain was said."""
        try:
            with self.suite.pos(timeout) as pos:
                return self.remember(body["key"], pos.call(name, body, int(timeout * 1000)))
        except Refused as refused:
            return None if refused.busy or refused.code == "deadline_passed" else {
                "outcome": "REFUSED", "code": refused.code}
        except (ConnectionLost, OSError):
            return None

    def act(self, name, body, first_timeout=6):
        """Asks once, revives who was killed, and asks the same again until it is final."""
        answer = self.once(name, body, first_timeout)
        self.revive()
        deadline = time.monotonic() + PATIENCE_S
        while answer is None or answer["outcome"] not in (*FINAL, "REFUSED"):
            if time.monotonic() > deadline:
                raise Stuck(f"{name} {body['key']}: last answer {answer}")
            time.sleep(0.01)
            if answer is None:
                answer = self.once(name, body, 6)
            else:
                status = {"key": body["key"], "location": "MIA"}
                answer = self.once("payment_status", status, 6)
        return answer


def sale_typed(clerk):
    clerk.act("pay", pay(4200))


def prepare_token(clerk):
    answer = clerk.act("pay", pay(100, customer="C-1", card=card(MASTERCARD), save=True))
    return answer["token"]


def sale_token(clerk, token):
    clerk.act("pay", pay(4300, customer="C-1", token=token))


def prepare_sale(clerk):
    return clerk.act("pay", pay(4400))["payment"]


def void(clerk, payment):
    clerk.act("void", {"key": new_key(), "location": "MIA", "payment": payment})


def refund(clerk, payment):
    clerk.act("refund", {"key": new_key(), "location": "MIA", "payment": payment})


def auth_capture(clerk):
    authorised = clerk.act("pay", pay(4500, kind="AUTH", card=card(VISA)))
    if authorised["outcome"] == "APPROVED":
        clerk.act("capture", {"key": new_key(), "location": "MIA",
                              "payment": authorised["payment"]})


def cancel(clerk):
    """A sale, and its cancellation as soon as its key is known."""
    request = pay(4600)
    try:
        with clerk.suite.pos(6) as pos:
            asked = pos.send("pay", request)
            try:
                with clerk.suite.pos(6) as other:
                    other.call("cancel", {"key": request["key"], "location": "MIA"})
            except Refused:
                pass
            name, answer = pos.receive(asked)
            if name == "payment_answer":
                clerk.remember(request["key"], answer)
    except (ConnectionLost, OSError):
        pass
    clerk.act("pay", request)


def nothing(_clerk):
    return None


# name: (what must be there before, the act)
PATHS = {
    "sale_typed": (nothing, lambda clerk, _: sale_typed(clerk)),
    "sale_token": (prepare_token, sale_token),
    "auth_capture": (nothing, lambda clerk, _: auth_capture(clerk)),
    "void": (prepare_sale, void),
    "refund": (prepare_sale, refund),
    "cancel": (nothing, lambda clerk, _: cancel(clerk)),
}

# What the processor does meanwhile: list of faults put on order before the act.
SCRIPTS = {
    "none": [],
    "answer_lost": [{"fault": "answer_lost", "op": "any"}],
    "answer_reset": [{"fault": "answer_reset", "op": "any"}],
    "500_after_charge": [{"fault": "500_after_charge", "op": "any"}],
    "500_not_executed": [{"fault": "500_not_executed", "op": "any"}],
    "reset_before": [{"fault": "reset_before", "op": "any"}],
    "slow": [{"fault": "slow_first_byte", "op": "any", "seconds": 0.2}],
    "late_execution": [{"fault": "late_execution", "op": "any", "seconds": 0.1}],
    "truncated": [{"fault": "truncated_json", "op": "any"}],
    "foreign": [{"fault": "foreign_answer", "op": "any"}],
    "previously_approved": [{"fault": "previously_approved_other_card", "op": "any"}],
    "duplicate_402": [{"fault": "duplicate_402", "op": "any"}],
    "lost_then_lag": [{"fault": "answer_lost", "op": "any"},
                      {"fault": "not_found_then_found", "op": "search", "count": 2}],
    "lost_then_search_500": [{"fault": "answer_lost", "op": "any"},
                             {"fault": "search_500", "op": "search", "count": 3}],
    "void_unknown": [{"fault": "void_unknown", "op": "void"}],
    "refund_lost": [{"fault": "refund_answer_lost", "op": "refund"}],
}
