"""The proof that the kill tests can fail: each mutant breaks one rule of the payment's state
machine, and under its scenario the comparison must report a violation; the same scenario with the
true programs must report none. Must never count a mutant as caught by anything but a violation."""

import multiprocessing
import signal
import threading
import time
import traceback
from dataclasses import dataclass

from tests.faults.bench import Bench
from tests.faults.paths import Clerk, Stuck
from tests.suite.business import new_key, pay
from tests.suite.suite import ROOT, wait_until

PATIENCE_S = 5
PROGRAMS = ("terminald", "gatewayd", "vaultd", "settled", "kometpay")
QUIET_POS = {"KOMETPAY_PATIENCE_MS": "200"}

# The vault reveals a card to a committed attempt only, once: a second lock on the same door, which
# is taken off so that the first one shows.
VAULT_LOCK = (("vault.reveal_grant", "v_why := 'attempt_not_sending';", "v_why := NULL;"),
              ("vault.reveal_grant", "ELSIF v_payment.card_ref IS DISTINCT FROM p_card_ref THEN",
               "ELSIF false THEN"))

# -- scenarios: each a short story at the counter ---------------------------------------------------


def sale(bench, clerk):
    """Nothing special: a sale whose answer is lost, or found late, as the simulator was told."""
    clerk.act("pay", pay(4200))


def killed_while_charging(bench, clerk):
    """The processor has charged, its answer is under way, gatewayd is killed; the POS asks again."""
    request = pay(4200)
    waiting = threading.Thread(target=clerk.once, args=("pay", request))
    waiting.start()
    wait_until(lambda: bench.ledger_end() > bench.ledger_start, what="the charge")
    bench.target = bench.suite.processes["gatewayd"]
    bench.hunted.add(bench.target)
    bench.target.kill()
    bench.after_first_try()
    waiting.join()
    clerk.act("pay", request)


def asked_twice(bench, clerk):
    """The POS has lost the answer and asks the same again."""
    request = pay(4200)
    clerk.act("pay", request)
    clerk.once("pay", request)


def second_sale(bench, clerk):
    """A sale, and right after it one whose connection ends without an answer."""
    clerk.act("pay", pay(4200))
    bench.suite.simulator.fault("answer_lost", op="sale", count=1)
    clerk.act("pay", pay(4300))


def cancelled_while_charging(bench, clerk):
    """The clerk cancels, and is heard, before the processor's approval comes."""
    request = pay(4200)
    waiting = threading.Thread(target=clerk.once, args=("pay", request))
    waiting.start()
    wait_until(lambda: bench.ledger_end() > bench.ledger_start, what="the charge")
    clerk.once("cancel", {"key": request["key"], "location": "MIA"})
    assert request["key"] in clerk.cancel_accepted, "the cancellation came too late"
    waiting.join()
    clerk.act("pay", request)


def commit_in_doubt(bench, clerk):
    """The intent is committed, and PostgreSQL's answer to that is lost."""
    bench.proxy.arm("commit_answer_lost", "gatewayd", "sale_begin", 1)
    clerk.act("pay", pay(4200))
    assert bench.proxy.disarm(), "the commit was not spoiled"


def told_by_status(bench, clerk):
    """The POS hears PENDING early, asks for the state, and believes what it is told."""
    request = pay(4200, key=new_key())
    clerk.act("pay", request)


@dataclass
class Mutant:
    name: str
    breaks: str
    story: object
    faults: tuple = ()      # of the processor
    settings: tuple = ()    # of the suite, (name, value)
    duplicates: bool = True     # the processor's own check for duplicates is on
    late: bool = False
    sql: tuple = ()         # (function, old text, new text): the rule stands in PostgreSQL
    code: bool = True       # it stands in C, switched by KOMETPAY_MUTANT


def fault(name, **more):
    return {"fault": name, "op": "sale", "count": 1, **more}


MUTANTS = (
    Mutant("send_before_row", "the intent is committed before anything is sent",
           killed_while_charging, (fault("slow_first_byte", seconds=0.6),), sql=VAULT_LOCK),
    Mutant("no_dedupe", "one key charges once", asked_twice, duplicates=False, sql=VAULT_LOCK),
    Mutant("auto_resend", "a money request has a connection of its own and is sent once",
           second_sale, duplicates=False),
    Mutant("resend_notfound", "'not found' never sends a sale again", sale,
           (fault("late_execution", seconds=0.2),), duplicates=False),
    Mutant("tell_before_commit", "what the POS is told is committed", cancelled_while_charging,
           (fault("slow_first_byte", seconds=0.6),)),
    Mutant("unknown_is_rollback", "a commit in doubt is not a rollback", commit_in_doubt),
    Mutant("late_approve_wins", "a late approval never revives a cancelled payment",
           cancelled_while_charging, (fault("slow_first_byte", seconds=0.6),),
           sql=(("payment.attempt_result",
                 "AND v_root AND (a.cancel_requested OR a.must_not_stand) THEN",
                 "AND false THEN"),), code=False),
    Mutant("void_without_intent", "nothing is taken back without a committed decision", sale,
           (fault("answer_lost"),)),
    Mutant("no_fence", "what a living instance is sending is its own", told_by_status,
           (fault("late_execution", seconds=0.9, silent=True),), tuple(QUIET_POS.items()),
           sql=(("payment.due", "WHERE t.next_try_at <= v_now",
                 "WHERE (t.next_try_at <= v_now OR (t.state = 'SENDING'"
                 " AND t.created_at < v_now - interval '100 milliseconds'))"),
                ("payment.due", "AND i.ended_at IS NOT NULL", "")), code=False),
    Mutant("early_notfound", "'not found' is believed after the horizon only", told_by_status,
           (fault("late_execution", seconds=0.2),)),
    Mutant("no_watch", "a payment not found is watched on", sale,
           (fault("late_execution", seconds=1.0),), late=True),
)

