"""The Python guide in README.md, run as it stands: blocks of python one after another, each printing what the block of text below
it shows (`...` stands for any text)."""
import os
import pathlib
import re
import subprocess
import sys

import avstore
from conftest import DATA, ROOT


def test_the_guide_does_what_it_says(folder):
    guide = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Python\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```python\n(.*?)^```$(?:\n+```text\n(.*?)^```$)?", guide, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    separator = "---- next block"
    (folder / "data").symlink_to(DATA)
    script = folder / "guide.py"
    script.write_text(f"\nprint({separator!r})\n".join(code for code, _ in blocks), encoding="utf-8")
    run = subprocess.run([sys.executable, str(script)], cwd=folder, check=False, text=True, timeout=120,
                         env={**os.environ, "PYTHONPATH": str(pathlib.Path(avstore.__file__).resolve().parents[1])},
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.returncode == 0, run.stderr
    for (code, shown), printed in zip(blocks, run.stdout.split(separator + "\n")):
        pattern = ".*".join(map(re.escape, shown.split("...")))
        assert re.fullmatch(pattern, printed), f"{code}\nprints\n{printed}"
    for picture in re.findall(r'savefig\("(.*?)"', guide):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
