"""Frames by index, number and time, against other programs' decoding, and what frames are."""
import contextlib
import copy
import gc
import pickle
import re

import numpy as np
import pytest

import avstore
from conftest import DATA, HEIGHT, WIDTH, chunk_files, code_of, decoded, draw, golden_stores, python, write_store

INTEGERS = [int, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
FLOATS = [float, np.float16, np.float32, np.float64, np.longdouble]


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    """Numbers 100, 102, ... and times in the middle of nowhere; keyframes every 5 frames, 3 chunks."""
    path = tmp_path_factory.mktemp("gray") / "gray.store"
    return write_store(path, numbers=range(100, 180, 2), times=np.arange(40) / 8 + 3, keyframe_interval=5,
                       metadata={"subject": {"id": 7}})


@pytest.fixture(scope="module")
def gray_frames(gray):
    return np.concatenate([decoded(chunk, (HEIGHT, WIDTH), "gray", "extractplanes=y") for chunk in chunk_files(gray)])


# --- the right pixels ---

def test_every_frame_is_what_ffmpeg_decodes(gray, gray_frames):
    s = avstore.open(gray)
    assert len(s) == 40 and len(gray_frames) == 40
    order = np.random.default_rng(1).permutation(40)
    for indices in (range(40), range(39, -1, -1), order):
        for i in indices:
            assert np.array_equal(s[i], gray_frames[i])
    for frame, expected in zip(s[order], gray_frames[order]):
        assert np.array_equal(frame, expected)
    assert [np.array_equal(a, b) for a, b in zip(s, gray_frames)] == [True] * 40
    assert np.array_equal(s.stack(), gray_frames)
    assert np.array_equal(s.stack([7, -1, 7]), gray_frames[[7, -1, 7]])


def test_colour_is_what_ffmpeg_decodes(clip):
    for name, order in (("bgr24", None), ("bgr24", "bgr24"), ("rgb24", "rgb24")):
        expected = decoded(DATA / "clip.mp4", (240, 320, 3), name)
        s = avstore.open(clip, pixel_format=order)
        for i in (0, 249, 125, 124, 50):
            assert np.array_equal(s[i], expected[i])
        assert np.array_equal(s.stack(slice(30, 60)), expected[30:60])


@pytest.mark.parametrize("format", ["ffv1/mkv", "png", "npy", "bpk", "tif"])
@pytest.mark.parametrize("dtype, channels", [(np.uint8, 0), (np.uint16, 0), (np.uint8, 3), (np.uint16, 3)])
def test_lossless_formats_give_what_was_written(folder, format, dtype, channels):
    s = avstore.open(write_store(folder / "s", format, 20, dtype=dtype, channels=channels))
    for i in (19, 0, 7, 8):
        assert s[i].dtype == dtype
        assert np.array_equal(s[i], draw(i, dtype, channels))


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "<i2", ">i2", "<u4", "<i8", "<f2", ">f4", "<f8", "<c8"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 2), (5, 7, 1), (1, 1)])
def test_arrays_of_any_type_come_back(folder, dtype, shape):
    images = np.random.default_rng(0).integers(0, 100, (4, *shape)).astype(dtype)
    with avstore.create(folder / "s", "npy") as w:
        for i, image in enumerate(images):
            w.add(image, i, i)
    s = avstore.open(folder / "s")
    assert s.image_shape == shape and s.image_dtype == images.dtype.newbyteorder("=")
    assert np.array_equal(s.stack(), images)
    assert np.array_equal(s[2], images[2]) and s[2].shape == shape


