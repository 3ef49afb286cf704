"""make deps installs what is missing, and never starts a PostgreSQL cluster of its own: seen with a
package manager that only writes down what it was asked."""

import os
import subprocess

import pytest

from tests.suite.suite import ROOT

APT = """#!/bin/bash
case "$*" in
*install*) cat "$CREATECLUSTER" >>"$SEEN"; echo "$@" >"$ASKED" ;;
esac
"""
DPKG = """#!/bin/bash
[ "${!#}" = "$MISSING" ] || echo -n installed
"""


@pytest.fixture
def machine(tmp_path):
    """Runs deps.sh where one package is missing; gives the setting that its installation saw."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("apt-get", APT), ("dpkg-query", DPKG), ("id", "#!/bin/bash\necho 0\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    conf, seen = tmp_path / "etc" / "createcluster.conf", tmp_path / "seen"

    def install(missing, before=None):
        if before is not None:
            conf.parent.mkdir()
            conf.write_text(before)
        done = subprocess.run(
            ["bash", str(ROOT / "tests" / "deps.sh")], capture_output=True, text=True, check=False,
            env=dict(os.environ, PATH=f"{programs}:{os.environ['PATH']}", MISSING=missing,
                     CREATECLUSTER=str(conf), SEEN=str(seen), ASKED=str(tmp_path / "asked")))
        assert done.returncode == 0, done.stderr
        assert f"-y --no-install-recommends -o Dpkg::Options::=--force-confold {missing}" in (
            tmp_path / "asked").read_text()
        return seen.read_text(), conf.read_text()
    return install


def last_setting(text):
    lines = [line for line in text.splitlines() if line.startswith("create_main_cluster")]
    return lines[-1] if lines else None


def test_on_a_bare_machine(machine):
    seen, _ = machine("postgresql-15")
    assert last_setting(seen) == "create_main_cluster = false"


@pytest.mark.parametrize("before", ["#create_main_cluster = true\n", "create_main_cluster = true\n"])
def test_where_the_setting_is_there_already(machine, before):
    seen, after = machine("postgresql-15", before)
    assert last_setting(seen) == "create_main_cluster = false"
    assert after == before
