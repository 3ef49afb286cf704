"""Looks for a text wherever a program may have left it: files, cores, the process's own strings.
It must find what is there in any of the usual spellings, so its own finds are tested first."""

import base64
import mmap
import os
import re
import subprocess
from pathlib import Path

GCORE_TIMEOUT_S = 60


def spellings(text):
    """Name -> bytes: the text as it may be written down."""
    raw = text.encode()
    found = {"plain": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(),
             "utf-16le": text.encode("utf-16-le"), "utf-16be": text.encode("utf-16-be")}
    # base64 depends on where in a group of three the text begins; its ends on the neighbours.
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + raw)
        begin = (shift * 8 + 5) // 6
        found[f"base64+{shift}"] = whole[begin:(shift + len(raw)) * 8 // 6]
    if text.isdigit():
        groups = [text[i:i + 4] for i in range(0, len(text), 4)]
        found["spaces"] = " ".join(groups).encode()
        found["dashes"] = "-".join(groups).encode()
        found["reversed"] = raw[::-1]
        found["packed"] = bytes.fromhex(text + "f" * (len(text) % 2))
        found["number-le"] = int(text).to_bytes(8, "little")
        found["number-be"] = int(text).to_bytes(8, "big")
    return found


def needles_of(named_texts):
    """{'typed card': '4000...'} -> {'typed card, plain': b'4000...', ...}"""
    return {f"{name}, {spelling}": needle for name, text in named_texts.items()
            for spelling, needle in spellings(text).items()}


def search_bytes(content, needles, where):
    """A line per needle that is there: what, where, and what stands around it."""
    hits = []
    for name, needle in needles.items():
        at = content.find(needle)
        if at >= 0:
            around = bytes(content[max(0, at - 40):at + len(needle) + 40])
            hits.append(f"{name} in {where} at {at:#x}: {around!r}")
    return hits


def search_file(path, needles):
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return []
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return search_bytes(content, needles, path)
    except FileNotFoundError:
        return []  # gone meanwhile


def search_tree(root, needles, skip=()):
    """All regular files under `root`, and their names; `skip` holds names relative to it."""
    hits = []
    for folder, folders, files in os.walk(root):
        folders[:] = [d for d in folders if str((Path(folder) / d).relative_to(root)) not in skip]
        for name in files:
            path = Path(folder) / name
            if str(path.relative_to(root)) in skip or path.is_symlink() or not path.is_file():
                continue
            hits += search_bytes(os.fsencode(path), needles, f"the name of {path}")
            hits += search_file(path, needles)
    return hits


def take_core(pid, folder):
    """A core of the running process, as the kernel would write it: locked pages stay out."""
    done = subprocess.run(["gcore", "-o", str(Path(folder) / "core"), str(pid)],
                          capture_output=True, text=True, timeout=GCORE_TIMEOUT_S)
    path = Path(folder) / f"core.{pid}"
    assert path.exists(), f"gcore {pid}: {done.stdout}{done.stderr}"
    return path


def search_core(pid, needles, folder, name):
    core = take_core(pid, folder)
    try:
        return search_file(core, needles) if needles else []
    finally:
        if not os.environ.get("KEEP_CORES"):
            core.unlink()


def search_process(pid, needles, name):
    """What every user of the machine (cmdline) or root (environ) can read of a process."""
    hits = []
    for file in ("cmdline", "environ", "comm"):
        hits += search_bytes(Path(f"/proc/{pid}/{file}").read_bytes(), needles, f"{file} of {name}")
    return hits


def file_backed_or_anonymous(pid):
    """Whether the core may hold locked pages: the regions marked 'do not dump'."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    return re.findall(r"VmFlags:.*\bdd\b.*", text)
