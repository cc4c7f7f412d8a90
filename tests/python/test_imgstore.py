"""The drop-in for imgstore, against stores that imgstore wrote and what it read from them."""
import contextlib
import datetime
import itertools
import json
import math
import os
import pickle
import shutil
import sqlite3
import subprocess

import numpy as np
import pytest

import avstore
import avstore.imgstore as imgstore
from avstore import arguments
from avstore.imgstore import align, constants, index, stores, util

from conftest import chunk_files, code_of, decoded, draw, golden_store, golden_stores, python, write_store

GOLDEN_STORES = golden_stores()
GRAY, COLOR = (64, 96), (64, 96, 3)


def copy_of(name, folder):
    """Golden stores are not to be written to, and opening one may save an index in it."""
    path = folder / name
    shutil.copytree(golden_store(name).path, path)
    return path


def names_in(golden):
    """Numbers and times of all frames. imgstore itself stops reading at a chunk that lost its index."""
    names = golden.expected
    if len(names["frame_number"]) == names["frame_count"]:
        return names["frame_number"], names["frame_time"]
    arrays = [np.load(golden.path / f"{chunk:06d}.npz") for chunk in names["chunks"]]
    return tuple(np.concatenate([array[name] for array in arrays]).tolist() for name in ("frame_number", "frame_time"))


def new_store(folder, format="npy", count=12, shape=GRAY, numbers=None, name="store", chunksize=5):
    """Frame i shows the number i, and its time is 10 + i / 4."""
    store = imgstore.new_for_format(format, str(folder / name), imgshape=shape, imgdtype=np.uint8, chunksize=chunksize)
    for i in range(count):
        store.add_image(draw(i, channels=3 if shape == COLOR else 0), i if numbers is None else numbers[i], 10 + i / 4)
    store.close()
    return store


# --- stores that imgstore wrote ---


# One has a chunk that lost its index, which is told.
@pytest.mark.filterwarnings("ignore::avstore.AvstoreWarning")
@pytest.mark.parametrize("golden", GOLDEN_STORES, ids=lambda golden: golden.path.name)
def test_reads_what_imgstore_reads(golden, folder):
    expected = golden.expected
    numbers, times = names_in(golden)
    with imgstore.new_for_filename(copy_of(golden.path.name, folder)) as store:
        assert type(store).__name__ == expected["class_"].replace("FFMPEG", "")
        assert (len(store), store.frame_count) == (expected["frame_count"],) * 2
        if expected["frame_count"]:
            assert (store.frame_min, store.frame_max) == (expected["frame_min"], expected["frame_max"])
            assert (store.frame_time_min, store.frame_time_max) == (min(times), max(times))
            assert store.duration == max(times) - min(times)
        else:
            assert math.isnan(store.frame_min) and math.isnan(store.frame_max) and store.duration == 0
        assert store.chunks == expected["chunks"]
        assert store.get_frame_metadata() == {"frame_number": numbers, "frame_time": times}
        for what in ("user_metadata", "uuid"):
            if what in expected:
                assert getattr(store, what) == expected[what]
        assert store.has_extra_data == expected["has_extra_data"]
        if "created_utc" in expected:
            created, zone = store.created
            assert created == datetime.datetime.fromisoformat(expected["created_utc"])
            assert created.utcoffset() == datetime.timedelta(0)
            assert str(zone) == expected["timezone"]
        if not expected["has_extra_data"]:
            assert store.get_extra_data() is None
        else:
            assert_records(store.get_extra_data(), expected["extra_data"])


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


@pytest.mark.filterwarnings("ignore::avstore.AvstoreWarning")
@pytest.mark.parametrize("golden", [golden for golden in GOLDEN_STORES if golden.frames is not None],
                         ids=lambda golden: golden.path.name)
def test_images_are_those_that_imgstore_read(golden, folder):
    numbers, times = names_in(golden)
    names = list(zip(numbers, times))
    with imgstore.new_for_filename(copy_of(golden.path.name, folder)) as store:
        for i in range(len(golden.frames)):
            image, name = store.get_next_image()
            assert name == names[i] and type(name[0]) is int and type(name[1]) is float
            assert_image(image, golden, i)
            assert image.shape == store.image_shape
        if names:
            store.get_image(None, frame_index=len(names) - 1)
        for read in (store.get_next_image, store.get_next_framenumber):
            with pytest.raises(EOFError):
                read()
        for i in np.random.default_rng(0).permutation(len(golden.frames)):
            image, name = store.get_image(None, frame_index=i)
            assert name == names[i]
            assert_image(image, golden, i)
            assert store.get_image(np.int64(numbers[i]))[1] == names[numbers.index(numbers[i])]
            assert store.get_nearest_image(np.float64(times[i]))[1] == names[times.index(times[i])]


def assert_image(image, golden, i):
    wanted = golden.frames[i]
    assert type(image) is np.ndarray and image.shape == wanted.shape and image.dtype == wanted.dtype
    difference = np.abs(image.astype(np.float64) - wanted.astype(np.float64)).mean()
    assert difference <= golden.expected["tolerance_mean_abs"]


def test_a_store_that_motif_recorded(folder):
    path = copy_of("motif_store_mp4", folder)
    store = imgstore.new_for_filename(path / "metadata.yaml")
    assert (store.frame_min, store.frame_max, store.chunks) == (0, 178, [0, 1])
    for i in np.random.default_rng(1).permutation(179)[:40]:
        image, (number, _) = store.get_image(i)
        bars = image.reshape(len(image), 16, -1).mean(axis=(0, 2)) > 127
        code = int("".join("1" if bar else "0" for bar in bars), 2)
        assert number == code == i
        np.testing.assert_array_equal(imgstore.extract_only_frame(path, i), image)


@pytest.mark.filterwarnings("ignore::avstore.AvstoreWarning")
def test_reading_goes_on_after_a_chunk_that_lost_its_index(folder):
    store = imgstore.new_for_filename(copy_of("missing_index_avc1", folder))
    assert store.chunks == [0, 2]
    store.get_image(None, frame_index=9)
    assert store.get_next_image()[1][0] == store.get_frame_metadata()["frame_number"][10]


@pytest.mark.parametrize("seek", [True, False])
def test_h264_mkv_seeks_exactly(folder, seek):
    # Chunks of 250 frames: several keyframe intervals each.
    new_store(folder, "h264/mkv", 600, COLOR, chunksize=250)
    chunks = [decoded(file, COLOR, "bgr24") for file in chunk_files(folder / "store")]
    linear = np.concatenate(chunks)
    assert len(linear) == 600
    with imgstore.new_for_filename(str(folder / "store"), seek=seek) as store:
        for i in np.random.default_rng(2).permutation(600)[:60]:
            image, (number, _) = store.get_image(i)
            assert number == i and code_of(image) == i % 256
            np.testing.assert_allclose(image.astype(int), linear[i], atol=4)


# --- finding frames ---


def test_numbers_of_every_kind_are_found(folder):
    new_store(folder)
    store = imgstore.new_for_filename(str(folder / "store"))
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64, int):
        assert store.get_image(kind(7))[1] == (7, 11.75)
        assert store.get_image(None, frame_index=kind(7))[1] == (7, 11.75)
        assert store.get_image(kind(100), exact_only=False)[1][0] == 11
    assert store.get_nearest_image(np.float32(11.8))[1] == (7, 11.75)
    assert store.get_image(6.8, exact_only=False)[1][0] == 7


