"""Threads, processes, Dask."""
import concurrent.futures
import multiprocessing
import os
import pickle
import threading

import numpy as np
import pytest

import avstore
import avstore.dask_array
from conftest import HEIGHT, WIDTH, chunk_files, code_of, decoded, draw, python, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("sharing") / "s", "h264/mkv", 60, keyframe_interval=5)


def codes(store, indices):
    return [code_of(store[int(i)]) for i in indices]


# --- threads ---

def test_threads_share_a_store(store):
    s = avstore.open(store)
    orders = [np.random.default_rng(seed).permutation(60) for seed in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for order, seen in zip(orders, pool.map(lambda order: codes(s, order), orders)):
            assert seen == order.tolist()
        assert list(pool.map(lambda order: [code_of(f) for f in s[order]], orders)) == [order.tolist() for order in orders]


def test_threads_with_a_store_each(store):
    orders = [np.random.default_rng(seed).permutation(60) for seed in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        seen = list(pool.map(lambda order: codes(avstore.open(store), order), orders))
    assert seen == [order.tolist() for order in orders]


def test_threads_share_a_writer(folder):
    with avstore.create(folder / "s", "ffv1/mkv") as w:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda i: (w.add(draw(i), i, i), w.stats(), w.durable_count), range(100)))
    s = avstore.open(folder / "s")
    assert sorted(s.frames.number) == list(range(100))
    assert all(code_of(frame) == frame.number for frame in s)


@pytest.mark.parametrize("work", ["read", "add"])
def test_other_threads_of_python_run_meanwhile(folder, work):
    """With a switch interval of minutes, another thread runs only where this one lets go of the interpreter itself."""
    script = """
import sys, threading, time, numpy, avstore
counted = 0
done = threading.Event()
started = threading.Event()
def count():
    global counted
    started.set()
    while not done.is_set():
        counted += 1
        time.sleep(0)  # lets go of the interpreter
def work():
    if sys.argv[1] == "read":
        for frame in avstore.open(sys.argv[2]):
            pass
    else:
        image = numpy.random.default_rng(0).integers(0, 255, (600, 800, 3), numpy.uint8)
        with avstore.create(sys.argv[2], "png", queue_frames=1) as w:
            for i in range(20):
                w.add(image, i, i)
thread = threading.Thread(target=count)
thread.start()
started.wait()
sys.setswitchinterval(600)
before = counted
work()
print(counted - before)
done.set()
"""
    path = folder / "s"
    if work == "read":
        write_store(path)
    assert int(python(script, work, path)) > 20


@pytest.mark.parametrize("work", ["read", "read list", "add", "verify"])
def test_python_ends_while_a_daemon_thread_works(folder, work):
    """It comes back from decoding or encoding to a Python that is gone."""
    script = """
import sys, threading, numpy, avstore
work, path = sys.argv[1:]
begun = threading.Semaphore(0)
image = numpy.random.default_rng(0).integers(0, 255, (120, 160, 3), numpy.uint8)
w = avstore.create(path, "h264/mkv", overwrite=True)
for i in range(30):
    w.add(image, i, i)
w.sync()
s = avstore.open(path)
def go():
    while True:
        begun.release()
        if work == "read":
            s[11]
        elif work == "read list":
            s[[3, 20]]
        elif work == "add":
            w.add(image, 0, 0)
        else:
            avstore.verify(path, deep=True, progress=lambda done, total: True)
threads = [threading.Thread(target=go, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in threads:
    begun.acquire()
"""
    for _ in range(4 if os.environ.get("AVSTORE_TEST_FULL") else 1):
        python(script, work, folder / "s")


def test_closing_while_another_thread_reads(store):
    s = avstore.open(store)
    ended = []

    def read():
        try:
            while True:
                s[[1, 50, 30]]
        except avstore.InvalidArgument:
            ended.append(True)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    s[7]
    s.close()
    for thread in threads:
        thread.join(60)
    assert ended == [True] * 3


