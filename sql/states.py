#!/usr/bin/python3
"""Draws sql/STATES.md, the diagram of an attempt's states, from the rows of payment.transition in
the migration. Must never be the place where a step is decided: the migration is.

    sql/states.py            writes sql/STATES.md
    sql/states.py --check    exit 1 if it isn't what would be written
"""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
MIGRATION = HERE / "migrations" / "0004_payment.sql"
PAGE = HERE / "STATES.md"
BLOCK = re.compile(r"^-- states: ([A-Z ]+)\n(.*?)^-- end$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^    \('([A-Z_]*)', '([A-Z_]+)', '([^']*)'\),?$", re.MULTILINE)
HEAD = """# States of an attempt

Made by `sql/states.py` from the rows of `payment.transition` in
`sql/migrations/0004_payment.sql`; not edited. PostgreSQL refuses every other step.
"""


def read_steps(text):
    """[(kinds, from, to, why)] in the order of the migration."""
    steps = []
    for kinds, block in BLOCK.findall(text):
        rows = ROW.findall(block)
        lines = [line for line in block.splitlines() if line.strip()]
        if len(rows) != len(lines):
            raise SystemExit(f"states.py: a row of {kinds} isn't understood")
        steps += [(tuple(kinds.split()), *row) for row in rows]
    if not steps:
        raise SystemExit("states.py: there are no steps")
    return steps


def diagram(steps):
    lines = ["```mermaid", "stateDiagram-v2"]
    for start, end, why in steps:
        lines.append(f"    {start or '[*]'} --> {end}: {why.replace(';', ',')}")
    leaving = {start for start, _, _ in steps}
    for end in sorted({end for _, end, _ in steps} - leaving):
        lines.append(f"    {end} --> [*]")
    return lines + ["```", ""]


def page(steps):
    """A diagram for each group of kinds that have the same steps."""
    kinds = list(dict.fromkeys(kind for group, *_ in steps for kind in group))
    groups = {}
    for kind in kinds:
        own = tuple((a, b, why) for group, a, b, why in steps if kind in group)
        groups.setdefault(own, []).append(kind)
    lines = [HEAD]
    for own, members in groups.items():
        lines += [f"## {', '.join(members)}", ""] + diagram(own)
        lines += ["| from | to | why |", "| --- | --- | --- |"]
        lines += [f"| {a or '(none)'} | {b} | {why} |" for a, b, why in own] + [""]
    return "\n".join(lines).rstrip() + "\n"


def main():
    text = page(read_steps(MIGRATION.read_text(encoding="utf-8")))
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print("sql/STATES.md is not what sql/states.py makes; run sql/states.py")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
