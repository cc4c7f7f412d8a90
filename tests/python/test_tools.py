"""Work on whole stores, against other programs."""
import errno
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import avstore
from conftest import DATA, HEIGHT, WIDTH, chunk_files, code_of, decoded, draw, python, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("tools") / "s"
    return write_store(path, numbers=range(100, 140), keyframe_interval=5, metadata={"a": 1})


# --- import ---

def test_importing_keeps_the_video(folder):
    result = avstore.import_video(DATA / "clip.mp4", folder / "s", copy=True, first_number=np.uint16(50), number_step=2,
                                  start_time=np.float32(10), chunk_size=100, metadata={"k": [1]})
    assert result == (250, "avc1/mp4", True)
    s = avstore.open(folder / "s", pixel_format="gray8")
    assert s.frames.number.tolist() == list(range(50, 550, 2))
    assert np.allclose(s.frames.time, 10 + np.arange(250) / 25)
    assert s.metadata == {"k": [1]} and s.info.chunk_count > 1
    assert np.array_equal(avstore.open(folder / "s").stack([249, 0]), decoded(DATA / "clip.mp4", (240, 320, 3), "bgr24")[[249, 0]])


def test_importing_anew(folder):
    result = avstore.import_video(DATA / "clip.mp4", folder / "s", format="ffv1/mkv", chunk_size=1000)
    assert result == (250, "ffv1/mkv", False)
    planes = [decoded(video, (360, 320), "yuv420p") for video in (DATA / "clip.mp4", folder / "s/000000.mkv")]
    assert np.array_equal(*planes)


def test_what_cannot_be_imported(folder):
    (folder / "text.mp4").write_text("no video")
    with pytest.raises(avstore.Corrupt, match="text.mp4"):
        avstore.import_video(folder / "text.mp4", folder / "s")
    with pytest.raises(avstore.NotFound, match="none.mp4"):
        avstore.import_video(folder / "none.mp4", folder / "s")
    with pytest.raises(TypeError, match="colour"):
        avstore.import_video(DATA / "clip.mp4", folder / "s", colour=True)
    assert not (folder / "s").exists()


# --- transcode and export ---

def test_transcoding_without_loss(store, folder):
    said = []
    assert avstore.transcode(store, folder / "t", format="ffv1/mkv", start=5, stop=np.int64(35), chunk_size=100,
                             progress=lambda done, total: said.append((done, total))) == 30
    s, t = avstore.open(store), avstore.open(folder / "t")
    assert t.info.format == "ffv1/mkv" and t.metadata == {"a": 1} and t.created == s.created
    assert t.frames.number.tolist() == list(range(105, 135))
    original = np.concatenate([decoded(chunk, (HEIGHT, WIDTH), "gray", "extractplanes=y") for chunk in chunk_files(store)])
    assert np.array_equal(decoded(folder / "t/000000.mkv", (HEIGHT, WIDTH), "gray"), original[5:35])
    assert said and all(0 <= done <= total == 30 for done, total in said)


def test_exporting_copies(store, folder):
    # 5 to 30 are whole keyframe intervals
    assert avstore.export(store, folder / "cut.mp4", start=5, stop=30) == (25, 0)
    result = avstore.export(avstore.open(store), folder / "all.mkv", timing="nominal")
    assert result.frames == 40 and result.frames_encoded == 0
    original = np.concatenate([decoded(chunk, (HEIGHT, WIDTH), "gray", "extractplanes=y") for chunk in chunk_files(store)])
    assert np.array_equal(decoded(folder / "cut.mp4", (HEIGHT, WIDTH), "gray", "extractplanes=y"), original[5:30])
    assert np.array_equal(decoded(folder / "all.mkv", (HEIGHT, WIDTH), "gray", "extractplanes=y"), original)
    with pytest.raises(FileExistsError, match="cut.mp4"):
        avstore.export(store, folder / "cut.mp4")
    with pytest.raises(ValueError, match="b.mp4: export makes no B-frames"):
        avstore.export(store, folder / "b.mp4", b_frames=2)
    assert not (folder / "b.mp4").exists()
    assert avstore.export(store, folder / "cut.mp4", start=7, stop=30, overwrite=True, quality=90, timing="nominal").frames == 23
    assert [code_of(image) for image in decoded(folder / "cut.mp4", (HEIGHT, WIDTH), "gray")] == list(range(7, 30))
    with pytest.raises(TypeError, match="chunk_size"):
        avstore.export(store, folder / "x.mp4", chunk_size=5)


