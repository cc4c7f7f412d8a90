#!/usr/bin/env python3
"""An example of a program that feeds frames into `avstore record`, with their numbers and times.

It stands in for a camera: where it draws a picture, yours asks the camera's SDK for one. It needs nothing but Python.

usage: feeder.py [--size WxH] [--fps RATE] [--frames N] | avstore record - STORE --input-format avstore-raw

The format: see README.md, "Frames of a program of yours".
"""
import argparse
import json
import math
import struct
import sys
import time

NO_NUMBER = -2**63  # the frames are counted then
NO_TIME = math.nan  # the time of arrival is taken then


def stream_header(width, height, pixel_format, rate_num, rate_den=1):
    """What comes first, once: 64 bytes."""
    return struct.pack("<8sIIII32s8x", b"AVSRAW1\n", width, height, rate_num, rate_den, pixel_format.encode("ascii"))


def frame(pixels, number=NO_NUMBER, seconds=NO_TIME, extra=None):
    """A frame: 32 bytes, the pixels row by row without padding, and JSON of your own."""
    text = b"" if extra is None else json.dumps(extra).encode("utf-8")
    return struct.pack("<4sIqdQ", b"FRAM", len(text), number, seconds, len(pixels)) + pixels + text


def picture(width, height, number):
    """A gray picture that moves."""
    row = bytes((x + 3 * number) % 256 for x in range(width + height))
    return b"".join(row[y:y + width] for y in range(height))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--size", default="320x240", help="width and height in pixels (default: %(default)s)")
    parser.add_argument("--fps", type=int, default=25, help="frames per second (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=100, help="how many (default: %(default)s)")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    out = sys.stdout.buffer
    out.write(stream_header(width, height, "gray8", arguments.fps))
    begin = time.time()
    for i in range(arguments.frames):
        due = begin + i / arguments.fps
        time.sleep(max(0.0, due - time.time()))
        extra = {"exposure": 0.004} if i == 0 else None
        out.write(frame(picture(width, height, i), 1000 + i, due, extra))
        out.flush()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.stderr.close()  # whoever recorded has had enough
