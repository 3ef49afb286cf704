"""`make faults`: kills every daemon at its system calls, in every money path and in the day's close,
while the processor and PostgreSQL misbehave; then compares the processor's ledger with ours. And
the proof that the comparison can fail: each mutant of the state machine must be caught.

KILLS=n makes n kills, a sample that is even over paths, daemons and scripts, by SEED; KILLS=all
makes all there are, however long it takes. A point that was not reached doesn't count.
Last lines: `mutants: N of N caught`, `faults: N kills, M violations`."""

import argparse
import multiprocessing
import os
import queue
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.faults.bench import Bench  # noqa: E402
from tests.faults.mutants import prove_mutants  # noqa: E402
from tests.faults.points import all_points, sample  # noqa: E402

DEFAULT_KILLS = 6000
WORKERS = 6
REPORT_EVERY_S = 30
MINUTES = 55    # then no more points are begun; fewer kills than wanted is a failure


class Tally:
    """What was counted, and what was wrong."""

    def __init__(self, wanted, minutes=MINUTES):
        self.wanted, self.minutes = wanted, minutes
        self.kills = self.missed = self.struck = self.not_struck = 0
        self.wrong = []
        self.began = self.said = time.monotonic()

    def add(self, point, killed, struck, found):
        if point and point.daemon:
            self.kills += killed
            self.missed += not killed
        if point and point.database:
            self.struck += struck
            self.not_struck += not struck
        for line in found:
            self.wrong.append((point, line))
            print(f"VIOLATION {point}: {line}", flush=True)
        if time.monotonic() - self.said > REPORT_EVERY_S:
            self.said = time.monotonic()
            print(f"  {self}", flush=True)

    def enough(self):
        return self.kills >= self.wanted or time.monotonic() - self.began > self.minutes * 60

    def __str__(self):
        seconds = time.monotonic() - self.began
        return f"{self.kills} kills, {self.struck} database faults, {len(self.wrong)} violations" \
               f" in {seconds:.0f} s ({self.kills / max(seconds, 1):.1f} kills/s)"


def work(variant, points, results, enough):
    """One worker: a bench of its own, points until there are no more or enough were killed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Bench(variant) as bench:
            while not enough.is_set():
                try:
                    point = points.get(timeout=1)
                except queue.Empty:
                    continue
                if point is None:
                    break
                results.put((point, *bench.make(point)))
            results.put((None, False, False, bench.audit()))
    except BaseException:  # whatever it is, it must be seen and counted
        results.put((None, False, False, [traceback.format_exc()]))
    finally:
        results.put(None)


def make_kills(points, variant, workers, tally):
    """Makes them in this order on several benches at once, until as many as wanted were killed."""
    results, waiting = multiprocessing.Queue(), multiprocessing.Queue(maxsize=workers * 2)
    enough = multiprocessing.Event()
    processes = [multiprocessing.Process(target=work, args=(variant, waiting, results, enough))
                 for _ in range(workers)]
    for process in processes:
        process.start()
    try:
        collect(points, workers, tally, results, waiting, enough)
    except BaseException:
        for process in processes:
            process.terminate()  # each ends its own bench
        raise
    finally:
        waiting.cancel_join_thread()
        for process in processes:
            process.join()


def collect(points, workers, tally, results, waiting, enough):
    """Hands the points out and counts what comes back, until every worker has ended."""
    coming, running = iter([*points, *[None] * workers]), workers
    item = next(coming)
    while running:
        try:
            while item is not StopIteration:
                waiting.put_nowait(item)
                item = next(coming, StopIteration)
        except queue.Full:
            pass
        try:
            result = results.get(timeout=0.05)
        except queue.Empty:
            continue
        if result is None:
            running -= 1
            continue
        tally.add(*result)
        if tally.enough():
            enough.set()


def faults(arguments):
    with Bench(arguments.variant) as bench:
        kills, alone = all_points(bench)
    print(f"{len(kills)} kill points, {len(alone)} database faults (seed {arguments.seed})",
          flush=True)
    wanted = len(kills) if arguments.kills == "all" else int(arguments.kills)
    tally = Tally(wanted, float("inf") if arguments.kills == "all" else MINUTES)
    share = alone if wanted >= DEFAULT_KILLS else sample(alone, arguments.seed)[:max(wanted // 4, 1)]
    points = share + sample(kills, arguments.seed)
    make_kills(points, arguments.variant, arguments.workers, tally)
    print(f"{tally.missed} points were not reached in their run (the path differed), "
          f"{tally.not_struck} database faults found no such commit: they don't count")
    print(tally)
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", default=os.environ.get("KILLS") or str(DEFAULT_KILLS))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 1))
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--variant", default="faults")
    parser.add_argument("--only", choices=("kills", "mutants"))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tally, caught, mutants = Tally(0), 0, 0
    if arguments.only != "mutants":
        tally = faults(arguments)
    if arguments.only != "kills":
        caught, mutants, wrong = prove_mutants(arguments.variant, arguments.workers)
        tally.wrong += wrong
        for line in wrong:
            print(f"VIOLATION in the proof by mutants: {line}", flush=True)
        print(f"mutants: {caught} of {mutants} caught")
    print(f"faults: {tally.kills} kills, {len(tally.wrong)} violations")
    short = tally.kills < tally.wanted and arguments.kills != "all"
    return 1 if tally.wrong or caught < mutants or short else 0


if __name__ == "__main__":
    sys.exit(main())
