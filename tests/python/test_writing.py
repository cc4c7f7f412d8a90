"""Recording, against other programs, and the options of recording."""
import datetime
import gc
import json
import sqlite3
import subprocess
import threading
from fractions import Fraction

import numpy as np
import pytest

import avstore
from conftest import DATA, HEIGHT, WIDTH, chunk_files, code_of, decoded, draw, python, write_store


def probe(video, entries):
    return json.loads(subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json",
                                      str(video)], check=True, stdout=subprocess.PIPE).stdout)


def rows(store, query):
    connection = sqlite3.connect(f"file:{store}/.index.sqlite?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


# --- what is written is what was given ---

@pytest.mark.parametrize("kind", [int, np.int8, np.uint8, np.int32, np.uint64, float, np.float16, np.float32, np.float64])
def test_numbers_of_every_width(folder, kind):
    with avstore.create(folder / "s", "png", shape=(kind(HEIGHT), kind(WIDTH)), dtype="u1", chunk_size=kind(2)) as w:
        for i in range(3):
            assert w.add(draw(i), kind(i + 100), kind(i)) is True
    assert rows(folder / "s", "SELECT frame_number, frame_time, chunk FROM frames") == [(100, 0, 0), (101, 1, 0), (102, 2, 1)]


@pytest.mark.parametrize("make", [
    lambda image: image,
    lambda image: image.tolist(),
    lambda image: np.asfortranarray(image),
    lambda image: image[::-1][::-1],
    lambda image: np.pad(image, ((3, 5), (7, 11)) + ((0, 0),) * (image.ndim - 2))[3:-5, 7:-11],
    lambda image: np.repeat(image, 2, axis=1)[:, ::2],
    lambda image: np.broadcast_to(image, (2, *image.shape))[1],
    lambda image: memoryview(np.ascontiguousarray(image)),
], ids=["plain", "list", "columns first", "flipped twice", "padded rows", "every second column", "broadcast", "memoryview"])
@pytest.mark.parametrize("channels", [0, 3])
def test_however_pixels_lie_in_memory(folder, make, channels):
    with avstore.create(folder / "s", "npy") as w:
        for i in range(3):
            image = make(draw(i, channels=channels))
            w.add(np.asarray(image, np.uint8) if isinstance(image, list) else image, i, i)
            w.add(np.asarray(image, np.uint8)[::-1, ::-1], i, i)
    for i in range(3):
        written = np.load(folder / "s" / "000000" / f"{2 * i:06}.npy")
        assert np.array_equal(written, draw(i, channels=channels))
        assert np.array_equal(np.load(folder / "s" / "000000" / f"{2 * i + 1:06}.npy"), draw(i, channels=channels)[::-1, ::-1])


def test_the_bytes_of_big_endian_images_are_turned(folder):
    with avstore.create(folder / "s", "png") as w:
        w.add(draw(5, np.uint16).astype(">u2"), 0, 0)
    assert np.array_equal(decoded(folder / "s/000000/000000.png", (HEIGHT, WIDTH), "gray16le", dtype="<u2")[0], draw(5, np.uint16))


def test_pixel_formats(folder):
    image = draw(9, channels=3)
    alpha = draw(9, channels=4)
    yuv = np.concatenate([draw(9), np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])
    for name, given, expected, pixel_format, shape in [
        ("bgr24", image, image, "bgr24", image.shape),
        ("rgb24", image, image, "rgb24", image.shape),
        ("bgra", alpha, alpha, "bgra", alpha.shape),
        ("rgba", alpha, alpha, "rgba", alpha.shape),
    ]:
        with avstore.create(folder / "s", "png", pixel_format=name, overwrite=True) as w:
            w.add(given, 0, 0)
        png = folder / "s/000000/000000.png"
        assert np.array_equal(decoded(png, shape, pixel_format)[0][..., :3], expected[..., :3])
    for name, planes in (("yuv420p", yuv), ("nv12", yuv)):
        with avstore.create(folder / "s", "ffv1/mkv", pixel_format=name, overwrite=True) as w:
            w.add(planes, 0, 0)
        assert np.array_equal(decoded(folder / "s/000000.mkv", yuv.shape, "yuv420p")[0], yuv)


def test_images_that_do_not_fit(folder):
    for options, image in [
        ({}, np.zeros(5, np.uint8)),
        ({}, np.zeros((0, 5), np.uint8)),
        ({}, np.zeros((5, 0), np.float64)),
        ({}, np.zeros((4, 4, 0), np.uint8)),
        ({}, np.zeros((4, 4, 0), np.float64)),
        ({}, np.zeros((2, 2, 3, 1), np.uint8)),
        ({}, 5),
        ({"pixel_format": "rgb24"}, np.zeros((4, 4), np.uint8)),
        ({"pixel_format": "gray16"}, np.zeros((4, 4), np.uint8)),
        ({"pixel_format": "nv12"}, np.zeros((4, 4), np.uint8)),
        ({"shape": (4, 4)}, np.zeros((4, 6), np.uint8)),
        ({"shape": (4, 4)}, np.zeros((4, 4, 3), np.uint8)),
        ({"dtype": np.uint8}, np.zeros((4, 4), np.uint16)),
    ]:
        with avstore.create(folder / "s", "png", overwrite=True, **options) as w:
            with pytest.raises(avstore.InvalidArgument):
                w.add(image, 0, 0)
    with avstore.create(folder / "t", "png") as w:
        w.add(draw(0), 0, 0)
        with pytest.raises(ValueError, match=str(folder / "t")):
            w.add(draw(0)[:-1], 1, 1)
        w.add(draw(1), 1, 1)
    assert [code_of(frame) for frame in avstore.open(folder / "t")] == [0, 1]
    with pytest.raises(avstore.Unsupported, match="array"):
        with avstore.create(folder / "u", "avc1/mp4") as w:
            w.add(np.zeros((4, 4), np.float64), 0, 0)


NO_NUMBERS = [np.full((2, 2), None, object), np.full((2, 2), "text"), np.full((2, 2), b"text"), np.zeros((2, 2), "M8[s]"),
              np.zeros((2, 2), "m8[25s]"), np.zeros((2, 2), "V0"), np.zeros((2, 2), "V3"), np.zeros((2, 1), "V2000000"),
              np.zeros((2, 2), [("x", "u1"), ("y", "<f4")])]


@pytest.mark.parametrize("array", NO_NUMBERS, ids=lambda array: array.dtype.name)
@pytest.mark.parametrize("format", ["npy", "bpk", "png", "ffv1/mkv"])
def test_images_of_no_numbers(folder, format, array):
    with avstore.create(folder / "s", format) as w:
        with pytest.raises(TypeError, match="no numbers"):
            w.add(array, 0, 0)
        assert w.add(draw(0), 0, 0)
    assert code_of(avstore.open(folder / "s")[0]) == 0
    with pytest.raises(TypeError, match="no type of numbers"):
        avstore.create(folder / "t", format, dtype=array.dtype)
    assert not (folder / "t").exists()


@pytest.mark.parametrize("dtype", ["?", "i1", "u8", ">i2", "f2", "f4", ">f8", "g", "F", "D", "G"])
@pytest.mark.parametrize("format", ["npy", "bpk"])
def test_arrays_of_any_numbers(folder, format, dtype):
    array = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(dtype)
    with avstore.create(folder / "s", format, dtype=np.dtype(dtype).newbyteorder("=")) as w:
        w.add(array, 0, 0)
    frame = avstore.open(folder / "s")[0]
    assert frame.dtype == np.dtype(dtype).newbyteorder("=") and np.array_equal(frame, array)


def test_numbers_that_do_not_fit(folder):
    with avstore.create(folder / "s", "png") as w:
        for number, time, kind in [(2**63, 0, ValueError), (0.5, 0, ValueError), ("1", 0, TypeError), (None, 0, TypeError),
                                   (0, "x", ValueError), (0, None, TypeError)]:
            with pytest.raises(kind):
                w.add(draw(0), number, time)
        w.add(draw(0), -2**63, float("nan"))
    assert avstore.open(folder / "s")[0].number == -2**63


# --- options ---

def test_options_of_encoding(folder):
    store = write_store(folder / "s", "h264/mkv", 40, encoder="libx264", preset="ultrafast", keyframe_interval=np.int32(7),
                        b_frames=2, frame_rate="30000/1001", threads=1, options={"refs": 2}, quality=np.float32(30),
                        chunk_size=40, queue_frames=8, queue_bytes=1 << 20, timing="nominal")
    frames = probe(chunk_files(store)[0], "frame=key_frame,pict_type,pts_time")["frames"]
    assert [i for i, frame in enumerate(frames) if frame["key_frame"]] == [0, 7, 14, 21, 28, 35]
    assert "B" in {frame["pict_type"] for frame in frames}
    elapsed = float(frames[30]["pts_time"]) - float(frames[0]["pts_time"])
    assert elapsed == pytest.approx(30 * 1001 / 30000, abs=1e-3)
    s = avstore.open(store)
    assert s.info.nominal_frame_rate == Fraction(30000, 1001) and s.info.encoder == "libx264"
    assert [code_of(frame) for frame in s] == list(range(40))
    best = write_store(folder / "t", "h264/mkv", 40, quality=100, chunk_size=40)
    assert chunk_files(best)[0].stat().st_size > 2 * chunk_files(store)[0].stat().st_size


@pytest.mark.parametrize("rate, expected", [(50, 50), (29.97, Fraction(2997, 100)), (np.float32(29.97), Fraction(2997, 100)),
                                            ("30000/1001", Fraction(30000, 1001)), ((24000, 1001), Fraction(24000, 1001)),
                                            (Fraction(25, 2), Fraction(25, 2)), (np.uint8(60), 60), (None, 25)])
def test_frame_rates(folder, rate, expected):
    assert avstore.open(write_store(folder / "s", count=2, frame_rate=rate)).info.nominal_frame_rate == expected


def test_durability_and_hardware_are_understood(folder):
    store = write_store(folder / "s", durability="power", encoder="software", device="", threads=2)
    assert [code_of(frame) for frame in avstore.open(store)] == list(range(40))
    assert avstore.open(store).info.encoders[0] == (0, "libx264")


def test_extra_data_before_the_first_frame(folder):
    with avstore.create(folder / "s", "png") as w:
        w.add_extra(force=1)
        w.add(draw(0), 7, 7)
        w.add_extra(force=2)
    extra = avstore.open(folder / "s").extra
    assert extra["frame_index"].tolist() == [-1, 0] and extra["frame_number"].tolist() == [-2**63, 7]
    assert np.isnan(extra["frame_time"][0]) and extra["force"].tolist() == [1, 2]


def test_real_timing(folder):
    store = write_store(folder / "s", count=5, times=[10, 10.5, 12, 12.25, 20], timing="real")
    frames = probe(chunk_files(store)[0], "frame=pts_time")["frames"]
    assert [float(frame["pts_time"]) for frame in frames] == pytest.approx([0, 0.5, 2, 2.25, 10], abs=1e-3)


def test_metadata_and_creation(folder):
    import yaml
    metadata = {"text": "a: 'b' \"c\"\n#\t\x07\x7f\u2028é😀", "empty": "", "like": ["1", "yes", "~", "1e3", "2024-01-01", "0x1f"],
                "numbers": [1, -2**62, 0.1, 1e-05, 1e22, -0.0, float("inf"), np.float32(0.5), np.uint8(7)],
                "nothing": None, "flags": [True, False, np.bool_(True)], "deep": {"er": {"list": [[], {}]}},
                "array": np.arange(3), 5: "number as key"}
    plain = {**metadata, "numbers": [*metadata["numbers"][:-2], 0.5, 7], "flags": [True, False, True], "array": [0, 1, 2]}
    created = datetime.datetime(2024, 3, 1, 13, 30, 0, 250000, datetime.timezone(datetime.timedelta(hours=1)))
    avstore.create(folder / "s", metadata=metadata, created=created, timezone="Europe/Vienna").close()
    stored = yaml.safe_load((folder / "s/metadata.yaml").read_text(encoding="utf-8"))
    own = stored.pop("__store")
    assert stored == plain
    assert own["created_utc"] == "2024-03-01T12:30:00.250000" and own["timezone_local"] == "Europe/Vienna"
    s = avstore.open(folder / "s")
    assert s.metadata == {**{str(key): value for key, value in plain.items()}}
    assert s.created == created and s.info.timezone_local == "Europe/Vienna"


def test_options_that_are_refused(folder):
    write_store(folder / "there", count=1)
    for options, kind in [
        ({"quality": 101}, ValueError), ({"quality": "high"}, ValueError), ({"frame_rate": 0}, ValueError),
        ({"frame_rate": -5}, ValueError), ({"frame_rate": "fast"}, ValueError), ({"frame_rate": 1e-12}, ValueError),
        ({"timing": "exact"}, ValueError), ({"durability": "for ever"}, ValueError), ({"when_full": "cry"}, ValueError), ({"format": "mp5"}, ValueError),
        ({"chunk_size": -1}, ValueError), ({"chunk_size": 2.5}, ValueError), ({"queue_frames": 0}, ValueError),
        ({"keyframe_interval": -2}, ValueError), ({"keyframe_interval": 2**40}, ValueError), ({"colour": True}, TypeError),
        ({"queue_bytes": -1}, ValueError), ({"metadata": {"a": object()}}, TypeError), ({"pixel_format": "nonsense"}, ValueError),
        ({"created": "yesterday"}, ValueError),
    ]:
        with pytest.raises(kind):
            avstore.create(folder / "s", **options)
        assert not (folder / "s").exists(), options
    for kind in (avstore.Exists, FileExistsError):
        with pytest.raises(kind, match=str(folder / "there")):
            avstore.create(folder / "there")
    with pytest.raises((avstore.StorageError, OSError)):
        avstore.create("/proc/nowhere/s")
    with avstore.create(folder / "t", options={"nonsense": 1}) as w:
        w.add(draw(0), 0, 0)
        with pytest.raises(avstore.Error, match="nonsense"):
            w.sync()
        with pytest.raises(avstore.Error):
            w.close()


def test_whatever_is_refused_the_path_is_said(folder):
    store = write_store(folder / "s", "png", 3)
    s = avstore.open(store)
    with avstore.create(folder / "w", "h264/mkv") as w:
        for path, call in [
            (store, lambda: s.at_number(1.5)), (store, lambda: s[1.5]), (store, lambda: s[[1.5]]), (store, lambda: s[["a"]]),
            (store, lambda: s["a"]), (store, lambda: s.find()), (store, lambda: s.find(index=0.5)),
            (store, lambda: avstore.open(store, pixel_format="none")), (store, lambda: avstore.open(store, pixel_format="yuv420p")),
            (store, lambda: avstore.open(store, threads=-1)), (store, lambda: avstore.open(store, threads=2**31)),
            (folder / "w", lambda: w.add(np.zeros(5), 0, 0)), (folder / "w", lambda: w.add(np.zeros((0, 5), np.uint8), 0, 0)),
            (folder / "w", lambda: w.add(draw(0), 2**63, 0)), (folder / "w", lambda: w.add(draw(0), 0.5, 0)),
            (folder / "w", lambda: w.insert_chunk(DATA / "clip.mp4", [1, 2], [1])),
            (folder / "x", lambda: avstore.create(folder / "x", quality=101)),
            (folder / "x", lambda: avstore.create(folder / "x", "none")),
            (folder / "x", lambda: avstore.create(folder / "x", pixel_format="none")),
            (folder / "x", lambda: avstore.create(folder / "x", when_full="none")),
            (folder / "x", lambda: avstore.create(folder / "x", threads=-1)),
            (folder / "x", lambda: avstore.create(folder / "x", chunk_size=-1)),
            (store, lambda: avstore.create(store)),
        ]:
            with pytest.raises((ValueError, TypeError, FileExistsError)) as raised:
                call()
            assert str(path) in str(raised.value) and "--" not in str(raised.value)


def test_warnings_are_pythons(folder):
    with avstore.create(folder / "s", "avc1/mp4") as w:
        with pytest.warns(avstore.AvstoreWarning, match="last row") as caught:
            w.add(np.zeros((65, 64), np.uint8), 0, 0)
    assert caught[0].filename == __file__


# --- the course of a recording ---

def test_extra_data(folder):
    with avstore.create(folder / "s", "png", chunk_size=2) as w:
        for i in range(4):
            w.add(draw(i), i, i / 4)
            w.add_extra({"force": np.float32(i) / 2, "count": np.int16(i)}, tag=f"t{i}", vector=np.arange(i))
        w.add_extra(lone=None)
        with pytest.raises(TypeError):
            w.add_extra(bad=object())
    records = json.loads((folder / "s/000001/index.extra.json").read_text(encoding="utf-8"))
    assert records[1] == {"force": 1.5, "count": 3, "tag": "t3", "vector": [0, 1, 2], "frame_index": 3, "frame_number": 3,
                          "frame_time": 0.75}
    extra = avstore.open(folder / "s").extra
    assert extra["frame_index"].tolist() == [0, 1, 2, 3, 3]
    assert np.array_equal(extra["force"], [0, 0.5, 1, 1.5, np.nan], equal_nan=True)
    assert extra["vector"].tolist() == [[], [0], [0, 1], [0, 1, 2], None]
    assert extra["tag"].tolist() == ["t0", "t1", "t2", "t3", None]


def test_extra_data_with_and_without_pandas(folder):
    store = write_store(folder / "s", "png", 1)
    script = """
import sys
if sys.argv[2] == "without":
    sys.modules["pandas"] = None
import avstore
extra = avstore.open(sys.argv[1]).extra
print(type(extra).__name__, list(extra), len(extra["frame_index"]))
"""
    columns = "['frame_index', 'frame_number', 'frame_time'] 0\n"
    assert python(script, store, "with") == "DataFrame " + columns
    assert python(script, store, "without") == "dict " + columns


def test_types_of_extra_data(folder):
    """Of a column that each record has something of one kind in, over chunks."""
    with avstore.create(folder / "s", "png", chunk_size=2) as w:
        for i in range(6):
            w.add(draw(i), i, i)
            w.add_extra(led=i % 3 == 0, some=True if i % 2 else None, mixed=i > 2 or 7, big=2**63 + i if i > 2 else i,
                        huge=2**64 - 1 - i, signed=-1 if i == 5 else 2**63 + i)
    avstore.transcode(folder / "s", folder / "t", format="npy")
    for store in ("s", "t"):
        extra = avstore.open(folder / store).extra
        assert {name: extra[name].dtype for name in ("led", "some", "mixed", "big", "huge", "signed")} == {
            "led": bool, "some": object, "mixed": object, "big": np.uint64, "huge": np.uint64, "signed": object}
        assert extra["led"].tolist() == [True, False, False, True, False, False]
        assert np.asarray(extra["frame_index"])[~np.asarray(extra["led"])].tolist() == [1, 2, 4, 5]
        assert extra["some"].tolist() == [None, True] * 3 and extra["mixed"].tolist() == [7, 7, 7, True, True, True]
        assert extra["big"].tolist() == [0, 1, 2, 2**63 + 3, 2**63 + 4, 2**63 + 5]
        assert extra["huge"].tolist() == [2**64 - 1 - i for i in range(6)]
        assert extra["signed"].tolist() == [2**63 + i for i in range(5)] + [-1]


def test_motifs_extra_data_are_those_the_reference_reads():
    from conftest import golden_stores
    checked = 0
    for golden in golden_stores():
        if golden.expected.get("extra_data"):
            extra = avstore.open(golden.path, save_index=False).extra
            records = golden.expected["extra_data"]
            assert len(extra) == len(records)
            for key in ("frame_number", "frame_index"):
                if key in records[0]:
                    assert extra[key].tolist() == [record[key] for record in records]
            checked += 1
    assert checked > 0


def test_sync_makes_frames_durable_and_readable(folder):
    with avstore.create(folder / "s", "avc1/mp4") as w:
        for i in range(5):
            w.add(draw(i), i, i)
        w.sync()
        assert w.durable_count == 5 == w.stats().frames_durable
        reader = avstore.open(folder / "s")
        assert [code_of(frame) for frame in reader] == list(range(5))
        assert reader.info.recording and len(reader.frames) == 5
        w.add(draw(5), 5, 5.5)
        w.sync()
        assert len(reader) == 5
        assert reader.refresh() == 6 == len(reader)
        assert code_of(reader[-1]) == 5 and reader.frames.time[-1] == 5.5 == reader.info.time_max
    reader.refresh()
    assert not reader.info.recording and len(avstore.open(folder / "s")) == 6
    stats = w.stats()
    assert (stats.frames_added, stats.frames_encoded, stats.frames_dropped, stats.queue_frames) == (6, 6, 0, 0)
    assert stats.encoder == "libx264" and stats.bytes_written == chunk_files(folder / "s")[0].stat().st_size
    assert 0 < stats.encode_latency.median <= stats.encode_latency.max


def test_frames_for_which_there_is_no_room(folder):
    big = np.random.default_rng(0).integers(0, 255, (1200, 1600, 3), np.uint8)
    with avstore.create(folder / "s", "png", when_full="drop", queue_frames=1) as w:
        taken = [w.add(big, i, i / 2) for i in range(30)]
        assert w.dropped.number.tolist() == [i for i in range(30) if not taken[i]]
        assert w.dropped.time.tolist() == [i / 2 for i in range(30) if not taken[i]]
    assert not all(taken)
    assert avstore.open(folder / "s").frames.number.tolist() == [i for i in range(30) if taken[i]]
    with avstore.create(folder / "t", "png", when_full="fail", queue_frames=1) as w:
        with pytest.raises(avstore.StorageError, match="queue is full"):
            for i in range(30):
                w.add(big, i, i)


def test_a_chunk_that_is_a_file(folder):
    video = chunk_files(write_store(folder / "source", "avc1/mp4", 10))[0]
    with avstore.create(folder / "s", "avc1/mp4") as w:
        w.add(draw(99), 0, 0)
        w.insert_chunk(video, np.arange(10, 20, dtype=np.uint8), np.linspace(1, 2, 10))
        with pytest.raises(avstore.InvalidArgument):
            w.insert_chunk(video, [1, 2], [0, 0])
        with pytest.raises(avstore.InvalidArgument):
            w.insert_chunk(video, [1, 2], [0])
        w.add(draw(98), 30, 3)
    s = avstore.open(folder / "s")
    assert [code_of(frame) for frame in s] == [99, *range(10), 98]
    assert s.frames.number.tolist() == [0, *range(10, 20), 30]


def test_ends(folder):
    with pytest.raises(ZeroDivisionError):
        with avstore.create(folder / "kept") as w:
            w.add(draw(1), 1, 1)
            1 / 0
    assert len(avstore.open(folder / "kept")) == 1
    w.close()
    with pytest.raises(ValueError, match="closed"):
        w.add(draw(1), 1, 1)
    w = avstore.create(folder / "gone")
    w.add(draw(1), 1, 1)
    w.abandon()
    assert not (folder / "gone").exists()
    w = avstore.create(folder / "forgotten")
    w.add(draw(1), 1, 1)
    del w
    gc.collect()
    assert not (folder / "forgotten/.lock").exists() and len(avstore.open(folder / "forgotten")) == 1


def test_a_writer_that_waits_for_a_locked_database_is_given_up(folder):
    w = avstore.create(folder / "s", "png", queue_frames=1)
    w.add(draw(0), 0, 0)
    w.sync()
    locked = sqlite3.connect(folder / "s" / ".index.sqlite")
    locked.execute("BEGIN IMMEDIATE")
    ended = []

    def add_for_ever():
        try:
            while True:
                w.add(draw(1), 1, 1)
        except avstore.Error as error:
            ended.append(error)

    adding = threading.Thread(target=add_for_ever)
    adding.start()
    before = -1  # until nothing comes in any more
    while before != (before := w.stats().frames_added) or before < 2:
        adding.join(0.5)
    w.abandon()
    adding.join(30)
    assert not adding.is_alive()
    assert isinstance(ended[0], avstore.InvalidArgument)
    locked.close()


def test_a_writer_still_open_when_python_ends(folder):
    python("""
import sys, numpy, avstore
w = avstore.create(sys.argv[1])
for i in range(30):
    w.add(numpy.zeros((64, 96), numpy.uint8), i, i)
""", folder / "s")
    s = avstore.open(folder / "s")
    assert len(s) == 30 and not s.info.open_for_writing and not s.info.unfinished
