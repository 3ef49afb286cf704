"""`kometpay db`: migrations applied once, in order, each whole or not at all, and never over a history
that was changed."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.suite.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
KOMETPAY = ROOT / "build" / os.environ.get("VARIANT", "release") / "kometpay"
MIGRATIONS = sorted((ROOT / "sql" / "migrations").glob("*.sql"))
OK, NOT_UP_TO_DATE, _, REFUSED, _, UNREACHABLE = range(6)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pg")
    for parent in (folder, folder.parent, folder.parent.parent):
        os.chmod(parent, 0o755)
    with Cluster(folder / "c") as made:
        yield made


class Database:
    """A database of its own and a folder with a copy of the migrations."""

    def __init__(self, cluster, name, folder):
        self.cluster, self.name, self.folder = cluster, name, folder
        cluster.create_database(name)
        for path in MIGRATIONS:
            shutil.copy(path, folder)

    def db(self, word, *more, check=None, **environment):
        env = {**os.environ, **self.cluster.environment(database=self.name), "NO_COLOR": "1",
               **environment}
        done = subprocess.run([KOMETPAY, "db", word, "--sql-dir", self.folder, *more], env=env,
                              capture_output=True, text=True, timeout=120)
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    def records(self):
        return self.cluster.psql("SELECT number, name, sha256, applied_at"
                                 " FROM public.kometpay_migration ORDER BY number", self.name)

    def write(self, name, sql):
        (self.folder / name).write_text(sql)


@pytest.fixture
def database(cluster, tmp_path):
    name = f"d{abs(hash(tmp_path)) % 10 ** 9}"
    yield Database(cluster, name, tmp_path)
    cluster.drop_database(name)


def test_migrate_twice_does_nothing_the_second_time(database):
    first = database.db("migrate", check=OK)
    assert [line.split()[1] for line in first.stderr.splitlines() if line.startswith("applied ")] == [
        path.stem for path in MIGRATIONS]
    records = database.records()
    assert len(records.splitlines()) == len(MIGRATIONS)
    second = json.loads(database.db("migrate", "--json", check=OK).stdout)
    assert second == {"applied": 0, "migrations": len(MIGRATIONS)}
    assert database.records() == records


def test_status_before_and_after(database):
    before = json.loads(database.db("status", "--json", check=NOT_UP_TO_DATE).stdout)["rows"]
    assert {row["state"] for row in before} == {"pending"} and len(before) == len(MIGRATIONS)
    database.db("migrate", check=OK)
    after = json.loads(database.db("status", "--json", check=OK).stdout)["rows"]
    assert {row["state"] for row in after} == {"applied"}
    assert all(row["applied_at"] and len(row["sha256"]) == 64 for row in after)
    table = database.db("status", check=OK).stdout.splitlines()[1:]
    assert [line.split()[2] for line in table] == ["applied"] * len(MIGRATIONS)


def test_changed_checksum_is_refused_and_named(database):
    database.db("migrate", check=OK)
    records = database.records()
    changed = database.folder / MIGRATIONS[3].name
    changed.write_text(changed.read_text() + "-- a remark\n")
    database.write("9000_new.sql", "CREATE TABLE public.newer ();")
    done = database.db("migrate", "--json", check=REFUSED)
    assert json.loads(done.stdout)["error"]["code"] == "migration_changed"
    assert MIGRATIONS[3].stem in done.stderr
    assert database.records() == records, "nothing is applied over it"
    states = json.loads(database.db("status", "--json", check=REFUSED).stdout)["rows"]
    assert [row["state"] for row in states if row["number"] == 4] == ["changed"]


def test_database_newer_than_this_version_is_refused(database):
    database.db("migrate", check=OK)
    (database.folder / MIGRATIONS[-1].name).unlink()
    done = database.db("migrate", "--json", check=REFUSED)
    assert json.loads(done.stdout)["error"]["code"] == "migration_missing"
    states = json.loads(database.db("status", "--json", check=REFUSED).stdout)["rows"]
    assert [row["state"] for row in states][-1] == "missing"


def test_late_number_is_refused(database):
    database.write("0100_later.sql", "SELECT 1;")
    database.db("migrate", check=OK)
    database.write("0099_late.sql", "SELECT 1;")
    done = database.db("migrate", "--json", check=REFUSED)
    assert json.loads(done.stdout)["error"]["code"] == "migration_out_of_order"


def test_migration_that_fails_leaves_nothing_of_itself_and_what_was_before(database):
    database.write("9000_good.sql", "CREATE TABLE public.good ();")
    database.write("9001_bad.sql", "CREATE TABLE public.bad ();\nSELECT\n  no_such_column;")
    database.write("9002_after.sql", "CREATE TABLE public.after ();")
    done = database.db("migrate", "--json", check=REFUSED)
    assert json.loads(done.stdout)["error"]["code"] == "sql_failed"
    assert "9001_bad.sql line 3" in done.stderr
    there = database.cluster.psql("SELECT to_regclass('public.good') IS NOT NULL,"
                                  " to_regclass('public.bad') IS NULL,"
                                  " to_regclass('public.after') IS NULL", database.name)
    assert there == "t|t|t"
    database.write("9001_bad.sql", "CREATE TABLE public.bad ();")
    assert json.loads(database.db("migrate", "--json", check=OK).stdout)["applied"] == 2


def test_migration_that_ends_its_own_transaction_is_refused(database):
    database.write("9000_bold.sql", "CREATE TABLE public.bold (); COMMIT;")
    done = database.db("migrate", "--json", check=REFUSED)
    assert json.loads(done.stdout)["error"]["code"] == "migration_ends_transaction"


def test_two_who_migrate_at_once_apply_each_migration_once(database):
    answers = []

    def migrate():
        answers.append(json.loads(database.db("migrate", "--json", check=OK).stdout)["applied"])
    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0, 0, 0, len(MIGRATIONS)]


@pytest.mark.parametrize("names, code", [
    ([], "migrations_missing"),
    (["0001_a.sql", "0001_b.sql"], "migration_number_twice"),
    (["first.sql"], "migration_name"),
])
def test_folder_that_is_none_of_migrations_is_refused(database, names, code):
    for path in database.folder.glob("*.sql"):
        path.unlink()
    for name in names:
        database.write(name, "SELECT 1;")
    done = database.db("migrate", "--json", check=REFUSED)
    assert json.loads(done.stdout)["error"]["code"] == code


def test_unreachable_database_is_exit_5_and_says_how_to_name_it(database):
    done = database.db("migrate", check=UNREACHABLE, PGHOST="/nonexistent")
    assert "PGHOST, PGPORT, PGUSER and PGDATABASE" in done.stderr
