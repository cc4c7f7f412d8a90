#!/usr/bin/env python3
"""Run the sessions that README.md shows and compare what comes out.

usage: check_readme.py README.md AVSTORE

A session is a block fenced as ```console: lines that begin with `$ ` are commands, which bash runs one after another in a fresh
folder that holds the project's `data` and `apps` (and AVSTORE as `avstore`); the lines below each are all that it prints, on standard
output and standard error. `...` within a line stands for any text, a line that is `...` alone for any number of lines.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile


def commands(text):
    """Pairs of command and expected output."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def matches(expected, printed):
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*".join(re.escape(piece) for piece in line.rstrip().split("...")) + r"[ ]*\n"
    return re.fullmatch(pattern, printed) is not None


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    readme, program = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    wrong = count = 0
    with tempfile.TemporaryDirectory(prefix="avstore-readme-") as folder:
        for shown in ("data", "apps"):
            (pathlib.Path(folder) / shown).symlink_to(readme.parent / shown)
        environment = dict(os.environ, PATH=f"{program.parent}:{os.environ['PATH']}")
        for command, expected in commands(readme.read_text(encoding="utf-8")):
            count += 1
            run = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
            if not matches(expected, run.stdout):
                wrong += 1
                print(f"$ {command}\n-- {readme.name} shows\n{expected}-- printed\n{run.stdout}")
    print(f"{count} commands, {wrong} wrong")
    sys.exit(wrong > 0 or count == 0)


if __name__ == "__main__":
    main()