# --- processes ---

def test_pickling_opens_again(store):
    s = avstore.open(os.path.relpath(store), pixel_format="rgb24", threads=1)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(s, protocol))
        assert again.path == str(store) and again[3].shape == (HEIGHT, WIDTH, 3) and codes(again, [9]) == [9]
    data = pickle.dumps(s)
    assert python("import pickle, sys; print(pickle.loads(bytes.fromhex(sys.argv[1]))[5].index)", data.hex()) == "5\n"
    with pytest.raises(TypeError):
        pickle.dumps(avstore.create(store.parent / "w"))


_inherited = None


def _read_inherited(i):
    return code_of(_inherited[i]), code_of(_inherited[[i, 0]][0])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing(store, method):
    global _inherited
    s = _inherited = avstore.open(store)
    s[20]  # its decoder's threads are not there after a fork
    with multiprocessing.get_context(method).Pool(2) as pool:
        frames = pool.map_async(s.__getitem__, range(0, 60, 7)).get(60)
        assert [(frame.index, code_of(frame)) for frame in frames] == [(i, i) for i in range(0, 60, 7)]
        if method == "fork":
            assert pool.map_async(_read_inherited, range(10)).get(60) == [(i, i) for i in range(10)]
    assert codes(s, [21, 3]) == [21, 3]


def test_threads_of_a_child_share_an_inherited_store(store):
    """They all find that it has to be opened anew, at the same time."""
    script = """
import os, sys, threading, avstore
s = avstore.open(sys.argv[1])
s[0]
for attempt in range(20):
    child = os.fork()
    if child == 0:
        seen = []
        together = threading.Barrier(8)
        def read(seed):
            together.wait()
            seen.extend(s[(seed * 7 + i) % 60].index == (seed * 7 + i) % 60 for i in range(4))
        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        os._exit(0 if seen == [True] * 32 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    python(script, store)


def test_a_child_leaves_its_parents_recording_alone(folder):
    script = """
