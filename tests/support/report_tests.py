#!/usr/bin/env python3
"""Say how the tests fared that `meson test` has run.

usage: report_tests.py testlog.json

Prints a line for each test program, with what a failed one printed, then how much of the long loops was tried, and the ten slowest
test cases. The last line of output is `PASSED FAILED SKIPPED`: test cases, where skipped ones and checks are those that need
something that is not installed. A program that crashed, hung or ran no test counts as one failed.
"""
import json
import re
import sys

SHOWN_LINES = 150
SLOWEST = 10


def summed(pattern, text):
    return sum(int(number) for number in re.findall(pattern, text, re.MULTILINE))


def counts(test):
    """Test cases passed and failed, and what was left out."""
    output = test.get("stdout") or ""
    own = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", output, re.MULTILINE)
    if own:  # cli_test.sh, and pytest with tests/python/conftest.py
        passed, failed, skipped = (int(number) for number in own[-1])
    else:  # Catch2
        # SKIP in support/catch.h: version 2 of Catch2 counts these as passed.
        returned = len(re.findall(r"^ *skipped: ", output, re.MULTILINE))
        checks = len(re.findall(r"\bnot checked\b", output))
        skipped = returned + checks + summed(r"^test cases:.*?(\d+) skipped", output)
        passed = summed(r"^All tests passed \(.* in (\d+) test case", output) + summed(r"^test cases:.*?(\d+) passed", output)
        passed -= returned
        failed = summed(r"^test cases:.*?(\d+) failed", output)
    if failed == 0 and (test["result"] != "OK" or passed + skipped == 0):
        failed = 1
    return passed, failed, skipped


def durations(test):
    """Pairs of seconds and test case, of Catch2, pytest and cli_test.sh."""
    output = test.get("stdout") or ""
    found = re.findall(r"^([\d.]+) s: (.*)$", output, re.MULTILINE)
    found += re.findall(r"^([\d.]+)s (?:call|setup) +(.*)$", output, re.MULTILINE)
    return [(float(seconds), f"{test['name']}: {name}") for seconds, name in found]


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

    samples = {}
    for test in tests:
        for name, tried, cases in re.findall(r"^sampled (.*): (\d+) of (\d+) cases", test.get("stdout") or "", re.MULTILINE):
            before = samples.get(name, (0, 0))
            samples[name] = (before[0] + int(tried), before[1] + int(cases))
    if samples:
        print("  of the long loops:")
    for name, (tried, cases) in sorted(samples.items()):
        print(f"    {name}: {tried} of {cases} cases")
    print("  the slowest:")
    for seconds, name in sorted((case for test in tests for case in durations(test)), reverse=True)[:SLOWEST]:
        print(f"    {seconds:.1f} s  {name}")
    print(*totals)


if __name__ == "__main__":
    main()
