"""Images to the tensor a network wants: size, channels, scale, normalisation, layout, type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from prelabel.errors import ModelLoadError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

Resize = Literal["squash", "crop", "pad"]
ResizeOption = Literal["auto"] | Resize
Layout = Literal["nchw", "nhwc"]
Channels = Literal["rgb", "bgr", "gray"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in the network's input: input = image * ``scale`` + ``offset``, both (x, y), in pixels.

    ``image`` and ``net`` are the sizes of the two, (width, height).
    """

    image: tuple[int, int]
    net: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float] = (0.0, 0.0)

    def points(self, places: NDArray[Any]) -> NDArray[np.float64]:
        """Points ``[..., 2]`` in pixels of the input, in pixels of the image; those beside it move to its border."""
        import numpy as np

        found = (np.asarray(places, dtype=np.float64) - self.offset) / self.scale
        clipped: NDArray[np.float64] = np.clip(found, 0.0, self.image)
        return clipped

    def plane(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """A plane ``[height, width]`` over the input, of whatever resolution, scaled to the image; 0 beside it."""
        import numpy as np
        from PIL import Image

        rows, columns = values.shape
        across, down = columns / self.net[0], rows / self.net[1]
        matrix = (
            self.scale[0] * across,
            0.0,
            self.offset[0] * across,
            0.0,
            self.scale[1] * down,
            self.offset[1] * down,
        )
        drawn = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
        turned = drawn.transform(self.image, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        return np.asarray(turned)


@dataclass(frozen=True)
class Preparation:
    """What is done to each image, in the order of the fields.

    ``size`` is (width, height) in pixels; ``fill`` the grey, 0..255, of the bars of ``pad``. Where an image gets
    smaller, pixels are ``averaged``, or only the nearest four are looked at, as OpenCV does. Pixels are 0..255, times
    ``scale``, minus ``mean``, over ``std`` (per channel). ``dtype`` is NumPy's name; integer types are rounded.
    """

    size: tuple[int, int]
    resize: Resize = "squash"
    fill: int = 0
    averaged: bool = True
    channels: Channels = "rgb"
    scale: float = 1 / 255
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    layout: Layout = "nchw"
    dtype: str = "float32"

    def batch(self, images: Sequence[Image.Image]) -> NDArray[Any]:
        """``[images, channels, height, width]``, or ``[images, height, width, channels]`` for ``nhwc``."""
        import numpy as np

        return np.stack([self.one(image) for image in images])

    def one(self, image: Image.Image) -> NDArray[Any]:
        """One image's tensor."""
        import numpy as np

        fitted = self._fitted(image)
        pixels: NDArray[Any] = np.asarray(fitted.convert("L") if self.channels == "gray" else fitted)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if self.channels == "bgr":
            pixels = pixels[:, :, ::-1]
        if self.scale != 1.0 or self.mean or self.std:
            pixels = pixels.astype(np.float32) * self.scale
            pixels = pixels - np.asarray(self.mean or 0.0, dtype=np.float32)
            pixels = pixels / np.asarray(self.std or 1.0, dtype=np.float32)
            pixels = np.round(pixels) if "int" in self.dtype else pixels
        if self.layout == "nchw":
            pixels = pixels.transpose(2, 0, 1)
        return np.ascontiguousarray(pixels, dtype=self.dtype)

    def _fitted(self, image: Image.Image) -> Image.Image:
        from PIL import Image as Images
        from PIL import ImageOps

        if image.size == self.size:
            return image
        if self.resize == "crop":
            return ImageOps.fit(image, self.size, Images.Resampling.BILINEAR)
        inner, corner = _padded(image.size, self.size) if self.resize == "pad" else (self.size, (0, 0))
        resized = image.resize(inner, Images.Resampling.BILINEAR) if self.averaged else _nearest(image, inner)
        if inner == self.size:
            return resized
        padded = Images.new(image.mode, self.size, (self.fill,) * len(image.getbands()))
        padded.paste(resized, corner)
        return padded

    def place(self, image: tuple[int, int]) -> Placement:
        """Where an image of this size, (width, height), lies in the tensor."""
        (wide, high), (width, height) = image, self.size
        if image == self.size or self.resize == "squash":
            return Placement(image, self.size, (width / wide, height / high))
        if self.resize == "crop":
            scale = max(width / wide, height / high)
            return Placement(
                image, self.size, (scale, scale), ((width - scale * wide) / 2, (height - scale * high) / 2)
            )
        inner, (left, top) = _padded(image, self.size)
        return Placement(image, self.size, (inner[0] / wide, inner[1] / high), (float(left), float(top)))


def _padded(image: tuple[int, int], size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The size that an image gets inside ``size``, and its upper left corner there, rounded as Ultralytics does."""
    share = min(size[0] / image[0], size[1] / image[1])
    inner = max(round(image[0] * share), 1), max(round(image[1] * share), 1)
    return inner, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)


def _nearest(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image in another size, of which each pixel is between the four around its middle."""
    from PIL import Image as Images

    across, down = image.width / size[0], image.height / size[1]
    matrix = (across, 0.0, 0.0, 0.0, down, 0.0)
    return image.transform(size, Images.Transform.AFFINE, matrix, Images.Resampling.BILINEAR)


def parsed_size(text: str | None) -> tuple[int, int] | None:
    """``WIDTHxHEIGHT`` or one number for both; None for nothing."""
    if not text:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and (height.isdecimal() or not height) and int(width) > 0):
        raise ModelLoadError(f"the option size must be WIDTHxHEIGHT, not {text!r}.", hint="For example size=224x224.")
    return int(width), int(height or width)
