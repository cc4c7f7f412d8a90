"""Stores that the drop-in for imgstore writes, as NumPy, ffmpeg and PyYAML read them."""
import datetime
import json
import math
import os
import subprocess

import numpy as np
import pytest

import avstore
import avstore.imgstore as imgstore
from avstore import arguments
from avstore.imgstore import constants, index

from conftest import COLOR, GRAY, chunk_files, code_of, decoded, draw, golden_store, new_imgstore, python, write_store


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


@pytest.mark.parametrize("dtype", [object, "U4", "S4", "M8[ns]", "m8[s]", "V3", [("x", "u1")]], ids=str)
def test_images_of_no_numbers(folder, dtype):
    with pytest.raises(TypeError, match="no type of numbers"):
        imgstore.new_for_format("npy", str(folder / "t"), imgshape=GRAY, imgdtype=dtype, chunksize=5)
    assert not (folder / "t").exists()
    with imgstore.new_for_format("npy", str(folder / "s"), imgshape=GRAY, imgdtype=np.uint8, chunksize=5) as store:
        with pytest.raises(TypeError, match="no numbers"):
            store.add_image(np.zeros(GRAY, dtype), 0, 0)
        store.add_image(draw(0), 0, 0)
    assert imgstore.new_for_filename(str(folder / "s")).frame_count == 1


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
    new_imgstore(folder, "npy", name="npy")
    np.testing.assert_array_equal(np.load(folder / "npy" / "000001" / "000002.npy"), draw(7))
    new_imgstore(folder, "png", 12, COLOR, name="png")
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
    new_imgstore(folder)
    for call in (lambda: new_imgstore(folder), lambda: imgstore.new_for_format("mjpeg", str(folder / "store"), imgshape=GRAY)):
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
    store = new_imgstore(folder)
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