def test_work_is_stopped(store, folder):
    with pytest.raises(avstore.Interrupted):
        avstore.transcode(store, folder / "t", progress=lambda done, total: False)
    with pytest.raises(ZeroDivisionError):
        avstore.transcode(store, folder / "t", progress=lambda done, total: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        avstore.verify(store, deep=True, progress=lambda done, total: 1 / 0)
    assert list(folder.iterdir()) == []


def test_what_is_there_already_can_wait(store, folder):
    alignment = avstore.align([store, store])
    for option in ({"when_full": "drop"}, {"when_full": "block"}, {"pixel_format": "gray8"}):
        for call in (lambda: avstore.transcode(store, folder / "t", **option),
                     lambda: avstore.import_video(DATA / "clip.mp4", folder / "t", **option),
                     lambda: alignment.write([folder / "t", folder / "u"], **option),
                     lambda: alignment.write_side_by_side(folder / "t", **option)):
            with pytest.raises(ValueError, match=next(iter(option))):
                call()
    assert avstore.transcode(store, folder / "t", when_full=None, queue_frames=2) == 40 == len(avstore.open(folder / "t"))


def test_control_c_stops_work(store, folder):
    def interrupt(done, total):
        os.kill(os.getpid(), signal.SIGINT)

    # A shell's background job is started with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            avstore.transcode(store, folder / "t", progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(folder.iterdir()) == []


# --- paths ---

def test_relative_paths_outlive_a_change_of_the_folder(folder, monkeypatch):
    (folder / "sub").mkdir()
    for place, first in ((folder, 0), (folder / "sub", 100)):
        with avstore.create(place / "a", "png", chunk_size=5) as w:
            for i in range(20):
                w.add(draw(first + i), i, i)
                w.add_extra(shown=first + i)
    monkeypatch.chdir(folder)
    s = avstore.open("a")
    aligned = avstore.align(["a", "a/metadata.yaml"])
    monkeypatch.chdir("sub")
    assert s.path == str(folder / "a") and [code_of(frame) for frame in s] == list(range(20))
    assert [code_of(frame) for frame in s[[7, 12]]] == [7, 12] and list(s.extra["shown"]) == list(range(20))
    again = pickle.loads(pickle.dumps(s))
    assert code_of(again[3]) == 3
    aligned.write(["b", "c"])
    assert code_of(avstore.open("c")[4]) == 4
    assert sorted(aligned.stores) == [str(folder / "a"), str(folder / "a/metadata.yaml")]


@pytest.mark.parametrize("format", ["png", "h264/mkv"])
def test_a_recording_outlives_a_change_of_the_folder(folder, monkeypatch, format):
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder)
    with avstore.create("s", format, chunk_size=5) as w:
        for i in range(20):
            if i == 7:
                w.sync()
                monkeypatch.chdir("sub")
            w.add(draw(i), i, i)
            w.add_extra(shown=i)
    assert w.path == str(folder / "s") and os.listdir(".") == []
    s = avstore.open("../s")
    assert [code_of(frame) for frame in s] == list(range(20)) == list(s.extra["shown"])
    assert avstore.verify("../s").ok


class _Path:
    def __init__(self, path):
        self._path = path

    def __fspath__(self):
        return self._path


@pytest.mark.parametrize("kind", [os.fsdecode, bytes, lambda path: _Path(os.fsdecode(path)), _Path],
                         ids=["str", "bytes", "PathLike of str", "PathLike of bytes"])
@pytest.mark.parametrize("name", [b"caf\xe9.store", "Mäuse 鼠".encode()], ids=["latin-1", "utf-8"])
def test_paths_of_any_bytes(folder, kind, name):
    place = os.fsencode(folder) + b"/" + name
    path, made = kind(place), kind(place + b"-2")
    with avstore.create(path, "h264/mkv", chunk_size=10) as w:
        for i in range(20):
            w.add(draw(i), i, i)
            w.add_extra(shown=i)
    assert w.path == os.fsdecode(place) and os.path.exists(place + b"/000001.mkv")
    s = avstore.open(path)
    assert s.path == os.fsdecode(place) and code_of(s[12]) == 12 and list(s.extra["shown"]) == list(range(20))
    assert avstore.transcode(path, made) == 20 and avstore.verify(made).ok
    assert avstore.export(path, kind(place + b".mp4")).frames == 20
    assert avstore.import_video(kind(place + b".mp4"), kind(place + b"-3")).frames == 20
    assert code_of(pickle.loads(pickle.dumps(s))[3]) == 3
    avstore.align([path, made]).write([kind(place + b"-4"), kind(place + b"-5")])
    assert avstore.rebuild_index(kind(place + b"-5")) == 20
    for call in (lambda: avstore.create(path), lambda: avstore.open(kind(place + b"-none")), lambda: s.at_number(99)):
        with pytest.raises(avstore.Error) as raised:
            call()
        assert os.fsdecode(place) in str(raised.value)
    with open(os.path.join(place, b"metadata.yaml"), "ab") as metadata:
        metadata.write(b"\xff")
    with pytest.raises(avstore.Corrupt) as raised:
        avstore.open(path)
    assert os.fsdecode(place) in str(raised.value)
    with open(os.path.join(place + b"-2", b".index.sqlite"), "wb") as index:
        index.write(b"no database")
    with pytest.warns(avstore.AvstoreWarning) as warned:
        assert len(avstore.open(made)) == 20
    assert os.fsdecode(place) in str(warned[0].message)


