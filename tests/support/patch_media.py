#!/usr/bin/env python3
"""Change bytes of a media file in ways that the ffmpeg program has no option for.

usage: patch_media.py edits    IN OUT START:LENGTH...   replace the edit list of an MP4's first video track
       patch_media.py turn     IN OUT DEGREES           display matrix of an MP4's first video track: 90, 180 or 270, clockwise
       patch_media.py no-idx1  IN OUT                   cut an AVI off where its index begins
       patch_media.py pack     IN OUT                   pack the B-frames of an MPEG-4 ASP AVI as the DivX encoder did
       patch_media.py flip     IN OUT POSITION COUNT    flip bits in COUNT bytes from POSITION on
       patch_media.py once     IN OUT KIND...           drop the headers of an elementary stream but for the first of each KIND
       patch_media.py cut      IN OUT FROM TO           keep the bytes FROM to TO; each a number, or a fraction of the file as 0.7

START and LENGTH of an edit are seconds; an edit whose START is "gap" shows nothing for LENGTH. START counts in the media's
composition time, which begins at the delay of the B-frames and not at 0.

A KIND is what such a header begins with after its start code, in hexadecimal; for H.264 "67" and "68".

"pack" wants single B-frames at 25 frames/s. A reference frame and the B-frame coded after it go into one chunk, and the next chunk
holds a VOP that says "not coded", so that a chunk has one time each, though decoding order is not presentation order. Nothing
but a note in the stream ("DivX503b1393p") tells a decoder so.
"""
import struct
import sys

CONTAINERS = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"}
MATRICES = {  # a, b, c, d of the display matrix; x and y are set from the size
    90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0),
}


class Box:
    """An MP4 box: the ones in CONTAINERS are parsed into children, the others kept as bytes."""

    def __init__(self, kind, payload):
        self.kind, self.payload, self.children = kind, payload, None
        if kind in CONTAINERS:
            self.children = parse(payload)

    def write(self):
        body = self.payload if self.children is None else b"".join(child.write() for child in self.children)
        return struct.pack(">I4s", len(body) + 8, self.kind) + body

    def find(self, *path):
        if not path:
            return self
        for child in self.children:
            if child.kind == path[0]:
                return child.find(*path[1:])
        raise SystemExit(f"patch_media.py: no box {path[0].decode()} in {self.kind.decode()}")


def parse(data):
    boxes, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        boxes.append(Box(kind, data[at + 8:at + size]))
        at += size
    return boxes


def patch_moov(data, change):
    """Call change(moov), and write the file anew. Only a moov behind the mdat may change its size: no chunk offset moves then."""
    at = 0
    while True:
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"moov":
            break
        at += size
    if at + size != len(data):
        raise SystemExit("patch_media.py: the moov box is not the last one")
    moov = Box(b"moov", data[at + 8:])
    change(moov)
    return data[:at] + moov.write()


def video_track(moov):
    for box in moov.children:
        if box.kind == b"trak" and box.find(b"mdia", b"hdlr").payload[8:12] == b"vide":
            return box
    raise SystemExit("patch_media.py: no video track")


def timescale(payload):
    return struct.unpack_from(">I", payload, 20 if payload[0] else 12)[0]


def set_edits(data, edits):
    def change(moov):
        track = video_track(moov)
        movie_scale = timescale(moov.find(b"mvhd").payload)
        media_scale = timescale(track.find(b"mdia", b"mdhd").payload)
        entries, total = b"", 0
        for edit in edits:
            start, length = edit.split(":")
            duration = round(float(length) * movie_scale)
            total += duration
            media_time = -1 if start == "gap" else round(float(start) * media_scale)
            entries += struct.pack(">Iihh", duration, media_time, 1, 0)
        elst = Box(b"elst", struct.pack(">II", 0, len(edits)) + entries)
        edts = Box(b"edts", elst.write())
        track.children = [child for child in track.children if child.kind != b"edts"]
        track.children.insert(1, edts)
        for header, offset in ((moov.find(b"mvhd"), 16), (track.find(b"tkhd"), 20)):  # version 0, as ffmpeg writes short films
            header.payload = header.payload[:offset] + struct.pack(">I", total) + header.payload[offset + 4:]
    return patch_moov(data, change)