# -- making them ------------------------------------------------------------------------------------


def mutate(bench, mutant):
    """Replaces the rule's text in the database's function; it must be there exactly once."""
    for function, old, new in mutant.sql:
        text = bench.sql("SELECT pg_get_functiondef(%s::regproc)", function)[0][0]
        assert text.count(old) == 1, f"{mutant.name}: {function} no longer says {old!r}"
        bench.sql(text.replace(old, new).replace("%", "%%"))


def play(bench, mutant):
    """The mutant's scenario on this bench; everything that is wrong after it."""
    simulator = bench.suite.simulator
    simulator.no_faults()
    simulator.settings(duplicates_enabled=mutant.duplicates)
    for order in mutant.faults:
        simulator.fault(**order)
    clerk = Clerk(bench, bench.patience)
    since = bench.now()
    bench.ledger_start = bench.ledger_end()
    wrong = []
    try:
        mutant.story(bench, clerk)
    except Stuck as stuck:
        wrong.append(f"stuck: {stuck}")
    return bench.verdict(since, bench.ledger_start, clerk, mutant.late) + wrong


def play_mutated(mutant):
    """A bench of its own, with this rule broken."""
    settings = {**dict(mutant.settings), "KOMETPAY_MUTANT": mutant.name}
    with Bench("mutants", settings, PATIENCE_S) as bench:
        mutate(bench, mutant)
        return play(bench, mutant)


def play_true(mutants, variant):
    """The same scenarios with the true programs, one after the other."""
    with Bench(variant, patience=PATIENCE_S * 4) as bench:
        wrong = [f"{mutant.name}'s scenario: {line}" for mutant in mutants if not mutant.settings
                 for line in play(bench, mutant)]
        wrong += bench.audit()
    for mutant in mutants:
        if mutant.settings:
            with Bench(variant, dict(mutant.settings), PATIENCE_S * 4) as bench:
                wrong += [f"{mutant.name}'s scenario: {line}" for line in play(bench, mutant)]
                wrong += bench.audit()
    return wrong


def names_in(directory):
    """Which mutants' names the programs of this build hold."""
    held = set()
    for program in PROGRAMS:
        path = directory / program
        content = path.read_bytes() if path.exists() else b""
        held |= {mutant.name for mutant in MUTANTS if mutant.name.encode() in content}
    return held


def play_job(job):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    mutant, variant = job
    began = time.monotonic()
    try:
        wrong = play_mutated(mutant) if mutant else play_true(MUTANTS, variant)
        return mutant and mutant.name, wrong, "", time.monotonic() - began
    except BaseException:
        return mutant and mutant.name, [], traceback.format_exc(), time.monotonic() - began


def prove_mutants(variant, workers):
    """Prints what caught each mutant; returns (caught, all, what was wrong with the proof)."""
    wrong = [f"{name} is not in build/mutants" for name in sorted(
        {m.name for m in MUTANTS if m.code} - names_in(ROOT / "build/mutants"))]
    for build in {variant, "release"}:
        wrong += [f"{name} is in build/{build}" for name in sorted(names_in(ROOT / "build" / build))]
    caught = 0
    jobs = [(None, variant)] + [(mutant, variant) for mutant in MUTANTS]
    with multiprocessing.Pool(min(workers, 4), maxtasksperchild=1) as pool:
        for name, found, failure, seconds in pool.imap_unordered(play_job, jobs):
            if failure:
                wrong.append(f"{name or 'true programs'}: {failure}")
            elif name is None:
                wrong += found
                print(f"true programs: {len(MUTANTS)} scenarios, {len(found)} violations "
                      f"({seconds:.0f} s)", flush=True)
            else:
                caught += bool(found)
                print(f"mutant {name}: " + (f"caught ({seconds:.0f} s): {found[0]}" if found
                                            else "NOT CAUGHT"), flush=True)
    return caught, len(MUTANTS), wrong
