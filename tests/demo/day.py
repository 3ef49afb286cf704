"""One business day of a flower wholesaler, told in plain lines: `make demo`.

Everything is real but the processor: a private PostgreSQL with fsync on, the four daemons under
users of their own, the kometpay command. `make demo KEEP=1` leaves it up."""

import csv
import datetime
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.suite.business import MASTERCARD, VISA, card, new_key, pay  # noqa: E402
from tests.suite.frames import ConnectionLost, Refused  # noqa: E402
from tests.suite.suite import DAEMONS, Suite, still_running, wait_until  # noqa: E402

ZONE = "America/New_York"
INVOICES = 240
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
FAST = 30  # the resolver's minutes are two seconds
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def bold(text):
    return f"\033[1m{text}\033[0m" if COLOUR else text


class Day:
    """The story; each method is a scene."""

    def __init__(self, suite):
        self.suite = suite
        self.scene_number = 0
        self.pos = None

    def scene(self, title):
        self.scene_number += 1
        print(f"\n{bold(f'{self.scene_number:2d}. {title}')}", flush=True)

    @staticmethod
    def say(text=""):
        for line in text.rstrip().splitlines():
            print(f"    {line}", flush=True)

    def expect(self, condition, what):
        """A demo that shows something untrue must fail."""
        if not condition:
            raise AssertionError(what)

    def command(self, *arguments, stdin="", exit_code=0, lines=None):
        done = self.suite.kometpay(*arguments, stdin=stdin, check=exit_code)
        shown = done.stdout.rstrip().splitlines()
        print(f"    $ kometpay {' '.join(arguments)}")
        self.say("\n".join(shown[:lines] + ["..."] if lines and len(shown) > lines else shown))
        return done.stdout

    def told(self, answer):
        facts = [answer["outcome"]]
        units, cents = divmod(answer.get("amount_minor", 0), 100)
        facts += [f"{units}.{cents:02d} {answer.get('currency', '')}"] if units or cents else []
        facts += [f"{answer['brand']} ...{answer['last_four']}"] if answer.get("brand") else []
        facts += [f"authorisation {answer['authorisation_code']}"] \
            if answer.get("authorisation_code") else []
        facts += [answer["sentence"]] if answer.get("sentence") else []
        self.say("the POS is told: " + ", ".join(facts))

    def settle(self, key):
        began = time.monotonic()

        def ask():
            with self.suite.pos() as pos:
                answer = pos.call("payment_status", {"key": key, "location": "MIA"})
            return answer if answer["outcome"] != "PENDING" else None
        answer = wait_until(ask, patience=60, what="the outcome")
        self.say(f"settled by itself after {time.monotonic() - began:.1f} s")
        return answer

    def charges(self, answer):
        return [row for row in self.suite.simulator.ledger()
                if row.get("ref") == answer["attempt"]]

    # -- scenes

    def set_up(self):
        self.scene("Two locations, three customers, and the ERP's open invoices")
        for code, name in (("MIA", "Miami cooler"), ("BOG", "Bogota desk")):
            self.command("location", "add", code, "--name", name, "--time-zone", ZONE,
                         "--processor", "clearent", "--account", "main", "--currency", "USD")
        for number, name in (("C-1", "Rose Garden Wholesale"), ("C-2", "Tulip Depot"),
                             ("C-3", "Orchid & Sons")):
            self.command("customer", "add", number, "--name", name)
        path = self.suite.directory / "open_invoices.csv"
        today = datetime.date.today()
        with open(path, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["invoice", "customer", "customer_name", "location", "invoice_date",
                           "due_date", "amount", "currency"])
            names = {"C-1": "Rose Garden Wholesale", "C-2": "Tulip Depot", "C-3": "Orchid & Sons"}
            for i in range(1, INVOICES + 1):
                customer = f"C-{i % 3 + 1}"
                rows.writerow([f"INV-{i:04d}", customer, names[customer], "MIA",
                               today - datetime.timedelta(days=i % 28),
                               today + datetime.timedelta(days=30 - i % 28),
                               f"{100 + i}.{i % 100:02d}", "USD"])
        self.command("invoice", "import", str(path))
        self.command("customer", "list")

    def approved_and_declined(self):
        self.scene("A sale by typed card for two invoices, the card kept in the vault")
        sale = self.pos.call("pay", pay(
            10303 + 10606, customer="C-1", card=card(VISA, postal_code="33101"), save=True,
            invoices=[{"invoice": "INV-0003", "amount_minor": 10303},
                      {"invoice": "INV-0006", "amount_minor": 10606}]))
        self.told(sale)
        self.say(f"the card is now {sale['token'][:8]}... for this customer")
        self.scene("The stored card pays the next invoice")
        again = self.pos.call("pay", pay(10909, customer="C-1", token=sale["token"],
                                         invoices=[{"invoice": "INV-0009",
                                                    "amount_minor": 10909}]))
        self.told(again)
        self.scene("A card without money")
        self.told(self.pos.call("pay", pay(21)))
        self.scene("A mistyped card number, and an amount above what is open")
        for body in (pay(5000, card=card("4111111111111112")),
                     pay(99900, customer="C-1",
                         invoices=[{"invoice": "INV-0012", "amount_minor": 99900}])):
            try:
                self.pos.call("pay", body)
                raise AssertionError("bad input was taken")
            except Refused as refused:
                self.say(f"refused: {refused.code} ({refused.field}): {refused.sentence}")
        return sale, again

    def lost_answer(self):
        self.scene("The processor charges the card, and its answer is lost on the way")
        self.suite.simulator.fault("answer_lost", op="sale", count=1)
        request = pay(12121, customer="C-1", invoices=[{"invoice": "INV-0021",
                                                        "amount_minor": 12121}])
        self.told(self.pos.call("pay", request))
        answer = self.settle(request["key"])
        self.told(answer)
        self.expect(answer["outcome"] == "APPROVED" and len(self.charges(answer)) == 1,
                    "a lost answer was not settled to one charge")
        return answer

    def killed(self):
        self.scene("gatewayd is killed with SIGKILL in the middle of a sale")
        self.suite.simulator.fault("slow_first_byte", op="sale", count=1, seconds=3)
        request = pay(12424, customer="C-1", invoices=[{"invoice": "INV-0024",
                                                        "amount_minor": 12424}])
        answers = []

        def clerk():
            try:
                with self.suite.pos() as pos:
                    answers.append(pos.call("pay", request))
            except ConnectionLost:
                answers.append({"outcome": "connection lost"})
        thread = threading.Thread(target=clerk)
        thread.start()
        wait_until(lambda: [row for row in self.suite.simulator.ledger()
                            if row.get("amount_minor") == 12424], what="the sale at the processor")
        self.suite.restart_daemon("gatewayd")
        self.say("killed while the processor was answering, and started again")
        thread.join()
        self.told(answers[0])
        answer = self.settle(request["key"])
        self.told(answer)
        self.expect(answer["outcome"] == "APPROVED" and len(self.charges(answer)) == 1,
                    "a killed gatewayd lost or doubled a sale")

    def asked_twice(self):
        self.scene("A POS that asks twice with the same key, and once with another amount")
        request = pay(12727, customer="C-1", invoices=[{"invoice": "INV-0027",
                                                        "amount_minor": 12727}])
        first, second = self.pos.call("pay", request), self.pos.call("pay", request)
        self.told(first)
        self.told(second)
        self.expect(first["payment"] == second["payment"] and len(self.charges(first)) == 1,
                    "the same key charged twice")
        try:
            self.pos.call("pay", {**request, "amount_minor": 1, "invoices": []})
            raise AssertionError("another request with the same key was taken")
        except Refused as refused:
            self.say(f"refused: {refused.code}: {refused.sentence}")

    def refund(self, sale):
        self.scene("A refund, and the same refund again by another clerk")
        body = {"key": new_key(), "location": "MIA", "payment": sale["payment"]}
        self.told(self.pos.call("refund", body))
        try:
            self.pos.call("refund", {**body, "key": new_key()})
            raise AssertionError("a payment was refunded twice")
        except Refused as refused:
            self.say(f"refused: {refused.code}: {refused.sentence}")

    def story(self, answer):
        self.scene("The story of the payment whose answer was lost, from the events")
        self.command("story", answer["payment"])
        self.say("and the same payment through all daemons, from their journals:")
        lines = []
        for daemon in DAEMONS:
            for line in (self.suite.log / f"{daemon}.log").read_text().splitlines():
                if answer["payment"] in line:
                    moment, _, rest = line.partition(" ")
                    lines.append((moment, rest.split(" KOMETPAY_")[0]))
        for moment, what in sorted(lines):
            self.say(f"{moment[11:23]} {what}")

    def close(self):
        today = datetime.datetime.now(ZoneInfo(ZONE)).date().isoformat()
        self.scene("The evening: the batch is closed, history and processor agree item by item")
        text = self.command("close", "--location", "MIA", "--date", today, "--batch")
        self.expect("in balance so far" in text, "the day is not in balance")
        self.say("the night closes it once more when it is over, with the days that were missed:\n"
                 "kometpay close --every-location --since-last --batch")
        self.scene("Somebody makes a refund at the processor's own desk, and the close names it")
        original = self.pos.call("pay", pay(7700, card=card(MASTERCARD)))
        row = self.charges(original)[0]
        self.suite.simulator.portal(op="refund", id=row["id"], amount="20.00")
        refund = self.suite.simulator.ledger()[-1]
        text = self.command("close", "--location", "MIA", "--date", today, exit_code=1)
        named = [line.split() for line in text.splitlines() if line.startswith("MISSING_HERE")]
        self.expect(len(named) == 1 and str(refund["id"]) in named[0] and "20.00" in named[0],
                    "the refund of the processor's desk was not named")

    def run(self):
        self.set_up()
        with self.suite.pos() as self.pos:
            sale, _ = self.approved_and_declined()
            lost = self.lost_answer()
            self.killed()
            self.asked_twice()
            self.refund(sale)
            self.scene("The transaction log")
            self.command("log", "--location", "MIA")
            self.story(lost)
            self.close()
        self.scene("The suite at a glance")
        self.command("status")