def test_what_is_no_path(folder):
    for call in (avstore.open, avstore.create, avstore.verify, lambda path: avstore.transcode(path, folder / "t"),
                 lambda path: avstore.align([path, path])):
        for path in ("a\0b", b"a\0b"):
            with pytest.raises(ValueError, match="holds a zero"):
                call(path)
        with pytest.raises(TypeError):
            call(5)
        with pytest.raises(avstore.Error):
            call("")


# --- errors ---

def test_errors_of_the_system_say_which(folder):
    store = write_store(folder / "s: a", "png", 3)
    (folder / "there.mp4").touch()
    for call, kind, number, named in [
        (lambda: avstore.create(store), FileExistsError, errno.EEXIST, store),
        (lambda: avstore.export(store, folder / "there.mp4"), FileExistsError, errno.EEXIST, folder / "there.mp4"),
        (lambda: avstore.open(folder / "none"), FileNotFoundError, errno.ENOENT, folder / "none"),
        (lambda: avstore.create("/proc/none", "png").close(), OSError, errno.ENOENT, pathlib.Path("/proc/none")),
        (lambda: avstore.create("/dev/null/none", "png").close(), OSError, errno.ENOTDIR, pathlib.Path("/dev/null/none")),
    ]:
        with pytest.raises(kind) as raised:
            call()
        for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
            assert isinstance(error, (avstore.Error, kind)) and (error.errno, error.filename) == (number, str(named))
            assert str(error) == str(raised.value) == error.strerror and str(error).startswith(f"{named}: ")


def test_a_full_disk_is_named(folder):
    script = """
import errno, resource, signal, sys, numpy, avstore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
image = numpy.random.default_rng(0).integers(0, 255, (300, 400), numpy.uint8)
w = avstore.create(sys.argv[1], "png")
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
try:
    for i in range(20):
        w.add(image, i, i)
    w.sync()
except OSError as error:
    print(errno.errorcode[error.errno], error.filename)
w.abandon()
"""
    assert python(script, folder / "s") in [f"EFBIG {folder}/s/000000/000000.png\n", f"EFBIG {folder}/s/.index.sqlite\n"]


# --- ranges ---

@pytest.mark.parametrize("start, stop", [(0, None), (-5, None), (0, -5), (-10, -3), (3, -1), (np.int8(-100), 7), (35, 10**20)])
def test_ranges_are_those_of_slices(store, folder, start, stop):
    expected = list(range(100, 140))[int(start):stop]
    if stop is None or stop < 2**63:
        assert avstore.transcode(store, folder / "t", start=start, stop=stop) == len(expected)
        assert avstore.open(folder / "t").frames.number.tolist() == expected
        assert avstore.export(store, folder / "t.mp4", start=start, stop=stop).frames == len(expected)
        s = avstore.open(store)
        keys = s.keyframes()
        assert s.keyframes(start, stop).tolist() == [key for key in keys if key + 100 in expected]
    else:
        with pytest.raises(ValueError, match="stop"):
            avstore.transcode(store, folder / "t", start=start, stop=stop)


@pytest.mark.parametrize("start, stop", [(40, None), (5, 5), (7, 3), (-2, -3), (0, -40)])
def test_ranges_without_frames(store, folder, start, stop):
    for call in (lambda: avstore.transcode(store, folder / "t", start=start, stop=stop),
                 lambda: avstore.export(store, folder / "t.mp4", start=start, stop=stop)):
        with pytest.raises(ValueError, match=f"^{store}: no frames in the range .*; the store has 40"):
            call()
    assert avstore.open(store).keyframes(start, stop).tolist() == []
    assert list(folder.iterdir()) == []


# --- upkeep ---

