"""Alignment and helpers of the drop-in for imgstore."""
import math

import numpy as np
import pytest

import avstore.imgstore as imgstore
from avstore.imgstore import align, stores, util

from conftest import COLOR, code_of, draw, golden_store, new_imgstore


# --- alignment ---


def test_alignment(folder):
    numbers = {"a": [2, 3, 5, 8], "b": [1, 3, 4, 8, 9]}
    opened = []
    for name, each in numbers.items():
        new_imgstore(folder, "npy", len(each), numbers=each, name=name)
        opened.append(imgstore.new_for_filename(str(folder / name)))
    aligner = align.StoreAligner(*opened)
    with pytest.raises(ValueError):
        next(aligner.iter_imgs())
    with pytest.raises(ValueError):
        aligner.extract_common_frames("nonsense")

    def shown(policy):
        assert aligner.extract_common_frames(policy).tolist() == [each[0] for each in aligner.iter_imgs()]
        return [(number, *(code_of(image) if image.any() else None for image in images), *times)
                for number, images, times in aligner.iter_imgs(return_times=True)]

    nan = pytest.approx(math.nan, nan_ok=True)
    assert shown(aligner.MISSING_POLICY_DROP) == [(3, 1, 1, 10.25, 10.25), (8, 3, 3, 10.75, 10.75)]
    # The first image drawn shows 0, which is black in bars but not below them.
    assert shown(aligner.MISSING_POLICY_HOLD) == [
        (1, None, 0, nan, 10.0), (2, 0, 0, 10.0, nan), (3, 1, 1, 10.25, 10.25), (4, 1, 2, nan, 10.5), (5, 2, 2, 10.5, nan),
        (8, 3, 3, 10.75, 10.75), (9, 3, 4, nan, 11.0)]
    assert shown(aligner.MISSING_POLICY_BLACK) == [
        (1, None, 0, nan, 10.0), (2, 0, None, 10.0, nan), (3, 1, 1, 10.25, 10.25), (4, None, 2, nan, 10.5),
        (5, 2, None, 10.5, nan), (8, 3, 3, 10.75, 10.75), (9, None, 4, nan, 11.0)]
    new_imgstore(folder, "npy", 1, COLOR, name="c")
    with pytest.raises(ValueError):
        align.StoreAligner(opened[0], imgstore.new_for_filename(str(folder / "c")))


# --- util ---


def test_four_characters():
    assert util.FourCC("M", "J", "P", "G") == int.from_bytes(b"MJPG", "little") == 1196444237


def test_gray_and_colour():
    gray = draw(5)
    color = imgstore.ensure_color(gray)
    assert color.shape == COLOR and (color == gray[..., np.newaxis]).all()
    assert imgstore.ensure_color(color) is color and imgstore.ensure_grayscale(gray) is gray
    assert imgstore.ensure_color(gray[..., np.newaxis]).shape == COLOR
    np.testing.assert_array_equal(imgstore.ensure_grayscale(color), gray)
    # BT.601: https://docs.opencv.org/4.6.0/de/d25/imgproc_color_conversions.html
    for dtype in (np.uint8, np.uint16, np.float32):
        top = 1 if dtype is np.float32 else np.iinfo(dtype).max
        corners = np.eye(3, dtype=dtype)[np.newaxis] * dtype(top)
        np.testing.assert_allclose(imgstore.ensure_grayscale(corners)[0] / top, [0.114, 0.587, 0.299], atol=0.5 / 255)
        assert imgstore.ensure_grayscale(corners).dtype == dtype


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_gray_is_that_of_opencv(dtype):
    cv2 = pytest.importorskip("cv2")
    image = (np.random.default_rng(4).random((200, 200, 3)) * (1 if dtype is np.float32 else np.iinfo(dtype).max)).astype(dtype)
    np.testing.assert_allclose(imgstore.ensure_grayscale(image), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY),
                               atol=1e-6 if dtype is np.float32 else 0)


