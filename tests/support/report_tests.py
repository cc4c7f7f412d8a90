#!/usr/bin/env python3
"""Say how the Catch2 programs fared that `meson test` has run.

usage: report_tests.py testlog.json

A line for each program, and what the failed ones printed. The last line of output is `PASSED FAILED SKIPPED`: test cases, and
what was left out because something is not installed, whole test cases or checks of them. A program that crashed, hung or ran no
test counts as one failed.
"""
import json
import re
import sys

SHOWN_LINES = 150


def summed(pattern, text):
    return sum(int(number) for number in re.findall(pattern, text, re.MULTILINE))


def counts(test):
    """Test cases passed and failed, and what was left out."""
    output = test.get("stdout") or ""
    # SKIP in support/catch.h: Catch2 counts these as passed.
    returned = len(re.findall(r"^ *skipped: ", output, re.MULTILINE))
    checks = len(re.findall(r"\bnot checked\b", output))
    skipped = returned + checks + summed(r"^test cases:.*?(\d+) skipped", output)
    passed = summed(r"^All tests passed \(.* in (\d+) test case", output) + summed(r"^test cases:.*?(\d+) passed", output)
    passed -= returned
    failed = summed(r"^test cases:.*?(\d+) failed", output)
    if failed == 0 and (test["result"] != "OK" or passed + skipped == 0):
        failed = 1
    return passed, failed, skipped


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    totals = [0, 0, 0]
    with open(sys.argv[1], encoding="utf-8") as log:
        tests = [json.loads(line) for line in log]
    for test in tests:
        passed, failed, skipped = counts(test)
        totals = [total + count for total, count in zip(totals, (passed, failed, skipped))]
        left_out = f", {skipped} skipped" if skipped else ""
        ending = "" if test["result"] == "OK" else f" ({test['result'].lower()}, exit status {test['returncode']})"
        print(f"  {test['name']}: {passed} passed, {failed} failed{left_out}{ending}, {test['duration']:.0f} s")
        if failed:
            lines = ((test.get("stdout") or "") + (test.get("stderr") or "")).splitlines()
            print("\n".join("    " + line for line in lines[-SHOWN_LINES:]))
    print(*totals)


if __name__ == "__main__":
    main()