def leave(suite, directory):
    """KEEP=1: the day stays up."""
    print(f"\nLeft running. Type next:\n"
          f"    export KOMETPAY_RUN_DIR={suite.run}\n"
          f"    {suite.build}/kometpay status\n"
          f"    {suite.build}/kometpay log --location MIA\n"
          f"and to end it:\n"
          f"    kill {' '.join(str(p.pid) for p in suite.processes.values())} "
          f"{suite.cluster.pid()} && rm -r {directory}")


def end(suite, pids):
    """Stops everything whatever comes in between, and looks whether anything is left."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    pids += [process.pid for process in suite.processes.values()]
    suite.stop()
    left = [pid for pid in set(pids) if still_running(pid)]
    assert not left, f"still running: {left}"
    assert suite.cluster is None or suite.cluster.pid() is None, "PostgreSQL is still running"


def main():
    for number in SIGNALS:
        signal.signal(number, lambda caught, _: sys.exit(128 + caught))
    began = time.monotonic()
    directory = tempfile.mkdtemp(prefix="kometpay-demo-")
    os.chmod(directory, 0o755)
    print(bold("Komet Payments: one business day") + f"   (in {directory})")
    print(f"Everything is real but the processor and the waiting: the resolver's clock runs {FAST} "
          "times faster,\nso that a minute before it asks again is two seconds.")
    suite = Suite(directory, fast=FAST, settings={"KOMETPAY_SEND_TIMEOUT_MS": "5000"}).prepare()
    pids = []
    kept = False
    try:
        suite.start()
        pids += [process.pid for process in suite.processes.values()]
        Day(suite).run()
        kept = os.environ.get("KEEP") == "1"
    finally:
        if not kept:
            end(suite, pids)
    if kept:
        leave(suite, directory)
        return
    shutil.rmtree(directory)
    print(f"\nEverything is stopped; nothing is left running. "
          f"The day took {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
