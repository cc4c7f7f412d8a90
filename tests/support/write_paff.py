#!/usr/bin/env python3
"""Encode raw 4:2:0 frames as H.264 in which some frames are coded as two separate fields (PAFF).

usage: write_paff.py WIDTHxHEIGHT h264|ts < frames.yuv420p > out

The output is an elementary stream without any times, or a transport stream with a PES packet and PTS and DTS for each picture.

No encoder in the ffmpeg program makes such streams, though cameras and broadcasts do; they are hard because one frame is two
coded pictures (often two packets), each with a time of its own. So here is the least encoder that can: a macroblock is either
stored raw (I_PCM) or skipped (a copy of the reference picture), and everything around it follows ITU-T H.264.

Structure of the stream, by display order n:
  n % 12 == 0   IDR; the first field is IDR, the second an I field
  n even        P, a reference
  n odd         P, not a reference, coded after n+1: so frames are reordered, as with B-frames
  n % 5 == 3    is coded as one frame picture, all others as two fields
P pictures store the bar code and one column of macroblocks (another one each time), and skip the rest.
Height must be a multiple of 32 (whole macroblock rows in each field).
"""
import sys

GOP = 12
P_SLICE, I_SLICE = 5, 7  # slice_type, when all slices of the picture have it
I_PCM = 25               # mb_type in I slices; P slices have five types of their own before
ACCESS_UNIT_DELIMITER = b"\0\0\0\1\x09\xf0"