def test_missing_frames_are_value_errors_and_change_nothing(folder):
    new_store(folder, numbers=[3, 4, 9, 20, 20, 21, 5, 6, 7, 8, 1, 2])
    store = imgstore.new_for_filename(str(folder / "store"))
    assert math.isnan(store.frame_number) and math.isnan(store.frame_time)
    assert store.get_image(20)[1] == (20, 10.75)
    for number in (10, np.int32(10), -1, 2**70, 4.5, math.nan, math.inf, None, "4"):
        with pytest.raises(ValueError, match="store"):
            store.get_image(number)
    for number in (math.nan, math.inf, None):
        with pytest.raises(ValueError):
            store.get_image(number, exact_only=False)
    for place in (-1, 12, np.int64(12), 2**70):
        with pytest.raises(ValueError):
            store.get_image(None, frame_index=place)
    assert (store.frame_number, store.frame_time) == (20, 10.75)
    assert store.get_next_framenumber() == 20
    assert store.get_next_image()[1] == (20, 11.0)
    assert store.get_next_image()[1] == (21, 11.25)
    assert store.get_image(2**70, exact_only=False)[1][0] == 21
    assert store.get_image(12, exact_only=False)[1][0] == 9
    store.get_image(2)
    with pytest.raises(EOFError, match="store"):
        store.get_next_image()


def test_an_empty_store(folder):
    store = imgstore.new_for_filename(copy_of("empty_npy", folder))
    assert len(store) == 0 and store.chunks == [] and store.get_frame_metadata() == {"frame_number": [], "frame_time": []}
    assert math.isnan(store.frame_time_min)
    for read in (lambda: store.get_image(0), lambda: store.get_image(0, exact_only=False), lambda: store.get_nearest_image(0.0),
                 lambda: store.get_image(None, frame_index=0), lambda: store.get_image(store.frame_max)):
        with pytest.raises(ValueError):
            read()
    with pytest.raises(EOFError):
        store.get_next_image()


def test_chunks_of_unequal_length(folder):
    with avstore.create(folder / "store", "mjpeg/avi", chunk_size=7) as writer:
        for i in range(45):
            writer.add(draw(i), i, i / 25)
    lengths = [len(decoded(file, GRAY, "gray")) for file in chunk_files(folder / "store")]
    assembled = imgstore.VideoImgStore(basedir=str(folder / "assembled"), mode="w", imgshape=GRAY, format="mjpeg")
    first = 0
    for i in (6, 0, 3):
        assembled.insert_chunk(str(chunk_files(folder / "store")[i]), range(first, first + lengths[i]),
                               np.arange(first, first + lengths[i]) / 8, move=False)
        first += lengths[i]
    assembled.close()
    store = imgstore.new_for_filename(str(folder / "assembled"))
    assert store._playback.runs() == [(0, 0, 3), (1, 3, 10), (2, 10, 17)]
    assert [code_of(store.get_image(i)[0]) for i in (16, 0, 3, 9)] == [27, 42, 0, 6]


@pytest.mark.filterwarnings("ignore::avstore.AvstoreWarning")
def test_a_file_that_is_gone_is_no_missing_frame(folder):
    new_store(folder, "mjpeg")
    chunk_files(folder / "store")[1].unlink()
    store = imgstore.new_for_filename(str(folder / "store"))
    store.get_image(3)
    for read in (lambda: store.get_image(7), lambda: store.get_image(None, frame_index=7), lambda: store.get_nearest_image(11.75)):
        with pytest.raises(avstore.Error, match="000001") as raised:
            read()
        assert not isinstance(raised.value, ValueError)
    assert store.get_next_image()[1][0] == 4


def test_a_closed_store_opens_again_where_it_was(folder):
    new_store(folder)
    store = imgstore.new_for_filename(str(folder / "store"))
    store.get_image(4)
    store.close()
    store.close()
    assert store.frame_count == 12
    assert store.get_next_image()[1][0] == 5


def test_stores_can_be_pickled(folder):
    new_store(folder)
    store = imgstore.new_for_filename(str(folder / "store"))
    store.get_image(4)
    assert pickle.loads(pickle.dumps(store)).get_next_image()[1][0] == 5


def test_raw_sensor_data(folder):
    path = copy_of("bayer_bg_npy", folder)
    store = imgstore.new_for_filename(path)
    assert store.image_shape == (48, 64, 3)
    store.disable_decoding()
    np.testing.assert_array_equal(store.get_next_image()[0], np.load(path / "000000" / "000000.npy"))


# --- opening ---


def test_ways_to_name_a_store(folder):
    new_store(folder)
    path = str(folder / "store")
    full = os.path.join(path, "metadata.yaml")
    for store in (imgstore.new_for_filename(path), imgstore.new_for_filename(full), imgstore.new_for_filename(None, basedir=path),
                  imgstore.new_for_filename(folder / "store"), imgstore.new_for_format(None, None, mode="r", basedir=path),
                  imgstore.new_for_format(None, path=full, mode="r"), imgstore.DirectoryImgStore(basedir=path, mode="r")):
        assert (store.filename, store.full_path, store.mode) == (path, full, "r")
    for call in (lambda: imgstore.new_for_filename(path, basedir=path), lambda: imgstore.new_for_filename(None),
                 lambda: imgstore.new_for_filename(None, basedir=full), lambda: imgstore.new_for_format(None, mode="r"),
                 lambda: imgstore.new_for_filename(str(folder / "nowhere")), lambda: imgstore.new_for_filename(str(folder)),
                 lambda: imgstore.VideoImgStore(basedir=path, mode="r"), lambda: imgstore.new_for_filename(path, mode="x"),
                 lambda: imgstore.new_for_format("nonsense", path + "2", imgshape=GRAY),
                 lambda: imgstore.new_for_format("npy", path + "2"), lambda: imgstore.new_for_format("npy", imgshape=GRAY),
                 lambda: imgstore.new_for_format("npy", path + "2", imgshape=GRAY, metadata=[1]),
                 lambda: imgstore.new_for_format("npy", path + "2", imgshape=GRAY, chunksize=0),
                 lambda: imgstore.new_for_format("npy", path + "2", imgshape=GRAY, encoding="cv_nonsense"),
                 lambda: imgstore.VideoImgStore(basedir=path + "2", mode="w", imgshape=GRAY, format="npy")):
        with pytest.raises(ValueError):
            call()
    assert not os.path.exists(path + "2")
    with pytest.raises(FileNotFoundError):
        imgstore.new_for_filename(os.path.join(folder, "nowhere", "metadata.yaml"))
    with pytest.raises(TypeError):
        imgstore.new_for_filename(path, index={})
    with pytest.raises(TypeError):
        imgstore.new_for_filename(path, qality=3)
    assert len(imgstore.new_for_filename(path, index=index.ImgStoreIndex.new_from_file(path + "/.index.sqlite"))) == 12


