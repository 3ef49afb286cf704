"""A flood of POS connections, as a program of its own: most idle, some stop after half a header,
some send a byte at a time, one asks and never reads. Loopback only, bounded, ends with its stdin.

    pos_flood.py SOCKET COUNT PATIENCE_S

Prints `up N` when N connections stand, then at its end one JSON object of what it saw."""

import json
import os
import resource
import select
import selectors
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.suite.frames import HEADER, NUMBERS  # noqa: E402

STATUS = HEADER.pack(b"KPAY", 1, 0, NUMBERS["payment_status"], 30, 9000, 7, 0) + (
    b'{"key":"a","location":"MIA"}  ')
TURN_S = 0.05
REOPENED_A_TURN = 20


class Flood:
    """Connections by role, and what became of them."""

    def __init__(self, path, count):
        self.path = path
        self.count = count
        self.roles = {}  # socket -> role
        self.sent = {}   # bytes a trickler has sent
        self.closed = {"idle": 0, "half_header": 0, "trickle": 0}
        self.opened = 0
        self.refused_connects = 0
        self.selector = selectors.DefaultSelector()

    def open(self):
        role = ("idle", "idle", "idle", "half_header", "trickle")[self.opened % 5]
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(1)
        try:
            peer.connect(self.path)
            if role == "half_header":
                peer.sendall(STATUS[:HEADER.size // 2])
        except OSError:
            self.refused_connects += 1
            peer.close()
            return
        peer.setblocking(False)
        self.opened += 1
        self.roles[peer] = role
        self.sent[peer] = 0
        self.selector.register(peer, selectors.EVENT_READ)

    def close(self, peer):
        self.closed[self.roles.pop(peer)] += 1
        self.selector.unregister(peer)
        peer.close()

    def notice_closed(self):
        for key, _ in self.selector.select(0):
            try:
                if not key.fileobj.recv(4096):
                    self.close(key.fileobj)
            except BlockingIOError:
                continue
            except OSError:
                self.close(key.fileobj)

    def trickle(self, turn):
        """One byte of every tenth of them a turn: a byte each half second."""
        tricklers = [peer for peer, role in self.roles.items() if role == "trickle"]
        for peer in tricklers[turn % 10::10]:
            at = self.sent[peer]
            self.sent[peer] = at + 1
            try:
                peer.send(STATUS[at % len(STATUS):at % len(STATUS) + 1])
            except OSError:
                self.close(peer)


class SlowReader:
    """Asks as fast as it may and never reads an answer."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.socket.setblocking(False)
        self.since = time.monotonic()
        self.bytes = 0
        self.closed_after_s = None

    def ask(self):
        if self.closed_after_s is not None:
            return
        try:
            while self.bytes < 64 << 20:
                self.bytes += self.socket.send(STATUS * 10)
        except BlockingIOError:
            pass
        except OSError:
            self.closed_after_s = time.monotonic() - self.since


def main():
    path, count, patience_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))
    assert hard > count + 100, f"only {hard} descriptors are allowed"
    flood, slow = Flood(path, count), SlowReader(path)
    end = time.monotonic() + patience_s
    while len(flood.roles) < count and flood.opened < 2 * count and time.monotonic() < end:
        flood.open()
        if flood.opened % 100 == 0:
            flood.notice_closed()
            slow.ask()
    print("up", len(flood.roles), flush=True)
    turn = 0
    while time.monotonic() < end and not select.select([sys.stdin], [], [], TURN_S)[0]:
        turn += 1
        slow.ask()
        flood.notice_closed()
        flood.trickle(turn)
        for _ in range(min(REOPENED_A_TURN, count - len(flood.roles))):
            flood.open()
    print(json.dumps({"opened": flood.opened, "standing": len(flood.roles),
                      "closed": flood.closed, "refused_connects": flood.refused_connects,
                      "slow_reader_sent": slow.bytes,
                      "slow_reader_closed_after_s": slow.closed_after_s}), flush=True)
    os._exit(0)  # 5,000 sockets need no farewell one by one


if __name__ == "__main__":
    main()
