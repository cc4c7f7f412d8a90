"""The drop-in for imgstore, against stores that imgstore wrote and what it read from them."""
import datetime
import math
import os
import pickle

import numpy as np
import pytest

import avstore
import avstore.imgstore as imgstore
from avstore.imgstore import index

from conftest import (COLOR, GRAY, assert_records, chunk_files, code_of, copy_of, decoded, draw, golden_store, golden_stores,
                      new_imgstore, python)

GOLDEN_STORES = golden_stores()


def names_in(golden):
    """Numbers and times of all frames. imgstore itself stops reading at a chunk that lost its index."""
    names = golden.expected
    if len(names["frame_number"]) == names["frame_count"]:
        return names["frame_number"], names["frame_time"]
    arrays = [np.load(golden.path / f"{chunk:06d}.npz") for chunk in names["chunks"]]
    return tuple(np.concatenate([array[name] for array in arrays]).tolist() for name in ("frame_number", "frame_time"))


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
    new_imgstore(folder, "h264/mkv", 600, COLOR, chunksize=250)
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
    new_imgstore(folder)
    store = imgstore.new_for_filename(str(folder / "store"))
    for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64, int):
        assert store.get_image(kind(7))[1] == (7, 11.75)
        assert store.get_image(None, frame_index=kind(7))[1] == (7, 11.75)
        assert store.get_image(kind(100), exact_only=False)[1][0] == 11
    assert store.get_nearest_image(np.float32(11.8))[1] == (7, 11.75)
    assert store.get_image(6.8, exact_only=False)[1][0] == 7


def test_missing_frames_are_value_errors_and_change_nothing(folder):
    new_imgstore(folder, numbers=[3, 4, 9, 20, 20, 21, 5, 6, 7, 8, 1, 2])
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
    new_imgstore(folder, "mjpeg")
    chunk_files(folder / "store")[1].unlink()
    store = imgstore.new_for_filename(str(folder / "store"))
    store.get_image(3)
    for read in (lambda: store.get_image(7), lambda: store.get_image(None, frame_index=7), lambda: store.get_nearest_image(11.75)):
        with pytest.raises(avstore.Error, match="000001") as raised:
            read()
        assert not isinstance(raised.value, ValueError)
    assert store.get_next_image()[1][0] == 4


def test_a_closed_store_opens_again_where_it_was(folder):
    new_imgstore(folder)
    store = imgstore.new_for_filename(str(folder / "store"))
    store.get_image(4)
    store.close()
    store.close()
    assert store.frame_count == 12
    assert store.get_next_image()[1][0] == 5


def test_stores_can_be_pickled(folder):
    new_imgstore(folder)
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
    new_imgstore(folder)
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
    new_imgstore(folder, name="d1/d2/store")
    assert len(imgstore.new_for_filename(str(folder / "d1" / "d2" / "store"))) == 12


def test_a_store_in_the_working_folder(folder, monkeypatch):
    new_imgstore(folder)
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
    new_imgstore(folder, numbers=[0, 0, *range(1, 11)], name="twice")
    with pytest.raises(ValueError):
        imgstore.new_for_filename(str(folder / "twice")).reindex()


def test_times(folder):
    store = imgstore.new_for_filename(copy_of("legacy_ffmpeg_20190523_110102", folder))
    moment = store.convert_frame_time_to_datetime(np.float64(1558602062.5))
    assert moment == datetime.datetime(2019, 5, 23, 9, 1, 2, 500000, tzinfo=datetime.timezone.utc)
    assert moment.utcoffset() == datetime.timedelta(hours=2)
