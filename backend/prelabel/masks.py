"""Masks as Label Studio stores them: brush RLE and bitmask PNG, both ways; and masks to outlines and boxes.

Label Studio's brush RLE is thi.ng's `rle-pack` (https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack)
over the bytes of an RGBA image, four equal bytes a pixel. A stream of bits: 32 for the number of values, 5 for the word
size - 1, four times 4 for the run sizes - 1; then records of one bit (1: a run, 0: values one by one), two bits that
choose a run size, the count - 1 in that many bits, and one value or ``count`` values.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Words = NDArray[np.uint32]

WORD_BITS = 8
RUN_BITS = (3, 4, 8, 16)
"""Bits of a run's length in each of the four sizes, as Label Studio's SDK writes them."""
_SLACK = 1e-3
"""How far below 0 a probability may be: float noise in half precision, and after scaling."""
HEADER_BITS = 32 + 5 + 4 * 4
CHANNELS = 4
BLOCK_BITS = 1 << 17
"""How much of a stream is parsed at once: bounds memory on noisy masks, and fits the processor's cache."""


# --- arrays to masks
def binary(array: ArrayLike, threshold: float = 0.5) -> Bools:
    """What a model calls a mask as bool ``[height, width]``.

    Bool stays, integers are inside unless 0, floats (probabilities 0..1) from ``threshold`` on; NaN is outside. One
    axis of length 1 before or behind the two is taken away.

    Raises:
        ValueError: not two-dimensional, no pixels, or not numeric; or below 0 with a threshold above it, as the logits
            of a network are that nobody made probabilities.
    """
    values = np.asarray(array)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values[0] if values.shape[0] == 1 else values[:, :, 0]
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"a mask has the shape [height, width], got {list(values.shape)}")
    inside: Bools
    if values.dtype == np.bool_:
        inside = values
    elif values.dtype.kind in "iu":
        inside = values != 0
    elif values.dtype.kind == "f":
        inside = values >= threshold
        if threshold > 0 and values.min() < -_SLACK:
            raise ValueError(
                "it holds numbers below 0, which are no probabilities: apply a sigmoid, or give Mask(..., threshold=0)"
            )
    else:
        raise ValueError(f"a mask holds bool, integers or probabilities, got {values.dtype}")
    return inside


def resize(mask: Bools, *, width: int, height: int) -> Bools:
    """``mask`` scaled to ``width`` x ``height`` pixels, nearest neighbour; itself where the size is right."""
    if mask.shape == (height, width):
        return mask
    rows = (np.arange(height) * 2 + 1) * mask.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * mask.shape[1] // (2 * width)
    scaled: Bools = mask[rows][:, columns]
    return scaled


# --- brush RLE
def encode_rle(mask: Bools) -> list[int]:
    """A mask as brush RLE, byte for byte what ``label_studio_sdk.converter.brush.mask2rle`` makes of 0 and 255."""
    flat = np.ascontiguousarray(mask).reshape(-1)
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
    lengths = np.diff(ends, prepend=-1) * CHANNELS
    return _pack(lengths, flat[ends].astype(np.int64) * 255, flat.size * CHANNELS)


def encode_values(values: Bytes) -> list[int]:
    """Any bytes as RLE, byte for byte what the SDK's ``encode_rle`` makes of them."""
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]), values.size - 1)
    return _pack(np.diff(ends, prepend=-1), values[ends].astype(np.int64), values.size)


