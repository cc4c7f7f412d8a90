#!/usr/bin/env python3
"""Documents of YAML for the tests, and PyYAML's word on what was made of them.

usage: yaml_documents.py make SEED COUNT >DOCUMENTS
       yaml_documents.py compare DOCUMENTS ANSWERS

make writes a JSON list of documents that safe_load reads: of each four, three that PyYAML dumped and one such as people write. Each is
{"text": the document, "json": what it means, as JSON text, "value": what safe_load reads, in words that JSON has}. compare takes a JSON list of what avstore made of each, {"yaml": the
document written anew, "json": as JSON text} or {"error": why it was refused}, prints what differs, and fails if anything does.
"""
import datetime
import itertools
import json
import random
import sys

import yaml

Fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
WORDS = [
    "", " ", "yes", "No", "on", "y", "null", "~", "=", "<<", "1e3", "0o7", "010", "0x1F", "0b101", "1_000", "+1", "-0", "1.", ".5", "1e+3",
    "1.5e+3", ".inf", "-.INF", ".NaN", "12:30:45", "1:30.5", "190:20:30", "2020-01-02", "2020-13-45", "2020-01-02 03:04:05", "-", "- a", "?",
    "? a", "a?", "what? yes", "http://cam/?x=1&y=2", ":", "a: b", "a:", "::", ",", "[a", "]", "{a", "}", "a #b", "#a", "*a", "&a", "!a", "!!int",
    "|", ">-", "%a", "@a", "`a", "'", "it's", "\"", "\\", "\\_", "\\N", "---", "...", "--- a", " lead", "trail ", "\t", "a\tb", "two words",
    "x" * 90, "a\nb", "a\nb\n", "end\n\n", "\n", "\n\n", "\n\na", "a\n\n\nb\n\n\n", "  ind\nx", "a\n  b\nc", "a \nb", "#c\n# d", "- x\n- y",
    "- !!binary |\n  YQ==\n", "k: v\n", "a\rb", "a\r\nb", "\u00fc", "\u00a0", "10\u00a0\u00b5m", "\x00", "\x07", "\x1b", "\x7f", "\x85",
    "a\x85b", "\u2028", "a\u2028b", "a\u2029\nb", "\ufeff", "\u200b", "\u65e5\u672c", "\U0001F41F", "\x80", "\ue000", "\ufffd"]
PLAIN_WORDS = [word for word in WORDS if word.isprintable() and not word.startswith("?")]
LETTERS = list("abc xyz  \n\n\t'\"\\#:-?,[]{}&*!|>%@`~=.0123456789") + ["\n", " ", "word ", "\u00fc", "\u00a0", "\x1b", "\U0001F41F", "\u2028"]