@pytest.mark.parametrize("golden", golden_stores(), ids=lambda golden: golden.path.name)
def test_stores_of_the_reference(golden):
    expected = golden.expected
    gap = "missing_index" in golden.path.name  # the reference stops there, and we go on
    with pytest.warns(avstore.AvstoreWarning) if gap else contextlib.nullcontext():
        s = avstore.open(golden.path, save_index=False)
    if not gap and golden.path.name != "motif_store_mp4":
        assert len(s) == expected["frame_count"]
        assert s.frames.number.tolist() == expected["frame_number"]
        assert np.allclose(s.frames.time, expected["frame_time"], rtol=0, atol=1e-6)
    assert s.info.uuid == (expected.get("uuid") or "")
    assert s.metadata == (expected.get("user_metadata") or {})
    if expected.get("created_utc") and golden.path.name != "motif_store_mp4":
        assert s.created.isoformat() == expected["created_utc"]
    if golden.frames is None or not len(golden.frames):
        return
    for i, wanted in enumerate(golden.frames):
        image = s[i]
        assert image.shape == wanted.shape and image.dtype == wanted.dtype
        if expected["lossless"]:
            assert np.array_equal(image, wanted)
        else:
            assert np.abs(image.astype(float) - wanted).mean() <= expected["tolerance_mean_abs"]


@pytest.mark.parametrize("other", [np.full((8, 6), 7, np.int32), np.full((8, 6, 1), 7, np.float32), np.full((6, 8), 7, np.float32),
                                   np.full((8, 3, 2), 7, np.float32)], ids=lambda other: f"{other.dtype} {other.shape}")
def test_images_of_several_kinds_are_not_stacked(folder, other):
    """As many bytes do not make the same array."""
    with avstore.create(folder / "s", "npy") as w:
        for i in range(4):
            w.add(np.full((8, 6), i, np.float32), i, i)
    np.save(folder / "s/000000/000002.npy", other)
    s = avstore.open(folder / "s")
    assert s.stack([0, 3]).tolist() == [np.full((8, 6), i).tolist() for i in (0, 3)]
    with pytest.raises(avstore.Error, match=f"{folder}/s: .*frame(_index)? 2 "):
        s.stack()


@pytest.mark.parametrize("format", ["png", "mjpeg/avi", "npy"])
def test_one_channel_is_gray(folder, format):
    """Other writers state the shape of gray images as [rows, columns, 1], too."""
    write_store(folder / "s", format, 12)
    chunks = chunk_files(folder / "s")
    expected = decoded(chunks[0], (HEIGHT, WIDTH), "gray") if chunks else np.array([draw(i) for i in range(12)])
    metadata = folder / "s/metadata.yaml"
    metadata.write_text(re.sub(r"(  imgshape:\n  - \d+\n  - \d+\n)", r"\1  - 1\n", metadata.read_text(), count=1))
    assert "- 1\n" in metadata.read_text()
    s = avstore.open(folder / "s")
    assert s.info.color is False
    assert len(s) == len(expected)
    assert all(np.array_equal(frame, image) for frame, image in zip(s, expected))
    assert np.array_equal(s.stack(), expected)
    avstore.transcode(folder / "s", folder / "t", format="png")
    t = avstore.open(folder / "t")
    assert t.info.color is False and t.info.shape == (HEIGHT, WIDTH) and np.array_equal(t.stack(), expected)
    if format == "png":
        with avstore.append(folder / "s") as w:
            w.add(draw(3), 10**6, 10**6)
        assert np.array_equal(avstore.open(folder / "s")[-1], draw(3))


def test_raw_sensor_data_as_they_are(folder):
    mosaic = draw(3)
    with avstore.create(folder / "s", "png", encoding="cv_bayerbg") as w:
        w.add(mosaic, 0, 0)
    assert avstore.open(folder / "s")[0].shape == (HEIGHT, WIDTH, 3)
    assert np.array_equal(avstore.open(folder / "s", raw_sensor=True)[0], mosaic)


# --- the right frames ---

