"""The index of the drop-in for imgstore, against what imgstore and SQLite make of it."""
import contextlib
import math
import os
import sqlite3

import numpy as np
import pytest

import avstore
import avstore.imgstore as imgstore
from avstore.imgstore import index

from conftest import copy_of, golden_store, new_imgstore


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
    new_imgstore(folder)
    store = imgstore.new_for_filename(str(folder / "store"))
    own = folder / "store" / ".index.sqlite"
    store.save_index(str(folder / "copy"))
    own.unlink()
    store.save_index(str(folder / "from_chunks"))
    store.save_index()
    for file in (own, folder / "copy", folder / "from_chunks"):
        with sqlite3.connect(file) as database:
            assert database.execute("SELECT frame_number FROM frames ORDER BY rowid").fetchall() == [(i,) for i in range(12)]


def test_links_and_pipes_of_a_stranger(folder, caplog):
    """No link leads to a file of the user's, and no pipe keeps anybody waiting."""
    path = copy_of("wrap_npy", folder)
    mine = folder / "mine"
    mine.write_text("mine")
    file = path / ".index.sqlite"
    found = index.ImgStoreIndex.new_from_file(file)
    os.symlink(mine, path / ".index.sqlite.new")
    found.to_file(file)
    assert mine.read_text() == "mine" and not file.is_symlink()
    assert sorted(each.name for each in path.glob(".index.sqlite*")) == [".index.sqlite", ".index.sqlite.new"]
    os.mkfifo(path / ".index.sqlite-journal")
    with pytest.raises(OSError, match="index.sqlite-journal"):
        index.ImgStoreIndex.new_from_file(file)
    (path / ".index.sqlite-journal").unlink()
    file.rename(folder / "database")
    os.symlink(folder / "database", file)
    with pytest.raises(OSError, match="is a link"):
        index.ImgStoreIndex.new_from_file(file)
    names = path / "000000" / "index.npz"
    names.unlink()
    os.mkfifo(names)
    assert 0 not in index.ImgStoreIndex.new_from_chunks([(0, str(path / "000000" / "index"))]).chunks
    assert "chunk 0 is left out" in caplog.text


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
    new_imgstore(folder)
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
