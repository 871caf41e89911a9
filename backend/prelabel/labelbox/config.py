"""Ontology to labeling config and back."""

from __future__ import annotations

from xml.etree import ElementTree

from prelabel.errors import LabelingConfigError
from prelabel.labelbox.assets import AssetFacts
from prelabel.labelbox.config_reading import read_config
from prelabel.labelbox.config_tags import for_asset, holds
from prelabel.labelbox.config_writing import Draft
from prelabel.labelbox.ontology import Ontology, ToolNode
from prelabel.labelbox.rows import Asset
from prelabel.labeling import LabelingConfig, parse

__all__ = ["for_asset", "holds", "to_label_config", "to_ontology"]


def to_label_config(ontology: Ontology, asset: Asset, facts: AssetFacts | None = None) -> str:
    """The labeling config in which people review what was predicted under ``ontology``.

    What the asset cannot hold (`for_asset`) is left out. Names of nested questions are their path joined with ``__``.

    Args:
        ontology: tools and questions.
        asset: the kind of data rows; decides on the object tag and its data field (``$image``, ``$pages``, ...).
        facts: ``fps`` becomes the ``Video`` tag's ``frameRate`` (Label Studio takes 24 where there is none),
            ``groups`` are the series of a DICOM study, with more than two ``responses`` a message selection is a
            ``Choices`` instead of a ``Pairwise``.

    Raises:
        LabelingConfigError: a name that XML cannot carry.
    """
    draft = Draft(asset, facts or AssetFacts(asset))
    held = for_asset(ontology, asset)
    draft.add_objects()
    draft.add_tools(held.tools)
    for node in held.classifications:
        draft.add_question(draft.root, node, "", per_region=False)
    ElementTree.indent(draft.root)
    xml = ElementTree.tostring(draft.root, encoding="unicode")
    try:
        parse(xml)
    except LabelingConfigError as error:
        raise LabelingConfigError(
            "the ontology has a name that a labeling config cannot carry.", hint="Names take no control characters."
        ) from error
    return xml


def to_ontology(label_config: LabelingConfig | str) -> Ontology:
    """The ontology that a labeling config stands for, also one that people wrote by hand.

    ``*Labels`` become tools (``Labels`` of audio and ``TimelineLabels``: questions of scope ``index``), ``Choices``,
    ``Taxonomy``, ``Rating``, ``TextArea``, ``Number`` and ``DateTime`` questions, per-region ones below the tools that
    they can be asked of. Ellipses, time series and chats have no counterpart and are left out.

    Raises:
        LabelingConfigError: the config cannot be parsed.
    """
    config = parse(label_config) if isinstance(label_config, str) else label_config
    bound = read_config(config.xml)
    tools: dict[tuple[str, str], ToolNode] = {}
    for tool in bound.tools:
        node = ToolNode(
            name=tool.name,
            tool=tool.tool,
            questions=tuple(asked.node for asked in tool.questions),
            color=tool.color,
            required=tool.required,
        )
        tools.setdefault((tool.tool, tool.name), node)
    return Ontology(tuple(tools.values()), tuple(asked.node for asked in bound.questions))
