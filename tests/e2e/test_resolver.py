"""The resolver's hard cases, each with what the processor's own ledger says in the end: what is told
as not charged is not charged, and nothing is tried for ever."""

import datetime
import zoneinfo

import pytest

from tests.e2e.own_suite import own_suite
from tests.suite.business import new_key, pay
from tests.suite.suite import TERMINAL_ID, wait_until


@pytest.fixture(scope="module")
def suite():
    with own_suite() as running:
        yield running


@pytest.fixture
def pos(suite):
    suite.simulator.no_faults()
    with suite.pos() as connection:
        yield connection
    suite.simulator.no_faults()


def ask(pos, key, location="MIA"):
    return pos.call("payment_status", {"key": key, "location": location})


def settled(pos, key, patience=40):
    def final():
        answer = ask(pos, key)
        return answer if answer["outcome"] not in ("PENDING", "REVIEW") else None
    return wait_until(final, patience=patience, what=f"the outcome of {key}")


def net(suite, reference):
    """What the processor keeps of the money under our reference, by its own ledger."""
    rows = suite.simulator.ledger()
    charged = {row["id"]: row["amount_minor"] for row in rows
               if row.get("ref") == reference and row["op"] == "sale"}
    back = [row for row in rows if row.get("ref_id") in charged]
    voided = {row["ref_id"] for row in back if row["op"] == "void"}
    return (sum(amount for number, amount in charged.items() if number not in voided)
            - sum(row["amount_minor"] for row in back if row["op"] == "refund"))


def acts(suite, payment):
    """Kind and state of the payment's attempts, the sale first."""
    return [tuple(row) for row in suite.sql(
        f"SELECT kind, state FROM payment.attempt WHERE payment = '{payment}' ORDER BY created_at")]


def close_batch(suite):
    suite.simulator.portal(op="batch_close", terminal=TERMINAL_ID)


def lose_sale(suite, pos, amount):
    """A sale whose answer is lost, while no search answers."""
    suite.simulator.fault("answer_lost", op="sale", count=1)
    suite.simulator.fault("search_500", op="search", count=0)
    request = pay(amount)
    answer = pos.call("pay", request)
    assert answer["outcome"] == "PENDING"
    return request, answer


def cancel(pos, request):
    told = pos.call("cancel", {"key": request["key"], "location": "MIA"})
    assert told["outcome"] == "CANCEL_ACCEPTED"


def test_cancelled_after_the_batch_was_closed_is_refunded(suite, pos):
    request, answer = lose_sale(suite, pos, 7100)
    cancel(pos, request)
    close_batch(suite)
    suite.simulator.no_faults()
    final = settled(pos, request["key"])
    assert final["outcome"] == "NOT_CHARGED" and net(suite, answer["attempt"]) == 0
    assert acts(suite, answer["payment"]) == [
        ("SALE", "REVERSED"), ("VOID", "REFUSED"), ("REFUND", "APPROVED")]


def approved_and_cancelled(suite, pos, amount):
    """The processor approves while the POS cancels: known to be approved, and must not stand."""
    suite.simulator.fault("slow_first_byte", op="sale", count=1, seconds=2)
    before = len(suite.simulator.ledger())
    request = pay(amount)
    correlation = pos.send("pay", request)
    wait_until(lambda: len(suite.simulator.ledger()) > before, what="the processor's approval")
    with suite.pos() as other:
        cancel(other, request)
    name, answer = pos.receive(correlation)
    assert name == "payment_answer", answer
    assert answer["outcome"] == "PENDING" and answer["state"] == "REVERSING"
    return request, answer


def charge(suite, reference, amount):
    """A charge that must never be, under our reference."""
    return suite.simulator.portal(op="sale", terminal=TERMINAL_ID, amount=amount, ref=reference,
                                  last_four="1111")


def test_a_known_approval_is_voided_though_the_search_finds_nothing(suite, pos):
    suite.simulator.fault("not_found_though_executed", op="search", count=0)
    request, answer = approved_and_cancelled(suite, pos, 7300)
    final = settled(pos, request["key"])
    assert final["outcome"] == "NOT_CHARGED" and net(suite, answer["attempt"]) == 0
    assert acts(suite, answer["payment"]) == [("SALE", "REVERSED"), ("VOID", "APPROVED")]


def test_a_reversal_takes_back_all_charges_of_its_reference(suite, pos):
    """Each by its own amount, and only then is the payment called reversed."""
    suite.simulator.fault("search_500", op="search", count=0)
    request, answer = approved_and_cancelled(suite, pos, 7200)
    charge(suite, answer["attempt"], "72.00")
    charge(suite, answer["attempt"], "99.00")
    suite.simulator.no_faults()
    final = settled(pos, request["key"])
    assert final["outcome"] == "NOT_CHARGED" and net(suite, answer["attempt"]) == 0
    assert acts(suite, answer["payment"]) == [("SALE", "REVERSED"), *[("VOID", "APPROVED")] * 3]


def test_a_partial_approval_with_a_lost_answer_is_taken_back(suite, pos):
    suite.simulator.fault("500_not_executed", op="sale", count=1)
    suite.simulator.fault("search_500", op="search", count=0)
    request = pay(7400)
    answer = pos.call("pay", request)
    assert answer["outcome"] == "PENDING"
    charge(suite, answer["attempt"], "50.00")
    suite.simulator.no_faults()
    final = settled(pos, request["key"])
    assert final["outcome"] == "NOT_CHARGED" and final["reason"] == "PARTIAL"
    assert net(suite, answer["attempt"]) == 0
    assert acts(suite, answer["payment"]) == [("SALE", "REVERSED"), ("VOID", "APPROVED")]


