"""What `make install DESTDIR=` puts where: all that the units, the command and people look for, and
nothing else."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VARIANT = os.environ.get("VARIANT", "release")
DAEMONS = ("terminald", "gatewayd", "vaultd", "settled")


def make_install(folder):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    subprocess.run(["make", "install", f"DESTDIR={folder}", f"VARIANT={VARIANT}"], cwd=ROOT,
                   env=env, check=True, capture_output=True, timeout=600)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("install")
    make_install(folder)
    return folder


def installed(tree):
    return {str(path.relative_to(tree)): path for path in tree.rglob("*") if path.is_file()}


def expected():
    """Where each file of the house belongs."""
    places = {f"usr/libexec/kometpay/{name}": f"build/{VARIANT}/{name}" for name in DAEMONS}
    places["usr/bin/kometpay"] = f"build/{VARIANT}/kometpay"
    for kind in ("service", "socket", "timer", "target"):
        for path in (ROOT / "systemd").glob(f"*.{kind}"):
            places[f"lib/systemd/system/{path.name}"] = f"systemd/{path.name}"
    for path in (ROOT / "sql").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            name = path.relative_to(ROOT)
            places[f"usr/share/kometpay/{name}"] = str(name)
    places |= {
        "usr/lib/sysusers.d/kometpay.conf": "systemd/kometpay.sysusers",
        "usr/lib/tmpfiles.d/kometpay.conf": "systemd/kometpay.tmpfiles",
        "usr/share/man/man1/kometpay.1": "systemd/kometpay.1",
        "usr/share/bash-completion/completions/kometpay": "systemd/kometpay.bash-completion",
        "usr/share/doc/kometpay/PROTOCOL.md": "ipc/PROTOCOL.md",
        "usr/share/doc/kometpay/LICENSE": "LICENSE",
        "etc/kometpay/kometpay.env": "systemd/kometpay.env",
    }
    return places


def test_the_tree_is_complete_and_has_nothing_else(tree):
    have, want = installed(tree), expected()
    assert len(want) > 35
    assert set(have) == set(want)
    for place, source in want.items():
        assert have[place].read_bytes() == (ROOT / source).read_bytes(), place


def test_programs_can_be_run_and_files_only_read(tree):
    for place, path in installed(tree).items():
        program = place.startswith(("usr/libexec/", "usr/bin/"))
        assert path.stat().st_mode & 0o7777 == (0o755 if program else 0o644), place


def test_all_that_the_units_name_is_in_the_tree(tree):
    named = 0
    for unit in (tree / "lib/systemd/system").iterdir():
        text = unit.read_text()
        for program in re.findall(r"^ExecStart=(\S+)", text, re.M):
            assert (tree / program.lstrip("/")).stat().st_mode & 0o111, f"{unit.name}: {program}"
            named += 1
        for settings in re.findall(r"^EnvironmentFile=-?(\S+)", text, re.M):
            assert (tree / settings.lstrip("/")).exists(), f"{unit.name}: {settings}"
        for page, section in re.findall(r"^Documentation=man:(\w+)\((\d)\)", text, re.M):
            assert (tree / f"usr/share/man/man{section}/{page}.{section}").exists()
    assert named == len(DAEMONS) + 1


def test_settings_that_somebody_made_are_kept(tmp_path):
    made = tmp_path / "etc/kometpay/kometpay.env"
    made.parent.mkdir(parents=True)
    made.write_text("KOMETPAY_POS_PATIENCE_MS=30000\n")
    make_install(tmp_path)
    assert made.read_text() == "KOMETPAY_POS_PATIENCE_MS=30000\n"


def test_the_installed_command_finds_its_migrations(tree):
    help_text = subprocess.run([tree / "usr/bin/kometpay", "db", "migrate", "--help"], check=True,
                               capture_output=True, text=True).stdout
    folder = re.search(r"--sql-dir DIR +(\S+?),", help_text)[1]
    assert sorted(path.name for path in (tree / folder.lstrip("/")).iterdir()) == sorted(
        path.name for path in (ROOT / "sql/migrations").iterdir())


def test_the_units_as_installed_are_verified_and_little_exposed(tree):
    done = subprocess.run(["bash", str(ROOT / "tests/system/units.sh"), str(tree)], cwd=ROOT,
                          capture_output=True, text=True, timeout=300)
    units = len(list((tree / "lib/systemd/system").iterdir()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"units: {units} verified"