def test_relative_paths_outlive_a_change_of_the_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "elsewhere").mkdir()
    written = imgstore.new_for_format("pgm", "store", imgshape=GRAY, imgdtype=np.uint8, chunksize=4)
    written.add_image(draw(0), 0, 0.0)
    monkeypatch.chdir(folder / "elsewhere")
    for i in range(1, 10):
        written.add_image(draw(i), i, i / 4)
    written.add_extra_data(force=1)
    written.close()
    monkeypatch.chdir(folder)
    store = imgstore.new_for_filename("store")
    assert code_of(store.get_next_image()[0]) == 0
    monkeypatch.chdir(folder / "elsewhere")
    assert code_of(store.get_image(9)[0]) == 9 and store.has_extra_data and store.get_extra_data()["force"].tolist() == [1]
    assert (store.filename, store.find_extra_data_files()) == ("store", [os.path.join("store", "000002", "index.extra.json")])
    store.close()
    assert code_of(store.get_image(5)[0]) == 5
    (folder / "store" / ".index.sqlite").unlink()
    store.save_index()
    assert (folder / "store" / ".index.sqlite").exists() and list((folder / "elsewhere").iterdir()) == []


def test_a_store_is_made_with_the_folders_above_it(folder):
    new_store(folder, name="d1/d2/store")
    assert len(imgstore.new_for_filename(str(folder / "d1" / "d2" / "store"))) == 12


def test_a_store_in_the_working_folder(folder, monkeypatch):
    new_store(folder)
    monkeypatch.chdir(folder / "store")
    assert len(imgstore.new_for_filename("metadata.yaml")) == 12


def test_neither_opencv_nor_pandas_nor_yaml_is_needed(folder):
    path = copy_of("extra_npy", folder)
    print(python("""
import sys
for name in ("cv2", "pandas", "yaml", "h5py", "tzlocal", "pytz"):
    sys.modules[name] = None
import numpy as np
import avstore.imgstore as imgstore
from avstore.imgstore import align, constants, index, stores, util
store = imgstore.new_for_filename(sys.argv[1])
assert store.get_next_image()[0].shape == (48, 64)
assert store.user_metadata["subject"] == {"id": 7, "tags": ["a", "b"]}
extra = store.get_extra_data()
assert list(extra) == ["temperature", "humidity", "label", "vec", "frame_time", "frame_number", "frame_index"]
assert extra["temperature"][1] == 20.8
table = util.motif_extra_data_h5_to_df(None, sys.argv[2] + "/000000.extra_data.h5")
assert list(table) == ["force", "position", "sample_delay", "frame_time", "frame_number", "frame_index"]
assert table["position"].tolist()[:3] == [0.0, 1.0, 2.0]
table = util.motif_extra_data_json_to_df(None, sys.argv[3] + "/000000.extra_data.json")
assert table["frame_index"].tolist() == sorted(table["frame_index"]) and len(table["temperature"]) == len(table["frame_index"])
""", path, copy_of("motif_extra_h5", folder), copy_of("motif_extra_json", folder)))


# --- writing ---


@pytest.mark.parametrize("shape", [GRAY, COLOR], ids=["gray", "color"])
@pytest.mark.parametrize("format", [*imgstore.get_supported_formats(), "mjpeg"])
def test_every_format_reads_as_it_was_written(folder, format, shape):
    if format.startswith("av1"):
        encoders = [each for each in avstore.encoders(format, 96, 64) if each.available]
        if not encoders:
            pytest.skip("no AV1 encoder")
    with imgstore.new_for_format(format, basedir=str(folder), mode="w", imgshape=shape, imgdtype=np.uint8, chunksize=5,
                                 format=format, metadata={"timezone": "Europe/Vienna"}) as written:
        assert os.path.exists(folder / constants.STORE_LOCK_FILENAME)
        for i in range(12):
            written.add_image(draw(i, channels=3 if shape == COLOR else 0), 100 + i, 10 + i / 4)
        assert (written.frame_count, written.frame_min, written.frame_max) == (12, 100, 111)
        assert (written.frame_number, written.frame_time, written.duration) == (111, 12.75, 2.75)
        assert written.chunks == [0, 1] and written.mode == "w" and written.image_shape == shape
    assert not os.path.exists(folder / constants.STORE_LOCK_FILENAME)
    assert written.chunks == [0, 1, 2]
    store = imgstore.new_for_filename(str(folder))
    assert store.user_metadata == {"timezone": "Europe/Vienna"} and store.chunks == [0, 1, 2]
    assert (store.uuid, store.created) == (written.uuid, written.created)
    assert store.lossless == written.lossless and store.image_shape == shape
    for i in (7, 0, 11, 5):
        image, name = store.get_image(100 + i)
        drawn = draw(i, channels=3 if shape == COLOR else 0)
        assert name == (100 + i, 10 + i / 4) and image.shape == shape and code_of(image) == i
        # Colour becomes gray in pgm; ppm holds gray in three channels.
        if store.lossless and not (format == "pgm" and shape == COLOR):
            np.testing.assert_array_equal(image, drawn)


def metadata_in_file(path):
    import yaml
    metadata = yaml.safe_load((path / "metadata.yaml").read_text(encoding="utf-8"))
    return {**metadata.pop("__store"), "user": metadata}


@pytest.mark.parametrize("format", ["npy", "mjpeg", "png+color"])
def test_a_store_says_what_it_is_from_the_beginning(folder, format):
    raw = format == "png+color"
    store = imgstore.new_for_format(format, str(folder / "store"), imgshape=GRAY, imgdtype=np.uint8, chunksize=4,
                                    encoding="cv_bayerbg" if raw else None, metadata={"rig": "left"})
    uuid, created = store.uuid, store.created
    assert len(uuid) == 32 and int(uuid, 16)

    def assert_same():
        assert (store.uuid, store.created, store.user_metadata) == (uuid, created, {"rig": "left"})
        said = metadata_in_file(folder / "store")
        assert (said["uuid"], said["chunksize"], said["encoding"], said["user"]) == (uuid, 4, None, {"rig": "left"})
        assert said["created_utc"] == created[0].replace(tzinfo=None).isoformat()
        assert said["timezone_local"] == str(created[1])
        assert (said["imgshape"], said["imgdtype"]) == ([*GRAY, 3] if raw else [*GRAY], "uint8")
        assert said["format"] == {"mjpeg": "mjpeg/avi", "png+color": "png"}.get(format, format)

    assert_same()
    read = imgstore.new_for_filename(str(folder / "store"))
    assert (read.uuid, read.frame_count, read.image_shape) == (uuid, 0, COLOR if raw else GRAY)
    for i in range(6):
        store.add_image(draw(i), i, i / 4)
    assert_same()
    store.empty()
    assert_same()
    for i in range(10, 16):
        store.add_image(draw(i), i, i / 4)
    store.close()
    assert_same()
    read = imgstore.new_for_filename(str(folder / "store"))
    assert (read.uuid, read.created, read.frame_min, read.frame_count) == (uuid, created, 10, 6)


