"""Extra data by way of the drop-in for imgstore."""
import datetime
import json
import os
import shutil

import numpy as np
import pytest

import avstore
import avstore.imgstore as imgstore
from avstore.imgstore import util

from conftest import GRAY, assert_records, copy_of, draw, golden_store, python


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
