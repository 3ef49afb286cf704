#!/usr/bin/python3
"""Makes the C structs, the codec's descriptors, the fuzz dictionary and the tables of the page for
integrators from ipc/messages.txt, whose head explains the syntax. It must never guess: whatever it
does not understand ends the build with the line's number."""

import argparse
import pathlib
import re
import sys
import textwrap
from dataclasses import dataclass, field

PEERS = ("pos", "operator", "night", "terminald", "gatewayd", "vaultd", "settled")
DAEMONS = ("terminald", "gatewayd", "vaultd", "settled")
TOKEN = re.compile(r'\s*("[^"]*"|[^\s"(]+(?:\([^)]*\))?)')
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
C_KEYWORDS = set("auto break case char const continue default do double else enum extern float for "
                 "goto if inline int long register return short signed sizeof static struct switch "
                 "typedef union unsigned void volatile while bool true false".split())
ID_BYTES = 40  # ID_MAX of lib/id.h
ID_RANDOM_CHARS = 26
PAYLOAD_MAX_BYTES = 512 * 1024  # FRAME_PAYLOAD_MAX_BYTES of ipc/frame.h
RIGHTS_MAX = 2  # MESSAGE_RIGHTS_MAX of ipc/message_table.h
BEGIN = "<!-- made by ipc/generate.py from ipc/messages.txt: do not edit below -->"


@dataclass
class Field:
    name: str
    type: str  # TEXT LONG_TEXT ID INT BOOL DATE CURRENCY SECRET ENUM LIST RECORD
    low: int = 0
    high: int = 0
    choices: list = field(default_factory=list)
    prefix: str = ""
    record: str = ""
    optional: bool = False
    inner: bool = False
    note: str = ""

    def bounds(self):
        return {
            "TEXT": f"text of {self.low} to {self.high} bytes",
            "LONG_TEXT": f"text of {self.low} to {self.high} bytes, lines allowed",
            "SECRET": f"text of {self.low} to {self.high} bytes, secret",
            "INT": f"integer, {self.low} to {self.high}",
            "ID": f"{self.prefix} and {ID_RANDOM_CHARS} characters",
            "BOOL": "true or false",
            "DATE": "YYYY-MM-DD",
            "CURRENCY": "ISO 4217, three capitals",
            "ENUM": " or ".join(self.choices),
            "LIST": f"list of {self.record}, at most {self.high}",
            "RECORD": f"object {self.record}",
        }[self.type]


@dataclass
class Record:
    kind: str  # struct, message, answer
    name: str
    line: int
    number: int = 0
    rights: list = field(default_factory=list)  # of (senders, daemons they may send it to)
    answer: str = ""
    note: str = ""
    fields: list = field(default_factory=list)


