"""One suite of its own, on which one worker makes its kills and looks at what they left. Must never
call something killed that ended by itself."""

import signal
import tempfile
import time
from pathlib import Path

import psycopg2

from tests.faults.database_proxy import Proxy
from tests.faults.ledger import OPEN, Attempt, Evidence, compare
from tests.faults.paths import PATHS, Clerk, Stuck
from tests.faults.points import Point
from tests.faults.scripts import SCRIPTS
from tests.faults.tracer import Tracer, calls_of, killer
from tests.suite.business import open_business
from tests.suite.suite import DATABASE, DAEMONS, Suite

FAST = 3000
SETTINGS = {"KOMETPAY_SEND_TIMEOUT_MS": "1000", "KOMETPAY_LOOKUP_TIMEOUT_MS": "1000",
            "KOMETPAY_PATIENCE_MS": "3000", "KOMETPAY_HORIZON_MS": "1200000"}
SETTLE_S = 60
LATE_S = 15
RECONNECT_S = 20


class Bench:
    """The suite, its database seen directly and through the proxy, and the verdict."""

    def __init__(self, variant, settings=None, patience=SETTLE_S, fast=FAST):
        self.directory = tempfile.TemporaryDirectory(prefix="kometpay-faults-")
        self.path = Path(self.directory.name)
        self.path.chmod(0o755)
        self.suite = Suite(self.path, variant, fast=fast, settings={
            **SETTINGS, "PGHOST": str(self.path / "proxy"), **(settings or {})}).prepare()
        self.patience = patience
        self.connection = self.proxy = None
        self.tracer = self.target = self.restart = None
        self.wrong = []         # found on the way: crashes
        # Processes that a killer was attached to: a kill in the moment of its detaching comes late.
        self.hunted = set()
        self.ledger_n = self.ledger_start = 0

    def __enter__(self):
        suite = self.suite
        suite.start_database()
        self.proxy = Proxy(self.path / "proxy", suite.cluster.socket)
        suite.start_simulator()
        suite.simulator.settings(page_size=100)
        for daemon in DAEMONS:
            suite.start_daemon(daemon)
        suite.wait_ready()
        open_business(suite)
        return self

    def __exit__(self, *_):
        self.detach()
        for process in list(self.suite.processes.values()):
            process.kill()
        self.suite.processes.clear()
        self.proxy.stop()
        if self.connection:
            self.connection.close()
        self.suite.cluster.stop("immediate")
        self.directory.cleanup()

    # -- what the checks look at

    def sql(self, text, *parameters):
        """Rows of a question to the database, by the superuser and past the proxy."""
        deadline = time.monotonic() + RECONNECT_S
        while True:
            try:
                if self.connection is None:
                    cluster = self.suite.cluster
                    self.connection = psycopg2.connect(
                        host=str(cluster.socket), user="postgres", dbname=DATABASE,
                        password=cluster.password("postgres"))
                    self.connection.autocommit = True
                with self.connection.cursor() as cursor:
                    cursor.execute(text, parameters)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.Error as error:
                self.connection = None
                lost = error.pgcode is None or error.pgcode.startswith("57P")
                if not lost or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stored_state(self, key):
        """What the database says of the attempt with this key, '' if it has none."""
        found = self.sql("SELECT state FROM payment.attempt WHERE key = %s", key)
        return found[0][0] if found else ""

    def ledger_end(self):
        """The number of the processor's last line."""
        for row in self.suite.simulator.ledger(self.ledger_n):
            self.ledger_n = max(self.ledger_n, row["n"])
        return self.ledger_n

    def now(self):
        return self.sql("SELECT clock_timestamp()")[0][0]

    def evidence(self, since, ledger_from, clerk=None, late=False):
        """Our rows of what was begun since, or moved at the processor since, and theirs."""
        executed = [row for row in self.suite.simulator.ledger(ledger_from)
                    if row.get("event", "executed") == "executed"]
        attempts = [Attempt(*row) for row in self.sql(
            "SELECT ref, kind, state, key, payment, coalesce(parent, ''), cancel_requested"
            " FROM payment.attempt WHERE payment IN (SELECT a.payment FROM payment.attempt a"
            " WHERE a.created_at >= %s::timestamptz OR a.ref = ANY(%s))",
            since, [row["ref"] for row in executed if row.get("ref")])]
        oldest = self.sql("SELECT 1 FROM payment.attempt WHERE ref = ANY(%s) AND created_at < %s::timestamptz",
                          [a.ref for a in attempts], since)
        if oldest:  # something moved of what was begun before: then all its lines count
            refs = {a.ref for a in attempts} | {row.get("ref") for row in executed}
            executed = [row for row in self.suite.simulator.ledger(0) if row.get("ref") in refs
                        and row.get("event", "executed") == "executed"]
        booked = dict(self.sql(
            "SELECT payment, sum(CASE WHEN debit = 'card_clearing' THEN amount_minor"
            " ELSE -amount_minor END)::bigint FROM books.journal"
            " WHERE 'card_clearing' IN (debit, credit) AND payment = ANY(%s) GROUP BY payment",
            [a.payment for a in attempts]))
        told = clerk.told if clerk else {}
        cancelled = {key for key, in self.sql(
            "SELECT key FROM payment.cancelled_key WHERE key = ANY(%s)", list(told))}
        return Evidence(attempts, executed, told, booked,
                        clerk.cancel_accepted if clerk else set(), cancelled, late)

    def settled(self, since=None):
        """Waits until no attempt is open, within the bound."""
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline and self.sql(
                "SELECT 1 FROM payment.attempt WHERE state = ANY(%s)"
                " AND created_at >= coalesce(%s::timestamptz, '-infinity') LIMIT 1", list(OPEN), since):
            self.revive()
            time.sleep(0.01)

    def verdict(self, since, ledger_from, clerk=None, late=False):
        """Everything that is wrong once all has settled."""
        deadline = time.monotonic() + LATE_S
        while self.suite.simulator.stats(brief=1)["late_waiting"] > 0:
            assert time.monotonic() < deadline, "the simulator's late executions don't end"
            time.sleep(0.02)
        while True:
            self.settled(since)
            wrong = compare(self.evidence(since, ledger_from, clerk, late))
            if not wrong or not late or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        found, self.wrong = self.wrong, []
        return (clerk.complaints if clerk else []) + wrong + found

    def audit(self):
        """At the end: everything that this suite ever did, and its chains of hashes."""
        wrong = self.verdict("-infinity", 0, late=True)
        for verify in ("payment.event_verify()", "audit.verify()"):
            wrong += [f"{verify}: {row}" for row in self.sql(f"SELECT * FROM {verify}")]
        wrong += [f"journal: {row} more than once" for row in self.sql(
            "SELECT attempt, debit, credit FROM books.journal GROUP BY 1, 2, 3"
            " HAVING count(*) > 1")]
        return [f"at the end: {line}" for line in wrong]

    # -- kills

    def revive(self):
        """The supervisor's part: what died is started again; who died uncalled is complained of."""
        for daemon in DAEMONS:
            process = self.suite.processes[daemon]
            if process.alive():
                continue
            code = process.popen.returncode
            if process not in self.hunted or code != -signal.SIGKILL:
                tail = process.log.read_bytes()[-300:].decode(errors="replace")
                self.wrong.append(f"{daemon} ended by itself with {code}: {tail}")
            self.suite.start_daemon(daemon)
            self.suite.wait_ready([daemon])

    def detach(self):
        if self.tracer:
            self.tracer.detach()
            self.tracer = None

    def after_first_try(self):
        """Called by the clerk when the first answer came or did not."""
        if self.target and not self.target.alive():
            self.detach()
        if self.restart:
            restart, self.restart = self.restart, None
            restart()
        self.revive()

    def _restart_database(self):
        self.suite.cluster.restart("immediate")

    def _kill_backends(self):
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                 " WHERE usename LIKE 'kometpay_%%'")

    def _order(self, point):
        for fault in SCRIPTS[point.script].faults:
            self.suite.simulator.fault(**{"count": 1, **fault})
        if point.database:
            kind, *where = point.database
            if kind == "restart":
                self.restart = self._restart_database
            elif kind == "backends_killed":
                self.restart = self._kill_backends
            else:
                self.proxy.arm(kind, *where)

    def make(self, point: Point):
        """One point; returns (was the daemon killed, did the database's fault strike, wrong)."""
        prepare, act = PATHS[point.path]
        self.suite.simulator.no_faults()
        clerk = Clerk(self, self.patience)
        since = self.now()
        self.ledger_start = ledger_from = self.ledger_end()
        before = prepare(clerk)
        self._order(point)
        if point.daemon:
            self.target = self.suite.processes[point.daemon]
            self.hunted.add(self.target)
            self.tracer = killer(self.target.pid, point.call, point.nth)
        wrong = []
        try:
            act(clerk, before)
        except Stuck as stuck:
            wrong.append(f"stuck: {stuck}")
        self.detach()
        killed = bool(point.daemon) and not self.target.alive()
        killed = killed or bool(point.daemon) and self.suite.processes[point.daemon] \
            is not self.target
        self.after_first_try()
        struck = self.proxy.disarm() if point.database and len(point.database) > 1 \
            else bool(point.database)
        self.suite.simulator.no_faults()
        wrong += self.verdict(since, ledger_from, clerk, SCRIPTS[point.script].late)
        self.target = None
        return killed, struck, wrong

    # -- recordings

    def record(self, path, script):
        """What this path does under this script: {daemon: its calls}, [(role, statement)]."""
        prepare, act = PATHS[path]
        self.suite.simulator.no_faults()
        clerk = Clerk(self, self.patience)
        self.ledger_start = self.ledger_end()
        before = prepare(clerk)
        for fault in SCRIPTS[script].faults:
            self.suite.simulator.fault(**{"count": 1, **fault})
        tracers = {}
        for daemon in DAEMONS:
            output = self.path / f"trace-{daemon}"
            output.unlink(missing_ok=True)
            tracers[daemon] = Tracer(self.suite.processes[daemon].pid, [], output)
        self.proxy.record()
        act(clerk, before)
        for tracer in tracers.values():
            tracer.detach()
        commits = self.proxy.recorded()
        self.suite.simulator.no_faults()
        return {d: calls_of(self.path / f"trace-{d}") for d in DAEMONS}, commits

