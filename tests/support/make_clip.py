#!/usr/bin/env python3
"""Draw the clip of the quickstart: two flies in a round arena, seen from above, and encode it with ffmpeg.

usage: make_clip.py OUT.mp4

320x240, 25 frames/s, 10 s, H.264 with B-frames. The number in the corner counts the frames from 0. The male (the smaller fly)
follows the female for a while and sings to her with one wing out, as Drosophila melanogaster does. Always the same film: the
walks come from a fixed seed.
"""
import math
import random
import subprocess
import sys

WIDTH, HEIGHT, RATE, COUNT = 320, 240, 25, 250
CENTER, RADIUS = (160.0, 120.0), 112.0

FLOOR, RIM, OUTSIDE = (226, 222, 210), (150, 146, 138), (38, 40, 44)
BODY, STRIPE, EYE, WING, LEG = (92, 66, 40), (52, 36, 24), (150, 30, 24), (176, 186, 194), (60, 46, 34)
INK = (240, 240, 240)

DIGITS = (  # 5x7 pixels each, a row per number, the leftmost pixel in the highest bit
    (14, 17, 19, 21, 25, 17, 14), (4, 12, 4, 4, 4, 4, 14), (14, 17, 1, 2, 4, 8, 31), (31, 2, 4, 2, 1, 17, 14),
    (2, 6, 10, 18, 31, 2, 2), (31, 16, 30, 1, 1, 17, 14), (6, 8, 16, 30, 17, 17, 14), (31, 1, 2, 4, 8, 8, 8),
    (14, 17, 17, 14, 17, 17, 14), (14, 17, 17, 15, 1, 2, 12),
)


class Canvas:
    def __init__(self, pixels):
        self.pixels = bytearray(pixels)

    def blend(self, x, y, color, cover):
        if cover <= 0 or not (0 <= x < WIDTH and 0 <= y < HEIGHT):
            return
        at = 3 * (y * WIDTH + x)
        for channel in range(3):
            old = self.pixels[at + channel]
            self.pixels[at + channel] = round(old + (color[channel] - old) * min(cover, 1.0))

    def ellipse(self, center, angle, long, short, color, opacity=1.0):
        """Half axes `long` (along the angle) and `short`; the edge is smoothed over about a pixel."""
        cosine, sine = math.cos(angle), math.sin(angle)
        reach = math.ceil(max(long, short)) + 1
        for y in range(int(center[1]) - reach, int(center[1]) + reach + 1):
            for x in range(int(center[0]) - reach, int(center[0]) + reach + 1):
                dx, dy = x - center[0], y - center[1]
                along, across = (dx * cosine + dy * sine) / long, (dy * cosine - dx * sine) / short
                distance = (math.hypot(along, across) - 1) * min(long, short)  # in pixels, near the edge
                self.blend(x, y, color, (0.5 - distance) * opacity if distance > -0.5 else opacity)

    def line(self, start, end, color, width=1.0):
        (x0, y0), (x1, y1) = start, end
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        for y in range(int(min(y0, y1)) - 1, int(max(y0, y1)) + 3):
            for x in range(int(min(x0, x1)) - 1, int(max(x0, x1)) + 3):
                along = max(0.0, min(length, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length))
                distance = math.hypot(x - x0 - along * (x1 - x0) / length, y - y0 - along * (y1 - y0) / length)
                self.blend(x, y, color, width / 2 + 0.5 - distance)

    def number(self, value, left, top, scale):
        for place, digit in enumerate(f"{value:05d}"):
            for row, bits in enumerate(DIGITS[int(digit)]):
                for column in range(5):
                    if bits >> (4 - column) & 1:
                        for y in range(scale):
                            for x in range(scale):
                                self.blend(left + (place * 6 + column) * scale + x, top + row * scale + y, INK, 1.0)


