#!/usr/bin/python3
"""All tests of `make test`: unit programs, SQL tests and end-to-end stories. It counts every single
test, and its last line is exactly `N passed, N failed`. It must never call a run good in which
something failed, crashed, was left out, or in which nothing ran.

    tests/run.py [unit|sql|e2e ...]      only these parts (default: all)
    PYTEST_ARGUMENTS="-k sale"           passed on to pytest
"""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / os.environ.get("KOMETPAY_BUILD", "build/release")
PYTHON = "/usr/bin/python3"
UNIT_TIMEOUT_S = 120
SQL_TIMEOUT_S = 600
E2E_TIMEOUT_S = 1800
COUNT_LINE = re.compile(r"^(\d+) passed, (\d+) failed$")


class Count:
    """What passed, and the names of what failed."""

    def __init__(self):
        self.passed = 0
        self.failed = []

    def fail(self, name, why=""):
        self.failed.append(name)
        print(f"FAILED {name}{': ' + why if why else ''}", flush=True)


def run(command, timeout_s, **more):
    """Runs a command in a process group of its own, so that a late one can be ended whole.
    Returns (exit code or None when it was late, what it printed)."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", start_new_session=True, **more) as process:
        try:
            text, _ = process.communicate(timeout=timeout_s)
            return process.returncode, text
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            return None, text


def unit(count):
    """cmocka programs, each with its results as XML; a crash leaves none and is a failure."""
    sources = sorted((ROOT / "tests/unit").glob("test_*.c"))
    for source in sources:
        program = BUILD / "unit" / source.stem
        if not program.exists():
            count.fail(f"unit {source.stem}", "not built")
            continue
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="XML",
                               CMOCKA_XML_FILE=f"{folder}/%g.xml")
            code, text = run([str(program)], UNIT_TIMEOUT_S, env=environment)
            before = len(count.failed)
            passed = count_junit(count, pathlib.Path(folder).glob("*.xml"), f"unit {source.stem}")
        if code is None:
            count.fail(f"unit {source.stem}", f"not done after {UNIT_TIMEOUT_S} s")
        elif code != 0 and len(count.failed) == before:
            count.fail(f"unit {source.stem}", f"exit {code}")
        elif passed == 0 and len(count.failed) == before:
            count.fail(f"unit {source.stem}", "ran no test")
        bad = len(count.failed) - before
        print(f"unit {source.stem}: {passed} passed, {bad} failed", flush=True)
        if bad:
            print(text)


def count_junit(count, files, prefix):
    """Adds the test cases of JUnit files; returns how many passed. A skipped test is a failure:
    what was not run was not shown to work."""
    passed = 0
    for file in files:
        try:
            cases = list(xml.etree.ElementTree.parse(file).iter("testcase"))
        except xml.etree.ElementTree.ParseError:
            # cmocka does not escape everything: fall back to what it surely writes.
            text = file.read_text(errors="replace")
            bad = len(re.findall(r"<(?:failure|error|skipped)\b", text))
            passed += len(re.findall(r"<testcase\b", text)) - bad
            for _ in range(bad):
                count.fail(prefix)
            continue
        for case in cases:
            if any(case.find(kind) is not None for kind in ("failure", "error", "skipped")):
                count.fail(f"{prefix} {case.get('classname') or ''} {case.get('name')}".strip())
            else:
                passed += 1
    count.passed += passed
    return passed


def sql(count):
    """pgTAP files through the suite's private cluster; it prints TAP, or ends with the counts."""
    files = sorted((ROOT / "tests/sql").glob("*.sql"))
    if not files:
        return
    if not (ROOT / "tests/suite/pgtap.py").exists():
        count.fail("sql", f"{len(files)} files and no tests/suite/pgtap.py to run them")
        return
    code, text = run([PYTHON, "-m", "tests.suite.pgtap"], SQL_TIMEOUT_S)
    lines = text.splitlines()
    total = next((m for m in map(COUNT_LINE.match, reversed(lines)) if m), None)
    if total:
        passed = int(total[1])
        names = [line for line in lines if re.match(r"\s*(not ok|FAILED)\b", line)]
        bad = [(names[i].strip() if i < len(names) else "sql test") for i in range(int(total[2]))]
    else:
        passed = sum(bool(re.match(r"\s*ok \d+", line)) for line in lines)
        bad = [line.strip() for line in lines if re.match(r"\s*not ok \d+", line)]
    count.passed += passed
    for name in bad:
        count.fail(f"sql {name}")
    if code is None:
        count.fail("sql", f"not done after {SQL_TIMEOUT_S} s")
    elif code != 0 and not bad:
        count.fail("sql", f"exit {code}")
    elif passed == 0 and not bad:
        count.fail("sql", "ran no test")
    print(f"sql: {passed} passed, {len(bad)} failed", flush=True)
    if bad or code != 0:
        print(text)


def e2e(count):
    """pytest against the real programs; its output is shown as it comes."""
    if not list((ROOT / "tests/e2e").glob("**/test_*.py")):
        return
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "e2e.xml"
        command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/e2e",
                   f"--junitxml={report}"] + shlex.split(os.environ.get("PYTEST_ARGUMENTS", ""))
        with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
            try:
                code = process.wait(timeout=E2E_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                # First politely: pytest then ends its clusters and daemons and writes the report.
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                code = None
        before = len(count.failed)
        passed = count_junit(count, [report] if report.exists() else [], "e2e")
        if code is None:
            count.fail("e2e", f"not done after {E2E_TIMEOUT_S} s")
        elif code != 0 and len(count.failed) == before:
            count.fail("e2e", f"pytest ended with {code}")
        elif passed == 0 and len(count.failed) == before:
            count.fail("e2e", "ran no test")
    print(f"e2e: {passed} passed, {len(count.failed) - before} failed", flush=True)


PARTS = {"unit": unit, "sql": sql, "e2e": e2e}


def main():
    names = sys.argv[1:] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        sys.exit(f"unknown part {unknown[0]}; known: {' '.join(PARTS)}")
    count = Count()
    for name in names:
        PARTS[name](count)
    if count.failed:
        print("\nfailed:")
        for name in count.failed:
            print(f"  {name}")
    sys.stdout.flush()
    print(f"{count.passed} passed, {len(count.failed)} failed", flush=True)
    return 1 if count.failed or count.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