class Author:
    """Makes values and documents up."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.shared = []

    def pick(self, items):
        return self.random.choice(items)

    def text(self):
        kind = self.random.random()
        if kind < 0.4:
            return self.pick(WORDS)
        if kind < 0.6:
            return " ".join(self.pick(WORDS) for _ in range(self.random.randint(2, self.pick([3, 4, 20]))))
        return "".join(self.pick(LETTERS) for _ in range(self.random.randint(1, self.pick([10, 30, 30, 150]))))

    def number(self):
        return self.pick([
            lambda: self.random.randint(-10, 10), lambda: self.random.randint(-10**30, 10**30), lambda: self.random.uniform(-1, 1),
            lambda: self.random.uniform(-1, 1) * 10.0**self.random.randint(-300, 300), lambda: float("inf"), lambda: float("nan")])()

    def moment(self):
        time = datetime.datetime(self.random.randint(1, 9999), 1, 2, 3, 4, 5, self.pick([0, 6, 700000]))
        zone = datetime.timezone(datetime.timedelta(minutes=self.random.randint(-700, 700)))
        return self.pick([time, time.date(), time.replace(tzinfo=zone), time.replace(tzinfo=datetime.timezone.utc)])

    def scalar(self):
        return self.pick([self.text, self.text, self.text, self.number, self.number, self.moment, lambda: self.random.randbytes(self.random.randint(0, self.pick([9, 90]))),
                          lambda: self.pick([None, True, False])])()

    def value(self, depth):
        kind = self.random.random()
        if depth == 0 or kind < 0.4:
            return self.scalar()
        if self.shared and kind < 0.5:
            return self.pick(self.shared)
        size = range(self.random.randint(0, 4))
        value = [self.value(depth - 1) for _ in size] if kind < 0.7 else {self.scalar() for _ in size} if kind < 0.75 else self.map(size, depth - 1)
        if self.random.random() < 0.3:
            self.shared.append(value)
        return value

    def map(self, size, depth):
        return {self.scalar(): self.value(depth) for _ in size}

    def dumped(self):
        self.shared = []
        value = self.map(range(self.random.randint(1, 3)), self.pick([1, 2, 3]))
        dumper = self.pick([yaml.SafeDumper, yaml.SafeDumper, getattr(yaml, "CSafeDumper", yaml.SafeDumper)])
        return yaml.dump(value, Dumper=dumper, default_flow_style=self.pick([None, False, True]), width=self.pick([20, 80, 1000]),
                         indent=self.pick([None, 2, 3, 4, 8]), allow_unicode=self.pick([False, True]), sort_keys=False,
                         default_style=self.pick([None, None, None, "'", "\"", "|", ">"]), explicit_start=self.pick([None, True]),
                         explicit_end=self.pick([None, True]), canonical=self.random.random() < 0.05, line_break=self.pick([None, None, "\r\n", "\r"]))

    # As people write. Any of these may turn out not to be YAML.

    def escape(self):
        return self.pick(["\\0", "\\a", "\\b", "\\t", "\\n", "\\v", "\\f", "\\r", "\\e", "\\ ", "\\\"", "\\\\", "\\/", "\\N", "\\_", "\\L", "\\P",
                          "\\x41", "\\xff", "\\u20ac", "\\U0001f41f", "\\\n    ", "\\\\_", "\\\\N"])

    def written_scalar(self):
        words = " ".join(self.pick(PLAIN_WORDS) for _ in range(self.random.randint(1, 3)))
        folded = self.pick([" ", "\n   ", "\n\n\n   ", "\t \n  ", "\u2028"]).join([words.replace("'", "''")] * 2)
        escaped = "".join(self.pick([self.escape(), "word", " ", "\n  "]) for _ in range(self.random.randint(1, 8)))
        return self.pick([lambda: self.pick(PLAIN_WORDS), lambda: words, lambda: f"'{folded}{self.pick(['', chr(10), chr(10) * 3 + ' '])}'",
                          lambda: f"\"{escaped}{self.pick(['', chr(10) * 3 + '  '])}\"", lambda: "word\n    more\n\n    words",
                          lambda: self.pick(["!!str ", "!!int ", "!!float ", "!!bool ", "!!binary ", "! ", "&a ", "&b !!str "]) +
                          self.pick(["12", "'12'", "0x1F", "yes", "YQ==", "1:30", "a\\_", "\"\\_\""]), lambda: self.pick(["*a", "*b"])])()

    def written_flow(self, depth):
        if depth == 0 or self.random.random() < 0.5:
            return self.written_scalar()
        items = [self.written_flow(depth - 1) for _ in range(self.random.randint(0, 3))]
        gap = self.pick([", ", ",", " ,\n  ", ", # a note\n  "])
        if self.random.random() < 0.5:
            return "[" + gap.join(items) + "]"
        return "{" + gap.join(self.pick(["k%d: %s", "\"k%d\":%s", "? k%d : %s", "'k%d' : %s"]) % pair for pair in enumerate(items)) + "}"

    def written_block(self, depth, indent):
        kind = self.random.random()
        if depth == 0 or kind < 0.3:
            return " " + self.written_flow(2)
        start = "\n" + " " * indent
        if kind < 0.45:
            lines = start.join(self.pick(["text", "  more", "", "# no note", "- a", "k: !!binary |", "- !!binary |"]) for _ in range(4))
            header = self.pick(["", "!!str ", "&c ", "&d !!str "]) + self.pick(["|", ">", "|-", ">-", "|+", ">+"]) + self.pick(["", " # note"])
            return f" {header}{start}word{start}{lines}"
        items = [self.written_block(depth - 1, indent + 2) for _ in range(self.random.randint(1, 3))]
        note = self.pick(["", "", " # a note"])
        if kind < 0.7:
            return note + "".join(f"{start}-{item}" for item in items)
        keys = self.pick([f"{start}k%d:%s", f"{start}\"k%d\" :%s", f"{start}? k%d{start}:%s", f"{start}k{self.pick([0, 1])}:%.0s%s"])
        merged = f"{start}<<: {self.pick(['*m', '[*m, {k0: 7, n: 8}]'])}" if self.random.random() < 0.2 else ""
        return note + merged + "".join(keys % pair for pair in enumerate(items))

    def written(self):
        start = self.pick(["", "%YAML 1.1\n---\n", "--- # note\n", "\ufeff", "# note\n\n"])
        block = "".join(f"k{i}:{self.written_block(3, 2)}\n" for i in range(self.random.randint(1, 3)))
        return start + "m: &m {k0: 1, k1: [2]}\n" + block + self.pick(["", "...\n", "# end"])


def meaning(node, constructor):
    """Of a document's nodes, as JSON has it: what JSON has no word for is the text that it is."""
    if isinstance(node, yaml.MappingNode):
        if node.tag == "tag:yaml.org,2002:map":
            constructor.flatten_mapping(node)
        pairs = {}
        for key, value in node.value:
            name = meaning(key, constructor)
            pairs[name if isinstance(name, str) else json.dumps(name)] = meaning(value, constructor)
        return pairs
    if isinstance(node, yaml.SequenceNode):
        return [meaning(item, constructor) for item in node.value]
    kind = node.tag.rpartition(":")[2]
    if kind in ("null", "bool") or (kind in ("int", "float") and ":" not in node.value):
        return constructor.construct_object(node)
    return node.value