import gc, os, sys, numpy, avstore
w = avstore.create(sys.argv[1])
w.add(numpy.zeros((64, 96), numpy.uint8), 0, 0)
child = os.fork()
if child == 0:
    for call in (lambda: w.add(numpy.zeros((64, 96), numpy.uint8), 1, 1), w.sync, w.stats):
        try:
            call()
        except ValueError as error:
            assert "another process" in str(error)
        else:
            os._exit(1)
    w.close()
    del w
    gc.collect()
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
w.add(numpy.zeros((64, 96), numpy.uint8), 2, 2)
w.close()
print(len(avstore.open(sys.argv[1])))
"""
    assert python(script, folder / "s") == "2\n"


# --- Dask ---

dask = pytest.importorskip("dask")


@pytest.mark.parametrize("images_a_block", [1, 4, 5, 12, 1000])
def test_blocks_begin_at_keyframes(store, images_a_block):
    s = avstore.open(store)
    array = s.to_dask(block_bytes=images_a_block * HEIGHT * WIDTH)
    assert array.shape == (60, HEIGHT, WIDTH) and array.dtype == np.uint8
    sizes = array.chunks[0]
    assert max(sizes) <= images_a_block
    if images_a_block >= 5:
        assert set(np.cumsum(sizes)[:-1]) <= set(s.keyframes())
    expected = np.concatenate([decoded(chunk, (HEIGHT, WIDTH), "gray", "extractplanes=y") for chunk in chunk_files(store)])
    assert np.array_equal(array.compute(scheduler="threads"), expected)
    assert np.array_equal(array[7:33:5, 3, ::2].compute(scheduler="synchronous"), expected[7:33:5, 3, ::2])


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_nothing_is_decoded_twice_or_before_its_time(store, monkeypatch, scheduler):
    opened = []

    def opening(*arguments, **options):
        opened.append(avstore.Store(*arguments, **options))
        return opened[-1]

    def decoded_by(stores):
        return sum(each.statistics.frames_decoded for each in stores)

    monkeypatch.setattr(avstore.dask_array, "Store", opening)
    monkeypatch.setattr(avstore.dask_array, "_open", threading.local())
    s = avstore.open(store)
    array = s.to_dask(block_bytes=5 * HEIGHT * WIDTH)
    assert decoded_by([s]) == 0 and opened == []
    assert [code_of(image) for image in array[40:43].compute(scheduler=scheduler)] == [40, 41, 42]
    assert decoded_by([s]) == 0 and decoded_by(opened) == 5
    assert [code_of(image) for image in array.compute(scheduler=scheduler)] == list(range(60))
    assert decoded_by([s]) == 0 and decoded_by(opened) == 65


@pytest.mark.parametrize("format", ["png", "npy"])
def test_a_damaged_first_frame_spoils_no_other(folder, format):
    write_store(folder / "s", format)
    (folder / f"s/000000/000000.{format}").write_bytes(b"no image")
    s = avstore.open(folder / "s")
    assert [code_of(image) for image in s.stack(slice(1, None))] == list(range(1, 40))
    for read in (lambda: s[0], s.stack):
        with pytest.raises(avstore.Corrupt):
            read()
    array = s.to_dask(block_bytes=HEIGHT * WIDTH)
    assert s.image_shape == array.shape[1:] == (HEIGHT, WIDTH) and s.image_dtype == array.dtype == np.uint8
    assert [code_of(image) for image in array[1:].compute()] == list(range(1, 40))
    with pytest.raises(avstore.Corrupt):
        array.compute()


def test_sizes_of_blocks(store):
    s = avstore.open(store)
    assert s.to_dask("30 kB").chunks == s.to_dask(30000).chunks == s.to_dask(np.float64(3e4)).chunks != s.to_dask().chunks
    for nonsense, kind in (("much", ValueError), (0, ValueError), (-5, ValueError), ("0 MB", ValueError), ([1], TypeError)):
        with pytest.raises(kind, match="block_bytes"):
            s.to_dask(nonsense)


def test_options_reach_the_workers(store):
    array = avstore.open(store, pixel_format="bgr24").to_dask()
    assert array.shape == (60, HEIGHT, WIDTH, 3) and array.compute().shape == array.shape
    assert avstore.open(store).to_dask().name == avstore.open(store).to_dask().name != array.name


def test_a_store_that_was_replaced_is_not_read(folder):
    array = avstore.open(write_store(folder / "s")).to_dask()
    write_store(folder / "s", overwrite=True)
    with pytest.raises(avstore.Corrupt, match=str(folder / "s")):
        array.compute()


def test_a_cluster_of_processes(store, folder):
    """In a file of its own, since workers import the program that starts them."""
    pytest.importorskip("distributed")
    script = folder / "script.py"
    script.write_text("""
import sys, numpy, avstore
from dask.distributed import Client, LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None) as cluster, Client(cluster):
        s = avstore.open(sys.argv[1])
        array = s.to_dask(block_bytes=5 * s[0].nbytes)
        assert array.npartitions == 12
        assert numpy.array_equal(array.compute(), s.stack())
        print(float(array.mean()) == float(s.stack().mean()))
""", encoding="utf-8")
    assert python("import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')", script,
                  store) == "True\n"


def test_xarray_coordinates(folder):
    pytest.importorskip("xarray")
    store = write_store(folder / "s", numbers=range(100, 140), channels=3)
    array = avstore.open(store).to_xarray()
    assert array.dims == ("frame", "y", "x", "channel") and array.shape == (40, HEIGHT, WIDTH, 3)
    assert array.number.values.tolist() == list(range(100, 140)) and array.time.values[5] == 0.2
    assert code_of(array.swap_dims(frame="number").sel(number=117).values) == 17
