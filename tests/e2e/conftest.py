"""One running suite for all end-to-end tests: real PostgreSQL, real daemons, the simulator."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.suite.business import open_business  # noqa: E402
from tests.suite.suite import Suite  # noqa: E402

FAST = 60  # a minute of business is a second


@pytest.fixture(scope="session")
def suite():
    variant = os.environ.get("VARIANT", "release")
    with tempfile.TemporaryDirectory(prefix="kometpay-e2e-") as directory:
        os.chmod(directory, 0o755)
        with Suite(directory, variant, fast=FAST,
                   settings={"KOMETPAY_POS_LISTEN": "127.0.0.1:0",
                             "KOMETPAY_SEND_TIMEOUT_MS": "4000",
                             "KOMETPAY_LOOKUP_TIMEOUT_MS": "3000"}).prepare() as running:
            running.start()
            open_business(running)
            yield running


@pytest.fixture
def pos(suite):
    suite.simulator.no_faults()
    connection = suite.pos()
    yield connection
    connection.close()
    suite.simulator.no_faults()
