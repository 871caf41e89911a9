"""Masks: Label Studio's RLE and bitmasks, both ways, against the SDK's own code; outlines and boxes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_studio_sdk.converter import brush
from numpy.typing import NDArray
from PIL import Image

from prelabel import masks, outlines

Bools = NDArray[np.bool_]


@st.composite
def any_mask(draw: st.DrawFn) -> Bools:
    """Masks of any size up to 90 x 90: noise, blobs of any grain, or all alike."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    grain, share = draw(st.integers(1, 40)), draw(st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    small = random.random((height // grain + 1, width // grain + 1)) < share
    return np.kron(small, np.ones((grain, grain), dtype=np.bool_))[:height, :width]


@st.composite
def any_values(draw: st.DrawFn) -> NDArray[np.uint8]:
    """Bytes in runs of many lengths, beyond what one record can hold too."""
    runs = draw(
        st.lists(st.tuples(st.integers(0, 255), st.sampled_from([1, 2, 7, 8, 9, 16, 17, 256, 257, 65536, 65537])))
        .filter(bool)
        .filter(lambda pairs: sum(length for _, length in pairs) < 400_000)
    )
    return np.concatenate([np.full(length, value, dtype=np.uint8) for value, length in runs])


def packed(records: list[tuple[bool, list[int]]], sizes: tuple[int, ...] = (3, 4, 8, 16)) -> list[int]:
    """A stream written record by record, with lists of values as Label Studio's editor makes them."""
    total = sum(values[1] if is_run else len(values) for is_run, values in records)
    bits = f"{total:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    for is_run, values in records:
        count = values[1] if is_run else len(values)
        which = next(i for i, size in enumerate(sizes) if count <= 1 << size)
        bits += f"{int(is_run)}{which:02b}{count - 1:0{sizes[which]}b}"
        bits += "".join(f"{value:08b}" for value in (values[:1] if is_run else values))
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


@given(any_mask())
def test_a_mask_survives_the_round_trip(mask: Bools) -> None:
    height, width = mask.shape
    assert np.array_equal(masks.decode_rle(masks.encode_rle(mask), width=width, height=height), mask)


@given(any_mask())
@settings(max_examples=40)
def test_the_encoder_writes_the_sdks_bytes(mask: Bools) -> None:
    assert masks.encode_rle(mask) == brush.mask2rle(mask.astype(np.uint8) * 255)


@given(any_values())
@settings(max_examples=40, deadline=None)
def test_any_bytes_are_packed_as_the_sdk_packs_them_and_come_back(values: NDArray[np.uint8]) -> None:
    rle = masks.encode_values(values)
    assert rle == brush.encode_rle(values)
    assert np.array_equal(masks.decode_values(rle), values)


@given(any_mask())
@settings(max_examples=30)
def test_the_sdk_decodes_what_we_encode(mask: Bools) -> None:
    decoded = brush.decode_rle(masks.encode_rle(mask)).reshape(*mask.shape, 4)
    assert np.array_equal(decoded, np.repeat(mask[:, :, None], 4, axis=2) * 255)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 255), st.integers(1, 400)), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_lists_of_values_as_the_editor_writes_them_are_decoded(records: list[tuple[bool, int, int]]) -> None:
    stream = packed(
        [
            (is_run, [value, count] if is_run else [(value + i) % 256 for i in range(count)])
            for is_run, value, count in records
        ]
    )
    assert np.array_equal(masks.decode_values(stream), brush.decode_rle(stream))


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (1, 3, 9, 14), (16, 16, 16, 16)])
def test_other_run_sizes_than_the_sdks_are_read_from_the_header(sizes: tuple[int, ...]) -> None:
    stream = packed([(True, [255, 4]), (False, [1, 2]), (True, [0, 2])], sizes)
    assert masks.decode_values(stream).tolist() == [255] * 4 + [1, 2] + [0, 0]


def test_a_stream_longer_than_one_block_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "BLOCK_BITS", 256)
    noise = np.random.default_rng(1).random((61, 47)) < 0.4
    assert np.array_equal(masks.decode_rle(masks.encode_rle(noise), width=47, height=61), noise)
    stream = packed([(False, list(range(200))), (True, [9, 5000]), (False, [3, 4, 5])])
    assert np.array_equal(masks.decode_values(stream), brush.decode_rle(stream))