class Table:
    """What messages.txt says, checked."""

    def __init__(self, path):
        self.path = path
        self.line = 0
        self.records = []
        self.codes = []
        record = None
        for self.line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not text.strip() or text.lstrip().startswith("#"):
                continue
            words = self.split(text)
            if words[0] == "code" and not text[0].isspace():
                self.read_code(words)
            elif not text[0].isspace():
                record = self.read_head(words)
                self.records.append(record)
            elif record is None:
                self.fail("a field before any struct, message or answer")
            elif words[0] == "answer" and record.kind == "message" and len(words) == 2:
                record.answer = words[1]
            else:
                record.fields.append(self.read_field(record, words))
        self.check()

    def fail(self, sentence, line=None):
        sys.exit(f"{self.path}:{line or self.line}: {sentence}")

    def split(self, text):
        words, position = [], 0
        while position < len(text.rstrip()):
            match = TOKEN.match(text, position)
            if not match:
                self.fail(f"can't read from here: {text[position:].strip()!r}")
            words.append(match.group(1))
            position = match.end()
        return words

    def take_note(self, words):
        return words.pop()[1:-1] if words and words[-1].startswith('"') else ""

    def take_name(self, words, what):
        if not words or not NAME.match(words[0]):
            self.fail(f"{what} needs a name of small letters, digits and underscores")
        return words.pop(0)

    def read_code(self, words):
        note = self.take_note(words)
        if len(words) != 2 or not NAME.match(words[1]) or not note:
            self.fail('a code line is: code NAME "sentence"')
        if any(name == words[1] for name, _ in self.codes):
            self.fail(f"code {words[1]} is listed twice")
        self.codes.append((words[1], note))

    def read_head(self, words):
        kind = words.pop(0)
        if kind not in ("struct", "message", "answer"):
            self.fail(f"'{kind}' is not struct, message, answer or code")
        note = self.take_note(words)
        record = Record(kind, self.take_name(words, kind), self.line, note=note)
        if not note:
            self.fail(f"{kind} {record.name} needs a sentence")
        if kind != "struct":
            if not words or not words[0].isdigit() or not 1 <= int(words[0]) <= 65535:
                self.fail(f"{kind} {record.name} needs a number between 1 and 65535")
            record.number = int(words.pop(0))
        if kind == "message":
            record.rights = [self.read_right(record, part.split())
                             for part in " ".join(words).split(";")]
            if len(record.rights) > RIGHTS_MAX:
                self.fail(f"message {record.name} has more than {RIGHTS_MAX} rights")
        elif words:
            self.fail(f"unexpected '{words[0]}'")
        return record

    def read_right(self, record, words):
        if "to" not in words or words[0] != "from":
            self.fail(f"message {record.name} needs 'from PEER... to DAEMON...; from ...'")
        middle = words.index("to")
        senders, to = words[1:middle], words[middle + 1:]
        for names, known in ((senders, PEERS), (to, DAEMONS)):
            wrong = [name for name in names if name not in known]
            if wrong or not names:
                self.fail(f"who is '{' '.join(wrong)}'? Known: {' '.join(known)}")
        return senders, to

    def read_field(self, record, words):
        note = self.take_note(words)
        name = self.take_name(words, "a field")
        if name in C_KEYWORDS or any(name == other.name for other in record.fields):
            self.fail(f"field name {name} can't be used (again)")
        if not words:
            self.fail(f"field {name} needs a type")
        result = self.read_type(name, words.pop(0))
        result.note = note
        result.optional = words[:1] == ["optional"] and bool(words.pop(0))
        result.inner = words[:1] == ["inner"] and bool(words.pop(0))
        if words:
            self.fail(f"unexpected '{words[0]}'")
        if result.type == "RECORD" and not result.optional:
            self.fail("an inner struct must be optional: absent is NULL")
        return result

    def read_type(self, name, text):
        match = re.fullmatch(r"(\w+)(?:\((.*)\))?", text)
        if not match:
            self.fail(f"can't read the type {text!r}")
        word, inside = match.groups()
        if word in ("text", "long_text", "secret", "int"):
            bounds = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", inside or "")
            if not bounds or int(bounds[1]) > int(bounds[2]) or (word != "int" and int(bounds[1]) < 0):
                self.fail(f"{word} needs bounds such as {word}(1..40)")
            return Field(name, word.upper(), int(bounds[1]), int(bounds[2]))
        if word == "id":
            if not re.fullmatch(r"[a-z]+_", inside or ""):
                self.fail("id needs a prefix such as id(pay_)")
            return Field(name, "ID", prefix=inside)
        if word == "enum":
            choices = (inside or "").split("|")
            if not all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", one) for one in choices):
                self.fail("enum needs values such as enum(SALE|AUTH)")
            if len({one.upper() for one in choices}) != len(choices):
                self.fail("an enum's value stands twice")
            return Field(name, "ENUM", choices=choices)
        if word == "list":
            parts = [part.strip() for part in (inside or "").split(",")]
            if len(parts) != 2 or not parts[1].isdigit() or int(parts[1]) < 1:
                self.fail("list is list(STRUCT, max)")
            return Field(name, "LIST", high=int(parts[1]), record=self.known(parts[0]))
        if inside is not None:
            self.fail(f"type {word} takes nothing in brackets")
        if word in ("bool", "date", "currency"):
            return Field(name, word.upper())
        return Field(name, "RECORD", record=self.known(word))

    def known(self, name):
        if not any(one.kind == "struct" and one.name == name for one in self.records[:-1]):
            self.fail(f"no type or earlier struct is called '{name}'")
        return name

    def check(self):
        names, numbers = {}, {}
        answers = {one.name for one in self.records if one.kind == "answer"}
        for one in self.records:
            if one.name in names:
                self.fail(f"{one.name} stands already in line {names[one.name]}", one.line)
            names[one.name] = one.line
            if one.kind != "struct" and one.number in numbers:
                self.fail(f"number {one.number} is {numbers[one.number]}'s", one.line)
            numbers[one.number] = one.name
            if one.kind == "message" and one.answer not in answers:
                self.fail(f"message {one.name} needs 'answer NAME' of a known answer", one.line)
            if (one.kind == "struct" and not one.fields) or len(one.fields) > 64:
                self.fail(f"{one.kind} {one.name} has {len(one.fields)} fields, not 1 to 64", one.line)
        if numbers.get(101) != "error":
            self.fail("answer error must be number 101", 1)

            if one.kind != "struct" and self.bytes_max(one, 2, 0) > PAYLOAD_MAX_BYTES:
                self.fail(f"{one.name} can be {self.bytes_max(one, 2, 0)} bytes long, and "
                          f"{PAYLOAD_MAX_BYTES} fit a frame: lower a list's or text's bound", one.line)

    def bytes_max(self, record, escape, space):
        """The longest JSON of a record, when a byte of text is written as `escape` bytes and
        `space` bytes stand around each value."""
        inner = {one.name: one for one in self.records if one.kind == "struct"}
        total = 2
        for one in record.fields:
            total += len(one.name) + 4 + space + {
                "TEXT": one.high * escape + 2, "LONG_TEXT": one.high * escape + 2,
                "SECRET": one.high * escape + 2, "ID": len(one.prefix) + ID_RANDOM_CHARS + 2,
                "INT": max(len(str(one.low)), len(str(one.high))), "BOOL": 5, "DATE": 12,
                "CURRENCY": 5, "ENUM": max(map(len, one.choices), default=0) + 2,
                "LIST": 2, "RECORD": 0}[one.type]
            if one.record:
                items = one.high if one.type == "LIST" else 1
                total += items * (self.bytes_max(inner[one.record], escape, space) + 1 + space)
        return total

    def payload_max(self, record):
        """What is read of a message at all: every character as \\uXXXX, and well indented."""
        return min(self.bytes_max(record, 6, 40) + 100, PAYLOAD_MAX_BYTES)

    def messages(self):
        return [one for one in self.records if one.kind != "struct"]


