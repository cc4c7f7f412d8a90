#!/usr/bin/env python3
"""Read the bar codes of draw_frames.py: 8-bit gray raw frames on stdin, one frame number a line on stdout.

usage: read_codes.py WIDTHxHEIGHT < frames.gray

Only the middle of every bar is looked at (a few pixels, averaged), as lossy codecs blur the edges.
"""
import sys

BARS = 16


def code(frame, width):
    number = 0
    for bar in range(BARS):
        middle = (2 * bar + 1) * width // (2 * BARS)
        pixels = [frame[row * width + column] for row in range(5, 11) for column in (middle - 1, middle)]
        number = number * 2 + (sum(pixels) > 127 * len(pixels))
    return number


def main():
    width, height = map(int, sys.argv[1].split("x"))
    while frame := sys.stdin.buffer.read(width * height):
        if len(frame) < width * height:
            sys.exit("read_codes.py: the last frame is cut off")
        print(code(frame, width))


if __name__ == "__main__":
    main()
