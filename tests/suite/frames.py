"""Frames of the POS protocol, as any integrator would write them (ipc/PROTOCOL.md)."""

import itertools
import json
import re
import socket
import struct
from pathlib import Path

HEADER = struct.Struct(">4sBBHIIQI")
MESSAGES_TXT = Path(__file__).resolve().parents[2] / "ipc" / "messages.txt"


def message_numbers():
    """Name -> number and number -> name, from the one table."""
    names = {}
    for line in MESSAGES_TXT.read_text().splitlines():
        found = re.match(r"(?:message|answer) (\w+) (\d+)", line)
        if found:
            names[found[1]] = int(found[2])
    return names, {number: name for name, number in names.items()}


NUMBERS, NAMES = message_numbers()


def frame(name, body, *, magic=b"KPAY", version=1, flags=0, length=None, left_ms=50000,
          correlation=1, reserved=0):
    """One frame; a good one unless told otherwise. `name` may be a number, `body` bytes."""
    number = name if isinstance(name, int) else NUMBERS[name]
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HEADER.pack(magic, version, flags, number, len(payload) if length is None else length,
                       left_ms, correlation, reserved) + payload


class Refused(Exception):
    """An answer of type error."""

    def __init__(self, body):
        super().__init__(f"{body.get('code')}: {body.get('sentence')} ({body.get('field', '')})")
        self.code = body.get("code")
        self.field = body.get("field", "")
        self.sentence = body.get("sentence", "")
        self.busy = body.get("busy", False)


class ConnectionLost(Exception):
    """The other end went away before it answered."""


class Connection:
    """One connection; blocking; answers are matched by correlation id."""

    def __init__(self, target, timeout=60):
        if isinstance(target, (str, Path)):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(str(target))
        else:
            self.socket = target
            self.socket.settimeout(timeout)
        self.ids = itertools.count(1)
        self.answers = {}

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, name, body, left_ms=50000):
        """Sends a request; returns its correlation id."""
        correlation = next(self.ids)
        self.send_bytes(frame(name, body, left_ms=left_ms, correlation=correlation))
        return correlation

    def send_bytes(self, data):
        """Sends whatever that is."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise ConnectionLost(str(error)) from error

    def _read(self, n):
        parts = b""
        while len(parts) < n:
            try:
                piece = self.socket.recv(n - len(parts))
            except OSError as error:
                raise ConnectionLost(str(error)) from error
            if not piece:
                raise ConnectionLost("closed by the other end")
            parts += piece
        return parts

    def next(self):
        """The next answer as it comes: (correlation, name, body)."""
        _, _, _, number, length, _, answered, _ = HEADER.unpack(self._read(HEADER.size))
        return answered, NAMES[number], json.loads(self._read(length))

    def receive(self, correlation):
        """The answer to that request: (name, body)."""
        while correlation not in self.answers:
            answered, name, body = self.next()
            self.answers[answered] = (name, body)
        return self.answers.pop(correlation)

    def call(self, name, body, left_ms=50000):
        """Asks and waits; raises Refused for an error answer."""
        answer, content = self.receive(self.send(name, body, left_ms))
        if answer == "error":
            raise Refused(content)
        return content
