"""The demo's data: sentences, images with text on them, recordings. Shipped here, in packages, or drawn and composed.

Everything made is the same on every machine and at every start.
"""

from __future__ import annotations

import random
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

RATE = 22_050
"""Samples a second of the recordings; that of the spoken sentences in ``data/speech``."""
_GOODS = ("Coffee", "Lemonade", "Rye bread", "Olive oil", "Apples", "Butter", "Notebook", "Pencils", "Honey")
_SHOPS = ("GREENGROCER", "BAKERY", "STATIONERY", "BOOKSHOP", "DELICATESSEN", "KIOSK")
_CHORDS = ((261.6, 329.6, 392.0), (220.0, 261.6, 329.6), (174.6, 220.0, 261.6), (196.0, 246.9, 293.7))


def sentences() -> list[str]:
    """Forty short reviews and notices with people and places in them."""
    file = resources.files("prelabel.demo") / "data" / "texts.txt"
    return file.read_text(encoding="utf-8").splitlines()


def write_images(folder: Path) -> list[Path]:
    """Six receipts, a sign, and scikit-image's photograph of a page; PNG files. Existing ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, shop in enumerate(_SHOPS, 1):
        paths.append(folder / f"receipt-{number}.png")
        if not paths[-1].exists():
            _receipt(shop, random.Random(number)).save(paths[-1])  # noqa: S311 (not a secret)
    paths.append(folder / "sign.png")
    if not paths[-1].exists():
        _sign().save(paths[-1])
    paths.append(folder / "page.png")
    if not paths[-1].exists():
        _page().save(paths[-1])
    return paths


def write_recordings(folder: Path) -> list[Path]:
    """Spoken sentences with a tune before, between or after them; WAV files, mono. Existing ones are kept."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, voice in enumerate(_voices()):
        path = folder / f"recording-{number + 1}.wav"
        paths.append(path)
        if path.exists():
            continue
        with resources.as_file(voice) as file:
            speech, _ = soundfile.read(file, dtype="float32")
        pause, tune = np.zeros(RATE, np.float32), _tune(number)
        order = ([pause, speech, pause, tune], [tune, pause, speech, pause], [speech, pause, tune, pause, speech])
        soundfile.write(path, np.concatenate(order[number % 3]), RATE, subtype="PCM_16")
    return paths


def _voices() -> list[resources.abc.Traversable]:
    folder = resources.files("prelabel.demo") / "data" / "speech"
    return sorted((file for file in folder.iterdir() if file.name.endswith(".ogg")), key=lambda file: file.name)


def _spaced(text: str) -> str:
    """With wider gaps between words, which the OCR's network would otherwise overlook."""
    return text.replace(" ", "   ")


def _font(size: int) -> FreeTypeFont | ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _receipt(shop: str, dice: random.Random) -> Image:
    """A till receipt on a table, 480 by 640 pixels."""
    from PIL import Image, ImageDraw

    table = Image.new("RGB", (480, 640), (118, 94, 70))
    draw = ImageDraw.Draw(table)
    draw.rectangle((50, 30, 430, 610), fill=(250, 249, 244))
    draw.text((240, 70), shop, font=_font(34), fill=(20, 20, 20), anchor="mm")
    draw.text((240, 112), f"2026-11-{dice.randint(10, 28)}", font=_font(22), fill=(40, 40, 40), anchor="mm")
    height, total = 170, 0
    for name in dice.sample(_GOODS, 6):
        cents = dice.randint(95, 1250)
        total += cents
        draw.text((80, height), _spaced(name), font=_font(25), fill=(30, 30, 30))
        draw.text((400, height), f"{cents / 100:.2f}", font=_font(25), fill=(30, 30, 30), anchor="ra")
        height += 50
    draw.line((80, height + 8, 400, height + 8), fill=(60, 60, 60), width=2)
    draw.text((80, height + 24), "TOTAL", font=_font(31), fill=(10, 10, 10))
    draw.text((400, height + 24), f"{total / 100:.2f}", font=_font(31), fill=(10, 10, 10), anchor="ra")
    draw.text((240, 575), _spaced("Thank you for your visit"), font=_font(22), fill=(40, 40, 40), anchor="mm")
    return table


def _sign() -> Image:
    """A road sign, 640 by 400 pixels."""
    from PIL import Image, ImageDraw

    sky = Image.new("RGB", (640, 400), (150, 190, 220))
    draw = ImageDraw.Draw(sky)
    draw.rectangle((60, 50, 580, 320), fill=(20, 80, 160), outline="white", width=6)
    draw.rectangle((300, 320, 340, 400), fill=(110, 110, 110))
    for line, text in enumerate(("City centre   2 km", "Airport   14 km", "Harbour   5 km")):
        draw.text((100, 80 + 78 * line), text, font=_font(46), fill="white")
    return sky


def _page() -> Image:
    """The photograph of a printed page that comes with scikit-image, half as large again."""
    import skimage.data
    from PIL import Image

    page = Image.fromarray(skimage.data.page()).convert("RGB")
    return page.resize((page.width * 3 // 2, page.height * 3 // 2), Image.Resampling.LANCZOS)


def _tune(number: int) -> NDArray[np.float32]:
    """Eight seconds of chords, melody and a drum, in a key and order of the number."""
    shift = 2 ** (number % 5 / 12)
    chords = _CHORDS[number % 4 :] + _CHORDS[: number % 4]
    drum = np.random.default_rng(number).normal(size=RATE // 4) * np.exp(-np.arange(RATE // 4) / 400) * 0.2
    bars = [
        0.4 * sum(_note(tone * shift, 1.0) for tone in chord)
        + np.concatenate([_note(chord[step % 3] * 2 * shift, 0.25) for step in range(4)])[:RATE]
        + np.pad(np.tile(drum, 4), (0, RATE - 4 * len(drum)))
        for chord in chords * 2
    ]
    tune = np.concatenate(bars)
    return np.asarray(tune / np.abs(tune).max() * 0.6, dtype=np.float32)


def _note(frequency: float, duration_s: float) -> NDArray[np.float64]:
    """A plucked tone with four overtones; its length in samples is rounded up."""
    seconds = np.arange(int(np.ceil(RATE * duration_s))) / RATE
    tone = sum(np.sin(2 * np.pi * frequency * overtone * seconds) / overtone for overtone in range(1, 6))
    return np.asarray(tone * np.exp(-3 * seconds) * 0.3)