def test_soft_edges_of_the_editor_are_inside_where_alpha_is_above_zero() -> None:
    pixels = np.array([[0, 0, 0, 0], [10, 20, 30, 1], [0, 0, 0, 255], [9, 9, 9, 0]], dtype=np.uint8)
    rle = masks.encode_values(pixels.reshape(-1))
    assert masks.decode_rle(rle, width=2, height=2).tolist() == [[False, True], [True, False]]


def test_a_stream_for_another_size_is_refused() -> None:
    rle = masks.encode_rle(np.ones((4, 5), dtype=np.bool_))
    with pytest.raises(ValueError, match="80 values, 6 x 4 pixels need 96"):
        masks.decode_rle(rle, width=6, height=4)


@pytest.mark.parametrize("kept", [3, 9, 40])
def test_a_stream_that_is_cut_off_is_refused(kept: int) -> None:
    noise = np.random.default_rng(2).random((20, 20)) < 0.5
    with pytest.raises(ValueError, match=r"RLE (is shorter|ends|is cut off)"):
        masks.decode_rle(masks.encode_rle(noise)[:kept], width=20, height=20)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0, 1], [2, 0]], dtype=np.uint8),
        np.array([[0.1, 0.5], [0.9, 0.4999]]),
        np.array([[[0, 7], [7, 0]]]),
        np.array([[[0], [1]], [[1], [0]]]),
        [[False, True], [True, False]],
        np.array([[np.nan, 1.0], [1.0, 0.0]], dtype=np.float32),
    ],
)
def test_what_models_call_a_mask_becomes_bool(array: object) -> None:
    assert masks.binary(array).tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("array", [np.zeros(4), np.zeros((2, 2, 3)), np.zeros((0, 4)), [["a"]]])
def test_what_is_no_mask_is_refused(array: object) -> None:
    with pytest.raises(ValueError, match="a mask h"):
        masks.binary(array)


@given(any_mask(), st.integers(1, 60), st.integers(1, 60))
def test_scaling_takes_the_nearest_pixel(mask: Bools, width: int, height: int) -> None:
    scaled = masks.resize(mask, width=width, height=height)
    nearest = Image.fromarray(mask.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    assert scaled.shape == (height, width)
    assert np.mean(scaled != np.asarray(nearest, dtype=np.bool_)) < 0.35  # halves are rounded the other way
    assert masks.resize(mask, width=mask.shape[1], height=mask.shape[0]) is mask


def test_scaling_up_by_a_whole_factor_repeats_pixels() -> None:
    mask = np.array([[True, False], [False, True]])
    assert np.array_equal(masks.resize(mask, width=6, height=4), np.kron(mask, np.ones((2, 3), dtype=np.bool_)))


@given(any_mask())
@settings(max_examples=25, deadline=None)
def test_a_bitmask_survives_the_round_trip(mask: Bools) -> None:
    assert np.array_equal(masks.from_data_url(masks.to_data_url(mask)), mask)


def test_a_bitmask_is_an_rgba_png_black_inside_and_transparent_outside() -> None:
    url = masks.to_data_url(np.array([[True, False]]))
    with Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,")))) as image:
        assert (image.format, image.mode) == ("PNG", "RGBA")
        assert list(np.asarray(image)[0].tolist()) == [[0, 0, 0, 255], [0, 0, 0, 0]]


@pytest.mark.parametrize("url", ["", "http://x/a.png", "data:image/png;base64,AAAA", "data:image/png;base64,%"])
def test_what_is_no_bitmask_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each of the four has its own words)
        masks.from_data_url(url)


def test_the_box_of_a_mask_is_exclusive_on_the_right_and_below() -> None:
    mask = np.zeros((10, 12), dtype=np.bool_)
    mask[2:5, 3:9] = True
    assert masks.to_box(mask) == (3, 2, 9, 5)
    with pytest.raises(ValueError, match="empty"):
        masks.to_box(np.zeros((2, 2), dtype=np.bool_))


def test_the_outline_of_a_rectangle_is_four_corners_within_the_tolerance() -> None:
    mask = np.zeros((40, 60), dtype=np.bool_)
    mask[10:30, 20:50] = True
    outline = masks.to_polygon(mask)
    assert outline is not None
    corners = [(20.25, 10.25), (20.25, 29.75), (49.75, 10.25), (49.75, 29.75)]
    assert np.allclose(sorted(outline.points), corners)


def test_the_outline_is_of_the_largest_part_and_counts_holes_and_other_parts() -> None:
    mask = np.zeros((50, 50), dtype=np.bool_)
    mask[5:40, 5:40] = True
    mask[10:15, 10:15] = False
    mask[20:25, 20:25] = False
    mask[45:48, 45:48] = True
    outline = masks.to_polygon(mask)
    assert outline is not None
    assert (outline.holes, outline.others) == (2, 1)
    assert max(x for x, _ in outline.points) < 41