@pytest.mark.parametrize("emptied", [False, True])
def test_options_of_the_engine_hold(folder, emptied):
    times = [0.0, 0.04, 1.0, 1.5]
    with imgstore.new_for_format("avc1/mp4", str(folder / "store"), imgshape=GRAY, timing="real", frame_rate=30,
                                 created="2024-01-02T03:04:05", timezone="Asia/Tokyo") as store:
        if emptied:
            store.add_image(draw(9), 9, 9.0)
            store.empty()
        for i, time in enumerate(times):
            store.add_image(draw(i), i, time)
    shown = json.loads(subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_entries", "packet=pts_time",
                                       str(folder / "store" / "000000.mp4")], check=True, stdout=subprocess.PIPE).stdout)
    assert [float(packet["pts_time"]) for packet in shown["packets"]] == pytest.approx(times, abs=1e-3)
    info = avstore.open(folder / "store").info
    assert (info.nominal_frame_rate, info.created_utc, info.timezone_local) == (30, "2024-01-02T03:04:05", "Asia/Tokyo")
    assert store.created[0] == datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize("gone", [False, True])
def test_reading_on_goes_behind_a_damaged_frame(folder, gone):
    write_store(folder / "s", "png", 6)
    damaged = folder / "s/000000/000002.png"
    damaged.write_bytes(b"no image")
    if gone:
        damaged.unlink()
    with imgstore.new_for_filename(str(folder / "s")) as store:
        assert [code_of(store.get_next_image()[0]) for _ in range(2)] == [0, 1]
        with pytest.raises(avstore.Error):
            store.get_next_image()
        assert store.frame_number == 1 and store.get_next_framenumber() == 3
        assert [code_of(store.get_next_image()[0]) for _ in range(3)] == [3, 4, 5]
        with pytest.raises(EOFError):
            store.get_next_image()


def test_a_store_is_not_replaced_by_one_whose_encoder_does_not_open(folder):
    write_store(folder / "s", count=5)
    with pytest.raises(avstore.Error, match="nosuch"):
        imgstore.new_for_format("avc1/mp4", str(folder / "s"), imgshape=GRAY, overwrite=True, encoder="nosuch")
    assert len(avstore.open(folder / "s")) == 5


def test_save_index_of_a_store_that_is_recorded_does_nothing(folder):
    with avstore.create(folder / "s", "png") as writer:
        for i in range(3):
            writer.add(draw(i), i, i)
        writer.sync()
        with imgstore.new_for_filename(str(folder / "s")) as store:
            writer.add(draw(3), 3, 3)
            writer.sync()
            store.save_index()


def test_a_wide_float_is_the_number_it_is():
    assert arguments.whole(np.longdouble(2**53) + 1, "a number") == 2**53 + 1


def test_places_that_are_none_are_in_no_chunk(folder):
    write_store(folder / "s", count=5)
    found = index.ImgStoreIndex.new_from_file(str(folder / "s/.index.sqlite"))
    assert [found.find_chunk("index", place) for place in (4, 4.0, 1.5, 5, 2**63, -1)] == \
        [(0, 4), (0, 4)] + [(-1, -1)] * 4


@pytest.mark.parametrize("hidden", ["", "pytz"])
def test_time_zones_are_of_one_kind(folder, hidden):
    """pytz's, as imgstore's are, where that package is there."""
    if not hidden:
        pytest.importorskip("pytz")
    tests = os.path.dirname(os.path.abspath(__file__))
    print(python("""
import datetime, sys, warnings
if sys.argv[2:]:
    sys.modules[sys.argv[2]] = None
import avstore
import avstore.imgstore as imgstore
from conftest import draw
store = imgstore.new_for_format("npy", sys.argv[1] + "/store", imgshape=(64, 96))
zones = [store.created[1]]
store.add_image(draw(0), 0, 1718452800.0)
zones.append(store.created[1])
store.close()
zones += [store.created[1], imgstore.new_for_filename(store.full_path).created[1]]
with avstore.create(sys.argv[1] + "/other", "npy", timezone="Asia/Tokyo") as writer:
    writer.add(draw(0), 0, 0.0)
other = imgstore.new_for_filename(sys.argv[1] + "/other")
assert other.created[1].utcoffset(datetime.datetime(2024, 1, 1)) == datetime.timedelta(hours=9)
assert {str(zone) for zone in zones} == {"Europe/Vienna"} and len({type(zone) for zone in zones}) == 1
assert type(zones[0]).__module__.split(".")[0] == ("zoneinfo" if sys.argv[2:] else "pytz")
assert store.convert_frame_time_to_datetime(1718452800.0).isoformat() == "2024-06-15T14:00:00+02:00"
assert other.convert_frame_time_to_datetime(1718452800.0).isoformat() == "2024-06-15T21:00:00+09:00"
if not sys.argv[2:]:
    assert zones[0].localize(datetime.datetime(2024, 6, 15, 14)).timestamp() == 1718452800.0
    import pytz
    assert store.created[0].tzinfo is pytz.utc
file = sys.argv[1] + "/other/metadata.yaml"
text = open(file).read()
open(file, "w").write(text.replace("Asia/Tokyo", "Mars/Base"))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    other = imgstore.new_for_filename(file)
assert "Mars/Base" in str(told[0].message) and told[0].category is avstore.AvstoreWarning
assert str(other.created[1]) == "UTC"
open(file, "w").write(text.replace("timezone_local: Asia/Tokyo", ""))
assert str(imgstore.new_for_filename(file).created[1]) == "Europe/Vienna"
""", folder, *filter(None, [hidden]), TZ="Europe/Vienna", PYTHONPATH=os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])))


def test_metadata_keep_their_types(folder):
    yaml = pytest.importorskip("yaml")
    zone = datetime.timezone(datetime.timedelta(hours=-3, minutes=-30))
    metadata = {
        "started": datetime.datetime(2024, 1, 2, 3, 4, 5), "exactly": datetime.datetime(2024, 1, 2, 3, 4, 5, 60, zone),
        "day": datetime.date(2024, 1, 2), "set": {1, 2}, "names": frozenset("ab"), "mixed": {1, "a", None}, "none": set(),
        "calibration": bytes(range(256)), "nothing": b"", "text": "2024-01-02", "list": [b"x", {3}, datetime.date(1, 2, 3)],
        "deep": {datetime.date(2024, 1, 2): {"set": {datetime.date(2024, 1, 3)}}}, 5: 1.5,
    }
    with imgstore.new_for_format("npy", str(folder / "store"), imgshape=GRAY, metadata=metadata) as store:
        assert store.user_metadata == metadata
        store.add_image(draw(0), 0, 0.0)
    in_file = yaml.safe_load((folder / "store" / "metadata.yaml").read_text(encoding="utf-8"))
    del in_file["__store"]
    read = imgstore.new_for_filename(str(folder / "store")).user_metadata
    assert in_file == read == metadata
    assert [type(value) for value in read.values()] == [set if type(value) is frozenset else type(value)
                                                        for value in metadata.values()]
    # What YAML has no word for, as it has.
    zone = datetime.timezone(datetime.timedelta(hours=1, minutes=5, seconds=21))
    moment = datetime.datetime(1850, 1, 2, 3, 4, 5, tzinfo=zone)
    avstore.create(folder / "native", metadata={
        "lmt": moment, "numpy": np.datetime64("2024-01-02T03:04:05.123456789"), "never": np.datetime64("NaT"),
        "days": np.array(["2024-01-02"], "datetime64[ns]")}).close()
    assert imgstore.new_for_filename(str(folder / "native")).user_metadata == {
        "lmt": moment, "numpy": datetime.datetime(2024, 1, 2, 3, 4, 5, 123456), "never": None,
        "days": [datetime.datetime(2024, 1, 2)]}


