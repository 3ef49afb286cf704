"""A clerk at a terminal who thinks better of it while the card is asked for: the terminal must echo
again, and nothing typed may show."""

import fcntl
import os
import pty
import signal
import subprocess
import termios

import pytest

from tests.suite.suite import ROOT, wait_until

KOMETPAY = ROOT / "build" / os.environ.get("VARIANT", "release") / "kometpay"


class Terminal:
    """A pseudo terminal with the command on it."""

    def __init__(self):
        self.ours, theirs = pty.openpty()
        self.command = subprocess.Popen(
            [str(KOMETPAY), "pay", "--location", "MIA", "--amount", "5.00", "--card-stdin"],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            # the controlling terminal, so that Ctrl-C is a signal
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0))
        self.theirs = theirs
        os.set_blocking(self.ours, False)
        self.shown = ""

    def read(self):
        try:
            self.shown += os.read(self.ours, 4096).decode()
        except BlockingIOError:
            pass
        return self.shown

    def echoes(self):
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.ours, text.encode())

    def close(self):
        self.command.kill()
        self.command.wait()
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def terminal():
    one = Terminal()
    yield one
    one.close()


def asked(terminal, question):
    wait_until(lambda: question in terminal.read() and not terminal.echoes(), what=question)


@pytest.mark.parametrize("how", ["Ctrl-C", signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_gives_the_echo_back(terminal, how):
    asked(terminal, "Card number: ")
    terminal.type("4111")
    if how == "Ctrl-C":
        terminal.type("\x03")
    else:
        terminal.command.send_signal(how)
    number = signal.SIGINT if how == "Ctrl-C" else how
    assert terminal.command.wait(20) == -number
    assert terminal.echoes() and "4111" not in terminal.read()


def test_a_stop_gives_the_echo_back(terminal):
    """Without a shell the kernel ignores the stop itself; the card is given up all the same."""
    asked(terminal, "Card number: ")
    os.kill(terminal.command.pid, signal.SIGTSTP)
    wait_until(terminal.echoes, what="the echo")
    os.kill(terminal.command.pid, signal.SIGCONT)
    assert terminal.command.wait(20) == 3 and terminal.echoes()


def test_typed_hidden_to_the_end(terminal):
    asked(terminal, "Card number: ")
    terminal.type("4111 1111 1111 1112\n")
    wait_until(lambda: "Expiry" in terminal.read() and terminal.echoes(), what="the expiry")
    terminal.type("1230\n")
    asked(terminal, "Security code (empty if none): ")
    terminal.type("999\n")
    wait_until(lambda: "Postal code" in terminal.read(), what="the postal code")
    terminal.type("\n")
    terminal.command.wait(20)
    assert terminal.echoes()
    assert "1111" not in terminal.read() and "999" not in terminal.read()
