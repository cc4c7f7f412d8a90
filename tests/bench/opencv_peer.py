#!/usr/bin/env python3
"""How fast OpenCV's VideoCapture reads the same file: the peer in the benchmark's table.

    opencv_peer.py FILE TABLE

Prints frames a second reading on and on, and reads a second at random places, each with how many times as fast avstore is by what
video_bench has written of it into TABLE.
"""
import random
import re
import sys
import time

import cv2

SEEKS = 40  # as video_bench does


def read_on(path):
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    start = time.perf_counter()
    count = 0
    while capture.read()[0]:
        count += 1
    return count, count / (time.perf_counter() - start)


def read_at_random(path, count, seeks):
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    places = random.Random(5)
    wanted = [places.randrange(count) for _ in range(seeks)]
    start = time.perf_counter()
    for place in wanted:
        capture.set(cv2.CAP_PROP_POS_FRAMES, place)
        if not capture.read()[0]:
            sys.exit(f"{path}: OpenCV does not read frame {place}")
    return seeks / (time.perf_counter() - start)


def avstore_rate(table, measure):
    """Frames a second: the first of the columns."""
    found = re.search(rf"^{measure}.*? +([0-9.]+) f/s", table, re.MULTILINE)
    return float(found[1]) if found else sys.exit(f"no measure '{measure}' in the table")


def show(name, rate, ours):
    print(f"{name:46} {ours:8.1f} f/s {rate:8.1f} f/s {ours / rate:7.2f}x")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    path = sys.argv[1]
    with open(sys.argv[2], encoding="utf-8") as file:
        table = file.read()
    count, rate = read_on(path)
    print(f"{'measure':46} {'avstore':>12} {'OpenCV':>12} {'speed':>8}")
    show(f"read on and on, by OpenCV {cv2.__version__}", rate, avstore_rate(table, "read on and on"))
    show("read at random", read_at_random(path, count, SEEKS), avstore_rate(table, "read at random"))


if __name__ == "__main__":
    main()
