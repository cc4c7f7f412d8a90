#!/usr/bin/env python3
"""How fast the Python module is, beside the C++ loop that does the same.

usage: python_bench.py READ_BENCH STORE LARGE_STORE [ROUNDS]

READ_BENCH is the program of that name, STORE a store of video, LARGE_STORE one of ten million frames without images. The module
is found by PYTHONPATH. A gray store is made beside STORE.
"""
import random
import statistics
import subprocess
import sys
import time

import avstore


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def read_on(store):
    s = avstore.open(store)

    def loop():
        for _ in s:
            pass

    return seconds(loop)


def report(name, value, unit, target, met):
    print(f"{name:46} {value:8.2f} {unit:6} {target} {'met' if met else 'MISSED'}", flush=True)


def compare_reading(program, store, what, rounds):
    """One after the other in turn, so that both see the same machine."""
    frames = len(avstore.open(store))
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(float(subprocess.run([program, store], check=True, stdout=subprocess.PIPE).stdout))
        ours.append(read_on(store))
    ratio = statistics.median(a / b for a, b in zip(theirs, ours))
    print(f"{what + ', Python':46} {frames / statistics.median(ours):8.1f} f/s")
    print(f"{what + ', C++':46} {frames / statistics.median(theirs):8.1f} f/s")
    report(what + ", Python to C++", ratio, "x", ">= 0.95x", ratio >= 0.95)


def compare_many(store):
    s = avstore.open(store)
    places = random.Random(5)
    wanted = [places.randrange(len(s)) for _ in range(100)]
    single = seconds(lambda: [s[i] for i in wanted])
    many = seconds(lambda: s[wanted])
    print(f"{'100 frames at random, one by one':46} {100 / single:8.1f} f/s")
    print(f"{'the same as one list':46} {100 / many:8.1f} f/s    {single / many:.2f}x of one by one")


def measure_large(store):
    avstore.open(store)  # the first time makes its index
    opening = statistics.median(seconds(lambda: avstore.open(store)) for _ in range(9)) * 1e3
    report("opening ten million frames", opening, "ms", "< 20 ms", opening < 20)
    s = avstore.open(store)
    listing = seconds(lambda: s.frames)
    report(f"numbers and times of {len(s.frames)} frames", listing, "s", "< 2 s", listing < 2)


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__.split("\n\n")[1])
    program, store, large = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) == 5 else 5
    compare_reading(program, store, "read on and on, colour", rounds)
    gray = store + ".gray"
    with avstore.create(gray, overwrite=True) as writer:
        for frame in avstore.open(store, pixel_format="gray8"):
            writer.add(frame, frame.number, frame.time)
    compare_reading(program, gray, "read on and on, gray", rounds)
    compare_many(store)
    measure_large(large)


if __name__ == "__main__":
    main()