def enum_name(record, one):
    return f"{record.name}_{one.name}"


def c_declaration(record, one):
    return {
        "TEXT": [f"char {one.name}[{one.high + 1}];"],
        "LONG_TEXT": [f"char *{one.name};"],
        "ID": [f"char {one.name}[{ID_BYTES}];"],
        "INT": [f"int64_t {one.name};"],
        "BOOL": [f"bool {one.name};"],
        "DATE": [f"char {one.name}[11];"],
        "CURRENCY": [f"char {one.name}[4];"],
        "SECRET": [f"struct secret *{one.name};"],
        "ENUM": [f"enum {enum_name(record, one)} {one.name};"],
        "LIST": [f"struct msg_{one.record} *{one.name};", f"size_t {one.name}_count;"],
        "RECORD": [f"struct msg_{one.record} *{one.name};"],
    }[one.type]


def c_enums(table):
    for record in table.records:
        for one in record.fields:
            if one.type == "ENUM":
                yield record, one, enum_name(record, one)


def header(table):
    out = ["/* Made by ipc/generate.py from ipc/messages.txt; not edited. Texts are NUL-terminated; an",
           " * absent optional field is \"\" / 0 / false / NULL; pointers are owned by the message",
           " * (message_free). 0 of an enum is absent. */",
           "#ifndef IPC_MESSAGES_H", "#define IPC_MESSAGES_H", "",
           "#include <stdbool.h>", "#include <stddef.h>", "#include <stdint.h>", "",
           "struct secret;", "", "enum message_type {"]
    out += [f"    MESSAGE_{one.name.upper()} = {one.number}," for one in table.messages()]
    out += ["};", f"#define MESSAGE_TYPE_COUNT {len(table.messages())}"]
    for _, one, name in c_enums(table):
        out += ["", f"enum {name} {{"]
        out += [f"    {name.upper()}_{choice.upper()} = {value},"
                for value, choice in enumerate(one.choices, 1)]
        out += ["};", f"const char *{name}_text(enum {name} value); /* \"\" for 0 */",
                f"enum {name} {name}_from_text(const char *text); /* 0 if unknown */"]
    for record in table.records:
        note = textwrap.wrap(record.note, 92)
        out += ["", "/* " + "\n * ".join(note) + " */", f"struct msg_{record.name} {{"]
        for one in record.fields:
            optional = "optional; " if one.optional else ""
            text = f"{optional}{one.bounds()}{'; ' + one.note if one.note else ''}"
            lines = textwrap.wrap(text, 88)
            out.append("    /* " + "\n     * ".join(lines) + " */")
            out += ["    " + line for line in c_declaration(record, one)]
        if not record.fields:
            out.append("    char nothing; /* no fields */")
        out.append("};")
    return "\n".join(out + ["", "#endif", ""])


