"""A private PostgreSQL cluster in a folder of its own: durable settings as in production, UNIX
socket only, a password per role. Must never touch a cluster that it did not make itself."""
import glob
import hashlib
import os
import pathlib
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "sql" / "migrations"
SUPERUSER = "postgres"
DAEMON_ROLES = ("kometpay_gatewayd", "kometpay_vaultd", "kometpay_settled")
SOCKET_PATH_MAX_BYTES = 107
START_TIMEOUT_S = 60
KILL_TIMEOUT_S = 30

SETTINGS = """
listen_addresses = ''
port = 5432
unix_socket_directories = '{socket}'
unix_socket_permissions = 0777
password_encryption = scram-sha-256
fsync = on
full_page_writes = on
synchronous_commit = on
data_sync_retry = off
max_connections = 60
shared_buffers = 64MB
max_wal_size = 1GB
checkpoint_timeout = 15min
autovacuum_naptime = 10s
logging_collector = off
log_min_messages = warning
log_line_prefix = '%m [%p] %u@%d '
log_statement = none
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
timezone = 'UTC'
"""


def bin_dir():
    """The folder of the newest PostgreSQL's programs."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"),
                   key=lambda p: int(re.search(r"/(\d+)/bin", p).group(1)))
    if found:
        return os.path.dirname(found[-1])
    return subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True,
                          text=True).stdout.strip()


class SqlError(Exception):
    """psql ended with an error; the text is its stderr."""


class Cluster:
    """with Cluster(folder) as cluster: cluster.psql("SELECT 1")"""

    def __init__(self, folder, settings=""):
        self.folder = pathlib.Path(folder).resolve()
        self.data = self.folder / "data"
        self.socket = self.folder / "socket"
        self.passes = self.folder / "pass"
        self.log = self.folder / "postgres.log"
        self.settings = settings
        self.passwords = {}
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        longest = len(os.fsencode(self.socket)) + len("/.s.PGSQL.5432.lock")
        if longest > SOCKET_PATH_MAX_BYTES:
            raise ValueError(f"the path of the socket is too long: {self.socket}")

    def __enter__(self):
        self.create()
        self.start()
        return self

    def __exit__(self, *_):
        self.stop("immediate")

    # -- making ---------------------------------------------------------------------------------

    def _run(self, *command, **options):
        """Runs one of PostgreSQL's programs as the user who owns the cluster."""
        words = [str(word) for word in command]
        words[0] = os.path.join(bin_dir(), words[0])
        if os.geteuid() == 0:
            words = ["runuser", "-u", self.user, "--"] + words
        return subprocess.run(words, check=True, cwd="/", stdin=subprocess.DEVNULL, **options)

    def _own(self, path):
        if os.geteuid() == 0:
            shutil.chown(path, self.user)

    def create(self):
        """initdb; an existing cluster in the folder is an error."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.data.mkdir(mode=0o700)
        self.socket.mkdir(mode=0o755)
        self.passes.mkdir(mode=0o755)
        self.log.touch(mode=0o600)
        for path in (self.data, self.socket, self.log):
            self._own(path)
        self.passwords[SUPERUSER] = secrets.token_urlsafe(24)
        password_file = self.folder / "initdb.password"
        password_file.touch(mode=0o400)
        password_file.write_text(self.passwords[SUPERUSER] + "\n")
        self._own(password_file)
        self._run("initdb", "-D", self.data, "-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8",
                  "--locale=C.UTF-8", "--data-checksums", "--pwfile", password_file,
                  stdout=subprocess.DEVNULL)
        password_file.unlink()
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS.format(socket=self.socket) + self.settings)
        (self.data / "pg_hba.conf").write_text("local all all scram-sha-256\n", encoding="utf-8")

    # -- life -----------------------------------------------------------------------------------

    def start(self):
        """Starts the server and waits until it takes connections; repeats while the processes of
        one that was killed are still ending."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", START_TIMEOUT_S,
                          "start", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                return
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def stop(self, mode="fast"):
        if self.pid() is not None:
            subprocess_options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            try:
                self._run("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop", **subprocess_options)
            except subprocess.CalledProcessError:
                if self.pid() is not None:
                    raise

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def kill(self):
        """kill -9 of the postmaster; its children see that and end by themselves."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + KILL_TIMEOUT_S
            while self.pid() is not None:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"PostgreSQL {pid} outlived SIGKILL for {KILL_TIMEOUT_S} s")
                time.sleep(0.01)

    def pid(self):
        """The postmaster's process, or None when it isn't running."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            status = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        name_and_state = status[status.index("(") + 1:].rsplit(")", 1)
        return pid if name_and_state[1].split()[0] != "Z" else None

    # -- access ---------------------------------------------------------------------------------

    def password(self, role):
        """Gives the role a password if it has none from us yet; the role must exist."""
        if role not in self.passwords:
            password = secrets.token_urlsafe(24)
            self.psql(f"ALTER ROLE \"{role}\" PASSWORD '{password}';")
            self.passwords[role] = password
        return self.passwords[role]

    def passfile(self, role, uid=None):
        """A PGPASSFILE of the role, 0400, owned by `uid` (default: us)."""
        uid = os.geteuid() if uid is None else uid
        password = self.password(role)
        path = self.passes / f"{role}.{uid}"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"*:*:*:{role}:{password}\n")
            if uid != os.geteuid():
                os.chown(path, uid, -1)
        return path

    def environment(self, role=SUPERUSER, database="postgres", uid=None):
        """libpq's variables for this role, to be added to a process's environment."""
        return {"PGHOST": str(self.socket), "PGPORT": "5432", "PGUSER": role,
                "PGDATABASE": database, "PGPASSFILE": str(self.passfile(role, uid))}

    def psql(self, sql, database="postgres", role=SUPERUSER, check=True):
        """Runs SQL text; gives what it printed, unaligned. Raises SqlError."""
        return self._psql(["-f", "-"], sql, database, role, check)

    def psql_file(self, path, database="postgres", role=SUPERUSER, check=True, single=False,
                  then=None):
        """Runs a file, in one transaction if `single`, with `then` at its end."""
        words = ["--single-transaction"] if single else []
        words += ["-f", str(path)] + (["-c", then] if then else [])
        return self._psql(words, None, database, role, check)

    def _psql(self, words, sql, database, role, check):
        if role == SUPERUSER and role not in self.passwords:
            raise ValueError("this cluster was not created here")
        environment = dict(os.environ, PGOPTIONS="-c client_min_messages=warning",
                           **self.environment(role, database))
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"] + words,
                              input=sql or "", capture_output=True, text=True, env=environment,
                              check=False)
        if check and done.returncode != 0:
            raise SqlError(done.stderr.strip() or done.stdout.strip())
        return done.stdout.strip() if check else done.stdout + done.stderr

    def create_database(self, name, template=None):
        like = f' TEMPLATE "{template}"' if template else ""
        self.psql(f'CREATE DATABASE "{name}"{like};')

    def drop_database(self, name):
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')

    # -- schema ---------------------------------------------------------------------------------

    def migrate(self, database):
        """By `kometpay db migrate` of the environment's KOMETPAY_COMMAND, else file by file."""
        command = os.environ.get("KOMETPAY_COMMAND")
        if command:
            subprocess.run([command, "db", "migrate"], check=True, cwd=ROOT,
                           stdout=subprocess.DEVNULL,
                           env=dict(os.environ, KOMETPAY_MIGRATIONS=str(MIGRATIONS),
                                    **self.environment(SUPERUSER, database)))
        else:
            self.apply_migrations(database)

    def apply_migrations(self, database):
        """Each file in one transaction with its row in the table of migrations."""
        for path in sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql")):
            number, name = path.stem.split("_", 1)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            try:
                self.psql_file(path, database, single=True, then=(
                    "INSERT INTO public.kometpay_migration (number, name, sha256)"
                    f" VALUES ({int(number)}, '{name}', '{sha256}')"))
            except SqlError as e:
                raise SqlError(f"{path.name}: {e}") from e
