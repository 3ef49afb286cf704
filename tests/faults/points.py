"""Which kills there are, and a sample of them that is even over paths, daemons and scripts."""

import random
from dataclasses import dataclass

from tests.faults.database_proxy import FAULTS
from tests.faults.paths import PATHS
from tests.faults.scripts import SCRIPTS, scripts_of

AFTERWARDS = ("backends_killed", "restart")
NOT_THE_ACT = ("instance_start", "instance_end")
CROSSED_EVERY = 12  # of a database fault's kill points, this share of the calls is crossed


@dataclass(frozen=True)
class Point:
    """A path, what goes wrong around it, and at which system call a daemon is killed."""

    path: str
    script: str
    database: tuple = ()    # (kind) or (fault, role, statement, nth)
    daemon: str = ""        # '' = nobody is killed: the database's fault stands alone
    call: str = ""
    nth: int = 0

    def group(self):
        return self.path, self.daemon, self.script, self.database[:1]


def database_faults(commits):
    """(fault, role, statement, nth) for each transaction that the recording saw."""
    counts = {}
    for transaction in commits:
        role, statement = transaction
        if statement not in NOT_THE_ACT:
            counts[transaction] = 1 if statement == "due" else counts.get(transaction, 0) + 1
    return [(fault, role, statement, nth) for (role, statement), count in sorted(counts.items())
            for nth in range(1, count + 1) for fault in FAULTS]


def all_points(bench):
    """(kill points, points of a database fault alone), all of them."""
    kills, alone = [], []
    for path in PATHS:
        recordings = {}
        for script in scripts_of(path):
            name = SCRIPTS[script].recording
            if name not in recordings:
                recordings[name] = bench.record(path, name)
            for daemon, calls in recordings[name][0].items():
                kills += [Point(path, script, (), daemon, *call) for call in calls]
        for name, (calls, commits) in recordings.items():
            faults = database_faults(commits)
            alone += [Point(path, name, fault) for fault in faults]
            for daemon in calls:
                kills += [Point(path, name, (kind,), daemon, *call) for kind in AFTERWARDS
                          for call in calls[daemon]]
                kills += [Point(path, name, fault, daemon, *call) for i, fault in enumerate(faults)
                          for call in calls[daemon][i % CROSSED_EVERY::CROSSED_EVERY]]
    return kills, alone


def sample(points, seed):
    """All points in an order in which every prefix is even over the groups, for that seed."""
    chance = random.Random(seed)
    groups = {}
    for point in points:
        groups.setdefault(point.group(), []).append(point)
    ordered = sorted(groups.values(), key=lambda group: group[0].group())
    for group in ordered:
        chance.shuffle(group)
    even = []
    while ordered:
        chance.shuffle(ordered)
        even += [group.pop() for group in ordered]
        ordered = [group for group in ordered if group]
    return even