def c_field(record, one):
    struct = f"struct msg_{record.name}"
    parts = [f'.name = "{one.name}"', f".name_bytes = {len(one.name)}",
             f".type = FIELD_{one.type}", f".offset = offsetof({struct}, {one.name})"]
    if one.optional:
        parts.append(".optional = true")
    if one.low or one.high:
        parts.append(f".low = INT64_C({one.low}), .high = INT64_C({one.high})")
    if one.type == "ENUM":
        parts.append(f".choices = {enum_name(record, one).upper()}_CHOICES, .high = {len(one.choices)}")
    if one.type == "ID":
        parts.append(f'.prefix = "{one.prefix}"')
    if one.type == "LIST":
        parts.append(f".count_offset = offsetof({struct}, {one.name}_count)")
    if one.record:
        parts.append(f".record = &RECORD_{one.record.upper()}")
    return "    {" + ",\n     ".join(parts) + "},"


def source(table):
    out = ["/* Made by ipc/generate.py from ipc/messages.txt; not edited. The codec's descriptors. */",
           '#include "ipc/messages.h"', "", "#include <string.h>", "",
           '#include "ipc/frame.h"', '#include "ipc/message_table.h"', '#include "ipc/peer.h"',
           '#include "lib/id.h"', "",
           f"_Static_assert(ID_MAX == {ID_BYTES}, \"ID_BYTES of ipc/generate.py\");",
           f"_Static_assert(FRAME_PAYLOAD_MAX_BYTES == {PAYLOAD_MAX_BYTES}, \"PAYLOAD_MAX_BYTES\");",
           f"_Static_assert(MESSAGE_RIGHTS_MAX == {RIGHTS_MAX}, \"RIGHTS_MAX\");"]
    for _, one, name in c_enums(table):
        values = ", ".join(f'"{choice}"' for choice in one.choices)
        count = len(one.choices)
        out += ["", f"static const char *const {name.upper()}_CHOICES[] = {{{values}}};", "",
                f"const char *{name}_text(enum {name} value)", "{",
                f"    return message_choice_text({name.upper()}_CHOICES, {count}, (int)value);", "}",
                "", f"enum {name} {name}_from_text(const char *text)", "{",
                f"    return (enum {name})message_choice_of({name.upper()}_CHOICES, {count}, text,",
                "        text ? strlen(text) : 0);", "}"]
    for record in table.records:
        upper, fields = record.name.upper(), f"FIELDS_{record.name.upper()}"
        if record.fields:
            out += ["", f"static const struct message_field {fields}[] = {{"]
            out += [c_field(record, one) for one in record.fields] + ["};"]
        out += [f"static const struct message_record RECORD_{upper} = {{",
                f'    .name = "{record.name}", .bytes = sizeof(struct msg_{record.name}),',
                f"    .fields = {fields if record.fields else 'NULL'}, "
                f".field_count = {len(record.fields)}}};"]
    out += ["", "const struct message_row MESSAGE_ROWS[MESSAGE_TYPE_COUNT] = {"]
    for one in sorted(table.messages(), key=lambda row: row.number):
        rights = ", ".join(
            "{" + ", ".join(" | ".join(f"PEER_{name.upper()}" for name in names) for names in right)
            + "}" for right in one.rights) or "{0}"
        answer = f"MESSAGE_{one.answer.upper()}" if one.answer else "0"
        out.append(f"    {{.type = MESSAGE_{one.name.upper()}, .record = &RECORD_{one.name.upper()},\n"
                   f"     .answer = {answer}, .payload_max = {table.payload_max(one)},\n"
                   f"     .rights = {{{rights}}}}},")
    return "\n".join(out + ["};", ""])