def test_images_are_files_that_others_read(folder):
    new_store(folder, "npy", name="npy")
    np.testing.assert_array_equal(np.load(folder / "npy" / "000001" / "000002.npy"), draw(7))
    new_store(folder, "png", 12, COLOR, name="png")
    image = decoded(folder / "png" / "000001" / "000002.png", COLOR, "bgr24")
    np.testing.assert_array_equal(image[0], draw(7, channels=3))
    with np.load(folder / "png" / "000001" / "index.npz") as names:
        assert names["frame_number"].tolist() == [5, 6, 7, 8, 9]


def test_gray_and_colour_images_become_what_the_store_is_for(folder):
    for shape, format in ((GRAY, "png"), (COLOR, "png"), (GRAY, "mjpeg")):
        path = folder / f"{format}{len(shape)}"
        with imgstore.new_for_format(format, str(path), imgshape=shape) as store:
            store.add_image(draw(1), 1, 1.0)
            store.add_image(draw(2)[..., np.newaxis], 2, 2.0)
            store.add_image(draw(3, channels=3), 3, 3.0)
        store = imgstore.new_for_filename(str(path))
        assert [store.get_next_image()[0].shape for _ in range(3)] == [shape] * 3
        assert code_of(store.get_image(3)[0]) == 3


@pytest.mark.parametrize("format", ["npy", "mjpeg", "avc1/mp4"])
@pytest.mark.filterwarnings("ignore::avstore.AvstoreWarning")
def test_odd_sizes(folder, format):
    with imgstore.new_for_format(format, str(folder / "store"), imgshape=(199, 199, 3)) as store:
        store.add_image(np.zeros((199, 199, 3), np.uint8), 0, 0.0)
    store = imgstore.new_for_filename(str(folder / "store"))
    assert store.image_shape == ((199, 199, 3) if format == "npy" else (198, 198, 3))
    assert store.get_next_image()[0].shape == store.image_shape


def test_a_store_without_frames_says_what_it_is_for(folder):
    imgstore.new_for_format("png", str(folder / "store"), imgshape=(480, 640, 3), imgdtype="uint16").close()
    store = imgstore.new_for_filename(str(folder / "store"))
    assert (store.image_shape, store.image_dtype, len(store)) == ((480, 640, 3), np.uint16, 0)
    assert avstore.verify(folder / "store").ok


@pytest.mark.parametrize("format", ["png", "pgm", "ppm", "mjpeg", "avc1/mp4", "npy"])
def test_one_channel_is_gray(folder, format):
    """imgstore reads such pictures as [rows, columns]; arrays stay what they are."""
    shape = (*GRAY, 1)
    with imgstore.new_for_format(format, str(folder / "store"), imgshape=shape, imgdtype=np.uint8) as store:
        assert store.image_shape == shape
        read_shape = shape if format == "npy" else GRAY
        assert metadata_in_file(folder / "store")["imgshape"] == list(read_shape)
        assert avstore.open(folder / "store").info.shape == read_shape
        for i in range(2):
            store.add_image(draw(i)[..., np.newaxis], i, i / 4)
        if format != "npy":
            store.add_image(draw(2, channels=3), 2, 0.5)
            store.add_image(draw(3), 3, 0.75)
    read = imgstore.new_for_filename(str(folder / "store"))
    assert read.image_shape == read_shape and metadata_in_file(folder / "store")["imgshape"] == list(read_shape)
    for i in range(read.frame_count):
        image, (number, _) = read.get_next_image()
        assert image.shape == read_shape and number == code_of(image) == i
    assert avstore.verify(folder / "store", deep=True).ok


def test_images_of_another_size_than_was_said(folder):
    for format in ("pgm", "png"):
        with imgstore.new_for_format(format, str(folder / format), imgshape=(10, 20, 3)) as store:
            store.add_image(draw(3, channels=3), 0, 0.0)
        store = imgstore.new_for_filename(str(folder / format))
        assert store.get_next_image()[0].shape == store.image_shape == COLOR


def test_a_store_is_never_written_over(folder):
    new_store(folder)
    for call in (lambda: new_store(folder), lambda: imgstore.new_for_format("mjpeg", str(folder / "store"), imgshape=GRAY)):
        with pytest.raises(FileExistsError, match="store"):
            call()
    assert len(imgstore.new_for_filename(str(folder / "store"))) == 12


def test_sensor_data_decoded_while_writing(folder):
    raw = np.load(golden_store("bayer_bg_npy").path / "000000" / "000000.npy")
    for format in ("png+color", "npy"):
        path = folder / format
        with imgstore.new_for_format(format, str(path), imgshape=raw.shape, encoding="cv_bayerbg") as store:
            store.add_image(raw, 1, 1.0)
            assert store.image_shape == (*raw.shape, 3)
        store = imgstore.new_for_filename(str(path))
        np.testing.assert_array_equal(store.get_next_image()[0], golden_store("bayer_bg_npy").frames[0])


def test_what_does_not_fit_the_mode(folder):
    written = imgstore.new_for_format("npy", str(folder / "store"), imgshape=GRAY)
    for call in (lambda: written.get_image(0), written.get_next_image, written.get_frame_metadata, written.reindex,
                 written.disable_decoding):
        with pytest.raises(ValueError, match="writing"):
            call()
    written.add_image(draw(0), 0, 0.0)
    written.close()
    with pytest.raises(ValueError, match="closed"):
        written.add_image(draw(0), 1, 1.0)
    written.close()
    read = imgstore.new_for_filename(str(folder / "store"))
    for call in (read.empty, lambda: read.add_image(draw(0), 1, 1.0), lambda: read.add_extra_data(a=1)):
        with pytest.raises(ValueError):
            call()


def test_emptying(folder):
    store = imgstore.new_for_format("mjpeg", str(folder / "store"), imgshape=GRAY, chunksize=4, metadata={"a": 1})
    for i in range(10):
        store.add_image(draw(i), i, i / 4)
    store.empty()
    assert len(store) == 0 and math.isnan(store.frame_max) and math.isnan(store.frame_number)
    assert chunk_files(folder / "store") == []
    store.add_image(draw(77), 5, 1.0)
    store.close()
    store = imgstore.new_for_filename(str(folder / "store"))
    assert store.user_metadata == {"a": 1} and len(store) == 1 and code_of(store.get_next_image()[0]) == 77


def test_emptying_after_the_end(folder):
    store = new_store(folder)
    store.empty()
    store.empty()
    assert len(store) == 0 and store.chunks == [] and math.isnan(store.frame_min)
    with pytest.raises(ValueError, match="closed"):
        store.add_image(draw(0), 0, 0.0)
    store.close()
    read = imgstore.new_for_filename(str(folder / "store"))
    assert (len(read), read.uuid) == (0, store.uuid) and avstore.verify(folder / "store").ok


