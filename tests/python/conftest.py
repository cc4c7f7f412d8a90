"""What the tests of the Python module share: drawn frames, other programs as oracles, and the closing line that run.sh counts.

    PYTHONPATH=BUILD/lib/python python3 -m pytest tests/python
"""
import itertools
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import avstore
from avstore import imgstore

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
GOLDEN = pathlib.Path(os.environ.get("AVSTORE_GOLDEN") or DATA / "golden")
HEIGHT, WIDTH = 64, 96
BARS, BAR_ROWS = 8, 16
GRAY, COLOR = (HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)


def draw(number, dtype=np.uint8, channels=0, height=HEIGHT, width=WIDTH):
    """A bar code of the number (modulo 256) above waves that move with it. Channels differ."""
    rows, columns = np.mgrid[:height, :width]
    top = float(np.iinfo(dtype).max)
    planes = []
    for channel in range(max(channels, 1)):
        waves = 0.5 + 0.3 * np.sin((columns + 3 * number + 20 * channel) / 9) * np.cos((rows + number) / (7 + channel))
        planes.append(waves)
    image = np.stack(planes, axis=-1)
    bars = (number >> (BARS - 1 - np.arange(width) * BARS // width)) & 1
    image[:BAR_ROWS] = bars[np.newaxis, :, np.newaxis]
    image = np.round(image * top).astype(dtype)
    return image if channels else image[..., 0]


def code_of(image):
    """The number in the bar code."""
    gray = np.asarray(image, np.float64).reshape(*image.shape[:2], -1).mean(axis=-1)
    bars = gray[:BAR_ROWS].reshape(BAR_ROWS, BARS, -1).mean(axis=(0, 2)) > np.iinfo(image.dtype).max / 2
    return int("".join("1" if bar else "0" for bar in bars), 2)


def write_store(path, format="avc1/mp4", count=40, *, channels=0, dtype=np.uint8, chunk_size=15, numbers=None, times=None,
                **options):
    """Frame i shows the number i."""
    with avstore.create(path, format, chunk_size=chunk_size, **options) as writer:
        for i in range(count):
            writer.add(draw(i, dtype, channels), i if numbers is None else numbers[i], i / 25 if times is None else times[i])
    return path


def decoded(video, shape, pixel_format, filters=None, dtype=np.uint8):
    """All frames of a video as the ffmpeg program decodes it from beginning to end."""
    command = ["ffmpeg", "-v", "error", "-i", str(video), "-map", "0:v:0", "-fps_mode", "passthrough"]
    command += ["-vf", filters] if filters else []
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", pixel_format, "-"], check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(raw, dtype).reshape(-1, *shape)


def chunk_files(store):
    return sorted(path for path in pathlib.Path(store).iterdir() if path.suffix in (".mp4", ".mkv", ".avi"))


def python(script, *arguments, **environment):
    """What a script prints in an interpreter of its own."""
    run = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=False, text=True, timeout=120,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})
    assert run.returncode == 0, run.stderr
    return run.stdout


class Golden:
    """A store that the reference wrote, and what the reference reads from it."""

    def __init__(self, path):
        self.path = path
        beside = path.parent / (path.name + ".expected")
        self.expected = json.loads(beside.with_name(beside.name + ".json").read_text(encoding="utf-8"))
        arrays = beside.with_name(beside.name + ".npz")
        self.frames = np.load(arrays)["frames"] if arrays.exists() else None


def golden_stores():
    return [Golden(path) for path in sorted(GOLDEN.iterdir()) if path.is_dir()]


def golden_store(name):
    """A store by its name. The project itself has a few of them only."""
    if not (GOLDEN / name).is_dir():
        pytest.skip(f"there is no {GOLDEN / name}; AVSTORE_GOLDEN tells where all of them are")
    return Golden(GOLDEN / name)


def copy_of(name, folder):
    """Golden stores are not to be written to, and opening one may save an index in it."""
    path = folder / name
    shutil.copytree(golden_store(name).path, path)
    return path


def new_imgstore(folder, format="npy", count=12, shape=GRAY, numbers=None, name="store", chunksize=5):
    """Frame i shows the number i, and its time is 10 + i / 4."""
    store = imgstore.new_for_format(format, str(folder / name), imgshape=shape, imgdtype=np.uint8, chunksize=chunksize)
    for i in range(count):
        store.add_image(draw(i, channels=3 if shape == COLOR else 0), i if numbers is None else numbers[i], 10 + i / 4)
    store.close()
    return store


def assert_records(table, records):
    assert len(table) == len(records)
    assert set(table.columns) == set(itertools.chain.from_iterable(records))
    for name in table.columns:
        for value, record in zip(table[name], records):
            wanted = record[name]
            if wanted is None:
                assert value is None or math.isnan(value)
            else:
                assert value == pytest.approx(wanted, rel=1e-12) if isinstance(wanted, float) else value == wanted


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """A store of data/clip.mp4 with the coded video as it is: B-frames, a keyframe at least every 50 frames."""
    path = tmp_path_factory.mktemp("clip") / "clip.store"
    avstore.import_video(DATA / "clip.mp4", path, copy=True, first_number=5000, start_time=1709296200.0)
    return path


@pytest.fixture
def folder():
    """A fresh folder, removed at the end."""
    with tempfile.TemporaryDirectory(prefix="avstore-python-") as path:
        yield pathlib.Path(path)


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        count = {key: len(reporter.stats.get(key, [])) for key in ("passed", "failed", "error", "skipped")}
        print(f"{count['passed']} passed, {count['failed'] + count['error']} failed, {count['skipped']} skipped")