def test_verifying(folder):
    store = write_store(folder / "s", "h264/mkv")
    assert avstore.verify(store, deep=True) == (40, 3, [], []) and avstore.verify(store).ok
    chunk = chunk_files(store)[2]
    chunk.write_bytes(chunk.read_bytes()[:-500])
    damaged = avstore.verify(store)
    assert not damaged.ok and "000002" in damaged.findings[0]
    with pytest.raises(FileNotFoundError):
        avstore.verify(folder / "none")


KILLED = """
import os, sys, numpy, avstore
w = avstore.create(sys.argv[1], "h264/mkv", chunk_size=15)
for i in range(40):
    w.add(numpy.full((64, 96), i, numpy.uint8), i, i)
w.sync()
os.kill(os.getpid(), 9)
"""


def contents(store):
    """All files but SQLite's index of its log, which no database needs."""
    return {path.name: path.read_bytes() for path in store.rglob("*") if path.is_file() and not path.name.endswith("-shm")}


def test_repairing_what_was_killed(folder):
    subprocess.run([sys.executable, "-c", KILLED, str(folder / "s")], check=False)
    assert avstore.open(folder / "s").info.unfinished
    with pytest.raises(FileExistsError):
        avstore.append(folder / "s")
    before = contents(folder / "s")
    planned = avstore.repair(folder / "s", dry_run=True)
    assert planned.steps == avstore.verify(folder / "s").repairs != []
    assert contents(folder / "s") == before
    done = avstore.repair(folder / "s")
    assert (done.frames, done.steps, done.whole, done.frames_dropped, done.losses) == (40, planned.steps, True, 0, [])
    assert avstore.verify(folder / "s", deep=True) == (40, 3, [], []) and not (folder / "s/.lock").exists()
    assert np.load(folder / "s/000002.npz")["frame_number"].tolist() == list(range(30, 40))
    undone = avstore.undo_repair(folder / "s")
    assert undone.frames == 40 and undone.steps and contents(folder / "s") == before
    with pytest.raises(avstore.NotFound, match="no repair to undo"):
        avstore.undo_repair(folder / "s")
    with pytest.raises(FileNotFoundError):
        avstore.repair(folder / "none")