def test_indices_slices_lists_and_masks(gray):
    s = avstore.open(gray)
    for key, places in [
        (slice(3, 30, 7), [3, 10, 17, 24]),
        (slice(None, None, -13), [39, 26, 13, 0]),
        (slice(-3, None), [37, 38, 39]),
        (slice(100, 200), []),
        (slice(7, 3), []),
        ([3, 1, 2], [3, 1, 2]),
        ([-1, 0, -1, -40], [39, 0, 39, 0]),
        ((5, 4), [5, 4]),
        ([], []),
        (range(30, 20, -4), [30, 26, 22]),
        (np.array([2, 2], np.uint8), [2, 2]),
        (np.array([4.0, 2.0]), [4, 2]),
        (np.arange(40) % 13 == 0, [0, 13, 26, 39]),
        ([i % 13 == 0 for i in range(40)], [0, 13, 26, 39]),
        (np.nonzero(np.arange(40) % 13 == 0), [0, 13, 26, 39]),
        (([4, 2],), [4, 2]),
        (np.array([4, np.int8(2), 3.0], object), [4, 2, 3]),
    ]:
        frames = s[key]
        assert [frame.index for frame in frames] == places
        assert [code_of(frame) for frame in frames] == places


def test_indices_and_masks_of_pandas(gray):
    pandas = pytest.importorskip("pandas")
    s = avstore.open(gray)
    for nothing in (pandas.Series([1, 2], dtype="Int64")[lambda x: x > 5], pandas.Index([]), np.array([], object)):
        assert s[nothing] == []
    for kind in ("int64", "Int64", "UInt8", "Float64"):
        assert [frame.index for frame in s[pandas.Series([4, 2], dtype=kind)]] == [4, 2]
    for kind in ("bool", "boolean"):
        mask = pandas.Series(s.frames.time > 7.5, dtype=kind)
        assert [frame.index for frame in s[mask]] == [37, 38, 39]
        assert len(s.stack(mask)) == 3
    assert s[pandas.Index([4, 2])][1].index == 2
    with pytest.raises(TypeError, match="frame indices"):
        s[pandas.Series([True] * 39 + [None], dtype="boolean")]
    # pandas before 2.2 gives NumPy an object that stands for the missing number, then NaN.
    for key in (pandas.Series([4, None], dtype="Int64"), pandas.Series([4, None])):
        with pytest.raises((TypeError, avstore.InvalidArgument), match="frame indices"):
            s[key]
    with pytest.raises(ValueError, match="mask"):
        s[pandas.Series([True], dtype="boolean")]


@pytest.mark.parametrize("kind", INTEGERS + FLOATS)
def test_numbers_of_every_width(gray, kind):
    s = avstore.open(gray)
    assert s[kind(7)].index == 7
    assert s.at_number(kind(120)).index == 10
    assert s.at_number(kind(121), nearest=True).index in (10, 11)
    assert s.at_time(kind(4)).index == 8
    assert s.find(number=kind(120)).index == 10
    assert s[np.array(kind(7))].index == 7


def test_numbers_and_times_find_frames(gray):
    s = avstore.open(gray)
    for i in (0, 17, 39):
        assert code_of(s.at_number(100 + 2 * i)) == i
        assert code_of(s.at_time(i / 8 + 3.06)) == i
    assert s.at_number(10**30, nearest=True).index == 39
    assert s.at_number(-10**30, nearest=True).index == 0
    assert s.at_time(float("inf")).index == 39
    info = s.find(index=-40)
    assert info == (0, 100, 3.0, 0, 0, info.pts, True)


