"""Between the daemons and PostgreSQL: lets everything through as it comes, and on order spoils one
COMMIT. Must never change a byte of what it lets through."""

import os
import selectors
import signal
import socket
import struct
import threading
import time

BEGIN, COMMIT = b"kometpay_begin", b"kometpay_commit"
OWN = (b"kometpay_",)  # statements of the lanes themselves; what stands between is the work
FLUSH = b"H" + struct.pack(">I", 4)
SYNC = b"S" + struct.pack(">I", 4)
PATIENCE_S = 3
FAULTS = {
    "commit_answer_lost": "applied; its answer never comes",
    "commit_applied_late": "the backend is stopped in it; applied after the client has gone",
    "backend_killed_in_commit": "ended by the administrator in the very moment",
    "backend_killed_after_commit": "ended when COMMIT was answered, before 'ready'",
    "commit_never_arrives": "cut before it; rolled back, which the client can't know",
}


class Link:
    """One connection of a daemon and its backend."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.user = ""
        self.backend = None     # its process
        self.started = False    # the start-up packet has gone by
        self.front = b""        # of the client, not yet a whole message
        self.back = b""
        self.statements = []    # of the transaction that is being sent
        self.swallow = False    # answers are thrown away until COMMIT's has come

    def close(self):
        for end in (self.client, self.server):
            try:
                end.close()
            except OSError:
                pass


class Proxy:
    """Listens where the daemons look for PostgreSQL; one thread."""

    def __init__(self, directory, target):
        directory.mkdir(exist_ok=True)
        os.chmod(directory, 0o755)
        self.directory, self.target = directory, str(target / ".s.PGSQL.5432")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(directory / ".s.PGSQL.5432"))
        os.chmod(directory / ".s.PGSQL.5432", 0o777)
        self.listener.listen(64)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.lock = threading.Lock()
        self.order = None       # (fault, role, statement, nth)
        self.struck = False
        self.seen = []          # (role, statement) of each transaction sent to its COMMIT
        self.stopping = False
        self.timers = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # -- for the harness

    def arm(self, fault, role, statement, nth):
        """Spoils the COMMIT of the nth transaction from now with this statement."""
        assert fault in FAULTS
        with self.lock:
            self.order, self.struck = [fault, role, statement, nth], False

    def disarm(self):
        """Returns whether the fault has struck."""
        with self.lock:
            self.order = None
            return self.struck

    def record(self):
        with self.lock:
            self.seen = []

    def recorded(self):
        with self.lock:
            return list(self.seen)

    def stop(self):
        self.stopping = True
        self.thread.join(10)
        for timer in self.timers:
            timer.join(PATIENCE_S)

    # -- the loop

    def _run(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.2):
                if key.data is None:
                    self._accept()
                    continue
                link, from_client = key.data
                try:
                    data = key.fileobj.recv(65536)
                    if not data:
                        raise OSError("closed")
                    if from_client:
                        self._from_client(link, data)
                    else:
                        self._from_server(link, data)
                except (OSError, ValueError):
                    self._drop(link)
        self.selector.close()
        self.listener.close()

    def _accept(self):
        client, _ = self.listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            server.close()
            return
        link = Link(client, server)
        self.selector.register(client, selectors.EVENT_READ, (link, True))
        self.selector.register(server, selectors.EVENT_READ, (link, False))

    def _drop(self, link):
        for end in (link.client, link.server):
            try:
                self.selector.unregister(end)
            except (KeyError, ValueError):
                pass
        link.close()

    # -- what is said

    def _from_client(self, link, data):
        link.front += data
        if not link.started:
            if len(link.front) < 8:
                return
            length, code = struct.unpack_from(">II", link.front)
            if len(link.front) < length:
                return
            if code == 196608:
                words = link.front[8:length].split(b"\0")
                link.user = dict(zip(words[::2], words[1::2])).get(b"user", b"").decode()
                link.started = True
            link.server.sendall(link.front[:length])
            link.front = link.front[length:]
        ready = b""
        while len(link.front) >= 5:
            size = 1 + struct.unpack_from(">I", link.front, 1)[0]
            if len(link.front) < size:
                break
            message, link.front = link.front[:size], link.front[size:]
            if message[:1] == b"B":
                name = message[5:].split(b"\0", 2)[1]
                if name == COMMIT:
                    if self._commits(link, ready, message):
                        return
                    ready = b""
                elif name == BEGIN:
                    link.statements = []
                elif not name.startswith(OWN):
                    link.statements.append(name.decode())
            ready += message
        if ready:
            link.server.sendall(ready)

    def _from_server(self, link, data):
        if link.backend is None or link.swallow:
            link.back += data
            while len(link.back) >= 5:
                size = 1 + struct.unpack_from(">I", link.back, 1)[0]
                if len(link.back) < size:
                    break
                message, link.back = link.back[:size], link.back[size:]
                if message[:1] == b"K":
                    link.backend = struct.unpack_from(">I", message, 5)[0]
                if link.swallow and message.startswith(b"C") and message[5:] == b"COMMIT\0":
                    raise OSError("swallowed")
        if not link.swallow:
            link.client.sendall(data)

    # -- the fault

    def _commits(self, link, before, message):
        """Sends what stands before COMMIT; true if the fault took over the connection."""
        statements, link.statements = link.statements, []
        with self.lock:
            role = link.user.removeprefix("kometpay_")
            self.seen += [(role, name) for name in statements]
            order, fault = self.order, None
            if order and not self.struck and order[1] == role and order[2] in statements:
                fault = order[0]
        if fault is None or link.backend is None:
            link.server.sendall(before)
            return False
        link.server.sendall(before + FLUSH)
        answers = self._answers_of(link, len(statements))
        # a claim that found nothing is no transaction worth spoiling
        if statements == ["due"] and b"D" not in answers[0]:
            link.client.sendall(answers[1])
            return False
        with self.lock:
            order[3] -= 1
            if order[3] > 0:
                link.client.sendall(answers[1])
                return False
            self.struck = True
        rest, link.front = message + link.front, b""
        getattr(self, "_" + fault)(link, rest, answers[1])
        return True

    @staticmethod
    def _answers_of(link, count):
        """The server's answers to BEGIN and `count` statements: (their types, all bytes)."""
        got, types, done, place = b"", b"", 0, 0
        link.server.settimeout(PATIENCE_S)
        while done < count + 1:
            got += link.server.recv(65536)
            while len(got) - place >= 5:
                size = 1 + struct.unpack_from(">I", got, place + 1)[0]
                if len(got) - place < size:
                    break
                types += got[place:place + 1]
                done += got[place:place + 1] == b"C"
                done += (count + 1) * (got[place:place + 1] == b"E")
                place += size
        link.server.settimeout(None)
        return types, got

    def _commit_answer_lost(self, link, rest, _answers):
        link.swallow, link.back = True, b""
        link.server.sendall(rest)

    def _commit_never_arrives(self, link, _rest, _answers):
        self._drop(link)

    def _commit_applied_late(self, link, rest, _answers):
        os.kill(link.backend, signal.SIGSTOP)
        link.server.sendall(rest)
        self.selector.unregister(link.client)
        self.selector.unregister(link.server)
        link.client.close()
        timer = threading.Timer(0.15, self._wake, (link,))
        self.timers.append(timer)
        timer.start()

    @staticmethod
    def _wake(link):
        try:
            os.kill(link.backend, signal.SIGCONT)
            link.server.settimeout(PATIENCE_S)
            while link.server.recv(65536):
                pass
        except OSError:
            pass
        link.server.close()

    def _backend_killed_in_commit(self, link, rest, answers):
        link.client.sendall(answers)
        os.kill(link.backend, signal.SIGSTOP)
        link.server.sendall(rest)
        os.kill(link.backend, signal.SIGTERM)
        time.sleep(0.001)
        os.kill(link.backend, signal.SIGCONT)

    def _backend_killed_after_commit(self, link, rest, answers):
        link.server.sendall(rest[:rest.rindex(SYNC)] + FLUSH)
        link.server.settimeout(PATIENCE_S)
        while b"COMMIT\0" not in answers:
            answers += link.server.recv(65536)
        os.kill(link.backend, signal.SIGTERM)
        while more := link.server.recv(65536):
            answers += more
        link.client.sendall(answers)
        self._drop(link)