def test_opencv_s_numbers_of_encodings():
    cv2 = pytest.importorskip("cv2")
    numbers = {getattr(cv2, name) for name in dir(cv2) if name.startswith("COLOR_") and "2BGR" in name}
    assert set(util._ENCODINGS_OF_ENUM) <= numbers
    processor = util.ImageCodecProcessor()
    for name, code in (("RGB2BGR", "cv_rgb"), ("BayerBG2BGR", "cv_bayerbg"), ("YUV2BGR_NV12", "cv_yuv_nv12"),
                       ("YUV2BGR_YVYU", "cv_yuv_yvyu"), ("GRAY2BGR", "cv_gray"), ("RGBA2BGR", "cv_rgba")):
        assert processor.cv2_enum_to_code(getattr(cv2, "COLOR_" + name)) == code
    shapes = {"cv_yuv_nv12": (12, 16), "cv_yuv_nv21": (12, 16), "cv_yuv_yv12": (12, 16), "cv_yuv_i420": (12, 16),
              "cv_rgb": (8, 16, 3), "cv_rgba": (8, 16, 4), "cv_bgra": (8, 16, 4)}
    for number, codes in util._ENCODINGS_OF_ENUM.items():
        shape = shapes.get(codes[0], (8, 16, 2) if number in (108, 116, 118) else (8, 16))
        data = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
        for code in codes:
            np.testing.assert_array_equal(processor.convert_to_bgr(data, code), cv2.cvtColor(data, number), err_msg=code)


def test_decoding_sensor_data():
    raw = np.load(golden_store("bayer_bg_npy").path / "000000" / "000000.npy")
    picture = golden_store("bayer_bg_npy").frames[0]
    processor = util.ImageCodecProcessor()
    assert processor.encoding == "" and processor.autoconvert(raw) is raw
    np.testing.assert_array_equal(processor.convert_to_bgr(raw, "cv_bayerbg"), picture)
    for made in (util.ImageCodecProcessor.from_cv2_enum(46), util.ImageCodecProcessor.from_pylon_format("BayerRG")):
        assert made.encoding == "cv_bayerbg"
        np.testing.assert_array_equal(made.autoconvert(raw), picture)
    assert util.ImageCodecProcessor.from_pylon_format("BayerBG").encoding == "cv_bayerrg"
    assert util.ImageCodecProcessor.from_pylon_format("None").encoding == ""
    assert processor.check_code("cv_bayerbg") and not processor.check_code("foo")
    for call in (lambda: processor.convert_to_bgr(raw), lambda: processor.set_default_code("foo"),
                 lambda: processor.convert_to_bgr(raw, "foo"), lambda: util.ImageCodecProcessor.from_pylon_format("foo"),
                 lambda: processor.convert_to_bgr(raw[..., np.newaxis].repeat(3, 2), "cv_bayerbg")):
        with pytest.raises(ValueError):
            call()


def test_frame_rate_that_motif_noted(folder):
    class Noted:
        def __init__(self, **metadata):
            self.user_metadata = metadata

    rate = util.motif_get_parse_true_fps
    free = Noted(acquisitionframerate=30, acquisitionframerateenable=True)
    assert rate(Noted(hwframerate="100", motifptpframerate=50)) == 100.0 and rate(Noted(motifptpframerate=50)) == 50.0
    assert rate(free) == 30.0 and rate(free, hwardware_only=True) == 25.0
    assert rate(Noted(acquisitionframerate=30, acquisitionframerateenable=False), default=7.0) == 7.0
    new_imgstore(folder)
    assert rate(imgstore.new_for_filename(str(folder / "store")), default=None) == pytest.approx(4.0)


def test_formats():
    known = imgstore.get_supported_formats()
    assert {"png", "tif", "jpg", "bmp", "ppm", "pgm", "npy", "bpk", "png+color"} <= set(known)
    assert {"avc1/mp4", "h264/mkv", "mjpeg/avi"} <= set(known)
    assert len(known) == len(set(known))
    assert stores.VideoImgStore.supports_format("mjpeg") and not stores.DirectoryImgStore.supports_format("mjpeg/avi")
    assert not stores.VideoImgStore.supports_format(None)
