"""strace on a running daemon: records its system calls, or kills it at one of them. Must never be
left attached: a traced daemon is slow."""

import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ATTACH_S = 10
NOT_CALLS = ("exit_group", "rt_sigreturn", "restart_syscall")


class Tracer:
    """strace attached to a running process."""

    def __init__(self, pid, arguments, output="/dev/null"):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", *arguments, "-o", str(output), "-p", str(pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)
        deadline = time.monotonic() + ATTACH_S
        while not self._attached(pid):
            ended = self.process.poll() is not None
            if ended and self._attached(pid):
                break   # it was killed at once, before we looked
            if ended or time.monotonic() > deadline:
                self.errors.seek(0)
                raise RuntimeError(f"strace: {self.errors.read().decode()}")
            time.sleep(0.001)

    @staticmethod
    def _attached(pid):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return re.search(r"TracerPid:\t[1-9]|State:\t[ZX]", status) is not None

    def detach(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.errors.close()


def killer(pid, call, nth):
    """Kills the process at the entry of its nth such call from now on."""
    return Tracer(pid, ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={nth}"])


def calls_of(output):
    """(system call, n-th time) of every call in a recorded trace, in order."""
    counts, points = {}, []
    for line in Path(output).read_text(errors="replace").splitlines():
        found = re.match(r"\d+ +(\w+)\(", line)
        if found and found[1] not in NOT_CALLS:
            counts[found[1]] = counts.get(found[1], 0) + 1
            points.append((found[1], counts[found[1]]))
    return points