def test_chunks_put_together_from_files(folder):
    for name, first, count in (("a", 0, 10), ("b", 57, 20)):
        raw = b"".join(draw(i, channels=3).tobytes() for i in range(first, first + count))
        subprocess.run(["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "96x64", "-r", "25", "-i", "-",
                        "-c:v", "mjpeg", "-q:v", "2", str(folder / f"{name}.avi")], input=raw, check=True)
    store = imgstore.VideoImgStore(basedir=str(folder / "store"), mode="w", imgshape=COLOR, imgdtype=np.uint8, chunksize=100,
                                   format="mjpeg")
    store.empty()
    first, second = list(range(10)), list(range(57, 77))
    with pytest.raises(ValueError):
        store.insert_chunk(str(folder / "a.avi"), first[1:], np.arange(10.0))
    store.insert_chunk(str(folder / "a.avi"), first, 1000.0 * np.asarray(first), move=False)
    store.insert_chunk(str(folder / "b.avi"), np.asarray(second), 1000.0 * np.asarray(second))
    assert (store.frame_count, store.frame_max, store.frame_time_max, store.chunks) == (30, 76, 76000.0, [0, 1])
    store.close()
    assert (folder / "a.avi").exists() and not (folder / "b.avi").exists()
    store = imgstore.new_for_filename(store.full_path)
    for number in np.random.default_rng(3).permutation(first + second):
        image, name = store.get_image(number)
        assert name == (number, 1000.0 * number) and code_of(image) == number


# --- extra data ---


def test_extra_data_come_back(folder):
    store = imgstore.new_for_format("mjpeg", str(folder / "store"), imgshape=GRAY, chunksize=4)
    assert not store.has_extra_data
    for i in range(10):
        store.add_image(draw(i), 50 + i, i / 4)
        store.add_extra_data()
        if i % 3 == 0:
            store.add_extra_data(N=i, f=np.float32(0.5), many=np.arange(2), when=datetime.datetime(2026, 1, 2), of={4},
                                 name=b"x", z=1 + 2j)
    store.add_extra_data(what=object())  # cannot be written
    store.close()
    store = imgstore.new_for_filename(str(folder / "store"))
    records = [{"N": i, "f": 0.5, "many": [0, 1], "when": "2026-01-02T00:00:00", "of": [4], "name": "x", "z": [1.0, 2.0],
                "frame_time": i / 4, "frame_number": 50 + i, "frame_index": i} for i in (0, 3, 6, 9)]
    assert_records(store.get_extra_data(), records)
    names = [os.path.basename(path) for path in store.find_extra_data_files()]
    assert names == ["000000.extra.json", "000001.extra.json", "000002.extra.json"]
    assert json.loads((folder / "store" / "000001.extra.json").read_text()) == [records[2]]
    with pytest.raises(ValueError):
        store.get_extra_data_samplerate()


def test_extra_data_of_a_chunk_that_is_not_complete(folder):
    """They are in the database alone while it is recorded, and after its recording was killed."""
    record = """
import os, sys
import avstore
from conftest import draw
writer = avstore.create(sys.argv[1], "mjpeg/avi")
for i in range(5):
    writer.add(draw(i), i, i / 4)
    writer.add_extra(force=i)
writer.sync()
os._exit(0)  # as killed: nothing is closed
"""
    tests = os.path.dirname(os.path.abspath(__file__))
    python(record, folder / "killed", PYTHONPATH=os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))
    with avstore.create(folder / "recording", "mjpeg/avi") as recording:
        recording.add(draw(0), 0, 0.0)
        recording.add_extra(force=7)
        recording.sync()
        for name, force in (("killed", [0, 1, 2, 3, 4]), ("recording", [7])):
            store = imgstore.new_for_filename(str(folder / name))
            assert store.find_extra_data_files() == [] and store.has_extra_data
            assert store.get_extra_data()["force"].tolist() == force


@pytest.mark.filterwarnings("ignore::avstore.AvstoreWarning")
def test_damaged_extra_data(folder):
    path = copy_of("extra_npy", folder)
    file = path / "000001" / "index.extra.json"
    lost = [record["frame_index"] for record in json.loads(file.read_text())]
    file.write_text('[{"temperature": 1')
    store = imgstore.new_for_filename(path)
    with pytest.raises(ValueError, match="000001"):
        store.get_extra_data()
    kept = [record for record in golden_store("extra_npy").expected["extra_data"] if record["frame_index"] not in lost]
    assert_records(store.get_extra_data(ignore_corrupt_chunks=True), kept)


def test_files_of_extra_data(folder):
    path = copy_of("motif_extra_h5", folder)
    store = imgstore.new_for_filename(path)
    h5 = [str(path / f"00000{i}.extra_data.h5") for i in range(3)]
    (path / "000001.extra.json").write_text("[]")
    assert store.find_extra_data_files() == h5
    assert store.find_extra_data_files(extensions=(".extra.json",)) == [str(path / "000001.extra.json")]
    assert store.get_extra_data_samplerate() == 800.0
    records = golden_store("motif_extra_h5").expected["extra_data"]
    for i, file in enumerate(h5):
        assert_records(util.motif_extra_data_h5_to_df(store, file),
                       [record for record in records if 10 * i <= record["frame_index"] < 10 * i + 10])
    # Those of another store: the file counts.
    other = copy_of("motif_extra_json", folder)
    moved = folder / "a" / "moved.extra_data.h5"
    moved.parent.mkdir()
    shutil.copy(h5[1], moved)
    for named in (moved, str(moved)):
        assert_records(util.motif_extra_data_h5_to_df(imgstore.new_for_filename(other), named),
                       [record for record in records if 10 <= record["frame_index"] < 20])
    moved.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match="moved.extra_data.h5"):
        util.motif_extra_data_h5_to_df(None, moved)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        util.motif_extra_data_h5_to_df(None, folder / "nowhere.extra_data.h5")
    json_path = other
    records = golden_store("motif_extra_json").expected["extra_data"]
    tables = [util.motif_extra_data_json_to_df(None, file)
              for file in imgstore.new_for_filename(json_path).find_extra_data_files((".extra_data.json",))]
    assert [value for table in tables for value in table["temperature"]] == [record["temperature"] for record in records]


# --- work on whole stores ---


def test_reindexing(folder):
    path = copy_of("reindex_before", folder)
    expected = golden_store("reindex_after").expected
    store = imgstore.new_for_filename(path)
    store.get_next_image()
    store.reindex()
    for each in (store, imgstore.new_for_filename(path)):
        assert each.get_frame_metadata()["frame_number"] == expected["frame_number"]
        assert each.frame_min == expected["frame_min"]
        assert_records(each.get_extra_data(), expected["extra_data"])
    assert store.get_next_image()[1][0] == expected["frame_number"][1]
    new_store(folder, numbers=[0, 0, *range(1, 11)], name="twice")
    with pytest.raises(ValueError):
        imgstore.new_for_filename(str(folder / "twice")).reindex()


def test_times(folder):
    store = imgstore.new_for_filename(copy_of("legacy_ffmpeg_20190523_110102", folder))
    moment = store.convert_frame_time_to_datetime(np.float64(1558602062.5))
    assert moment == datetime.datetime(2019, 5, 23, 9, 1, 2, 500000, tzinfo=datetime.timezone.utc)
    assert moment.utcoffset() == datetime.timedelta(hours=2)


