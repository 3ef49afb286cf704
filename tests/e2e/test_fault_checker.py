"""The kill tests' own checker: a violation put in by hand must be reported, by name, and a day
without one must not be. Otherwise '0 violations' would prove nothing."""

import os
import signal

import pytest

from tests.faults import mutants
from tests.faults.bench import Bench
from tests.faults.database_proxy import FAULTS
from tests.faults.ledger import Attempt, Evidence, Told, compare
from tests.faults.paths import Clerk
from tests.faults.points import Point, sample
from tests.suite.business import pay
from tests.suite.suite import ROOT, TERMINAL_ID

VARIANT = os.environ.get("VARIANT", "release")


def sale(state="APPROVED", **more):
    return Attempt("R1", "SALE", state, "key-1", "pay_1", **more)


def row(n=1, op="sale", ref="R1", **more):
    return {"n": n, "op": op, "id": f"T{n}", "ref": ref, "amount_minor": 4200, "by": "api", **more}


def day(attempts=None, rows=None, told=("APPROVED", "APPROVED", -1), booked=4200, **more):
    """A sale that was approved, charged, told and booked, unless said otherwise."""
    return Evidence([sale()] if attempts is None else attempts, [row()] if rows is None else rows,
                    {"key-1": [Told(*told)]} if told else {}, {"pay_1": booked}, **more)


def test_a_true_day_has_no_violation():
    assert compare(day()) == []
    assert compare(day([sale("DECLINED")], [], ("DECLINED", "DECLINED", 0), 0)) == []
    voided = [sale(), Attempt("R2", "VOID", "APPROVED", "key-2", "pay_1")]
    assert compare(day(voided, [row(), row(2, "void", "R2", ref_id="T1")], booked=0)) == []
    reversal = [sale("REVERSED"), Attempt("R2", "VOID", "APPROVED", "R1:1", "pay_1", "R1")]
    assert compare(day(reversal, [row(), row(2, "void", "R2", ref_id="T1")],
                       ("NOT_CHARGED", "REVERSED", 2), 0)) == []


def test_a_key_cancelled_in_advance_is_not_charged():
    told = ("NOT_CHARGED", "", 0)
    assert compare(day([], [], told, 0, cancelled_keys={"key-1"})) == []
    assert compare(day([], [], told, 0)) != []
    assert compare(day([sale()], told=None, cancelled_keys={"key-1"})) == []
    assert any("cancelled before it was begun, and begun" in line for line in compare(
        day([sale("NOT_SENT")], [], ("NOT_CHARGED", "", 0), 0, cancelled_keys={"key-1"})))


WRONG_DAYS = {
    "executed 2 times": day(rows=[row(), row(2)]),
    "but the card is charged 0 times": day(rows=[], booked=0),
    "NOT_CHARGED, but the card is charged 1 times": day([sale("NOT_CHARGED")],
                                                        told=("NOT_CHARGED", "NOT_CHARGED", 0)),
    "sale executed, and we know nothing of it": day([], told=None),
    "is still UNKNOWN": day([sale("UNKNOWN")], told=None),
    "told DECLINED, but it is APPROVED": day(told=("DECLINED", "DECLINED", 0)),
    "told APPROVED while the database said SENDING": day(told=("APPROVED", "SENDING", -1)),
    "told NOT_CHARGED, and executed afterwards": day(
        [sale("REVERSED")], [row(5), row(6, "void", "R2", ref_id="T5")],
        ("NOT_CHARGED", "NOT_CHARGED", 4), 0),
    "told NOT_CHARGED while the card was charged": day(
        [sale("REVERSED")], [row(3), row(6, "void", "R2", ref_id="T3")],
        ("NOT_CHARGED", "NOT_CHARGED", 4), 0),
    "the database knows nothing of it": day([], [], booked=0),
    "cancelled, and APPROVED all the same": day([sale(cancelled=True)]),
    "a cancellation was accepted, and it is APPROVED": day(cancel_accepted={"key-1"}),
    "the processor moved 4200, our books say 4100": day(booked=4100),
    "REFUND executed 2 times": day(
        [sale(), Attempt("R2", "REFUND", "APPROVED", "key-2", "pay_1")],
        [row(), row(2, "refund", "R2", ref_id="T1"), row(3, "refund", "R2", ref_id="T1")]),
    "REFUND NOT_CHARGED, but executed 1 times": day(
        [sale(), Attempt("R2", "REFUND", "NOT_CHARGED", "key-2", "pay_1")],
        [row(), row(2, "refund", "R2", ref_id="T1")]),
}


