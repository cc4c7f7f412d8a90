#!/usr/bin/env python3
"""Draw test frames on which a wrong frame shows, and write them raw to stdout.

usage: draw_frames.py WIDTHxHEIGHT COUNT [--format rgb24|rgba|gray16le] [--interlaced]

Every frame carries its own number as a bar code: the top 16 rows are 16 vertical bars, white for 1 and black for 0, most
significant bit at the left (read_codes.py reads it back). Bar i spans the columns i*W//16 to (i+1)*W//16. Below it a texture
drifts one way and a small square of another texture the other way, so that an encoder uses its motion compensation and a frame
decoded from a wrong reference differs from the right one nearly everywhere.

With --interlaced the odd rows show the texture half a frame later, as a camera with fields would; the bar code is the same in
both fields.

rgba's alpha is a ramp that moves too. gray16le uses all 16 bits: the low byte is not a copy of the high byte.
"""
import argparse
import math
import random
import sys

BARS = 16
BAR_ROWS = 16
TILE_WIDTH, TILE_HEIGHT = 256, 192
# pixels a frame; the interlaced half step needs even numbers
STEP_X, STEP_Y = 2, 2


def bar_row(number, width, white, black):
    """One row of the bar code: `white` and `black` are the bytes of one pixel."""
    row = bytearray()
    for bar in range(BARS):
        bit = number >> (BARS - 1 - bar) & 1
        row += (white if bit else black) * ((bar + 1) * width // BARS - bar * width // BARS)
    return bytes(row)


def texture(seed, pixel_format, width, height):
    """Rows of a tile that repeats seamlessly. Each row is stored as often as a slice of `width` pixels needs."""
    dice = random.Random(seed)
    # whole numbers of waves per tile, so that the tile wraps without an edge
    waves = [[(dice.randint(1, 9), dice.randint(1, 9), dice.random() * 2 * math.pi) for _ in range(3)] for _ in range(3)]
    tables = []
    for channel in waves:
        tables.append([([math.tau * a * x / TILE_WIDTH + phase for x in range(TILE_WIDTH)],
                        [math.tau * b * y / TILE_HEIGHT for y in range(TILE_HEIGHT)]) for a, b, phase in channel])
    rows = []
    for y in range(TILE_HEIGHT):
        row = bytearray()
        for x in range(TILE_WIDTH):
            noise = dice.randint(-14, 14)
            values = [sum(math.sin(xs[x] + ys[y]) for xs, ys in channel) * 34 + 128 + noise for channel in tables]
            if pixel_format == "gray16le":
                row += max(0, min(65535, int(values[0] * 257) + dice.randint(-400, 400))).to_bytes(2, "little")
            else:
                row += bytes(max(0, min(255, int(v))) for v in values)
                if pixel_format == "rgba":
                    row.append((x * 255 // TILE_WIDTH + y) & 255)
        rows.append(bytes(row) * (width // TILE_WIDTH + 2))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size")
    parser.add_argument("count", type=int)
    parser.add_argument("--format", choices=["rgb24", "rgba", "gray16le"], default="rgb24")
    parser.add_argument("--interlaced", action="store_true")
    arguments = parser.parse_args()
    width, height = map(int, arguments.size.split("x"))
    pixel = {"rgb24": 3, "rgba": 4, "gray16le": 2}[arguments.format]
    white, black = b"\xff" * pixel, b"\0" * pixel
    if arguments.format == "rgba":
        black = b"\0\0\0\xff"

    ground = texture(1, arguments.format, width, height)
    square = texture(2, arguments.format, width, height)
    side = min(width, height) // 3
    for number in range(arguments.count):
        frame = [bar_row(number, width, white, black)] * BAR_ROWS
        for y in range(BAR_ROWS, height):
            half = STEP_X // 2 if arguments.interlaced and y % 2 else 0
            x = (number * STEP_X + half) % TILE_WIDTH
            row = ground[(y + number * STEP_Y) % TILE_HEIGHT][x * pixel:(x + width) * pixel]
            # the square moves right to left, a little up and down
            left = (width - side - 3 * number) % (width - side)
            top = BAR_ROWS + (number // 2) % (height - BAR_ROWS - side)
            if top <= y < top + side:
                row = row[:left * pixel] + square[y][:side * pixel] + row[(left + side) * pixel:]
            frame.append(row)
        sys.stdout.buffer.write(b"".join(frame))


if __name__ == "__main__":
    main()