def canonical(value):
    """Something that is equal only for values that are the same to the type and the order."""
    if isinstance(value, dict):
        return ["map", [[canonical(key), canonical(item)] for key, item in value.items()]]
    if isinstance(value, set):
        return ["set", sorted(json.dumps(canonical(item)) for item in value)]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [canonical(item) for item in value]]
    return [type(value).__name__, repr(value)]


def make(seed, count):
    author = Author(seed)
    documents = []
    tried = 0
    while len(documents) < count:
        tried += 1
        text = author.written() if tried % 4 == 0 else author.dumped()
        try:
            loader = yaml.SafeLoader(text)
            node = loader.get_single_node()
            value = loader.construct_document(node)
            documents.append({"text": text, "json": json.dumps(meaning(node, loader)), "value": canonical(value)})
        except (yaml.YAMLError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            pass  # a key that is a list, a date that does not exist, what is no YAML
    json.dump(documents, sys.stdout)


def compare(documents, answers):
    with open(documents, encoding="utf-8") as file:
        documents = json.load(file)
    with open(answers, encoding="utf-8") as file:
        answers = json.load(file)
    assert len(documents) == len(answers)
    differences = []
    for document, answer, loader in zip(documents, answers, itertools.cycle([yaml.SafeLoader, Fast, Fast, Fast])):
        wrong = ""
        if "error" in answer:
            wrong = "refused: " + answer["error"]
        elif canonical(json.loads(answer["json"])) != canonical(json.loads(document["json"])):
            wrong = f"JSON: {answer['json']} instead of {document['json']}"
        elif canonical(yaml.load(answer["yaml"], loader)) != document["value"]:
            wrong = "YAML: " + answer["yaml"]
        if wrong:
            differences.append((len(document["text"]), document["text"], wrong))
    for _, text, wrong in sorted(differences)[:5]:
        print(f"{text!r}\n{text}\n{wrong}\n")
    print(len(documents), "documents, of which", len(differences), "are read or written otherwise")
    return 1 if differences else 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]))
    elif len(sys.argv) == 4 and sys.argv[1] == "compare":
        sys.exit(compare(sys.argv[2], sys.argv[3]))
    else:
        sys.exit(__doc__.split("\n\n")[1])