class Fly:
    def __init__(self, dice, position, angle, size):
        self.dice, self.position, self.angle, self.size = dice, position, angle, size
        self.speed, self.turning, self.stride, self.song = 0.0, 0.0, 0.0, 0.0
        self.walking, self.change_in = True, 10

    def step(self, other=None):
        """Walk one frame: bouts and rests at random, away from the wall; if `other` is given, go after it."""
        self.change_in -= 1
        if self.change_in <= 0:
            self.walking = not self.walking or self.dice.random() < 0.3
            self.change_in = self.dice.randint(15, 45) if self.walking else self.dice.randint(6, 20)
        wanted = self.dice.uniform(1.3, 2.1) if self.walking else 0.0
        self.turning = 0.8 * self.turning + self.dice.gauss(0, 0.035)
        turn = self.turning if self.walking else 0.0

        song = 0.0
        if other is not None:
            offset = (other.position[0] - self.position[0], other.position[1] - self.position[1])
            distance = math.hypot(*offset)
            turn = max(-0.22, min(0.22, turned(math.atan2(offset[1], offset[0]) - self.angle)))
            wanted = max(0.0, min(2.6, (distance - 30) * 0.25))
            song = 1.0 if distance < 48 else 0.0
        from_wall = RADIUS - math.hypot(self.position[0] - CENTER[0], self.position[1] - CENTER[1])
        if from_wall < 38:
            inwards = turned(math.atan2(CENTER[1] - self.position[1], CENTER[0] - self.position[0]) - self.angle)
            turn += inwards * 0.12 * (38 - from_wall) / 38
            wanted = max(wanted, 0.8) if from_wall < 20 else wanted

        self.speed += (wanted - self.speed) * 0.3
        self.song += (song - self.song) * 0.25
        self.angle += turn
        self.stride += self.speed * 0.55
        self.position = (self.position[0] + self.speed * math.cos(self.angle), self.position[1] + self.speed * math.sin(self.angle))

    def at(self, forward, right):
        """A place on the body, in units of its size, in the picture."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        forward, right = forward * self.size, right * self.size
        return (self.position[0] + forward * cosine - right * sine, self.position[1] + forward * sine + right * cosine)

    def draw(self, canvas, number):
        size = self.size
        for side in (-1, 1):
            for leg, (root, foot) in enumerate(((0.35, 0.85), (0.1, 0.1), (-0.1, -0.7))):
                # front and hind leg of one side step with the middle leg of the other
                swing = 0.2 * math.sin(self.stride + math.pi * ((leg + (side > 0)) % 2)) * min(1.0, self.speed)
                knee = self.at((root + foot) / 2 + 0.1 + swing * 0.6, side * 0.55)
                canvas.line(self.at(root, side * 0.2), knee, LEG, 1.1)
                canvas.line(knee, self.at(foot + swing, side * 0.85), LEG, 0.8)
        canvas.ellipse(self.at(-0.6, 0), self.angle, 0.75 * size, 0.36 * size, BODY)
        for stripe in (-0.45, -0.7, -0.95):
            canvas.ellipse(self.at(stripe, 0), self.angle, 0.06 * size, 0.3 * size, STRIPE, 0.8)
        canvas.ellipse(self.at(-1.2, 0), self.angle, 0.14 * size, 0.2 * size, STRIPE, 0.9)
        canvas.ellipse(self.at(0.2, 0), self.angle, 0.42 * size, 0.34 * size, BODY)
        canvas.ellipse(self.at(0.72, 0), self.angle, 0.22 * size, 0.3 * size, BODY)
        for side in (-1, 1):
            canvas.ellipse(self.at(0.76, side * 0.24), self.angle, 0.15 * size, 0.12 * size, EYE)
            # the singing wing stands out and trembles
            out = 0.16 + (1.15 * self.song + 0.12 * self.song * math.sin(number * 2.2) if side > 0 else 0.0)
            direction = self.angle + math.pi - side * out
            hinge = self.at(0.1, side * 0.2)
            middle = (hinge[0] + 0.78 * size * math.cos(direction), hinge[1] + 0.78 * size * math.sin(direction))
            canvas.ellipse(middle, direction, 0.82 * size, 0.3 * size, WING, 0.55)


def turned(angle):
    """The same angle between -pi and pi."""
    return (angle + math.pi) % math.tau - math.pi


def arena(dice):
    pixels = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            distance = math.hypot(x - CENTER[0], y - CENTER[1])
            # lit from the upper left, a little grain, a soft rim
            light = 1 - 0.0007 * ((x - 100) + (y - 60)) * 0.5 + dice.uniform(-0.008, 0.008)
            inside = max(0.0, min(1.0, RADIUS - distance + 0.5))
            wall = max(0.0, min(1.0, RADIUS + 4 - distance + 0.5))
            for floor, rim, outside in zip(FLOOR, RIM, OUTSIDE):
                color = outside + (rim - outside) * wall + (floor * light - rim) * inside
                pixels.append(max(0, min(255, round(color))))
    return bytes(pixels)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.split("\n\n")[1])
    ffmpeg = subprocess.Popen([
        "ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{WIDTH}x{HEIGHT}",
        "-framerate", str(RATE), "-i", "-", "-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p",
        "-c:v", "libx264", "-preset", "slow", "-crf", "22", "-x264-params", "threads=1:keyint=50:bframes=3",
        "-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv",
        "-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart", sys.argv[1],
    ], stdin=subprocess.PIPE)
    dice = random.Random(37)
    empty = arena(dice)
    female, male = Fly(dice, (120.0, 150.0), -0.6, 15.0), Fly(dice, (225.0, 85.0), 2.4, 13.0)
    for number in range(COUNT):
        canvas = Canvas(empty)
        female.draw(canvas, number)
        male.draw(canvas, number)
        canvas.number(number, 6, HEIGHT - 20, 2)
        ffmpeg.stdin.write(canvas.pixels)
        female.step()
        male.step(female if 60 <= number < 190 else None)
    ffmpeg.stdin.close()
    if ffmpeg.wait() != 0:
        sys.exit("make_clip.py: ffmpeg failed")


if __name__ == "__main__":
    main()