def void(payment):
    return {"key": new_key(), "location": "MIA", "payment": payment}


def test_a_lost_void_that_was_not_executed_is_sent_once_more_with_an_event(suite, pos):
    sale = pos.call("pay", pay(7500))
    suite.simulator.fault("500_not_executed", op="void", count=1)
    request = void(sale["payment"])
    assert pos.call("void", request)["outcome"] == "PENDING"
    final = settled(pos, request["key"])
    assert final["outcome"] == "APPROVED" and net(suite, sale["attempt"]) == 0
    assert suite.sql(f"SELECT note FROM payment.event WHERE attempt = '{final['attempt']}' "
                     "AND from_state = to_state") == [["sent again"]]


def test_a_lost_void_is_not_called_declined_while_it_may_still_come(suite, pos):
    """Executed, its answer lost and its row not shown yet: the repeat is refused as 'reversed
    already', which is no proof that ours was not the one."""
    sale = pos.call("pay", pay(7600))
    suite.simulator.fault("void_answer_lost", op="void", count=1)
    suite.simulator.fault("not_found_though_executed", op="search", count=6)
    request = void(sale["payment"])
    assert pos.call("void", request)["outcome"] == "PENDING"
    final = settled(pos, request["key"])
    assert final["outcome"] == "APPROVED" and net(suite, sale["attempt"]) == 0


def test_a_lost_void_refused_for_good_leaves_the_payment_refundable(suite, pos):
    sale = pos.call("pay", pay(7700))
    suite.simulator.fault("500_not_executed", op="void", count=1)
    suite.simulator.fault("search_500", op="search", count=0)
    request = void(sale["payment"])
    assert pos.call("void", request)["outcome"] == "PENDING"
    close_batch(suite)
    suite.simulator.no_faults()
    final = settled(pos, request["key"])
    assert final["outcome"] == "DECLINED" and net(suite, sale["attempt"]) == 7700
    refund = pos.call("refund", void(sale["payment"]))
    assert refund["outcome"] == "APPROVED" and net(suite, sale["attempt"]) == 0


def test_an_answer_with_another_attempts_transaction_is_no_result(suite, pos):
    """'Approved', says the answer, with an id that is another payment's."""
    first = pos.call("pay", pay(7800))
    taken = suite.sql(
        f"SELECT processor_id FROM payment.attempt WHERE ref = '{first['attempt']}'")[0][0]
    suite.simulator.fault("reset_before", op="sale", count=1)
    suite.simulator.fault("search_500", op="search", count=0)
    request = pay(7800)
    answer = pos.call("pay", request)
    row = charge(suite, answer["attempt"], "78.00")
    assert row["id"] != taken
    suite.sql(f"UPDATE payment.attempt SET processor_id = '{row['id']}' "
              f"WHERE ref = '{first['attempt']}'")
    suite.simulator.no_faults()
    wait_until(lambda: ask(pos, request["key"])["outcome"] == "REVIEW", patience=20,
               what="a person being asked")
    log = (suite.log / "gatewayd.log").read_text()
    assert "it named another attempt's transaction as ours" in log
    assert log.count("a person must look at this payment") < 20, "and that with pauses"


def run_close(suite):
    today = datetime.datetime.now(zoneinfo.ZoneInfo("America/New_York")).date().isoformat()
    with suite.operator() as settled:
        return settled.call("day_close", {"location": "MIA", "day": today})


def test_told_declined_but_standing_is_taken_back_at_the_close(suite, pos):
    suite.simulator.fault("code:012", op="sale", count=1)
    declined = pos.call("pay", pay(7900))
    assert declined["outcome"] == "DECLINED"
    charge(suite, declined["attempt"], "79.00")
    assert net(suite, declined["attempt"]) == 7900
    run_close(suite)
    wait_until(lambda: net(suite, declined["attempt"]) == 0, patience=20,
               what="the taking back of a declined payment")
    wait_until(lambda: acts(suite, declined["payment"]) ==
               [("SALE", "REVERSED"), ("VOID", "APPROVED")], patience=20)


def test_a_result_that_the_database_refuses_stays_open_and_is_told(suite, pos):
    """A rule of the schema that this answer breaks: neither lost nor tried in a hot loop."""
    suite.sql("CREATE FUNCTION public.refuse_it() RETURNS trigger LANGUAGE plpgsql AS "
              "$$BEGIN RAISE EXCEPTION 'no such result here'; END$$; "
              "CREATE TRIGGER refuse_it BEFORE UPDATE ON payment.attempt FOR EACH ROW "
              "WHEN (NEW.state = 'APPROVED' AND NEW.amount_minor = 8100) "
              "EXECUTE FUNCTION public.refuse_it()")
    try:
        request = pay(8100)
        assert pos.call("pay", request)["outcome"] == "PENDING"
        other = pos.call("pay", pay(8200))
        assert other["outcome"] == "APPROVED", "the others' results are not held up"
        wait_until(lambda: ask(pos, request["key"])["outcome"] == "REVIEW", patience=30,
                   what="a person being asked")
        log = (suite.log / "gatewayd.log").read_text()
        assert log.count("the database refuses this result") >= 2
    finally:
        suite.sql("DROP TRIGGER refuse_it ON payment.attempt; DROP FUNCTION public.refuse_it()")
    final = settled(pos, request["key"], patience=90)
    assert final["outcome"] == "APPROVED" and net(suite, final["attempt"]) == 8100
