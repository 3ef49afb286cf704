"""Runs tests/sql/*.sql (pgTAP), each in a database of its own that is cloned from one with the
whole schema. Prints what failed, and as its last line `pgtap: N passed, N failed`. Must never call
a file good that ended early or tested nothing.

    /usr/bin/python3 -m tests.suite.pgtap [NAME ...]     names of files without .sql; default: all
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from tests.suite.cluster import ROOT, Cluster, SqlError

TESTS = ROOT / "tests" / "sql"
FIXTURE = TESTS / "fixture.psql"
TEMPLATE = "pgtap_template"
RESULT = re.compile(r"^(not )?ok (\d+)\b(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)$")


def prepare(cluster):
    """The database that all tests start from: schema, pgTAP in a schema of its own, the words."""
    cluster.create_database(TEMPLATE)
    cluster.migrate(TEMPLATE)
    cluster.psql("CREATE SCHEMA tap; CREATE EXTENSION pgtap SCHEMA tap;"
                 f"ALTER DATABASE {TEMPLATE} SET search_path = tap, test, public;", TEMPLATE)
    cluster.psql_file(FIXTURE, TEMPLATE)


def judge(printed):
    """(passed, list of failures) of one file's output; its plan must be fulfilled."""
    passed, failures, planned, last = 0, [], None, 0
    for line in printed.splitlines():
        result, plan = RESULT.match(line), PLAN.match(line)
        if plan:
            planned = int(plan.group(1))
        elif result:
            last = int(result.group(2))
            if result.group(1):
                failures.append(line)
            else:
                passed += 1
        elif failures and line.startswith("#"):
            failures[-1] += "\n    " + line
    if planned is None:
        failures.append("there is no plan: the file ended early")
    elif planned != last or planned == 0:
        failures.append(f"planned {planned} tests, ran {last}")
    return passed, failures


def run_file(cluster, path):
    database = f"pgtap_{path.stem}"
    cluster.create_database(database, TEMPLATE)
    cluster.psql(f"ALTER DATABASE {database} SET search_path = tap, test, public;")
    try:
        passed, failures = judge(cluster.psql_file(path, database))
    except SqlError as e:
        passed, failures = 0, [f"the file stopped: {e}"]
    cluster.drop_database(database)
    return passed, failures


def main(names):
    paths = sorted(TESTS.glob("*.sql"))
    if names:
        paths = [path for path in paths if path.stem in names]
    passed = failed = 0
    folder = tempfile.mkdtemp(prefix="komet-pgtap-")
    try:
        pathlib.Path(folder).chmod(0o755)  # the server runs as a user of its own
        with Cluster(pathlib.Path(folder) / "pg") as cluster:
            prepare(cluster)
            for path in paths:
                good, failures = run_file(cluster, path)
                passed += good
                failed += len(failures)
                for failure in failures:
                    print(f"FAILED {path.stem}: {failure}")
    except (SqlError, subprocess.CalledProcessError) as e:
        print(f"FAILED to prepare: {e}")
        failed += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if passed == 0 and failed == 0:
        print("FAILED: there is no test")
        failed += 1
    print(f"{passed} passed, {failed} failed")  # as every part of tests/run.py says it
    print(f"pgtap: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