def test_what_is_not_there(gray):
    s = avstore.open(gray)
    for call, kinds in [
        (lambda: s[40], (avstore.EndOfStore, EOFError, IndexError)),
        (lambda: s[-41], (avstore.EndOfStore, EOFError, IndexError)),
        (lambda: s[2**64], (avstore.EndOfStore, EOFError, IndexError)),
        (lambda: s[[1, 40]], (avstore.EndOfStore,)),
        (lambda: s[[1, -41]], (avstore.EndOfStore,)),
        (lambda: s.at_number(101), (avstore.NotFound, KeyError)),
        (lambda: s.at_number(2**64), (avstore.NotFound, KeyError)),
        (lambda: s.at_number(100.5), (avstore.InvalidArgument, ValueError)),
        (lambda: s[1.5], (ValueError,)),
        (lambda: s[float("nan")], (ValueError,)),
        (lambda: s[[0.5]], (ValueError,)),
        (lambda: s[[[1]]], (ValueError,)),
        (lambda: s[[True, False]], (ValueError,)),
        (lambda: s["1"], (TypeError,)),
        (lambda: s[None], (TypeError,)),
        (lambda: s[True], (TypeError,)),
        (lambda: s[np.True_], (TypeError,)),
        (lambda: s[np.array(True)], (TypeError,)),
        (lambda: s[[1, True, "a"]], (TypeError,)),
        (lambda: s[np.array([1, True], object)], (TypeError,)),
        (lambda: s[[2**70, 1]], (ValueError,)),
        (lambda: s[{1, 2}], (TypeError,)),
        (lambda: s[(i for i in (1, 2))], (TypeError,)),
        (lambda: s[np.nonzero(np.ones((2, 2)))], (ValueError,)),
        (lambda: s.at_number(True), (TypeError,)),
        (lambda: s[["1"]], (TypeError,)),
        (lambda: s.at_number("1"), (TypeError,)),
        (lambda: s.find(), (ValueError,)),
        (lambda: s.find(index=1, time=2), (ValueError,)),
        (lambda: 3 in s, (TypeError,)),
    ]:
        for kind in kinds:
            with pytest.raises(kind) as raised:
                call()
            if isinstance(raised.value, (avstore.EndOfStore, avstore.NotFound)):
                assert str(gray) in str(raised.value)


def test_what_cannot_be_opened(folder):
    with pytest.raises(FileNotFoundError) as raised:
        avstore.open(folder / "none")
    assert isinstance(raised.value, (avstore.NotFound, KeyError)) and str(folder / "none") in str(raised.value)
    store = write_store(folder / "s")
    with pytest.raises(ValueError, match="yuv420p"):
        avstore.open(store, pixel_format="yuv420p")
    with pytest.raises(ValueError, match="nonsense"):
        avstore.open(store, pixel_format="nonsense")
    (store / "metadata.yaml").write_text("__store: [", encoding="utf-8")
    with pytest.raises(avstore.Corrupt, match=str(store)):
        avstore.open(store)


def test_damage_is_told(folder):
    store = write_store(folder / "s", "h264/mkv", keyframe_interval=5)
    chunk = chunk_files(store)[1]
    chunk.write_bytes(chunk.read_bytes()[:300] + b"\0" * (chunk.stat().st_size - 300))
    s = avstore.open(store)
    assert code_of(s[3]) == 3
    with pytest.raises(avstore.Corrupt, match=str(store)):
        s[20]
    with pytest.raises(avstore.Corrupt, match=str(store)):
        s[[3, 20]]
    assert code_of(s[33]) == 33


def test_an_empty_store(folder):
    avstore.create(folder / "s").close()
    s = avstore.open(folder / "s")
    assert len(s) == 0 and list(s) == [] and s[:] == [] and len(s.frames) == 0
    assert s.info.number_min is None and s.info.time_max is None
    with pytest.raises(EOFError):
        s[0]
    with pytest.raises(KeyError):
        s.at_time(0)
    assert s.to_dask().shape[0] == 0


def test_iterating_forward_and_backward(gray):
    s = avstore.open(gray)
    assert [code_of(frame) for frame in s] == list(range(40))
    assert [frame.index for frame in reversed(s)] == list(range(39, -1, -1))
    one, other = iter(s), iter(s)
    assert [next(one).index, next(one).index, next(other).index, next(one).index] == [0, 1, 0, 2]


def test_reading_on_and_on_decodes_each_frame_once(gray):
    s = avstore.open(gray, threads=1)
    for _ in s:
        pass
    assert s.statistics.frames_decoded == 40
    assert s.statistics.seek_recoveries == 0


