"""The processor's ledger against ours: what must hold after everything has settled."""

import time

SETTLE_S = 60
OPEN = "('SENDING','UNKNOWN','REVERSING')"


def net_charged(rows, ref):
    """How often the sale or authorisation of this reference stands at the processor."""
    executed = [row for row in rows if row.get("ref") == ref and row["op"] in ("sale", "auth")]
    taken_back = {row.get("ref_id") for row in rows if row["op"] in ("void", "refund")}
    return len(executed), sum(1 for row in executed if row["id"] not in taken_back)


def wait_settled(suite, payments_since):
    """Until no attempt is open; returns those that still are."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        still = suite.sql(f"SELECT ref, state FROM payment.attempt WHERE state IN {OPEN}"
                          f" AND created_at >= '{payments_since}'")
        if not still or time.monotonic() > deadline:
            return still
        time.sleep(0.02)


def violations(suite, since, ledger_from, told):
    """Everything that is wrong about the attempts made since; an empty list is the proof."""
    wrong = [f"{ref} is still {state}" for ref, state in wait_settled(suite, since)]
    rows = [row for row in suite.simulator.ledger() if row["n"] > ledger_from
            and row.get("event", "executed") == "executed"]
    attempts = suite.sql(
        "SELECT a.ref, a.kind, a.state, a.key, coalesce(a.follows,''), coalesce(a.parent,''),"
        " a.payment, EXISTS (SELECT 1 FROM payment.attempt f WHERE f.payment = a.payment AND"
        " f.kind IN ('VOID','REFUND') AND f.state = 'APPROVED' AND f.parent IS NULL)"
        f" FROM payment.attempt a WHERE a.created_at >= '{since}'")
    known = set()
    for ref, kind, state, key, _follows, _parent, _payment, undone in attempts:
        known.add(ref)
        times = sum(1 for row in rows if row.get("ref") == ref)
        if kind in ("SALE", "AUTH"):
            executed, net = net_charged(rows, ref)
            if executed > 1:
                wrong.append(f"{ref}: executed {executed} times")
            expected = 1 if state == "APPROVED" and undone != "t" else 0
            if state in ("APPROVED", "DECLINED", "NOT_SENT", "NOT_CHARGED", "REVERSED") \
                    and net != expected:
                wrong.append(f"{ref}: {kind} {state}, but the card is charged {net} times")
        else:
            if times > 1 and kind != "VOID":
                wrong.append(f"{ref}: {kind} executed {times} times")
            if kind != "VOID" and (state == "APPROVED") != (times == 1) and state != "REVIEW":
                wrong.append(f"{ref}: {kind} {state}, but executed {times} times")
        for outcome, _ in told.get(key, []):
            ours = {"APPROVED": "APPROVED", "DECLINED": "DECLINED"}.get(state, "NOT_CHARGED")
            if outcome != ours and state != "REVIEW":
                wrong.append(f"{ref}: told {outcome}, but it is {state}")
    for key, answers in told.items():
        if len({outcome for outcome, _ in answers}) > 1:
            wrong.append(f"{key}: told {answers}")
    for row in rows:
        if row.get("by", "api") == "api" and row.get("ref") and row["ref"] not in known:
            wrong.append(f"{row['ref']}: executed, and we know nothing of it")
    return wrong