def test_frames_that_repair_cannot_keep(folder):
    subprocess.run([sys.executable, "-c", KILLED, str(folder / "s")], check=False)
    chunk = chunk_files(folder / "s")[2]
    coded = bytearray(chunk.read_bytes())
    coded[len(coded) // 2:] = bytes(len(coded) - len(coded) // 2)
    chunk.write_bytes(coded)
    done = avstore.repair(folder / "s")
    assert done.frames + done.frames_dropped == 40 and 0 < done.frames_dropped <= 10 and not done.whole
    info = avstore.open(folder / "s").info
    assert info.losses == tuple(done.losses) and f"dropped {done.frames_dropped} frame" in info.losses[0]
    assert not avstore.verify(folder / "s").ok
    with avstore.append(folder / "s") as w:
        w.add(np.zeros((64, 96), np.uint8), 40, 40)
    with pytest.raises(ValueError, match="is not undone"):
        avstore.undo_repair(folder / "s")


def test_going_on_with_a_store(folder):
    store = write_store(folder / "s", "ffv1/mkv", 20)
    with avstore.append(store) as w:
        for i in range(20, 30):
            w.add(draw(i), i, i / 25)
        with pytest.raises(ValueError):
            w.add(draw(30)[1:], 30, 2)
    assert [code_of(image) for chunk in chunk_files(store) for image in decoded(chunk, (HEIGHT, WIDTH), "gray")] == list(range(30))
    assert avstore.open(store).frames.number.tolist() == list(range(30))
    with pytest.raises(FileNotFoundError):
        avstore.append(folder / "none")


def test_an_index_made_anew(folder):
    store = write_store(folder / "s")
    (store / ".index.sqlite").write_bytes(b"no database")
    assert avstore.rebuild_index(store) == 40
    assert avstore.open(store).frames.number.tolist() == list(range(40))


def test_a_damaged_index_is_told_of(folder):
    store = write_store(folder / "s")
    (store / ".index.sqlite").write_bytes(b"no database")
    with pytest.warns(avstore.AvstoreWarning, match="made anew") as caught:
        s = avstore.open(store)
    assert caught[0].filename == __file__ and len(s) == 40


def test_reindexing(folder):
    store = write_store(folder / "s", "png", 10, numbers=[7, 8, 9, 0, 1, 2, 3, 4, 5, 6])
    assert avstore.reindex(store) == (10, 3, 3)
    assert avstore.open(store).frames.number.tolist() == [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6]
    with zipfile.ZipFile(store / "000000/index.npz") as archive:
        assert "_frame_number_before_reindex.npy" in archive.namelist()
    with pytest.raises(ValueError, match="number 0"):
        avstore.reindex(write_store(folder / "t", "png", 3, numbers=[1, 2, 3]))


def test_emptying(folder):
    store = write_store(folder / "s")
    avstore.empty(store)
    assert len(avstore.open(store)) == 0 and chunk_files(store) == []
    with avstore.create(folder / "t") as w:
        w.add(np.zeros((4, 4), np.uint8), 0, 0)
        w.sync()
        with pytest.raises(FileExistsError):
            avstore.empty(folder / "t")


# --- align ---

def test_aligning_by_number(folder):
    left = write_store(folder / "l", "png", 6, numbers=[1, 2, 3, 4, 5, 6])
    right = write_store(folder / "r", "png", 3, numbers=[2, 4, 8], times=[0.5, 0.6, 0.7])
    a = avstore.align([left, right])
    assert a.number.tolist() == [2, 4] and a.frame_index.tolist() == [[1, 0], [3, 1]] and len(a) == 2
    assert a.frame_time[:, 1].tolist() == [0.5, 0.6] and (a.shown == "match").all()
    a = avstore.align([left, avstore.open(right)], policy="hold")
    assert a.shown.tolist() == [["match", "black"], ["match", "match"], ["match", "hold"], ["match", "match"], ["match", "hold"],
                                ["match", "hold"], ["hold", "match"]]
    a.write([folder / "l2", folder / "r2"], format="npy")
    assert [code_of(frame) for frame in avstore.open(folder / "l2")] == [0, 1, 2, 3, 4, 5, 5]
    assert avstore.open(folder / "r2").frames.number.tolist() == [1, 2, 3, 4, 5, 6, 8]
    a.write_side_by_side(folder / "both", format="png")
    both = avstore.open(folder / "both")
    assert both[2].shape == (HEIGHT, 2 * WIDTH)
    assert [code_of(both[2][:, :WIDTH]), code_of(both[2][:, WIDTH:])] == [2, 0]


def test_aligning_by_time(folder):
    left = write_store(folder / "l", "png", 4, times=[0, 1, 2, 3])
    right = write_store(folder / "r", "png", 4, times=[1.1, 2.4, 3.05, 4])
    a = avstore.align([left, right], by="time", tolerance=np.float32(0.125))
    assert a.frame_index.tolist() == [[1, 0], [3, 2]] and a.tolerance == 0.125
    for arguments in ({"by": "place"}, {"policy": "guess"}, {"tolerance": -1, "by": "time"}):
        with pytest.raises(ValueError):
            avstore.align([left, right], **arguments)
    with pytest.raises(ValueError):
        avstore.align([left])


# --- formats ---

def test_formats_and_encoders(folder):
    names = [format.name for format in avstore.formats()]
    assert names[0] == "avc1/mp4" and {"ffv1/mkv", "png", "npy"} <= set(names)
    for format in avstore.formats():
        assert format.video == bool(avstore.encoders(format.name))
        if format.lossless:
            dtype = np.uint16 if "gray16" in format.lossless_pixels else np.uint8
            write_store(folder / format.name.replace("/", "-"), format.name, 2, dtype=dtype)
    assert "libx264" in [encoder.name for encoder in avstore.encoders("avc1/mp4") if encoder.available]
    with pytest.raises(ValueError, match="mp5"):
        avstore.encoders("mp5")


def test_what_is_said_of_a_transcoded_store(folder):
    source = write_store(folder / "s", "png", 3, metadata={"a": {"b": 1}}, created="2024-01-02T03:04:05", timezone="Asia/Tokyo")
    for name, given, metadata, created, zone in (
            ("same", {}, {"a": {"b": 1}}, "2024-01-02T03:04:05", "Asia/Tokyo"),
            ("other", {"metadata": {"x": 1}, "timezone": "Europe/Vienna"}, {"x": 1}, "2024-01-02T03:04:05", "Europe/Vienna"),
            ("none", {"metadata": {}, "created": "2025-01-01T00:00:00"}, {}, "2025-01-01T00:00:00", "Asia/Tokyo")):
        assert avstore.transcode(source, folder / name, format="npy", **given) == 3
        s = avstore.open(folder / name)
        assert (s.metadata, s.info.created_utc, s.info.timezone_local) == (metadata, created, zone)
