"""Speak the demo's sentences with Debian's espeak-ng into backend/prelabel/demo/data/speech/*.ogg (kept in git).

Only needed to change them:  apt-get install espeak-ng && .venv/bin/python scripts/make_demo_speech.py
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import soundfile

SENTENCES = {
    "en-us": "Good morning. This is a short message about your order. It will arrive on Tuesday.",
    "en-gb": "The next train to Edinburgh leaves from platform four. Please mind the gap.",
    "de": "Guten Abend. Hier sind die Nachrichten. Morgen scheint im ganzen Land die Sonne.",
    "fr-fr": "Bonjour et bienvenue au musée. La visite commence dans dix minutes.",
    "es": "Gracias por su llamada. Un momento, por favor, le paso con una persona.",
    "it": "Buongiorno a tutti. Oggi parliamo di musica e di viaggi.",
}
TARGET = Path(__file__).resolve().parent.parent / "backend" / "prelabel" / "demo" / "data" / "speech"


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        for voice, sentence in SENTENCES.items():
            subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(spoken), sentence], check=True)
            samples, rate = soundfile.read(spoken, dtype="float32")
            soundfile.write(TARGET / f"{voice}.ogg", samples, rate, format="OGG", subtype="VORBIS")


if __name__ == "__main__":
    main()
