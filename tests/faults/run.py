"""`make faults`: kills every daemon at its system calls, in every money path, while the processor
and PostgreSQL misbehave; then compares the processor's ledger with ours.

KILLS=n bounds the number of kills (a sample by SEED); without it all are made.
Last lines: `mutants: N of N caught`, `faults: N kills, M violations`."""

import argparse
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.faults.ledger import violations  # noqa: E402
from tests.faults.paths import PATHS, SCRIPTS, Clerk, Stuck  # noqa: E402
from tests.suite.business import open_business  # noqa: E402
from tests.suite.suite import Suite  # noqa: E402

FAST = 3000
TARGETS = ("gatewayd", "vaultd", "terminald")
DATABASE_FAULTS = ("none", "backends_killed", "restart")
SETTINGS = {"KOMETPAY_SEND_TIMEOUT_MS": "1500", "KOMETPAY_LOOKUP_TIMEOUT_MS": "1000",
            "KOMETPAY_PATIENCE_MS": "3000"}


class Tracer:
    """strace attached to a running daemon."""

    def __init__(self, pid, arguments, output=None):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", *arguments, *(["-o", str(output)] if output else
                                                  ["-o", "/dev/null"]), "-p", str(pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)
        deadline = time.monotonic() + 10
        while not self._attached(pid):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.errors.seek(0)
                raise RuntimeError(f"strace: {self.errors.read().decode()}")
            time.sleep(0.002)

    @staticmethod
    def _attached(pid):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except FileNotFoundError:
            return True
        return re.search(r"TracerPid:\t[1-9]|State:\t[ZX]", status) is not None

    def detach(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.errors.close()


class Bench:
    """One suite of its own, on which one worker makes its kills."""

    def __init__(self, directory, variant):
        self.suite = Suite(directory, variant, fast=FAST, settings=SETTINGS).prepare()

    def __enter__(self):
        self.suite.start()
        open_business(self.suite)
        return self

    def __exit__(self, *_):
        for process in list(self.suite.processes.values()):
            process.kill()
        self.suite.processes.clear()
        self.suite.cluster.stop("immediate")

    def revive(self):
        """The supervisor's part: what died is started again."""
        for daemon in ("vaultd", "gatewayd", "settled", "terminald"):
            if not self.suite.processes[daemon].alive():
                self.suite.start_daemon(daemon)
                self.suite.wait_ready([daemon])

    def now(self):
        return self.suite.sql("SELECT clock_timestamp()")[0][0]

    def baseline(self, path, daemon):
        """(system call, n-th time) of every call that the daemon makes in this path."""
        prepare, act = PATHS[path]
        clerk = Clerk(self.suite, self.revive)
        before = prepare(clerk)
        output = self.suite.directory / "trace"
        output.unlink(missing_ok=True)
        tracer = Tracer(self.suite.processes[daemon].pid, [], output)
        act(clerk, before)
        tracer.detach()
        counts, points = {}, []
        for line in output.read_text(errors="replace").splitlines():
            found = re.match(r"\d+ +(\w+)\(", line)
            if found and found[1] not in ("exit_group", "rt_sigreturn", "restart_syscall"):
                counts[found[1]] = counts.get(found[1], 0) + 1
                points.append((found[1], counts[found[1]]))
        return points

    def database_fault(self, kind):
        if kind == "backends_killed":
            self.suite.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE usename LIKE 'kometpay_%'")
        elif kind == "restart":
            self.suite.cluster.restart("immediate")

    def kill(self, point):
        """One kill; returns (was it killed, list of violations)."""
        path, script, database, daemon, call, nth = point
        prepare, act = PATHS[path]
        self.suite.simulator.no_faults()
        clerk = Clerk(self.suite, self.revive)
        since, ledger_from = self.now(), len(self.suite.simulator.ledger())
        before = prepare(clerk)
        for fault in SCRIPTS[script]:
            self.suite.simulator.fault(**{"count": 1, **fault})
        process = self.suite.processes[daemon]
        tracer = Tracer(process.pid, ["-e", f"trace={call}",
                                      "-e", f"inject={call}:signal=SIGKILL:when={nth}"])
        clerk.revive = lambda: (self.database_fault(database), tracer.detach(), self.revive(),
                                setattr(clerk, "revive", self.revive))
        wrong = []
        try:
            act(clerk, before)
        except Stuck as stuck:
            wrong.append(f"stuck: {stuck}")
        tracer.detach()
        killed = process is not self.suite.processes[daemon] or not process.alive()
        self.revive()
        self.suite.simulator.no_faults()
        wrong += violations(self.suite, since, ledger_from, clerk.told)
        return killed, wrong


def all_points(bench):
    """Every kill point of every path, crossed with scripts and database faults."""
    points = []
    for path in PATHS:
        for daemon in TARGETS:
            for call, nth in bench.baseline(path, daemon):
                for script in SCRIPTS:
                    points.append((path, script, "none", daemon, call, nth))
                for database in DATABASE_FAULTS[1:]:
                    points.append((path, "none", database, daemon, call, nth))
    return points


def work(number, variant, points, results):
    directory = tempfile.mkdtemp(prefix=f"kometpay-faults-{number}-")
    os.chmod(directory, 0o755)
    try:
        with Bench(directory, variant) as bench:
            for point in points:
                results.put((point, *bench.kill(point)))
    except BaseException:  # whatever it is, it must be seen and counted
        results.put((None, False, [traceback.format_exc()]))
    finally:
        results.put(None)
        subprocess.run(["rm", "-rf", directory], check=False)


def make_kills(points, variant, workers):
    results = multiprocessing.Queue()
    shares = [points[i::workers] for i in range(workers)]
    processes = [multiprocessing.Process(target=work, args=(i, variant, share, results))
                 for i, share in enumerate(shares) if share]
    for process in processes:
        process.start()
    running, kills, missed, wrong, done = len(processes), 0, 0, [], 0
    began = time.monotonic()
    while running:
        result = results.get()
        if result is None:
            running -= 1
            continue
        point, killed, found = result
        done += 1
        kills += killed
        missed += not killed
        for line in found:
            wrong.append((point, line))
            print(f"VIOLATION {point}: {line}", flush=True)
        if done % 200 == 0:
            print(f"  {done} of {len(points)} points, {kills} kills, {len(wrong)} violations, "
                  f"{time.monotonic() - began:.0f} s", flush=True)
    for process in processes:
        process.join()
    return kills, missed, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=int(os.environ.get("KILLS") or 0))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 1))
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--variant", default="faults")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kometpay-faults-") as directory:
        os.chmod(directory, 0o755)
        with Bench(directory, arguments.variant) as bench:
            points = all_points(bench)
    print(f"{len(points)} kill points (seed {arguments.seed})", flush=True)
    random.Random(arguments.seed).shuffle(points)
    if arguments.kills:
        points = points[:arguments.kills]
    kills, missed, wrong = make_kills(points, arguments.variant, arguments.workers)
    print(f"{missed} points were not reached in their run (the path differed) and don't count")
    print(f"faults: {kills} kills, {len(wrong)} violations")
    return 1 if wrong or not kills else 0


if __name__ == "__main__":
    sys.exit(main())
