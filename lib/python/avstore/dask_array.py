"""Stores as lazy arrays of Dask and xarray."""
from __future__ import annotations

import threading
from typing import Any, Dict, List, Tuple, Union

import numpy as np

from .arguments import integer
from .errors import Corrupt, InvalidArgument
from .store import Store

# The store that a thread of a worker has read last: tasks come in any order, but mostly of one.
_open = threading.local()


def _store_of_thread(key: Tuple[Any, ...]) -> Store:
    """The store, opened once for each thread: the scheduler spreads blocks over threads, so one thread decodes a block."""
    if getattr(_open, "key", None) != key:
        path, options, uuid, frames = key
        alone: dict[str, Any] = {**dict(options), "threads": 1}
        store = Store(path, **alone)
        if store.info.uuid != uuid or len(store) < frames:
            raise Corrupt(f"{path}: is not the store that the array was made of: it has been replaced or cut")
        _open.key, _open.store = key, store
    return _open.store


def _read_block(key: Tuple[Any, ...], start: int, stop: int, shape: Tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return _store_of_thread(key)._stack(np.arange(start, stop), shape, dtype)


def _block_bounds(keyframes: np.ndarray, frames: int, largest: int) -> List[int]:
    """Where blocks begin, and where the last ends: keyframe intervals together as long as they fit."""
    inner = keyframes[keyframes > 0].tolist()
    cuts = [0]
    for begin, end in zip([0, *inner], [*inner, frames]):
        if end - cuts[-1] > largest and begin > cuts[-1]:
            cuts.append(begin)
        while end - cuts[-1] > largest:
            cuts.append(cuts[-1] + largest)
    return [*cuts, frames]


def _bytes_of(size: Union[int, str]) -> int:
    import dask.utils

    try:
        count = dask.utils.parse_bytes(size) if isinstance(size, str) else integer(size, "block_bytes")
    except InvalidArgument:
        raise
    except ValueError:
        raise InvalidArgument(f"block_bytes cannot be {size!r}: it is a number of bytes, or such as '16 MiB'") from None
    if count < 1:
        raise InvalidArgument(f"block_bytes cannot be {size!r}: it must be positive")
    return count


def to_dask(store: Store, block_bytes: Union[int, str, None]) -> Any:
    import dask.array
    import dask.base
    from dask.highlevelgraph import HighLevelGraph

    shape, dtype = store.image_shape, store.image_dtype
    frames = len(store)
    if frames == 0:
        return dask.array.zeros((0, *shape), dtype=dtype, chunks=(0, *shape))
    block_bytes = _bytes_of(dask.config.get("array.chunk-size") if block_bytes is None else block_bytes)
    image_bytes = int(np.prod(shape)) * dtype.itemsize
    cuts = _block_bounds(store.keyframes(), frames, max(1, block_bytes // image_bytes))
    key = (store._given_path, tuple(store._options.items()), store.info.uuid, frames)
    name = "avstore-" + dask.base.tokenize(key, cuts, store.info.created_utc)
    rest = (0,) * len(shape)
    graph: Dict[Any, Any] = {(name, block, *rest): (_read_block, key, start, stop, shape, dtype)
                             for block, (start, stop) in enumerate(zip(cuts, cuts[1:]))}
    chunks = (tuple(np.diff(cuts).tolist()), *((extent,) for extent in shape))
    return dask.array.Array(HighLevelGraph.from_collections(name, graph), name, chunks, dtype=dtype)


def to_xarray(store: Store, block_bytes: Union[int, str, None]) -> Any:
    import xarray

    array = to_dask(store, block_bytes)
    names = store.frames
    return xarray.DataArray(array, dims=("frame", "y", "x", "channel")[:array.ndim],
                            coords={"number": ("frame", names.number), "time": ("frame", names.time)},
                            attrs={"path": store.path, "uuid": store.info.uuid})