def turn(data, degrees):
    def change(moov):
        header = video_track(moov).find(b"tkhd")
        width, height = struct.unpack_from(">II", header.payload, 76)
        a, b, c, d = MATRICES[degrees]
        # the turned picture is shifted back to where x and y are not negative
        x = width if degrees == 180 else height if degrees == 90 else 0
        y = height if degrees == 180 else width if degrees == 270 else 0
        one = 1 << 16
        matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, x, y, 1 << 30)
        header.payload = header.payload[:40] + matrix + header.payload[76:]
    return patch_moov(data, change)


def avi_chunk(data, kind, at=12):
    """Place of the AVI chunk of that kind: its four letters, or those of its list."""
    while kind not in (data[at:at + 4], data[at + 8:at + 12]):
        if at >= len(data):
            raise SystemExit(f"patch_media.py: no {kind.decode()} chunk")
        size = struct.unpack_from("<I", data, at + 4)[0]
        at += 8 + size + size % 2
    return at


def without_idx1(data):
    return data[:avi_chunk(data, b"idx1")]


def vop_type(chunk):
    return "IPBS"[chunk[chunk.index(b"\0\0\1\xb6") + 4] >> 6]


def not_coded_vop(number):
    # vop_coding_type P, modulo_time_base 0, marker, vop_time_increment of 25ths, marker, vop_coded 0, stuffing
    bits = "01" + "0" + "1" + format(number % 25, "05b") + "1" + "0" + "01111"
    return b"\0\0\1\xb6" + int(bits, 2).to_bytes(2, "big")


def pack_bframes(data):
    movi, idx1 = avi_chunk(data, b"movi"), avi_chunk(data, b"idx1")
    frames, at = [], movi + 12
    while at < idx1:
        size = struct.unpack_from("<I", data, at + 4)[0]
        if size:  # the muxer fills gaps in time with empty chunks
            frames.append(data[at + 8:at + 8 + size])
        at += 8 + size + size % 2

    chunks = []
    for frame in frames:
        if vop_type(frame) == "B":
            chunks[-1] += frame
            chunks.append(not_coded_vop(len(chunks)))
        else:
            chunks.append(frame)
    vop = chunks[0].index(b"\0\0\1\xb6")
    group = chunks[0].rfind(b"\0\0\1\xb3", 0, vop)  # user data stands before a group-of-VOP header
    vop = group if group >= 0 else vop
    chunks[0] = chunks[0][:vop] + b"\0\0\1\xb2DivX503b1393p" + chunks[0][vop:]

    body, index = b"movi", b""
    for chunk in chunks:
        flags = 0x10 if vop_type(chunk) == "I" else 0
        index += struct.pack("<4sIII", b"00dc", flags, len(body), len(chunk))
        body += struct.pack("<4sI", b"00dc", len(chunk)) + chunk + b"\0" * (len(chunk) % 2)
    tail = b"LIST" + struct.pack("<I", len(body)) + body + b"idx1" + struct.pack("<I", len(index)) + index
    return data[:4] + struct.pack("<I", movi - 8 + len(tail)) + data[8:movi] + tail


def flip(data, position, count):
    return data[:position] + bytes(byte ^ 0x5A for byte in data[position:position + count]) + data[position + count:]


def cut(data, start, end):
    start, end = (int(float(at) * len(data)) if "." in at else int(at) for at in (start, end))
    return data[start:end]


def headers_once(data, kinds):
    start = b"\0\0\1"
    before, *units = data.split(start)
    kept, seen = before, set()
    for unit in units:
        kind = next((kind for kind in kinds if unit[:4].hex().startswith(kind)), None)
        if kind is None or kind not in seen:
            kept += start + unit
        seen.add(kind)
    return kept


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    action, source, target, *rest = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read()
    changed = {
        "edits": lambda: set_edits(data, rest),
        "turn": lambda: turn(data, int(rest[0])),
        "no-idx1": lambda: without_idx1(data),
        "pack": lambda: pack_bframes(data),
        "flip": lambda: flip(data, int(rest[0]), int(rest[1])),
        "cut": lambda: cut(data, rest[0], rest[1]),
        "once": lambda: headers_once(data, rest),
    }[action]()
    with open(target, "wb") as file:
        file.write(changed)


if __name__ == "__main__":
    main()
