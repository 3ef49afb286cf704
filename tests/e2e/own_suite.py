"""A suite of a test file's own, for tests that kill, restart or starve what others share."""

import contextlib
import os
import tempfile

from tests.suite.business import open_business
from tests.suite.suite import Suite

FAST = 60  # as in conftest: a minute of business is a second


@contextlib.contextmanager
def own_suite(settings=None, fast=FAST, start=True):
    """Yields a running suite with a location and customers; all of it is gone afterwards."""
    variant = os.environ.get("VARIANT", "release")
    with tempfile.TemporaryDirectory(prefix="kometpay-e2e-") as directory:
        os.chmod(directory, 0o755)
        with Suite(directory, variant, fast=fast, settings={
                "KOMETPAY_SEND_TIMEOUT_MS": "4000", "KOMETPAY_LOOKUP_TIMEOUT_MS": "3000",
                **(settings or {})}).prepare() as suite:
            if start:
                suite.start()
                open_business(suite)
            yield suite


def pos_port(suite):
    """The port that terminald took for KOMETPAY_POS_LISTEN=127.0.0.1:0."""
    pid = suite.processes["terminald"].pid
    own = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # a connection that has ended meanwhile
            own.add(os.readlink(entry.path))
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    ports = [int(row[1].split(":")[1], 16) for row in rows
             if row[3] == "0A" and f"socket:[{row[9]}]" in own]
    assert len(ports) == 1, f"terminald listens on {ports}"
    return ports[0]