@pytest.mark.parametrize("violation", WRONG_DAYS)
def test_each_violation_is_named(violation):
    assert [line for line in compare(WRONG_DAYS[violation]) if violation in line], \
        compare(WRONG_DAYS[violation])


def test_two_different_answers_are_a_violation():
    evidence = day()
    evidence.told["key-1"].append(Told("DECLINED"))
    assert any("told ['APPROVED', 'DECLINED']" in line for line in compare(evidence))


def test_a_sample_is_even_and_by_seed():
    points = [Point(path, "none", (), "gatewayd", "write", n) for path, count in
              (("sale_typed", 90), ("void", 10)) for n in range(count)]
    assert sample(points, 1) == sample(points, 1) != sample(points, 2)
    assert sorted(p.path for p in sample(points, 1)[:20]) == ["sale_typed"] * 10 + ["void"] * 10
    assert set(sample(points, 3)) == set(points)


@pytest.fixture(scope="module")
def bench():
    with Bench(VARIANT, patience=10) as running:
        yield running


def verdict_after(bench, act):
    """What the checker says of an approved sale after somebody did `act` to it at the processor."""
    clerk = Clerk(bench, 10)
    since, bench.ledger_start = bench.now(), bench.ledger_end()
    assert clerk.act("pay", pay(4200))["outcome"] == "APPROVED"
    charged = bench.suite.simulator.ledger(bench.ledger_start)[0]
    assert bench.verdict(since, bench.ledger_start, clerk) == []
    act(charged)
    return bench.verdict(since, bench.ledger_start, clerk)


def test_a_second_charge_planted_at_the_processor_is_reported(bench):
    wrong = verdict_after(bench, lambda charged: bench.suite.simulator.portal(
        op="sale", terminal=TERMINAL_ID, amount="42.00", ref=charged["ref"], last_four="1111"))
    assert any("executed 2 times" in line for line in wrong), wrong


def test_a_charge_taken_back_behind_our_back_is_reported(bench):
    wrong = verdict_after(bench, lambda charged: bench.suite.simulator.portal(
        op="void", id=charged["id"]))
    assert any("but the card is charged 0 times" in line for line in wrong), wrong
    wrong = verdict_after(bench, lambda charged: bench.suite.simulator.portal(
        op="refund", id=charged["id"], amount="42.00"))
    assert any("but the card is charged 0 times" in line for line in wrong), wrong


def test_a_daemon_that_dies_uncalled_is_reported(bench):
    os.kill(bench.suite.processes["vaultd"].pid, signal.SIGSEGV)
    bench.suite.processes["vaultd"].popen.wait(10)
    bench.revive()
    wrong, bench.wrong = bench.wrong, []
    assert len(wrong) == 1 and "vaultd ended by itself with -11" in wrong[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_P10_a_spoiled_commit_strikes_and_is_survived(bench, fault):
    for statement in ("sale_begin", "attempt_result"):
        killed, struck, wrong = bench.make(
            Point("sale_typed", "none", (fault, "gatewayd", statement, 1)))
        assert (killed, struck, wrong) == (False, True, [])


def test_P8_a_lost_claim_is_due_again_at_once(bench):
    for fault in FAULTS:
        _, struck, wrong = bench.make(
            Point("sale_typed", "answer_lost", (fault, "gatewayd", "due", 1)))
        assert struck and wrong == [], fault


def test_a_kill_is_counted_only_when_it_was_made(bench):
    assert bench.make(Point("sale_typed", "none", (), "gatewayd", "sendto", 1)) == (True, False, [])
    assert bench.make(Point("sale_typed", "none", (), "gatewayd", "sendto", 60000))[0] is False


def test_no_mutant_is_in_a_program_that_is_shipped(tmp_path):
    assert mutants.names_in(ROOT / "build" / VARIANT) == set()
    (tmp_path / "gatewayd").write_bytes(b"\0tell_before_commit\0")
    assert mutants.names_in(tmp_path) == {"tell_before_commit"}
