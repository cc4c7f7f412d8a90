#!/usr/bin/env python3
"""Make a store of many frames, with the indexes of its chunks but no images: what opening it costs can be measured with it.

usage: make_large_store.py STORE [CHUNKS [FRAMES_A_CHUNK]]

1000 chunks of 10000 frames unless told otherwise, as `mjpeg/avi`; the video files are empty. Numbers ascend with gaps.
"""
import os
import sys

import numpy as np


def main():
    if len(sys.argv) not in (2, 3, 4):
        sys.exit(__doc__.split("\n\n")[1])
    store = sys.argv[1]
    chunks = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    frames = int(sys.argv[3]) if len(sys.argv) > 3 else 10000
    os.mkdir(store)
    with open(os.path.join(store, "metadata.yaml"), "w", encoding="utf-8") as file:
        file.write("__store: {class: VideoImgStore, version: 2, format: mjpeg/avi, extension: .avi, imgshape: [480, 640],\n"
                   f"  imgdtype: uint8, chunksize: {frames}, encoding: null, created_utc: '2024-03-01T12:30:00'}}\n")
    for chunk in range(chunks):
        place = np.arange(chunk * frames, (chunk + 1) * frames)
        # a frame lost now and then
        np.savez(os.path.join(store, f"{chunk:06}.npz"), frame_number=place + place // 4321,
                 frame_time=1.7e9 + place / 100.0)
        open(os.path.join(store, f"{chunk:06}.avi"), "wb").close()


if __name__ == "__main__":
    main()