def _pack(lengths: Ints, values: Ints, total: int) -> list[int]:
    """Runs to the stream. Runs beyond 65,536 are split into several of the longest size."""
    longest = 1 << RUN_BITS[3]
    if lengths.size and lengths.max() > longest:
        parts = -(-lengths // longest)
        is_last = np.zeros(int(parts.sum()), dtype=np.bool_)
        is_last[np.cumsum(parts) - 1] = True
        was_split = np.repeat(parts > 1, parts)
        lengths = np.where(is_last, np.repeat((lengths - 1) % longest + 1, parts), longest)
        values = np.repeat(values, parts)
    else:
        was_split = np.zeros(lengths.size, dtype=np.bool_)
    size = np.searchsorted([8, 16, 256], lengths)
    size[was_split] = 3
    bits = np.asarray(RUN_BITS, dtype=np.int64)[size]
    is_run = (lengths > 1) | was_split
    codes = (((is_run << 2) | size) << bits | (lengths - 1)) << WORD_BITS | values
    widths = bits + 3 + WORD_BITS
    aligned = (codes << (32 - widths)).astype(">u4")
    body = np.unpackbits(aligned.view(np.uint8)).reshape(-1, 32)
    header = total << 21 | (WORD_BITS - 1) << 16
    for place, run_bits in enumerate(RUN_BITS):
        header |= (run_bits - 1) << (12 - 4 * place)
    head = np.array([(header >> (HEADER_BITS - 1 - i)) & 1 for i in range(HEADER_BITS)], dtype=np.uint8)
    stream = np.concatenate((head, body[np.arange(32) < widths[:, None]]))
    packed = np.packbits(stream)
    packed_list: list[int] = packed.tolist()
    return packed_list if stream.size % 8 else [*packed_list, 0]  # the SDK always pads, by a whole byte if need be


def decode_rle(rle: Sequence[int] | bytes, *, width: int, height: int) -> Bools:
    """Brush RLE to a mask ``[height, width]``: inside where the pixel's alpha is above 0.

    Raises:
        ValueError: the stream is cut off, or holds another number of values.
    """
    total, lengths, values = _unpack(rle)
    if total != width * height * CHANNELS:
        raise ValueError(f"the RLE holds {total} values, {width} x {height} pixels need {width * height * CHANNELS}")
    if not (lengths & (CHANNELS - 1)).any():
        return _fill(lengths // CHANNELS, values != 0, width * height).reshape(height, width)
    return _expand(lengths, values).reshape(height, width, CHANNELS)[:, :, 3] > 0


def _fill(lengths: Ints, inside: Bools, total: int) -> Bools:
    """Runs to ``total`` bools: a bit where inside begins or ends, then the parity of the bits before each, by words."""
    turns = np.flatnonzero(np.diff(inside, prepend=False))
    at = (np.cumsum(lengths) - lengths)[turns]
    words = np.zeros(-(-total // 64), dtype=np.uint64)
    np.bitwise_xor.at(words, at >> 6, np.uint64(1) << (at & 63).astype(np.uint64))
    for shift in (1, 2, 4, 8, 16, 32):
        words ^= words << np.uint64(shift)
    before = np.bitwise_xor.accumulate(words >> np.uint64(63))
    words[1:] ^= np.uint64(0) - before[:-1]
    bits = np.unpackbits(words.astype("<u8", copy=False).view(np.uint8), count=total, bitorder="little")
    return bits.view(np.bool_)


def decode_values(rle: Sequence[int] | bytes) -> Bytes:
    """RLE to the bytes it stands for (RGBA, row by row), as the SDK's ``decode_rle`` gives them.

    Raises:
        ValueError: the stream is cut off.
    """
    _, lengths, values = _unpack(rle)
    return _expand(lengths, values)


def _expand(lengths: Ints, values: Bytes) -> Bytes:
    if not (lengths % CHANNELS).any():  # whole pixels: four bytes at a time
        pixels = np.repeat(values.astype(np.uint32) * 0x01010101, lengths // CHANNELS)
        return pixels.view(np.uint8)
    return np.repeat(values, lengths)


def _unpack(rle: Sequence[int] | bytes) -> tuple[int, Ints, Bytes]:
    """The number of values, and the runs: their lengths and values (values said one by one are runs of 1)."""
    data = np.frombuffer(bytes(rle), dtype=np.uint8)
    if data.size * 8 < HEADER_BITS:
        raise ValueError("the RLE is shorter than its header")
    header = int.from_bytes(data[:7].tobytes(), "big") >> 3
    total, word = header >> 21, (header >> 16 & 31) + 1
    if word > WORD_BITS:
        raise ValueError(f"the RLE has words of {word} bits; Label Studio's have {WORD_BITS}")
    run_bits = np.array([(header >> shift & 15) + 1 for shift in (12, 8, 4, 0)], dtype=np.int64)
    stream = _Stream.open(data, word, run_bits)

    parts: list[tuple[Ints, Bytes, Ints]] = []
    position, left, end = HEADER_BITS, total, data.size * 8
    lists = False
    while left > 0:
        if position >= end:
            raise ValueError(f"the RLE ends {left} values too early")
        starts, after = _record_starts(stream, position, lists=lists)
        runs, said, said_at, found_lists = _records(stream, starts)
        if found_lists and not lists:
            lists = True
            continue
        position = after
        parts.append((runs, said, said_at))
        left -= int(runs.sum())
    if not parts:
        return 0, np.zeros(0, np.int64), np.zeros(0, np.uint8)
    runs, said, said_at = (np.concatenate(column) for column in zip(*parts, strict=True))
    if left < 0:  # padding read as records, or a last record longer than it should be
        upto = np.cumsum(runs)
        last = int(np.searchsorted(upto, total))
        runs, said = runs[: last + 1].copy(), said[: last + 1]
        runs[last] -= upto[last] - total
    if said_at[runs.size - 1] + word > end:
        raise ValueError("the RLE is cut off inside its last value")
    return total, runs, said


def _record_starts(stream: _Stream, first: int, *, lists: bool) -> tuple[Ints, int]:
    """Where the records of one block of the stream begin, from the one at ``first`` on; and where the next block does.

    A record's length stands in itself, so records must be found one after another. How long a record would be is looked
    up for every bit of the block at once, then for every pair of records; only the pairs are followed one by one.
    Without ``lists`` values said one by one are taken to come alone, as the SDK writes them: that is quicker.
    """
    base = first >> 3
    block = stream.data[base : base + BLOCK_BITS // 8]
    end = block.size * 8
    steps = stream.steps[stream.heads[base : base + block.size]].view(np.uint8)
    slack = np.zeros(64, dtype=np.uint8)
    if lists:
        place = np.arange(end)
        head = stream.at(place + base * 8)
        counts = (head << 3) >> (32 - stream.run_bits[head >> 29 & 3]).astype(np.uint32)
        steps = np.where(head < 0x80000000, steps + counts.astype(np.int32) * stream.word, steps)
        steps = np.minimum(steps, end - place).astype(np.int32)
        pairs = steps + np.append(steps, np.int32(0))[place + steps]
    else:  # the four lengths in turn: quick on bytes
        reach = np.concatenate((steps, slack))
        pairs = steps.copy()
        for length in {int(bits) + 3 + stream.word for bits in stream.run_bits}:
            pairs += (steps == length).view(np.uint8) * reach[length : length + end]
    leaps = memoryview(np.concatenate((pairs, slack.astype(pairs.dtype))))
    here, leap = first & 7, 0
    most = end // (2 * (int(stream.run_bits.min()) + 3 + stream.word)) + 1
    followed = [leap := leaps[here := here + leap] for _ in range(most)]
    taken: NDArray[Any] = np.array(followed) if lists else np.frombuffer(bytes(followed), dtype=np.uint8)
    even: Ints = np.cumsum(taken, dtype=np.int64) - taken + (first & 7)
    even = even[even < end]
    starts: Ints = np.stack((even, even + steps[even]), axis=1).reshape(-1)
    starts = starts[starts < end] + base * 8
    return starts, int(stream.lengths(starts[-1:])[0] + starts[-1])


@dataclass(frozen=True, slots=True)
class _Stream:
    """A stream's bytes and what its header says: ``word`` and ``run_bits`` [4] in bits.

    ``windows`` has the 32 bits from each byte on, ``heads`` each byte with the two bits behind it. ``steps`` tells from
    such a head how long a record that begins at each of the byte's eight bits would be: eight bytes in a word.
    """

    data: Bytes
    word: int
    run_bits: Ints
    windows: Words
    heads: Ints
    steps: NDArray[np.uint64]

    @classmethod
    def open(cls, data: Bytes, word: int, run_bits: Ints) -> _Stream:
        padded = np.concatenate((data, np.zeros(8, dtype=np.uint8))).astype(np.uint32)
        windows: Words = padded[:-3] << np.uint32(24)
        for place, shift in ((1, 16), (2, 8), (3, 0)):
            windows |= padded[place : place + windows.size] << np.uint32(shift)
        size = np.arange(1024)[:, None] >> (7 - np.arange(8)) & 3  # the 2nd and 3rd bit of a record: its run size
        steps = (run_bits[size] + 3 + word).astype(np.uint8).view(np.uint64).reshape(-1)
        return cls(data, word, run_bits, windows, (windows >> np.uint32(22)).astype(np.int64), steps)

    def at(self, positions: Ints) -> Words:
        """The bits from each position on, in the upper part of a word (25 of them are valid)."""
        bytes_at = np.minimum(positions >> 3, self.windows.size - 1)
        found: Words = self.windows[bytes_at] << (positions & 7).astype(np.uint32)
        return found

    def lengths(self, starts: Ints) -> Ints:
        """How many bits the records at ``starts`` take."""
        head = self.at(starts)
        run_bits = self.run_bits[head >> 29 & 3]
        counts = ((head << 3) >> (32 - run_bits).astype(np.uint32)).astype(np.int64) + 1
        lengths: Ints = 3 + run_bits + np.where(head < 0x80000000, counts, 1) * self.word
        return lengths


def _records(stream: _Stream, starts: Ints) -> tuple[Ints, Bytes, Ints, bool]:
    """Lengths and values of the records at ``starts``, at which bit each value stands; and whether any holds a list."""
    head = stream.at(starts)
    run_bits = stream.run_bits[head >> 29 & 3]
    lengths = ((head << 3) >> (32 - run_bits).astype(np.uint32)).astype(np.int64) + 1
    values_at = starts + 3 + run_bits
    is_list = (head < 0x80000000) & (lengths > 1)
    lists = bool(is_list.any())
    if lists:
        repeats = np.where(is_list, lengths, 1)
        within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        values_at = np.repeat(values_at, repeats) + within * stream.word
        lengths = np.repeat(np.where(is_list, 1, lengths), repeats)
    values = (stream.at(values_at) >> np.uint32(32 - stream.word)).astype(np.uint8)
    return lengths, values, values_at, lists


# --- bitmask PNG
def to_data_url(mask: Bools) -> str:
    """A mask as Label Studio's editor writes a bitmask: an RGBA PNG of the image's size, black where the
    mask is and transparent elsewhere."""
    from PIL import Image  # noqa: PLC0415 (imported by those who send bitmasks)

    pixels = np.zeros((*mask.shape, CHANNELS), dtype=np.uint8)
    pixels[:, :, 3] = mask
    pixels[:, :, 3] *= 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def from_data_url(url: str) -> Bools:
    """A bitmask's PNG to a mask: inside where alpha is above 0.

    Raises:
        ValueError: not a data URL of an image.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 (imported by those who read bitmasks)

    head, comma, body = url.partition(",")
    if not comma or not head.startswith("data:image/"):
        raise ValueError("a bitmask is a data URL of an image")
    try:
        with Image.open(io.BytesIO(base64.b64decode(body, validate=True))) as image:
            alpha: Bools = np.asarray(image.convert("RGBA"))[:, :, 3] > 0
    except UnidentifiedImageError as error:
        raise ValueError("the data URL holds no image") from error
    return alpha


# --- outlines and boxes
@dataclass(frozen=True, slots=True)
class Outline:
    """The outer ring of a mask's largest part, in pixels; how many holes it has and how many ``others`` were left out.

    A polygon of Label Studio is one ring: it covers the holes.
    """

    points: tuple[tuple[float, float], ...]
    holes: int = 0
    others: int = 0


def to_polygon(mask: Bools, tolerance: float = 1.0) -> Outline | None:
    """The outline, at most ``tolerance`` (+ 0.25) pixels off the true one; None for a mask without pixels.

    The mask is looked at in doubled size, so that lines one pixel wide have an outline too.
    """
    import cv2  # noqa: PLC0415 (imported by those who need outlines)

    if not mask.any():
        return None
    x1, y1, x2, y2 = to_box(mask)
    part = np.ascontiguousarray(mask[y1:y2, x1:x2]).view(np.uint8)
    doubled = np.repeat(np.repeat(part, 2, axis=0), 2, axis=1)
    contours, tree = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parents = tree[0][:, 3]
    outer = np.flatnonzero(parents < 0)
    areas: list[Any] = [cv2.contourArea(contours[i]) for i in outer]
    largest = int(outer[int(np.argmax(areas))])
    ring = contours[largest]
    simple = cv2.approxPolyDP(ring, 2 * tolerance, closed=True)
    if len(simple) < 3:
        simple = cv2.approxPolyDP(ring, 0.5, closed=True)
    points = (simple.reshape(-1, 2) + 0.5) / 2 + (x1, y1)
    return Outline(tuple((float(x), float(y)) for x, y in points), int(np.sum(parents == largest)), int(outer.size) - 1)


def to_box(mask: Bools) -> tuple[int, int, int, int]:
    """The smallest box around a mask: left, top, right, bottom in pixels, right and bottom exclusive.

    Raises:
        ValueError: the mask is empty.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise ValueError("the mask is empty")
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
