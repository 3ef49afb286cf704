"""The demo leaves nothing running, however it is told to end."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.suite.suite import ROOT, Process, Suite, wait_until


def processes_of(directory):
    """Who was started for this directory, by command line or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if directory.encode() in text:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(tmp_path, number):
    with open(tmp_path / "told", "w+", encoding="utf-8") as told:
        demo = subprocess.Popen([sys.executable, str(ROOT / "tests" / "demo" / "day.py")],
                                stdout=told, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            text = wait_until(lambda: "$ kometpay location add" in (tmp_path / "told").read_text()
                              and (tmp_path / "told").read_text(), patience=60, what="the demo")
            directory = re.search(r"\(in (\S+)\)", text)[1]
            assert len(processes_of(directory)) > 5
            demo.send_signal(number)
            assert demo.wait(60) == 128 + number
        finally:
            demo.kill()
            demo.wait()
    assert processes_of(directory) == []


def test_one_that_would_not_end_does_not_keep_the_others_up(tmp_path):
    suite = Suite(tmp_path)
    for name in ("settled", "gatewayd"):
        suite.processes[name] = Process(name, ["sleep", "600"], {"PATH": "/bin:/usr/bin"},
                                        tmp_path / f"{name}.log")
    pids = [process.pid for process in suite.processes.values()]

    def stuck(patience=40):
        raise AssertionError("settled did not stop")
    suite.processes["settled"].stop, ended = stuck, suite.processes["settled"]
    with pytest.raises(AssertionError, match="settled did not stop"):
        suite.stop()
    ended.kill()
    assert not any(Path(f"/proc/{pid}/stat").exists() for pid in pids)
