#!/usr/bin/env python3
"""How fast OpenCV's VideoCapture reads the same file: the peer in the benchmark's table.

    opencv_peer.py FILE [SEEKS]

Prints frames a second reading on and on, and reads a second at random places (SEEKS of them, default 40).
"""
import random
import sys
import time

import cv2


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


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    path = sys.argv[1]
    seeks = int(sys.argv[2]) if len(sys.argv) == 3 else 40
    count, rate = read_on(path)
    print(f"{'OpenCV ' + cv2.__version__ + ', on and on':46} {rate:8.1f} f/s")
    print(f"{'OpenCV, at random':46} {read_at_random(path, count, seeks):8.1f} f/s")


if __name__ == "__main__":
    main()
