"""The whole suite on this machine: a private PostgreSQL, the processor's simulator, the daemons.

Used by the demo, the end-to-end tests, the kill tests and the benches. Each daemon runs as a user
of its own (numbers without a name) when we are root, and with a password file of its own."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

from tests.suite.cluster import Cluster
from tests.suite.frames import Connection, ConnectionLost

ROOT = Path(__file__).resolve().parents[2]
DAEMONS = ("vaultd", "gatewayd", "settled", "terminald")
UIDS = {"terminald": 64001, "gatewayd": 64002, "vaultd": 64003, "settled": 64004}
GROUP = 64000
DATABASE = "kometpay"
API_KEY = "sim-key-main-0001"
TERMINAL_ID = "11113333"
MERCHANT_ID = "6588000000000001"


class Process:
    """A program we started, its log file and its end."""

    def __init__(self, name, argv, env, log, uid=None, gid=None):
        self.name = name
        self.log = log
        as_user = {}
        if uid is not None and os.geteuid() == 0:
            as_user = {"user": uid, "group": gid, "extra_groups": []}
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=out, start_new_session=True, **as_user)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        if self.alive():
            self.popen.kill()
        self.popen.wait()

    def stop(self, patience=40):
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.name} did not stop within {patience} s")
        return self.popen.returncode


class Suite:
    """Everything that runs, in one directory."""

    def __init__(self, directory, variant="release", fast=1, settings=None, simulator_options=()):
        self.directory = Path(directory)
        self.variant = variant
        self.fast = fast
        self.settings = dict(settings or {})
        self.simulator_options = list(simulator_options)
        self.build = ROOT / "build" / variant
        self.programs = self.directory / "bin"
        self.run = self.directory / "run"
        self.log = self.directory / "log"
        self.credentials = self.directory / "credentials"
        self.state = self.directory / "state"
        self.processes = {}
        self.cluster = None
        self.simulator = None

    # -- set-up

    def prepare(self):
        """Directories, keys, certificates; once per directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        os.chmod(self.directory, 0o755)
        for directory in (self.run, self.log, self.credentials, self.state):
            directory.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            os.chown(self.run, 0, GROUP)
            os.chmod(self.run, 0o770)
        self._programs()
        self._certificates()
        self._credential("vaultd", "vault-kek-1", os.urandom(32).hex())
        self._credential("gatewayd", "clearent-main", API_KEY)
        for name in ("pos-tls-cert", "pos-tls-key", "pos-client-ca"):
            source = {"pos-tls-cert": "server.crt", "pos-tls-key": "server.key",
                      "pos-client-ca": "ca.crt"}[name]
            self._credential("terminald", name, (self.directory / source).read_text())
        for daemon in DAEMONS:
            state = self.state / daemon
            state.mkdir(exist_ok=True)
            self._give(state, daemon, 0o700)
        accounts = self.directory / "accounts"
        accounts.write_text(f"{API_KEY} {TERMINAL_ID} {MERCHANT_ID}\n")
        return self

    def _programs(self):
        """The daemons' users may not reach the checkout (a home, a private folder), so they run
        copies, as they would run what was installed."""
        self.programs.mkdir(exist_ok=True)
        for daemon in DAEMONS:
            shutil.copy(self.build / daemon, self.programs / daemon)
            os.chmod(self.programs / daemon, 0o755)

    def _give(self, path, daemon, mode):
        os.chmod(path, mode)
        if os.geteuid() == 0:
            os.chown(path, UIDS[daemon], GROUP)

    def _credential(self, daemon, name, text):
        directory = self.credentials / daemon
        directory.mkdir(exist_ok=True)
        path = directory / name
        if path.exists():
            return
        path.touch(mode=0o600)
        path.write_text(text)
        self._give(path, daemon, 0o400)
        self._give(directory, daemon, 0o500)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def certificate(self, name, subject, extra="subjectAltName=IP:127.0.0.1,DNS:localhost",
                    authority="ca", days=30):
        """A certificate of our test authority, or of another: NAME.crt and NAME.key."""
        (self.directory / f"{name}.ext").write_text(extra + "\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey",
                     f"{authority}.key", "-CAcreateserial", "-days", str(days), "-out",
                     f"{name}.crt", "-extfile", f"{name}.ext")

    def authority(self, name, subject):
        """A certificate authority: NAME.crt and NAME.key."""
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "30",
                     "-subj", subject)

    def _certificates(self):
        if (self.directory / "ca.crt").exists():
            return
        self.authority("ca", "/CN=Komet test authority")
        self.certificate("server", "/CN=localhost")
        self.certificate("processor", "/CN=localhost")
        self.certificate("pos-miami", "/OU=MIA/CN=counter1")

    # -- start and stop

    def start(self):
        """PostgreSQL, migrations, the simulator and the daemons; returns when they serve."""
        self.start_database()
        self.start_simulator()
        for daemon in DAEMONS:
            self.start_daemon(daemon)
        self.wait_ready()
        return self

    def start_database(self):
        if self.cluster is not None:
            self.cluster.start()
            return
        self.cluster = Cluster(self.directory / "postgresql")
        self.cluster.create()
        self.cluster.start()
        self.cluster.create_database(DATABASE)
        self.migrate()

    def migrate(self):
        """As an operator does it: kometpay db migrate."""
        env = dict(os.environ, **self.cluster.environment(database=DATABASE))
        done = subprocess.run([str(self.build / "kometpay"), "db", "migrate", "--sql-dir",
                               str(ROOT / "sql" / "migrations")], env=env, capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, f"db migrate: {done.stdout}{done.stderr}"
        return done.stdout

    def start_simulator(self, port=0):
        argv = [str(self.build / "clearent-sim"), "--listen", f"127.0.0.1:{port}",
                "--cert", str(self.directory / "processor.crt"),
                "--key", str(self.directory / "processor.key"),
                "--ledger", str(self.directory / "clearent.ledger"),
                "--accounts", str(self.directory / "accounts"), "--control", "127.0.0.1:0",
                *self.simulator_options]
        log = self.log / "clearent-sim.log"
        begin = log.stat().st_size if log.exists() else 0
        process = Process("clearent-sim", argv, os.environ.copy(), log)
        self.processes["clearent-sim"] = process
        ports = {}
        deadline = time.monotonic() + 10
        while len(ports) < 2:
            for line in log.read_bytes()[begin:].decode().splitlines():
                words = line.split()
                if len(words) == 2 and words[0] in ("listening", "control"):
                    ports[words[0]] = int(words[1].rsplit(":")[-1])
            assert process.alive() and time.monotonic() < deadline, "the simulator did not start"
            time.sleep(0.005)
        self.simulator = Simulator(ports["listening"], ports["control"])

    def stop_simulator(self):
        self.processes.pop("clearent-sim").kill()

    def environment(self, daemon):
        env = {
            "PATH": os.environ["PATH"],
            "KOMETPAY_RUN_DIR": str(self.run),
            "KOMETPAY_STATE_DIR": str(self.state / daemon),
            "KOMETPAY_CREDENTIALS": str(self.credentials / daemon),
            "KOMETPAY_CLEARENT_URL": f"https://127.0.0.1:{self.simulator.port}",
            "KOMETPAY_CA_FILE": str(self.directory / "ca.crt"),
            "KOMETPAY_FAST_TIME": str(self.fast),
            "KOMETPAY_PEERS": self.peers(),
        }
        if daemon != "terminald":
            uid = UIDS[daemon] if os.geteuid() == 0 else None
            env.update(self.cluster.environment(f"kometpay_{daemon}", DATABASE, uid))
        env.update(self.settings)
        return env

    @staticmethod
    def peers():
        if os.geteuid() != 0:
            me = os.geteuid()
            return ",".join(f"{name}={me}" for name in (*DAEMONS, "operator", "night", "pos"))
        return ",".join([*(f"{name}={UIDS[name]}" for name in DAEMONS), "operator=0", "pos=*"])

    def start_daemon(self, daemon, wrapper=()):
        argv = [*wrapper, str(self.programs / daemon)]
        self.processes[daemon] = Process(daemon, argv, self.environment(daemon),
                                         self.log / f"{daemon}.log", UIDS[daemon], GROUP)
        return self.processes[daemon]

    def restart_daemon(self, daemon):
        self.processes[daemon].kill()
        self.start_daemon(daemon)
        self.wait_ready([daemon])

    def socket_path(self, daemon):
        return self.run / f"{daemon}.sock"

    def ready(self, daemon):
        try:
            with Connection(self.socket_path(daemon), timeout=5) as connection:
                return connection.call("daemon_status", {}, 4000)["ready"]
        except (OSError, ConnectionLost):
            return False

    def wait_ready(self, daemons=DAEMONS, patience=30):
        deadline = time.monotonic() + patience
        for daemon in daemons:
            while not self.ready(daemon):
                if not self.processes[daemon].alive() or time.monotonic() > deadline:
                    tail = (self.log / f"{daemon}.log").read_text(errors="replace")[-2000:]
                    raise AssertionError(f"{daemon} is not ready:\n{tail}")
                time.sleep(0.005)

    def stop(self):
        """Ends everything we started, the database last; what would not end is told at the end."""
        daemons = [self.processes.pop(name) for name in reversed(DAEMONS) if name in self.processes]
        ends = [daemon.stop for daemon in daemons]
        ends += [process.kill for process in self.processes.values()]
        if self.cluster:
            ends.append(self.cluster.stop)
        failures = []
        for end in ends:
            try:
                end()
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)
        self.processes.clear()
        if failures:
            raise failures[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # -- use

    def pos(self, timeout=60):
        return Connection(self.socket_path("terminald"), timeout)

    def operator(self, daemon="settled"):
        return Connection(self.socket_path(daemon))

    def connect_as(self, uid, daemon):
        """A connection that the daemon's kernel says is made by that user, of the suite's group."""
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            try:
                if uid != os.geteuid():
                    os.setgroups([])
                    os.setgid(GROUP)
                    os.setuid(uid)
                made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                made.connect(str(self.socket_path(daemon)))
                socket.send_fds(theirs, [b"x"], [made.fileno()])
            finally:
                os._exit(0)
        theirs.close()
        os.waitpid(child, 0)
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        ours.close()
        assert descriptors, f"user {uid} can't connect to {daemon}"
        return Connection(socket.socket(fileno=descriptors[0]))

    def pos_tls(self, port, name="pos-miami", newest=ssl.TLSVersion.TLSv1_3):
        """As the POS of that certificate; without one if `name` is None."""
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        context.maximum_version = newest
        if name is not None:
            context.load_cert_chain(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        return Connection(context.wrap_socket(raw, server_hostname="localhost"))

    def kometpay(self, *arguments, stdin="", check=None):
        """Runs the command as the operator; returns the finished process."""
        env = dict(os.environ, KOMETPAY_RUN_DIR=str(self.run), NO_COLOR="1")
        done = subprocess.run([str(self.build / "kometpay"), *arguments], env=env, input=stdin,
                              capture_output=True, text=True, timeout=120)
        if check is not None:
            assert done.returncode == check, (
                f"kometpay {' '.join(arguments)}: exit {done.returncode}\n"
                f"{done.stdout}{done.stderr}")
        return done

    def sql(self, text):
        """Rows as lists of text, by the cluster's superuser: only for tests to look."""
        printed = self.cluster.psql(text, DATABASE)
        return [line.split("|") for line in printed.splitlines()]


class Simulator:
    """The processor as a person at its desk sees it: its ledger, and what shall go wrong."""

    def __init__(self, port, control):
        self.port = port
        self.control = control

    def _ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.control}/_sim/{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def ledger(self, since=0):
        answer = self._ask("GET", f"ledger?since={since}")
        return answer["rows"] if isinstance(answer, dict) else answer

    def fault(self, fault, op="any", **more):
        match = {key: more.pop(key) for key in ("ref", "card_last_four", "amount", "nth", "count")
                 if key in more}
        return self._ask("POST", "faults", {"op": op, "fault": fault, "match": match, **more})

    def no_faults(self):
        return self._ask("DELETE", "faults")

    def settings(self, **settings):
        return self._ask("POST", "settings", settings)

    def clock(self, **change):
        return self._ask("POST", "clock", change)

    def portal(self, **act):
        return self._ask("POST", "portal", act)

    def hide(self, identifier):
        return self._ask("POST", "hide", {"id": identifier})

    def alter(self, identifier, amount):
        return self._ask("POST", "alter", {"id": identifier, "amount": amount})

    def stats(self, brief=0):
        return self._ask("GET", "stats?brief=1" if brief else "stats")


def wait_until(condition, patience=20, period=0.02, what="it"):
    """Polls a condition within a bound; returns its first true value."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {patience} s")
        time.sleep(period)


def still_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


__all__ = ["Suite", "Simulator", "wait_until", "still_running", "signal"]
