#!/usr/bin/python3
"""Every code of a refusal that C or SQL can tell a POS or an operator is declared in
ipc/messages.txt, from which the integrators' page comes. Part of `make lint`. It must never pass a
code that nobody explained."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Refusals that stay inside: at start, between our own parts, or within the command itself.
INSIDE = {
    "base_url_invalid", "field_invalid", "url_too_long",  # a connector refuses to build a request
    "certificate_location", "certificate_pos",  # the TLS door's journal
    "fenced", "not_reversing", "processor_id_unknown",  # the database to gatewayd
    "reveal_refused", "time_invalid",  # one daemon to another
    "setting_invalid",  # at start
}
PATTERNS = {
    "*.c": (r'error_refused\(\s*"(\w+)"', r'FAULT\(\w+,\s*[^,]+,\s*"(\w+)"',
            r'fault = "(\w+)"', r'send_refusal\([^"]*"(\w+)"'),
    "server.c": (r'return "(\w+)";',),  # ipc/server.c: why a frame is refused early
    "*.sql": (r"(?:refuse|refusal_of|fault)\(\s*'(\w+)'", r"'(\w+)\|[\w.]*'"),
}


def told():
    """Code -> the places that tell it."""
    places = {}
    for folder in ("ipc", "lib", "daemons", "sql/migrations"):
        for pattern, expressions in PATTERNS.items():
            for path in sorted((ROOT / folder).rglob(pattern)):
                if "kometpay" in path.parts:
                    continue
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    for expression in expressions:
                        for code in re.findall(expression, line):
                            places.setdefault(code, []).append(f"{path.relative_to(ROOT)}:{number}")
    return places


def main():
    table = (ROOT / "ipc/messages.txt").read_text()
    declared = set(re.findall(r"^code (\w+)", table, re.M))
    places = told()
    if len(places) < 40:
        sys.exit(f"only {len(places)} codes were found: the patterns no longer fit the sources")
    missing = sorted(set(places) - declared - INSIDE)
    for code in missing:
        print(f"{places[code][0]}: the code {code} isn't declared in ipc/messages.txt")
    for code in sorted(INSIDE - set(places)):
        print(f"tests/codes.py: nobody tells {code} any more")
    text = "".join(path.read_text() for folder in ("ipc", "lib", "daemons", "sql/migrations")
                   for pattern in PATTERNS for path in (ROOT / folder).rglob(pattern))
    unused = sorted(code for code in declared if not re.search(rf"['\"|]{code}['\"|]", text))
    for code in unused:
        print(f"ipc/messages.txt: nobody tells {code}")
    return 1 if missing or unused or INSIDE - set(places) else 0


if __name__ == "__main__":
    sys.exit(main())
