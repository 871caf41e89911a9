"""From an open file to what a model gets: text, image, array, sound, table; with what is learnt on the way.

Images are turned as their EXIF orientation says (Label Studio shows them so), and made RGB, transparent parts white.
Sound is float32 ``[samples, channels]``. Tables are columns by name: float64 where every cell is a number or empty
(NaN), strings otherwise.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from prelabel.errors import DataError
from prelabel.model import Audio
from prelabel.tasks import Facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Table = dict[str, NDArray[np.generic]]

MAX_AUDIO_BYTES = 4 * 2**30
"""Most memory that one decoded sound may take."""

_ORIENTATION = 0x0112
_TURNED = {5, 6, 7, 8}
_ONE_FRAME = {"JPEG", "PNG", "WEBP"}
"""Formats whose opened image is the image; of the others it would look for further frames in a closed file."""


def text(file: IO[bytes], charset: str = "") -> str:
    """Decoded text: as declared, by its byte order mark, else UTF-8.

    Raises:
        DataError: it is none of these.
    """
    content = file.read()
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        charset = "utf-16"
    try:
        return content.decode(charset if charset and charset.lower() not in {"utf-8", "utf8"} else "utf-8-sig")
    except (UnicodeDecodeError, LookupError) as error:
        raise DataError(f"the text is not {charset or 'UTF-8'}.", hint="Store it as UTF-8.") from error


def image(file: IO[bytes]) -> Image.Image:
    """The image, RGB, upright; the first frame or page where there are several.

    Raises:
        DataError: not an image that Pillow reads, broken, or so large that it looks like a decompression bomb.
    """
    from PIL import Image, ImageOps

    with _image_errors(), Image.open(file) as opened:
        opened.load()
        if opened.format not in _ONE_FRAME or getattr(opened, "is_animated", False):
            return _rgb(ImageOps.exif_transpose(opened))
        ImageOps.exif_transpose(opened, in_place=True)  # a copy would take as long as decoding
        return _rgb(opened)


def image_facts(file: IO[bytes]) -> Facts:
    """Width and height after EXIF orientation, from the header alone."""
    from PIL import Image

    with _image_errors(), Image.open(file) as opened:
        width, height = opened.size
        if opened.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
    return Facts(width=width, height=height)


class _image_errors:  # noqa: N801 (reads as a statement)
    """Pillow's errors as ours; its warnings about large or odd files silenced, its refusals kept."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from PIL import Image, UnidentifiedImageError

        if isinstance(error, Image.DecompressionBombError):
            raise DataError(
                f"the image has too many pixels: {error}".rstrip(".") + ".",
                hint="Make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS in the model's file.",
            ) from error
        if isinstance(error, UnidentifiedImageError):
            raise DataError(
                "the file is not an image that Pillow can read.", hint="Use PNG, JPEG, WebP, TIFF, GIF or BMP."
            ) from error
        if isinstance(error, (OSError, ValueError, SyntaxError, EOFError)) and not isinstance(error, DataError):
            raise DataError(f"the image is broken: {error}".rstrip(".") + ".", hint="Save it again.") from error


def _rgb(source: Image.Image) -> Image.Image:
    from PIL import Image

    if source.mode == "RGB":
        return source
    if source.mode.startswith("I;16"):
        import numpy as np

        return Image.fromarray((np.asarray(source) >> 8).astype("uint8")).convert("RGB")
    if source.mode in {"RGBA", "LA", "PA"} or "transparency" in source.info:
        pixels = source.convert("RGBA")
        paper = Image.new("RGB", pixels.size, "white")
        paper.paste(pixels, mask=pixels.getchannel("A"))
        return paper
    return source.convert("RGB")


