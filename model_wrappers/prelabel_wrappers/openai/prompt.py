"""What a language model is sent about one task: the questions once, then what the task's object tags show."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prelabel.labeling import LabelingConfig
from prelabel_wrappers.openai.answers import paragraph_texts
from prelabel_wrappers.openai.hints import hints_of
from prelabel_wrappers.openai.questions import SHOWN_OBJECTS, Asked

if TYPE_CHECKING:
    from PIL import Image

Message = dict[str, Any]
CHARACTERS_A_TOKEN = 4
"""For estimates before the server has counted."""
TOKENS_AN_IMAGE = 1000


def system_message(asked: Asked, config: LabelingConfig, instructions: str) -> Message:
    """The questions, the same for all tasks of a config, so that servers can keep it in their prompt cache."""
    lines = ["You label data. Answer with one JSON object that has exactly these keys, and nothing else:"]
    lines += [f'- "{question.control.name}": {question.line}' for question in asked.questions]
    headers = hints_of(config.xml).headers
    if headers:
        lines.append("Annotators are told: " + " / ".join(headers))
    if instructions:
        lines.append(instructions)
    return {"role": "system", "content": "\n".join(lines)}


def user_message(config: LabelingConfig, values: Mapping[str, Any], image_side: int) -> Message:
    """What the object tags show, in the order of the config: texts by name, images as data URLs.

    ``image_side`` is the most pixels of an image's longer side; larger ones are made smaller.
    """
    texts: list[str] = []
    images: list[Message] = []
    for name, tag in config.objects.items():
        value = values.get(name)
        if tag.tag not in SHOWN_OBJECTS or value is None:
            continue
        if tag.tag == "Image":
            pages = value if isinstance(value, list) else [value]
            images += [{"type": "image_url", "image_url": {"url": data_url(page, image_side)}} for page in pages]
        else:
            texts.append(f'{name}:\n"""\n{_written(tag.tag, value)}\n"""')
    text = "\n\n".join(texts)
    if not images:
        return {"role": "user", "content": text}
    return {"role": "user", "content": [*([{"type": "text", "text": text}] if text else []), *images]}


def correction(problems: Sequence[str]) -> Message:
    """What the model is told about an answer that cannot be used."""
    listed = "\n".join(f"- {problem}" for problem in problems[:10])
    return {
        "role": "user",
        "content": f"This answer cannot be used:\n{listed}\nAnswer again with the whole JSON object.",
    }


def estimated_tokens(messages: Sequence[Message]) -> int:
    """Roughly the tokens of a prompt."""
    characters = images = 0
    for message in messages:
        content = message["content"]
        for part in content if isinstance(content, list) else [{"type": "text", "text": str(content)}]:
            characters += len(part.get("text", ""))
            images += part["type"] == "image_url"
    return characters // CHARACTERS_A_TOKEN + images * TOKENS_AN_IMAGE + 8 * len(messages)


def data_url(image: Image.Image, side: int) -> str:
    """An image as JPEG in a ``data:`` URL, at most ``side`` pixels on its longer side."""
    if max(image.size) > side:
        image = image.copy()
        image.thumbnail((side, side))
    into = io.BytesIO()
    image.convert("RGB").save(into, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(into.getvalue()).decode("ascii")


def _written(tag: str, value: Any) -> str:
    if tag == "Paragraphs":
        return "\n".join(paragraph_texts(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)
