"""The processor's ledger against ours: what must hold after everything has settled. Must never
excuse a difference because it is small, old or explained."""

from dataclasses import dataclass, field

OPEN = ("SENDING", "UNKNOWN", "REVERSING")
NOT_CHARGED = ("DECLINED", "NOT_SENT", "REFUSED", "NOT_CHARGED", "REVERSED")
TOLD_OF = {"APPROVED": "APPROVED", "DECLINED": "DECLINED", "NOT_SENT": "NOT_CHARGED",
           "REFUSED": "NOT_CHARGED", "NOT_CHARGED": "NOT_CHARGED",
           "REVERSED": "NOT_CHARGED", "REVIEW": "REVIEW", "SENDING": "PENDING", "UNKNOWN": "PENDING",
           "REVERSING": "PENDING"}


@dataclass
class Attempt:
    """A row of payment.attempt."""

    ref: str
    kind: str
    state: str
    key: str
    payment: str
    parent: str = ""
    cancelled: bool = False


@dataclass
class Told:
    """A final answer that a POS has heard."""

    outcome: str
    stored: str = ""        # what the database said at that moment, '' if it could not be asked
    ledger_at: int = -1     # the processor's last line at that moment, -1 if it wasn't looked up


@dataclass
class Evidence:
    """Everything that is compared."""

    attempts: list = field(default_factory=list)
    rows: list = field(default_factory=list)        # executed lines of the processor's ledger
    told: dict = field(default_factory=dict)        # key: list of Told
    booked: dict = field(default_factory=dict)      # payment: minor units in card clearing
    cancel_accepted: set = field(default_factory=set)   # keys
    cancelled_keys: set = field(default_factory=set)    # cancelled before they were begun
    # the processor was told to execute after the horizon: the end must be right, not each moment
    late: bool = False


def executions(rows, ref):
    """The rows of a sale's or authorisation's reference, and those of them that still stand."""
    executed = [row for row in rows if row.get("ref") == ref and row["op"] in ("sale", "auth")]
    taken_back = {row.get("ref_id") for row in rows if row["op"] in ("void", "refund")}
    return executed, [row for row in executed if row["id"] not in taken_back]


def net_moved(rows, refs):
    """Minor units that the processor has moved under these references."""
    moved, by_id = 0, {row["id"]: row for row in rows if row.get("id")}
    for row in rows:
        if row.get("ref") not in refs:
            continue
        if row["op"] in ("sale", "capture"):
            moved += row["amount_minor"]
        elif row["op"] == "refund":
            moved -= row["amount_minor"]
        elif row["op"] == "void":
            of = by_id.get(row.get("ref_id"), {"op": "auth"})
            moved -= of["amount_minor"] if of["op"] in ("sale", "capture") else 0
    return moved


def wrong_sale(attempt, evidence, undone):
    executed, standing = executions(evidence.rows, attempt.ref)
    expected = 1 if attempt.state == "APPROVED" and not undone else 0
    if len(executed) > 1:
        yield f"{attempt.ref}: executed {len(executed)} times"
    if attempt.state in ("APPROVED", *NOT_CHARGED) and len(standing) != expected:
        yield f"{attempt.ref}: {attempt.kind} {attempt.state}, but the card is charged " \
              f"{len(standing)} times"
    if attempt.cancelled and attempt.state == "APPROVED":
        yield f"{attempt.ref}: cancelled, and APPROVED all the same"


def wrong_follow_up(attempt, evidence):
    times = sum(row.get("ref") == attempt.ref for row in evidence.rows)
    if attempt.kind == "VOID":
        return  # harmless to repeat; what counts is what became of its original
    if times > 1:
        yield f"{attempt.ref}: {attempt.kind} executed {times} times"
    if attempt.state != "REVIEW" and (attempt.state == "APPROVED") != (times == 1):
        yield f"{attempt.ref}: {attempt.kind} {attempt.state}, but executed {times} times"


def wrong_told(attempt, evidence):
    answers = evidence.told.get(attempt.key, [])
    for told in answers:
        expected = TOLD_OF[attempt.state]
        # a follow-up executed after the horizon can't be taken back by us: it is told anew
        told_anew = evidence.late and attempt.kind not in ("SALE", "AUTH") \
            and (told.outcome, expected) == ("NOT_CHARGED", "APPROVED")
        if told.outcome != expected and not told_anew:
            yield f"{attempt.ref}: told {told.outcome}, but it is {attempt.state}"
        if told.stored and TOLD_OF[told.stored] != told.outcome:
            yield f"{attempt.ref}: told {told.outcome} while the database said {told.stored}"
        before = [row for row in evidence.rows if row["n"] <= told.ledger_at]
        if told.outcome != "APPROVED" and attempt.kind in ("SALE", "AUTH") \
                and executions(before, attempt.ref)[1]:
            yield f"{attempt.ref}: told {told.outcome} while the card was charged"
        after = [row for row in evidence.rows if row.get("ref") == attempt.ref
                 and row["op"] != "void" and -1 < told.ledger_at < row["n"]]
        if after and not evidence.late:
            yield f"{attempt.ref}: told {told.outcome}, and executed afterwards"
    if attempt.key in evidence.cancel_accepted and not attempt.cancelled \
            and attempt.state == "APPROVED":
        yield f"{attempt.ref}: a cancellation was accepted, and it is APPROVED"


def wrong_books(evidence):
    refs = {}
    for attempt in evidence.attempts:
        refs.setdefault(attempt.payment, []).append(attempt)
    for payment, attempts in refs.items():
        if any(a.state in (*OPEN, "REVIEW") for a in attempts):
            continue
        moved = net_moved(evidence.rows, {a.ref for a in attempts})
        if moved != evidence.booked.get(payment, 0):
            yield f"{payment}: the processor moved {moved}, our books say " \
                  f"{evidence.booked.get(payment, 0)}"


def compare(evidence):
    """Everything that is wrong; an empty list is the proof."""
    wrong = [f"{a.ref} is still {a.state}" for a in evidence.attempts if a.state in OPEN]
    undone = {a.payment for a in evidence.attempts
              if a.kind in ("VOID", "REFUND") and a.state == "APPROVED" and not a.parent}
    for attempt in evidence.attempts:
        if attempt.kind in ("SALE", "AUTH"):
            wrong += wrong_sale(attempt, evidence, attempt.payment in undone)
        else:
            wrong += wrong_follow_up(attempt, evidence)
        wrong += wrong_told(attempt, evidence)
    known = {attempt.ref for attempt in evidence.attempts}
    keys = {attempt.key for attempt in evidence.attempts}
    for key, answers in evidence.told.items():
        if len({told.outcome for told in answers}) > 1:
            wrong.append(f"{key}: told {sorted({told.outcome for told in answers})}")
        in_advance = key in evidence.cancelled_keys
        if in_advance and key in keys:
            wrong.append(f"{key}: cancelled before it was begun, and begun")
        if key not in keys and not (in_advance and answers[0].outcome == "NOT_CHARGED"):
            wrong.append(f"{key}: told {answers[0].outcome}, and the database knows nothing of it")
    for row in evidence.rows:
        if row.get("by", "api") != "portal" and row.get("ref") and row["ref"] not in known:
            wrong.append(f"{row['ref']}: {row['op']} executed, and we know nothing of it")
    return wrong + list(wrong_books(evidence))