def audio(file: IO[bytes]) -> Audio:
    """The sound, all channels.

    Raises:
        DataError: not a format that libsndfile reads, broken, or too long to be held in memory.
    """
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            size = sound.frames * sound.channels * 4
            if size > MAX_AUDIO_BYTES:
                raise DataError(
                    f"the sound would take {size:,} bytes of memory.",
                    hint="Cut it, or take list[pathlib.Path] and read it in parts.",
                )
            samples = sound.read(dtype="float32", always_2d=True)
            return Audio(samples, int(sound.samplerate))
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"the sound cannot be read: {str(error).rstrip('.')}.",
            hint="Use WAV, FLAC, MP3, OGG or Opus; convert others with `ffmpeg -i IN OUT.wav`.",
        ) from error


def audio_facts(file: IO[bytes]) -> Facts:
    """The duration, from the header alone."""
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            return Facts(duration_s=sound.frames / sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"the sound cannot be read: {str(error).rstrip('.')}.", hint="Use WAV, FLAC, MP3, OGG or Opus."
        ) from error


def table(content: str, separator: str = "") -> Table:
    """Columns by name of a CSV, TSV or JSON text. A CSV whose first row is numbers has columns "0", "1", ...

    Raises:
        DataError: rows of different lengths, or neither CSV nor JSON.
    """
    if content.lstrip()[:1] in {"{", "["}:
        try:
            return columns(json.loads(content))
        except ValueError as error:
            raise DataError(f"the table's JSON is malformed: {error}.", hint="Check the file.") from error
    separator = {"tab": "\t", "\\t": "\t", "comma": ",", "space": " "}.get(separator.lower(), separator)
    if not separator:
        first = content.partition("\n")[0]
        separator = max(",\t;|", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(content), delimiter=separator) if row]
    except (csv.Error, TypeError) as error:
        raise DataError(f"the table is not CSV: {error}.", hint="Check the file and the tag's sep.") from error
    if not rows:
        return {}
    header, body = rows[0], rows[1:]
    if all(_is_number(cell) for cell in header):
        header, body = [str(index) for index in range(len(header))], rows
    for number, row in enumerate(body, start=1):
        if len(row) != len(header):
            raise DataError(
                f"row {number} of the table has {len(row)} cells, its header {len(header)}.",
                hint="Check the file and the tag's sep.",
            )
    cells = zip(*body, strict=True) if body else ([] for _ in header)
    return {name: _column(list(column)) for name, column in zip(header, cells, strict=True)}


def columns(value: Any) -> Table:
    """Columns by name of a JSON value: lists by name, records, or one record.

    Raises:
        DataError: it is none of these.
    """
    if isinstance(value, Mapping):
        lists = {k: v if isinstance(v, Sequence) and not isinstance(v, str) else [v] for k, v in value.items()}
        return {str(name): _column(list(cells)) for name, cells in lists.items()}
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(r, Mapping) for r in value):
        names = list(dict.fromkeys(name for record in value for name in record))
        return {str(name): _column([record.get(name) for record in value]) for name in names}
    raise DataError(
        f"a table must be lists by column name or a list of records, not {type(value).__name__}.",
        hint='For example {"time": [0, 1], "value": [0.5, 0.7]}.',
    )


def _column(cells: list[Any]) -> NDArray[np.generic]:
    import numpy as np

    try:
        filled = [float("nan") if cell is None or cell == "" else cell for cell in cells]
        return np.asarray(filled, dtype=np.float64)
    except (ValueError, TypeError):
        return np.asarray(["" if cell is None else str(cell) for cell in cells])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def pixels(source: Image.Image) -> NDArray[np.uint8]:
    """An RGB image as uint8 ``[height, width, 3]``, writable and the model's own."""
    import numpy as np

    return np.array(source, dtype=np.uint8)


def json_value(content: str) -> Any:
    """Parsed JSON.

    Raises:
        DataError: malformed.
    """
    try:
        return json.loads(content)
    except ValueError as error:
        raise DataError(f"the JSON is malformed: {error}.", hint="Check the file.") from error