# --- index ---


@pytest.mark.parametrize("made", ["from chunks", "by imgstore", "by avstore", "copied"])
def test_index(folder, made):
    path = copy_of("wrap_npy", folder)
    expected = golden_store("wrap_npy").expected
    numbers, times = expected["frame_number"], expected["frame_time"]
    file = path / ".index.sqlite"
    chunk_paths = [(n, str(path / f"{n:06d}" / "index")) for n in reversed(range(6))]
    if made == "from chunks":
        found = index.ImgStoreIndex.new_from_chunks(chunk_paths)
    else:
        if made == "by avstore":
            file.unlink()
            avstore.rebuild_index(path)
        if made == "copied":
            index.ImgStoreIndex.new_from_file(file).to_file(folder / "copy")
            file = folder / "copy"
        found = index.ImgStoreIndex.new_from_file(str(file))
    assert found.frame_count == len(numbers) and list(found.chunks) == expected["chunks"]
    assert (found.frame_min, found.frame_max) == (min(numbers), max(numbers))
    assert (found.frame_time_min, found.frame_time_max) == (min(times), max(times))
    assert found.get_all_metadata() == {"frame_number": numbers, "frame_time": times}
    lengths = [len(np.load(f"{chunk_path}.npz")["frame_number"]) for _, chunk_path in reversed(chunk_paths)]
    places = [(chunk, place) for chunk, length in enumerate(lengths) for place in range(length)]
    for i, place in enumerate(places):
        assert found.find_chunk("index", np.int32(i)) == place
        assert found.find_chunk("frame_number", np.uint16(numbers[i])) == places[numbers.index(numbers[i])]
        assert found.find_chunk("frame_time", np.float64(times[i])) == place
        nearest = min(range(len(times)), key=lambda j: abs(times[j] - times[i] - 0.004))
        assert found.find_chunk_nearest("frame_time", times[i] + 0.004) == places[nearest]
        nearest = min(range(len(numbers)), key=lambda j: abs(numbers[j] - numbers[i] - 3))
        assert found.find_chunk_nearest("frame_number", np.int64(numbers[i] + 3)) == places[nearest]
    assert found.find_chunk("frame_number", 10**6) == found.find_chunk("index", -1) == found.find_chunk("index", 99) == (-1, -1)
    part = found.get_chunk_metadata(np.int64(1))
    assert part["frame_number"] == numbers[lengths[0]:lengths[0] + lengths[1]]
    with pytest.raises(ValueError):
        found.find_chunk("rowid; DROP TABLE frames", 1)


def test_index_of_nothing_and_of_damage(folder, caplog):
    path = copy_of("empty_npy", folder)
    found = index.ImgStoreIndex.new_from_chunks([(0, str(path / "000000" / "index")), (1, str(path / "000001" / "index"))])
    assert "chunk 1" in caplog.text
    assert found.frame_count == 0 and found.chunks == () and math.isnan(found.frame_max) and found.frame_time_max == 0.0
    assert found.find_chunk_nearest("frame_time", 1.0) == (-1, -1)
    with pytest.raises(FileNotFoundError):
        index.ImgStoreIndex.new_from_file(folder / "nothing")
    (folder / "nonsense").write_text("no database " * 100)
    with pytest.raises(OSError, match="nonsense"):
        index.ImgStoreIndex.new_from_file(folder / "nonsense")
    found.to_file(folder / "newer")
    with sqlite3.connect(folder / "newer") as database:
        database.execute("UPDATE index_information SET value = '2'")
    with pytest.raises(OSError, match="version"):
        index.ImgStoreIndex.new_from_file(folder / "newer")


def test_index_of_yaml(folder):
    path = copy_of("yaml_index_npy", folder)
    expected = golden_store("yaml_index_npy").expected
    found = index.ImgStoreIndex.new_from_chunks((n, str(path / f"{n:06d}" / "index")) for n in expected["chunks"])
    assert found.get_all_metadata() == {"frame_number": expected["frame_number"], "frame_time": expected["frame_time"]}


def test_saving_the_index(folder):
    new_store(folder)
    store = imgstore.new_for_filename(str(folder / "store"))
    own = folder / "store" / ".index.sqlite"
    store.save_index(str(folder / "copy"))
    own.unlink()
    store.save_index(str(folder / "from_chunks"))
    store.save_index()
    for file in (own, folder / "copy", folder / "from_chunks"):
        with sqlite3.connect(file) as database:
            assert database.execute("SELECT frame_number FROM frames ORDER BY rowid").fetchall() == [(i,) for i in range(12)]