class Bits:
    def __init__(self):
        self.done, self.tail = bytearray(), ""

    def u(self, count, value):
        self.tail += format(value, f"0{count}b") if count else ""

    def ue(self, value):
        binary = format(value + 1, "b")
        self.tail += "0" * (len(binary) - 1) + binary

    def se(self, value):
        self.ue(2 * value - 1 if value > 0 else -2 * value)

    def align(self):
        self.tail += "0" * (-len(self.tail) % 8)
        self.done += int("1" + self.tail, 2).to_bytes(len(self.tail) // 8 + 1, "big")[1:]
        self.tail = ""

    def nal(self, ref_idc, kind):
        """Close the RBSP, and give the NAL unit with start code and emulation prevention bytes."""
        self.u(1, 1)
        self.align()
        out, zeros = bytearray(b"\0\0\0\1" + bytes([ref_idc << 5 | kind])), 0
        for byte in self.done:
            if zeros == 2 and byte <= 3:
                out.append(3)
                zeros = 0
            zeros = zeros + 1 if byte == 0 else 0
            out.append(byte)
        return bytes(out)


def parameter_sets(width, height):
    sps = Bits()
    for count, value in ((8, 77), (8, 0), (8, 30)):  # Main profile, no constraints, level 3
        sps.u(count, value)
    for value in (0,   # seq_parameter_set_id
                  0,   # log2_max_frame_num_minus4
                  0,   # pic_order_cnt_type
                  4,   # log2_max_pic_order_cnt_lsb_minus4
                  2):  # max_num_ref_frames
        sps.ue(value)
    sps.u(1, 0)        # gaps_in_frame_num_value_allowed_flag
    sps.ue(width // 16 - 1)
    sps.ue(height // 32 - 1)
    sps.u(1, 0)        # frame_mbs_only_flag
    sps.u(1, 0)        # mb_adaptive_frame_field_flag
    sps.u(1, 1)        # direct_8x8_inference_flag
    sps.u(1, 0)        # frame_cropping_flag
    sps.u(1, 1)        # vui_parameters_present_flag
    for _ in range(4):
        sps.u(1, 0)    # aspect ratio, overscan, video signal, chroma location: none
    sps.u(1, 1)        # timing_info_present_flag
    sps.u(32, 1)       # 50 fields a second
    sps.u(32, 50)
    sps.u(1, 1)        # fixed_frame_rate_flag
    for _ in range(3):
        sps.u(1, 0)    # no HRD parameters, pic_struct_present_flag
    sps.u(1, 1)        # bitstream_restriction_flag
    sps.u(1, 1)        # motion_vectors_over_pic_boundaries_flag
    for value in (0, 0, 9, 9, 1, 2):  # ..., max_num_reorder_frames, max_dec_frame_buffering
        sps.ue(value)

    pps = Bits()
    pps.ue(0)
    pps.ue(0)
    pps.u(1, 0)        # CAVLC
    pps.u(1, 0)        # bottom_field_pic_order_in_frame_present_flag
    pps.ue(0)          # one slice group
    pps.ue(0)          # one reference in list 0 and 1
    pps.ue(0)
    pps.u(3, 0)        # no weighted prediction
    for _ in range(3):
        pps.se(0)      # quantizers: unused, nothing is transformed
    pps.u(1, 1)        # deblocking_filter_control_present_flag
    pps.u(2, 0)
    return sps.nal(3, 7) + pps.nal(3, 8)


class Frame:
    def __init__(self, data, width, height):
        sizes = ((width, height), (width // 2, height // 2), (width // 2, height // 2))
        self.planes, at = [], 0
        for w, h in sizes:
            self.planes.append([data[at + y * w:at + (y + 1) * w] for y in range(h)])
            at += w * h

    def field(self, parity):
        half = Frame.__new__(Frame)
        half.planes = [rows[parity::2] for rows in self.planes]
        return half

    def macroblock(self, column, row):
        out = b""
        for side, rows in zip((16, 8, 8), self.planes):
            out += b"".join(line[column * side:(column + 1) * side] for line in rows[row * side:(row + 1) * side])
        return out


def picture(frame, number, *, slice_type, idr, reference, frame_num, parity):
    """One coded picture, a NAL unit: the whole frame, or with parity 0 (top) or 1 its field."""
    bits = Bits()
    bits.ue(0)
    bits.ue(slice_type)
    bits.ue(0)
    bits.u(4, frame_num % 16)
    bits.u(1, parity is not None)
    if parity is not None:
        bits.u(1, parity)
    if idr:
        bits.ue(number // GOP % 2)  # idr_pic_id: neighbours must differ
    # A field's order count is its own; a frame's counts for both fields.
    bits.u(8, 2 * (number % GOP) + (parity or 0))
    if slice_type == P_SLICE:
        bits.u(1, 0)                # as many references as the PPS says
        bits.u(1, 0)                # in their natural order
    if idr:
        bits.u(2, 0)
    elif reference:
        bits.u(1, 0)                # sliding window
    bits.se(0)
    bits.ue(1)                      # no deblocking

    source = frame if parity is None else frame.field(parity)
    columns, rows = len(source.planes[0][0]) // 16, len(source.planes[0]) // 16
    skipped = 0
    for row in range(rows):
        for column in range(columns):
            if slice_type == P_SLICE:
                if row > 0 and column != number % columns:
                    skipped += 1
                    continue
                bits.ue(skipped)
                skipped = 0
                bits.ue(5 + I_PCM)
            else:
                bits.ue(I_PCM)
            bits.align()
            bits.done += source.macroblock(column, row)
    if skipped:
        bits.ue(skipped)
    return bits.nal(2 if reference else 0, 5 if idr else 1)


def coding_order(count):
    for start in range(0, count, GOP):
        yield start
        end = min(start + GOP, count)
        for odd in range(start + 1, end, 2):
            if odd + 1 < end:
                yield odd + 1
            yield odd


def encode(frames, width, height):
    """Yield (bytes, presentation time, decoding time) of each coded picture; times in fields, from 0."""
    frame_num = 0
    for place, number in enumerate(coding_order(len(frames))):
        idr = number % GOP == 0
        reference = number % 2 == 0
        if idr:
            frame_num = 0
        common = {"reference": reference, "frame_num": frame_num, "slice_type": I_SLICE if idr else P_SLICE}
        for parity in (None,) if number % 5 == 3 else (0, 1):
            first = idr and not parity
            head = ACCESS_UNIT_DELIMITER + (parameter_sets(width, height) if first else b"")
            field = parity or 0
            yield (head + picture(frames[number], number, idr=first, parity=parity, **common),
                   2 * (number + 1) + field, 2 * place + field)
        if reference:
            frame_num += 1


class TransportStream:
    """As little of ISO 13818-1 as one video stream needs."""

    PROGRAM_MAP_PID, VIDEO_PID = 0x1000, 0x100
    FIELD = 90000 // 50
    START = 90000

    def __init__(self, out):
        self.out, self.counters = out, {}

    def packets(self, pid, payload, adaptation=b""):
        """Cut a payload into packets of 188 bytes; the adaptation field goes into the first, stuffing into the last."""
        start = True
        while payload:
            room = 184 - (len(adaptation) + 1 if adaptation else 0)
            piece, payload = payload[:room], payload[room:]
            missing = room - len(piece)
            if missing and not adaptation:
                adaptation, missing = (b"", 0) if missing == 1 else (b"\0", missing - 2)
                field = bytes([len(adaptation) + missing]) + adaptation + b"\xff" * missing
            else:
                adaptation += b"\xff" * missing
                field = bytes([len(adaptation)]) + adaptation if adaptation else b""
            counter = self.counters.get(pid, 0)
            self.counters[pid] = (counter + 1) % 16
            self.out.write(bytes([0x47, start << 6 | pid >> 8, pid & 255, (0x30 if field else 0x10) | counter]) + field + piece)
            start, adaptation = False, b""

    def section(self, pid, table, body):
        body = b"\0\1\xc1\0\0" + body
        section = bytes([table, 0xb0, len(body) + 4]) + body
        crc = 0xffffffff
        for byte in section:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ (0x04c11db7 if crc >> 31 else 0)) & 0xffffffff
        section += crc.to_bytes(4, "big")
        self.packets(pid, b"\0" + section + b"\xff" * (183 - len(section)))

    @staticmethod
    def stamp(prefix, time):
        return bytes([prefix << 4 | time >> 29 & 14 | 1,
                      time >> 22 & 255, time >> 14 & 254 | 1,
                      time >> 7 & 255, time << 1 & 254 | 1])

    def write(self, data, pts, dts):
        if data.startswith(ACCESS_UNIT_DELIMITER + b"\0\0\0\1\x67"):  # tables where decoding may begin
            self.section(0, 0, b"\0\1" + (0xe000 | self.PROGRAM_MAP_PID).to_bytes(2, "big"))
            video = (0xe000 | self.VIDEO_PID).to_bytes(2, "big")
            self.section(self.PROGRAM_MAP_PID, 2, video + b"\xf0\0\x1b" + video + b"\xf0\0")
        pts, dts = (self.START + time * self.FIELD for time in (pts, dts))
        header = b"\0\0\1\xe0\0\0\x80\xc0\x0a" + self.stamp(3, pts) + self.stamp(1, dts)
        clock = dts - self.FIELD * 4
        self.packets(self.VIDEO_PID, header + data, b"\x10" + (clock << 15 | 0x7e00).to_bytes(6, "big"))


def main():
    width, height = map(int, sys.argv[1].split("x"))
    data = sys.stdin.buffer.read()
    size = width * height * 3 // 2
    frames = [Frame(data[at:at + size], width, height) for at in range(0, len(data), size)]
    stream = TransportStream(sys.stdout.buffer)
    for coded, pts, dts in encode(frames, width, height):
        if sys.argv[2] == "ts":
            stream.write(coded, pts, dts)
        else:
            sys.stdout.buffer.write(coded)


if __name__ == "__main__":
    main()