def fuzz_dictionary(table):
    words = {one.name for record in table.records for one in record.fields}
    words |= {choice for _, one, _ in c_enums(table) for choice in one.choices}
    lines = [f'"\\"{word}\\""' for word in sorted(words)]
    return "\n".join(lines + ['"KPAY"', '"true"', '"false"', '"null"', '"[{"', '"}]"', '"pay_"', ""])


def page_fields(record):
    out = ["", "| field | what | note |", "|---|---|---|"]
    for one in (one for one in record.fields if not one.inner):
        what = one.bounds() + (", optional" if one.optional else "")
        out.append(f"| `{one.name}` | {what} | {one.note} |")
    return out if record.fields else ["", "No fields: `{}`."]


def page_rights(record):
    """What those outside of the suite may send."""
    rights = [([name for name in senders if name in ("pos", "operator")], to)
              for senders, to in record.rights]
    return [right for right in rights if right[0]]


def page(table, current):
    """The page: its prose is kept, what follows the marker is made."""
    if BEGIN not in current:
        sys.exit(f"the page has no line {BEGIN!r}: where should the tables go?")
    shown = [one for one in table.records if page_rights(one)]
    answers = {one.answer for one in shown} | {"error"}
    used, waiting = set(), shown + [one for one in table.records if one.name in answers]
    while waiting:
        inner = {one.record for one in waiting.pop().fields if one.record} - used
        used |= inner
        waiting += [one for one in table.records if one.name in inner]
    out = [BEGIN, "", "## Requests"]
    for one in shown:
        rights = "; from ".join(f"{' and '.join(senders)} to {' or '.join(to)}"
                                for senders, to in page_rights(one))
        out += ["", f"### {one.number} `{one.name}`", "", f"{one.note}. From {rights}; answered by "
                f"`{one.answer}` or `error`. At most {table.payload_max(one)} bytes."]
        out += page_fields(one)
    for title, names in (("Answers", answers), ("Objects inside messages", used)):
        out += ["", f"## {title}"]
        for one in table.records:
            if one.name in names and one.kind != "message":
                number = f"{one.number} " if one.number else ""
                out += ["", f"### {number}`{one.name}`", "", f"{one.note}."] + page_fields(one)
    out += ["", "## Error codes", "", "| code | meaning |", "|---|---|"]
    out += [f"| `{name}` | {note} |" for name, note in sorted(table.codes)]
    return current[:current.index(BEGIN)] + "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", required=True, type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, help="folder of the generated files")
    parser.add_argument("--protocol", type=pathlib.Path, help="the page for integrators")
    parser.add_argument("--check", action="store_true", help="exit 1 if the page isn't current")
    arguments = parser.parse_args()
    table = Table(arguments.messages)
    if arguments.out:
        (arguments.out / "ipc").mkdir(parents=True, exist_ok=True)
        for name, text in (("ipc/messages.h", header(table)), ("ipc/messages.c", source(table)),
                           ("fuzz.dict", fuzz_dictionary(table))):
            (arguments.out / name).write_text(text, encoding="utf-8")
    if arguments.protocol:
        current = arguments.protocol.read_text(encoding="utf-8")
        wanted = page(table, current)
        if arguments.check and wanted != current:
            sys.exit(f"{arguments.protocol} isn't current: run 'make protocol'")
        if not arguments.check:
            arguments.protocol.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
