"""Numbers of classes to names: those that travel with a result, those of the config, those that the model declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prelabel.adapters.menu import Menu
from prelabel.adapters.values import as_list, is_number, plain

NAME_KEYS = ("names", "id2label", "classes_", "class_names", "categories")
"""Under which of its keys a dict may bring its classes' names."""


def listed(values: Any) -> list[Any] | None:
    """A column as a list of plain values; None for None and for what is no column."""
    values = as_list(plain(values))
    if isinstance(values, str) or not isinstance(values, Iterable) or isinstance(values, Mapping):
        return None
    return [plain(value) for value in values]


def table_of(names: Any) -> dict[int, str] | None:
    """Number to name, from a list, a dict either way round (``id2label``, ``label2id``), or COCO's categories."""
    names = plain(names)
    if isinstance(names, Mapping):
        if names and all(is_number(plain(value)) for value in names.values()):
            names = {value: key for key, value in names.items()}
        pairs: Any = names.items()
    else:
        rows = listed(names)
        if rows is None:
            return None
        if rows and all(isinstance(row, Mapping) for row in rows):
            pairs = [(row.get("id"), row.get("name")) for row in rows]
        else:
            pairs = enumerate(rows)
    try:
        return {int(plain(number)): str(plain(name)) for number, name in pairs}
    except (TypeError, ValueError):
        return None


def names_in(given: Mapping[Any, Any]) -> dict[int, str] | None:
    """The names that a dict brings for its numbers; None where it brings none."""
    return next((table_of(given[key]) for key in NAME_KEYS if given.get(key) is not None), None)


def named(values: Any, names: Mapping[int, str] | None, menu: Menu, raw: Any, *, declared: bool = True) -> list[str]:
    """A name for each value: strings stay; numbers are looked up in ``names`` if there are any.

    Otherwise a number that the labeling config knows (a label, or one of its ``predicted_values``) or that the label
    map renames is its own name; last, with ``declared``, it is an index into the model's ``labels``.

    Raises:
        OutputError: no name is known for one of them.
    """
    said = listed(values)
    if said is None:
        raise menu.refuse(raw, "has labels that are no list")
    found: dict[Any, str] = {}
    for value in dict.fromkeys(said):
        found[value] = value if isinstance(value, str) else _name(value, names, menu, raw, declared=declared)
    return [found[value] for value in said]


def _name(value: Any, names: Mapping[int, str] | None, menu: Menu, raw: Any, *, declared: bool) -> str:
    if not is_number(value) or not float(value).is_integer():
        raise menu.refuse(raw, f"has the label {value!r}, which is neither a name nor the number of a class")
    number = int(value)
    if names is not None:
        if number not in names:
            raise menu.refuse(raw, f"has the class {number}, for which its names have no entry")
        return names[number]
    if menu.knows_somewhere(str(number)):
        return str(number)
    if declared and 0 <= number < len(menu.names):
        return menu.names[number]
    raise menu.refuse(
        raw,
        f"has numbers for labels: use their names (a class {number} is not in the labeling config, whose labels may say"
        f' predicted_values="{number}"), or give a list of them under "names"',
    )