def test_many_decode_no_frame_twice(gray):
    s = avstore.open(gray)
    s[[39, 0, 38, 1, 37, 2, 39]]
    assert s.statistics.frames_decoded <= 5 + 5  # the last interval of 5 frames and the first


# --- what a frame is ---

@pytest.mark.parametrize("how", ["list", "stack"])
def test_control_c_stops_reading_many(folder, how):
    """With a switch interval of minutes, the signal is sent when reading lets go of the interpreter."""
    script = """
import os, signal, sys, threading, numpy, avstore
path, how = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)
image = numpy.random.default_rng(0).integers(0, 255, (96, 128), numpy.uint8)
with avstore.create(path, "ffv1/mkv", chunk_size=100) as w:
    for i in range(100):
        w.add(image, i, i)
    w.sync()
with avstore.append(path) as w:
    for _ in range(5):
        w.insert_chunk(path + "/000000.mkv", range(100), range(100))
s = avstore.open(path)
last = s[599]
before = s.statistics.frames_decoded
sys.setswitchinterval(600)
begun = threading.Event()
thread = threading.Thread(target=lambda: (begun.wait(), os.kill(os.getpid(), signal.SIGINT)))
thread.start()
try:
    begun.set()
    s[:] if how == "list" else s.stack()
except KeyboardInterrupt:
    print("interrupted")
thread.join()
print(s.statistics.frames_decoded - before < 600, numpy.array_equal(s[599], last))
"""
    assert python(script, folder / "s", how).split() == ["interrupted", "True", "True"]


def test_a_frame_is_an_array_that_knows_its_names(gray):
    frame = avstore.open(gray)[7]
    assert isinstance(frame, np.ndarray)
    assert (frame.index, frame.number, frame.time) == (7, 114, 3.875)
    assert [type(value) for value in (frame.index, frame.number, frame.time)] == [int, int, float]
    assert (frame.info.chunk, frame.info.frame_idx, frame.info.keyframe) == (0, 7, False)
    for same in (frame[10:20, ::2], frame.copy(), copy.copy(frame), copy.deepcopy(frame), pickle.loads(pickle.dumps(frame)),
                 pickle.loads(pickle.dumps(frame, protocol=2))):
        assert (same.index, same.number, same.time) == (7, 114, 3.875)
    assert np.array_equal(pickle.loads(pickle.dumps(frame)), frame)
    for computed in (frame + 1, frame * 0.5, frame - frame, np.sqrt(frame), frame.mean(axis=0), np.asarray(frame)):
        assert type(computed) is np.ndarray
    assert isinstance(frame.mean(), np.floating) and isinstance(frame.max(), np.uint8)
    with pytest.raises(AttributeError):
        frame.view(np.ndarray).view(avstore.Frame).number


