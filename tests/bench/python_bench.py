#!/usr/bin/env python3
"""How fast the Python module is, beside the C++ loop that does the same.

usage: python_bench.py READ_BENCH STORE LARGE_STORE [ROUNDS]

READ_BENCH is the program of that name, STORE a store of video, LARGE_STORE one of ten million frames without images. The module
is found by PYTHONPATH. A gray store is made beside STORE.
"""
import os
import random
import statistics
import subprocess
import sys
import threading
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


def compare(what, slow, fast, count, target, rounds):
    """The ratio of two ways to read as many frames, in turn; each is (name, work)."""
    times = [(seconds(slow[1]), seconds(fast[1])) for _ in range(rounds)]
    for (name, _), taken in zip((slow, fast), zip(*times)):
        print(f"{name:46} {count / statistics.median(taken):8.1f} f/s")
    ratio = statistics.median(a / b for a, b in times)
    report(what, ratio, "x", f">= {target:.2f}x", ratio >= target)


def some_places(store, count, seed):
    frames = len(avstore.open(store))
    return random.Random(seed).sample(range(frames), min(count, frames))


def compare_many(store, rounds):
    """Each core is to count for at least 0.8 of one."""
    cores = os.cpu_count() or 1
    wanted = some_places(store, 100, 5)
    alone, all_cores = avstore.open(store, threads=1), avstore.open(store)
    compare(f"a list on {cores} cores to one by one on one", ("frames at random, one by one, one thread",
            lambda: [alone[i] for i in wanted]), ("the same as a list", lambda: all_cores[wanted]), len(wanted), 0.8 * cores, rounds)
    compare(f"a list on {cores} cores to a list on one", ("frames at random as a list, one thread", lambda: alone[wanted]),
            ("the same, all cores", lambda: all_cores[wanted]), len(wanted), 0.8 * cores, rounds)


def compare_readers(store, rounds):
    """Two readers of one thread each, against one of them that does the work of both."""
    readers = [avstore.open(store, threads=1) for _ in range(2)]
    halves = [some_places(store, 50, seed) for seed in (6, 7)]

    def read(reader, places):
        for i in places:
            reader[i]

    def together():
        threads = [threading.Thread(target=read, args=each) for each in zip(readers, halves)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    count = sum(map(len, halves))
    target = 0.8 * min(2, os.cpu_count() or 1)
    compare("two readers in two threads to one", ("frames at random, one reader", lambda: read(readers[0], sum(halves, []))),
            ("the same by two readers in two threads", together), count, target, rounds)


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
    compare_many(store, rounds)
    compare_readers(store, rounds)
    measure_large(large)


if __name__ == "__main__":
    main()
