"""Brush RLE on a 1920 x 1080 mask with a ragged outline: prelabel against label-studio-sdk, in one run.

    python benchmarks/masks.py [--raggedness 15] [--repeat 15]

Prints milliseconds (the best of the runs, processor time of this process) and ratios. The targets are 10x for encoding
and 50x for decoding. Both decode to what is needed to draw: the SDK to RGBA values, prelabel to a mask.
"""

from __future__ import annotations

import argparse
import platform

import numpy as np
from label_studio_sdk.converter import brush
from numpy.typing import NDArray
from timing import best_ms

from prelabel import masks

WIDTH, HEIGHT = 1920, 1080


def ragged_mask(raggedness: float, seed: int = 0) -> NDArray[np.bool_]:
    """A wavy disc whose outline is frayed over some ``raggedness`` pixels."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    down, right = rows - HEIGHT / 2, columns - WIDTH / 2
    noise = np.random.default_rng(seed).normal(0, raggedness, (HEIGHT, WIDTH))
    inside: NDArray[np.bool_] = np.hypot(down, right) < 350 + 40 * np.sin(37 * np.arctan2(down, right)) + noise
    return inside


def main() -> None:
    """Check that both agree, then time them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raggedness", type=float, default=15.0, help="pixels over which the outline is frayed")
    parser.add_argument("--repeat", type=int, default=15)
    options = parser.parse_args()

    mask = ragged_mask(options.raggedness)
    grey = mask.astype(np.uint8) * 255
    rle = masks.encode_rle(mask)
    if rle != brush.mask2rle(grey):
        raise SystemExit("the encoders disagree")
    if not np.array_equal(masks.decode_rle(rle, width=WIDTH, height=HEIGHT), mask):
        raise SystemExit("the round trip failed")
    if not np.array_equal(masks.decode_values(rle), brush.decode_rle(rle)):
        raise SystemExit("the decoders disagree")

    few = max(3, options.repeat // 4)
    sdk_encode, sdk_decode = best_ms(lambda: brush.mask2rle(grey), few), best_ms(lambda: brush.decode_rle(rle), few)
    encode = best_ms(lambda: masks.encode_rle(mask), options.repeat)
    decode = best_ms(lambda: masks.decode_rle(rle, width=WIDTH, height=HEIGHT), options.repeat)
    everything = best_ms(lambda: masks.decode_values(rle), options.repeat)
    print(f"{WIDTH} x {HEIGHT}, {len(rle)} bytes of RLE; Python {platform.python_version()}, NumPy {np.__version__}")
    print(f"{'':24}{'label-studio-sdk':>18}{'prelabel':>12}{'ratio':>9}")
    for what, theirs, ours in (
        ("encode", sdk_encode, encode),
        ("decode to a mask", sdk_decode, decode),
        ("decode to RGBA values", sdk_decode, everything),
    ):
        print(f"{what:24}{theirs:15.1f} ms{ours:9.2f} ms{theirs / ours:8.1f}x")


if __name__ == "__main__":
    main()