def read_by_imgstore(file):
    """What imgstore's queries find in a database."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        def rows(query):
            return database.execute(query).fetchall()

        assert rows("SELECT value FROM index_information WHERE name = 'version'") == [("1",)]
        return {"frames": rows("SELECT chunk, frame_idx, frame_number, frame_time FROM frames ORDER BY rowid"),
                "chunks": rows("SELECT chunk, chunk_path FROM chunks ORDER BY chunk"),
                "summary": dict(rows("SELECT * FROM summary"))}


@pytest.mark.filterwarnings("ignore::avstore.AvstoreWarning")
def test_the_index_that_is_saved_is_the_one_that_is_read(folder):
    """Not the database in the store, where that is out of date and cannot be written."""
    new_store(folder)
    path = folder / "store"
    own = path / ".index.sqlite"
    kept = own.read_bytes()
    for chunk in range(3):
        npz = path / f"{chunk:06d}" / "index.npz"
        with np.load(npz) as names:
            changed = {name: names[name] for name in names}
        changed["frame_number"] = changed["frame_number"] + 1000
        np.savez(npz, **changed)
    os.utime(path / "000000" / "index.npz", (2e9, 2e9))
    store = imgstore.new_for_filename(str(path))
    own.unlink()
    own.write_bytes(kept)  # as if it had not been possible to save the new one
    assert (store.frame_min, store.get_next_image()[1][0]) == (1000, 1000)
    store.save_index(str(folder / "copy"))
    assert read_by_imgstore(folder / "copy") == {
        "frames": [(i // 5, i % 5, 1000 + i, 10 + i / 4) for i in range(12)],
        "chunks": [(chunk, str(path / f"{chunk:06d}" / "index")) for chunk in range(3)],
        "summary": {"frame_min": 1000, "frame_max": 1011, "frame_time_min": 10.0, "frame_time_max": 12.75}}
    store.save_index()
    assert [row[2] for row in read_by_imgstore(own)["frames"]] == list(range(1000, 1012))
    assert avstore.verify(path).ok


# --- alignment ---


def test_alignment(folder):
    numbers = {"a": [2, 3, 5, 8], "b": [1, 3, 4, 8, 9]}
    opened = []
    for name, each in numbers.items():
        new_store(folder, "npy", len(each), numbers=each, name=name)
        opened.append(imgstore.new_for_filename(str(folder / name)))
    aligner = align.StoreAligner(*opened)
    with pytest.raises(ValueError):
        next(aligner.iter_imgs())
    with pytest.raises(ValueError):
        aligner.extract_common_frames("nonsense")

    def shown(policy):
        assert aligner.extract_common_frames(policy).tolist() == [each[0] for each in aligner.iter_imgs()]
        return [(number, *(code_of(image) if image.any() else None for image in images), *times)
                for number, images, times in aligner.iter_imgs(return_times=True)]

    nan = pytest.approx(math.nan, nan_ok=True)
    assert shown(aligner.MISSING_POLICY_DROP) == [(3, 1, 1, 10.25, 10.25), (8, 3, 3, 10.75, 10.75)]
    # The first image drawn shows 0, which is black in bars but not below them.
    assert shown(aligner.MISSING_POLICY_HOLD) == [
        (1, None, 0, nan, 10.0), (2, 0, 0, 10.0, nan), (3, 1, 1, 10.25, 10.25), (4, 1, 2, nan, 10.5), (5, 2, 2, 10.5, nan),
        (8, 3, 3, 10.75, 10.75), (9, 3, 4, nan, 11.0)]
    assert shown(aligner.MISSING_POLICY_BLACK) == [
        (1, None, 0, nan, 10.0), (2, 0, None, 10.0, nan), (3, 1, 1, 10.25, 10.25), (4, None, 2, nan, 10.5),
        (5, 2, None, 10.5, nan), (8, 3, 3, 10.75, 10.75), (9, None, 4, nan, 11.0)]
    new_store(folder, "npy", 1, COLOR, name="c")
    with pytest.raises(ValueError):
        align.StoreAligner(opened[0], imgstore.new_for_filename(str(folder / "c")))


# --- util ---


def test_four_characters():
    assert util.FourCC("M", "J", "P", "G") == int.from_bytes(b"MJPG", "little") == 1196444237


def test_gray_and_colour():
    gray = draw(5)
    color = imgstore.ensure_color(gray)
    assert color.shape == COLOR and (color == gray[..., np.newaxis]).all()
    assert imgstore.ensure_color(color) is color and imgstore.ensure_grayscale(gray) is gray
    assert imgstore.ensure_color(gray[..., np.newaxis]).shape == COLOR
    np.testing.assert_array_equal(imgstore.ensure_grayscale(color), gray)
    # BT.601: https://docs.opencv.org/4.6.0/de/d25/imgproc_color_conversions.html
    for dtype in (np.uint8, np.uint16, np.float32):
        top = 1 if dtype is np.float32 else np.iinfo(dtype).max
        corners = np.eye(3, dtype=dtype)[np.newaxis] * dtype(top)
        np.testing.assert_allclose(imgstore.ensure_grayscale(corners)[0] / top, [0.114, 0.587, 0.299], atol=0.5 / 255)
        assert imgstore.ensure_grayscale(corners).dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_gray_is_that_of_opencv(dtype):
    cv2 = pytest.importorskip("cv2")
    image = (np.random.default_rng(4).random((200, 200, 3)) * (1 if dtype is np.float32 else np.iinfo(dtype).max)).astype(dtype)
    np.testing.assert_allclose(imgstore.ensure_grayscale(image), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
                               atol=1e-6 if dtype is np.float32 else 0)


def test_opencv_s_numbers_of_encodings():
    cv2 = pytest.importorskip("cv2")
    numbers = {getattr(cv2, name) for name in dir(cv2) if name.startswith("COLOR_") and "2BGR" in name}
    assert set(util._ENCODINGS_OF_ENUM) <= numbers
    processor = util.ImageCodecProcessor()
    for name, code in (("RGB2BGR", "cv_rgb"), ("BayerBG2BGR", "cv_bayerbg"), ("YUV2BGR_NV12", "cv_yuv_nv12"),
                       ("YUV2BGR_YVYU", "cv_yuv_yvyu"), ("GRAY2BGR", "cv_gray"), ("RGBA2BGR", "cv_rgba")):
        assert processor.cv2_enum_to_code(getattr(cv2, "COLOR_" + name)) == code
    shapes = {"cv_yuv_nv12": (12, 16), "cv_yuv_nv21": (12, 16), "cv_yuv_yv12": (12, 16), "cv_yuv_i420": (12, 16),
              "cv_rgb": (8, 16, 3), "cv_rgba": (8, 16, 4), "cv_bgra": (8, 16, 4)}
    for number, codes in util._ENCODINGS_OF_ENUM.items():
        shape = shapes.get(codes[0], (8, 16, 2) if number in (108, 116, 118) else (8, 16))
        data = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
        for code in codes:
            np.testing.assert_array_equal(processor.convert_to_bgr(data, code), cv2.cvtColor(data, number), err_msg=code)


def test_decoding_sensor_data():
    raw = np.load(golden_store("bayer_bg_npy").path / "000000" / "000000.npy")
    picture = golden_store("bayer_bg_npy").frames[0]
    processor = util.ImageCodecProcessor()
    assert processor.encoding == "" and processor.autoconvert(raw) is raw
    np.testing.assert_array_equal(processor.convert_to_bgr(raw, "cv_bayerbg"), picture)
    for made in (util.ImageCodecProcessor.from_cv2_enum(46), util.ImageCodecProcessor.from_pylon_format("BayerRG")):
        assert made.encoding == "cv_bayerbg"
        np.testing.assert_array_equal(made.autoconvert(raw), picture)
    assert util.ImageCodecProcessor.from_pylon_format("BayerBG").encoding == "cv_bayerrg"
    assert util.ImageCodecProcessor.from_pylon_format("None").encoding == ""
    assert processor.check_code("cv_bayerbg") and not processor.check_code("foo")
    for call in (lambda: processor.convert_to_bgr(raw), lambda: processor.set_default_code("foo"),
                 lambda: processor.convert_to_bgr(raw, "foo"), lambda: util.ImageCodecProcessor.from_pylon_format("foo"),
                 lambda: processor.convert_to_bgr(raw[..., np.newaxis].repeat(3, 2), "cv_bayerbg")):
        with pytest.raises(ValueError):
            call()


def test_frame_rate_that_motif_noted(folder):
    class Noted:
        def __init__(self, **metadata):
            self.user_metadata = metadata

    rate = util.motif_get_parse_true_fps
    free = Noted(acquisitionframerate=30, acquisitionframerateenable=True)
    assert rate(Noted(hwframerate="100", motifptpframerate=50)) == 100.0 and rate(Noted(motifptpframerate=50)) == 50.0
    assert rate(free) == 30.0 and rate(free, hwardware_only=True) == 25.0
    assert rate(Noted(acquisitionframerate=30, acquisitionframerateenable=False), default=7.0) == 7.0
    new_store(folder)
    assert rate(imgstore.new_for_filename(str(folder / "store")), default=None) == pytest.approx(4.0)


def test_formats():
    known = imgstore.get_supported_formats()
    assert {"png", "tif", "jpg", "bmp", "ppm", "pgm", "npy", "bpk", "png+color"} <= set(known)
    assert {"avc1/mp4", "h264/mkv", "mjpeg/avi"} <= set(known)
    assert len(known) == len(set(known))
    assert stores.VideoImgStore.supports_format("mjpeg") and not stores.DirectoryImgStore.supports_format("mjpeg/avi")
    assert not stores.VideoImgStore.supports_format(None)