def test_a_line_one_pixel_wide_has_an_outline() -> None:
    mask = np.zeros((20, 20), dtype=np.bool_)
    mask[7, 3:18] = True
    outline = masks.to_polygon(mask, tolerance=0.1)
    assert outline is not None
    assert len(outline.points) >= 3


def test_a_larger_tolerance_gives_fewer_points() -> None:
    rows, columns = np.mgrid[:200, :200]
    disc = np.hypot(rows - 100, columns - 100) < 80
    fine, coarse = masks.to_polygon(disc, tolerance=0.5), masks.to_polygon(disc, tolerance=5)
    assert fine is not None
    assert coarse is not None
    assert len(fine.points) > 2 * len(coarse.points)


def test_an_empty_mask_has_no_outline() -> None:
    assert masks.to_polygon(np.zeros((3, 3), dtype=np.bool_)) is None


# --- all parts as polygons
def drawn(found: list[NDArray[np.float64]], shape: tuple[int, int], *, by_parity: bool) -> NDArray[np.bool_]:
    """What rings enclose, each by itself: pixels whose centre is inside."""
    inside = np.zeros(shape, dtype=np.bool_)
    for ring in found:
        rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
        turns = np.zeros(shape, dtype=np.int64)
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y1 == y2:
                continue
            beside = columns < x1 + (rows - y1) / (y2 - y1) * (x2 - x1)
            crosses = (rows >= min(y1, y2)) & (rows < max(y1, y2)) & beside
            turns += np.where(crosses, 1 if by_parity or y2 > y1 else -1, 0)
        inside |= turns % 2 == 1 if by_parity else turns != 0
    return inside


@pytest.mark.parametrize("by_parity", [True, False], ids=["parity", "winding"])
def test_every_part_is_a_ring_and_holes_stay_outside_however_it_is_filled(by_parity: bool) -> None:
    rows, columns = np.mgrid[:120, :160]
    mask = np.hypot(rows - 60, columns - 60) < 50
    mask &= ~(np.hypot(rows - 50, columns - 40) < 12) & ~(np.hypot(rows - 70, columns - 80) < 15)
    mask |= np.hypot(rows - 60, columns - 60) < 6
    mask[20:40, 130:150] = True
    found = outlines.rings(mask, tolerance=0.5)
    assert len(found) == 2
    assert len(found[0]) > len(found[1])
    wrong = drawn(found, mask.shape, by_parity=by_parity) ^ mask
    shifted = [np.roll(mask, step, axis=axis) for step in (-1, 1) for axis in (0, 1)]
    border = np.logical_or.reduce([each ^ mask for each in shifted])
    assert not (wrong & ~border).any()


def test_parts_and_holes_below_the_tolerance_are_left_out_but_never_the_only_part() -> None:
    mask = np.zeros((60, 60), dtype=np.bool_)
    mask[5:45, 5:45] = True
    mask[20:22, 20:22] = False
    mask[50:52, 50:52] = True
    (ring,) = outlines.rings(mask)
    assert len(ring) == 4
    assert len(outlines.rings(mask, tolerance=0.25)) == 2
    dot = np.zeros((9, 9), dtype=np.bool_)
    dot[4, 4] = True
    assert len(outlines.rings(dot, tolerance=5)) == 1
    assert outlines.rings(np.zeros((3, 3), dtype=np.bool_)) == []


# --- polygons to masks
def test_a_square_is_filled_to_its_own_pixels_and_no_more() -> None:
    inside = outlines.filled([[(2, 3), (12, 3), (12, 13), (2, 13)]], width=40, height=30)
    assert masks.to_box(inside) == (2, 3, 12, 13)
    assert int(inside.sum()) == 100


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_a_ring_holds_the_pixels_whose_centres_it_encloses(seed: int, corners: int) -> None:
    ring = np.random.default_rng(seed).random((corners, 2)) * 60 - 10  # it may cross itself, and leave the picture
    assert np.array_equal(outlines.filled([ring], width=40, height=30), drawn([ring], (30, 40), by_parity=True))


@given(any_mask())
def test_fine_outlines_are_filled_to_the_mask_again(mask: Bools) -> None:
    height, width = mask.shape
    found = outlines.rings(mask, tolerance=0.1)
    again = np.zeros_like(mask)
    for ring in found:
        again |= outlines.filled([ring], width=width, height=height)
    assert np.array_equal(again, mask)