def test_frames_changed_in_place_keep_their_names(gray):
    with avstore.open(gray) as s:
        frame, drawn = s[7], np.asarray(s[7]).astype(int)
    address = frame.ctypes.data
    frame //= 2
    frame += 1
    assert type(frame) is avstore.Frame and (frame.index, frame.ctypes.data) == (7, address)
    np.testing.assert_array_equal(frame, drawn // 2 + 1)
    for changed in (np.clip(frame, 0, 5, out=frame), np.add(frame, 1, out=frame, where=frame > 1), frame.clip(0, 3, out=frame)):
        assert changed is frame and frame.index == 7
    part = frame[:4]
    part *= 0
    assert part.index == 7 and not frame[:4].any()
    # Into other arrays, and into another frame, which keeps its own names.
    target = np.zeros(frame.shape)
    assert type(np.add(frame, 1, out=target)) is np.ndarray
    target += frame
    assert type(target) is np.ndarray
    with avstore.open(gray) as s:
        other = s[9]
    assert np.subtract(frame, frame, out=other).index == 9


def test_arrays_like_a_frame_are_no_frames(gray):
    with avstore.open(gray) as s:
        frame = s[7]
    for made in (np.zeros_like(frame), np.ones_like(frame), np.empty_like(frame, dtype=float), np.full_like(frame, 3)):
        assert type(made) is np.ndarray and made.shape == frame.shape
    assert np.zeros_like(frame).dtype == frame.dtype and not np.zeros_like(frame).any() and (np.full_like(frame, 3) == 3).all()


def test_frames_outlive_everything(gray, gray_frames):
    s = avstore.open(gray)
    kept = [s[3], s[4][5:], *s[[8, 8, 9]], s.at_time(5)]
    for _ in range(3):
        list(s)
    s.close()
    del s
    gc.collect()
    for frame, part in zip(kept, (slice(None), slice(5, None), *[slice(None)] * 4)):
        assert np.array_equal(frame, gray_frames[frame.index][part])


@pytest.mark.parametrize("format", ["avc1/mp4", "ffv1/mkv", "png", "npy"])
@pytest.mark.parametrize("channels", [0, 3])
def test_frames_are_ones_own_to_write_to(folder, format, channels):
    s = avstore.open(write_store(folder / "s", format, channels=channels))
    untouched = avstore.open(folder / "s").stack()
    for frame in s:
        assert frame.flags.writeable
        assert np.array_equal(frame, untouched[frame.index])
        frame[:] = 255 - frame
    for frame in s[[3, 3, 2, 3]]:
        assert np.array_equal(frame, untouched[frame.index])
        frame[:] = 0


def test_read_only_frames_share_the_pixels(gray, gray_frames):
    s = avstore.open(gray, writable=False)
    first, second = s[[3, 3]]
    assert np.shares_memory(first, second)
    for frame in s:
        assert not frame.flags.writeable and np.array_equal(frame, gray_frames[frame.index])
    with pytest.raises(ValueError):
        first[0, 0] = 1
    assert not first.flags.owndata  # no copy was made


# --- all but the pixels ---

def test_what_a_store_says_of_itself(gray):
    with avstore.open(str(gray / "metadata.yaml")) as s:
        assert s.info.format == "avc1/mp4" and s.info.shape == (HEIGHT, WIDTH) and s.info.dtype == "uint8"
        assert (s.info.number_min, s.info.number_max, s.info.time_min, s.info.time_max) == (100, 178, 3.0, 7.875)
        assert s.info.nominal_frame_rate == 25 and s.info.chunk_count == 3
        assert s.metadata == {"subject": {"id": 7}}
        assert s.created.tzinfo is not None
        assert "40 frames of 64x96" in repr(s)
    with pytest.raises(ValueError, match="closed"):
        s[0]
    s.close()


def test_names_of_all_frames_without_decoding(gray):
    s = avstore.open(gray)
    assert s.frames.number.tolist() == list(range(100, 180, 2)) and s.frames.number.dtype == np.int64
    assert s.frames.time.tolist() == (np.arange(40) / 8 + 3).tolist()
    assert s.frames is s.frames and not s.frames.time.flags.writeable
    assert s.statistics.frames_decoded == 0 and s.statistics.files_opened == 0


def test_numbers_and_times_at_their_limits(folder):
    numbers = [2**63 - 1, -2**63, 0, 0]
    times = [1e300, -1e300, float("nan"), 5e-324]
    s = avstore.open(write_store(folder / "s", count=4, numbers=numbers, times=times))
    assert s.frames.number.tolist() == numbers
    assert np.array_equal(s.frames.time, times, equal_nan=True)
    assert s.at_number(2**63 - 1).index == 0 and s.at_number(-2**63).index == 1 and s.at_number(0).index == 2


def test_keyframes(gray):
    s = avstore.open(gray)
    assert s.keyframes().tolist() == [0, 5, 10, 15, 20, 25, 30, 35]
    assert s.keyframes(6, np.int16(20)).tolist() == [10, 15]
