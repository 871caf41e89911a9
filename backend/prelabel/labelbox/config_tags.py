"""Which control of a labeling config stands for which tool or question: the one table behind both directions.

Where Label Studio's tags do not say enough to come back, attributes that its editor ignores do: ``question`` (a
question's name, where the control's differs), ``asks`` (a question's type) and ``tool`` (a label's).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from prelabel.labelbox.ontology import ClassificationNode, Ontology, Tool, ToolNode
from prelabel.labelbox.rows import Asset

DRAWN: Mapping[Tool, tuple[str, str]] = {
    "rectangle": ("RectangleLabels", "bbox"),
    "polygon": ("PolygonLabels", "polygon"),
    "point": ("KeyPointLabels", "point"),
    "line": ("VectorLabels", "line"),
    "raster-segmentation": ("BrushLabels", "mask"),
    "superpixel": ("BrushLabels", "mask"),
}
_VIDEO = ("Labels", "videoLabels")
MESSAGE_TOOLS: frozenset[Tool] = frozenset({"message-single-selection", "message-multi-selection", "message-ranking"})

TOOL_CONTROLS: Mapping[Asset, Mapping[Tool, tuple[str, str]]] = {
    "image": DRAWN,
    "geospatial": DRAWN,
    "dicom": DRAWN,
    "document": {**DRAWN, "named-entity": ("RectangleLabels", "bbox")},
    "video": dict.fromkeys(DRAWN, _VIDEO),
    "text": {"named-entity": ("Labels", "ner")},
    "html": {"named-entity": ("HyperTextLabels", "ner")},
    "conversational": {"named-entity": ("ParagraphLabels", "ner")},
    "audio": {},
    "llm": {},
}
"""Tag and name of the control that holds a tool's label. In a video everything is drawn with ``VideoRectangle``: Label
Studio's editor has no other tool there (it does not know ``VideoVectorLabels``, and shows nothing of a config with it).
"""

TAG_TOOLS: Mapping[str, Tool] = {
    "RectangleLabels": "rectangle",
    "Rectangle": "rectangle",
    "OcrLabels": "rectangle",
    "PolygonLabels": "polygon",
    "Polygon": "polygon",
    "KeyPointLabels": "point",
    "KeyPoint": "point",
    "VectorLabels": "line",
    "Vector": "line",
    "BrushLabels": "raster-segmentation",
    "Brush": "raster-segmentation",
    "BitmaskLabels": "raster-segmentation",
    "Bitmask": "raster-segmentation",
    "MagicWand": "raster-segmentation",
    "HyperTextLabels": "named-entity",
    "ParagraphLabels": "named-entity",
    "VideoRectangle": "rectangle",
    "VideoVectorLabels": "line",
    "VideoVector": "line",
}
"""The tool that a control's labels are, unless a label says another with ``tool``."""
ENTITY_OBJECTS = frozenset({"Text", "HyperText", "Paragraphs"})
"""Objects on which ``Labels`` marks entities."""

WHOLE = {"maxWidth": "90%"}
"""Of an ``Image``: wider ones are zoomed, and cut at the edges, when Label Studio draws its tools beside them."""
OBJECTS: Mapping[Asset, tuple[str, str, Mapping[str, str]]] = {
    "image": ("Image", "image", {"value": "$image", **WHOLE}),
    "geospatial": ("Image", "image", {"value": "$image", **WHOLE}),
    "document": ("Image", "pages", {"valueList": "$pages", **WHOLE}),
    "video": ("Video", "video", {"value": "$video"}),
    "text": ("Text", "text", {"value": "$text"}),
    "html": ("HyperText", "html", {"value": "$html"}),
    "audio": ("Audio", "audio", {"value": "$audio"}),
    "conversational": (
        "Paragraphs",
        "chat",
        {"value": "$messages", "layout": "dialogue", "nameKey": "author", "textKey": "text"},
    ),
    "llm": ("Text", "prompt", {"value": "$prompt"}),
}
"""Tag, name and attributes of what shows the data row; DICOM has one ``Image`` for each group key."""

GROUPS = ("axial", "sagittal", "coronal")
"""Group keys of DICOM, and names of the ``Image`` tags that show them."""
INDEXED: frozenset[Asset] = frozenset({"video", "audio", "conversational"})
"""Assets that have frames, time ranges or messages for questions of scope ``index``."""
TOKEN_TEXT = "token-text"  # noqa: S105 (a document's tokens)
"""``asks`` of the per-region ``TextArea`` for what stands in a document's box: no question of the ontology."""
BELOW = "below"
"""The attribute of a ``View`` that names one label or choice whose name has a comma."""
RANKED = "ranked"
"""The bucket of a ranking."""


def for_asset(ontology: Ontology, asset: Asset) -> Ontology:
    """The part of ``ontology`` that a labeling config for ``asset`` can hold."""
    return dataclasses.replace(
        ontology,
        tools=tuple(tool for tool in ontology.tools if holds(tool, asset)),
        classifications=tuple(node for node in ontology.classifications if holds(node, asset)),
    )


def holds(node: ToolNode | ClassificationNode, asset: Asset) -> bool:
    """Whether a labeling config for ``asset`` has a counterpart for a tool or a top-level question."""
    if isinstance(node, ClassificationNode):
        if node.scope == "index":
            return asset in INDEXED
        return asset == "llm" or node.type in {"radio", "checklist", "text"}
    if node.tool == "edge":
        return asset not in {"llm", "audio"}
    if node.tool in MESSAGE_TOOLS:
        return asset in {"llm", "conversational"}
    return node.tool in TOOL_CONTROLS[asset]
