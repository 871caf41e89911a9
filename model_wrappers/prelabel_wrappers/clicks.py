"""Functions that answer clicks: `def predict(image: np.ndarray, prompts: Prompts)`."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prelabel.errors import ModelLoadError, RequestError
from prelabel.model import Item
from prelabel.prompts import Prompts
from prelabel.scheduler.failures import checked


@dataclass(frozen=True, slots=True)
class Wants:
    """What a function takes behind its batch: ``prompts``, and what the file's ``encode`` made of each element.

    ``clicks_only``: it has nothing to say without prompts, since it gives them no default.
    """

    prompts: bool = False
    encoded: bool = False
    clicks_only: bool = False

    @property
    def count(self) -> int:
        """Parameters that are no options."""
        return 1 + self.prompts + self.encoded


def wants_of(function: Callable[..., Any], name: str) -> Wants:
    """What a function's second and third parameter ask for.

    Raises:
        ModelLoadError: ``encoded`` stands there without ``prompts`` before it.
    """
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    further = [p for p in inspect.signature(function).parameters.values() if p.kind in positional][1:3]
    encoded = [p.name == "encoded" and p.default is p.empty for p in further]
    if not further or not _is_prompts(further[0], function):
        if encoded[:1] == [True]:
            raise ModelLoadError(
                f"{name} takes 'encoded' but no prompts.",
                hint="Write it as `def predict(image: np.ndarray, prompts: Prompts, encoded)`.",
            )
        return Wants()
    return Wants(True, encoded[1:] == [True], further[0].default is inspect.Parameter.empty)


def _is_prompts(parameter: inspect.Parameter, function: Callable[..., Any]) -> bool:
    routine = inspect.unwrap(function if inspect.isroutine(function) else type(function).__call__)
    written = parameter.annotation
    if written is parameter.empty:
        return parameter.name == "prompts" and parameter.default is parameter.empty
    only = types.SimpleNamespace(__annotations__={parameter.name: written})
    try:
        said = typing.get_type_hints(only, globalns=getattr(routine, "__globals__", {}))[parameter.name]
    except (NameError, AttributeError, TypeError, SyntaxError):
        return False
    return said is Prompts or any(each is Prompts for each in typing.get_args(said))


def on_page(item: Item) -> Item:
    """Of a multi-page image the page that was clicked, else the first: a function gets an image, not a list of them."""
    from prelabel.context import clicked_page  # defusedxml and all

    pages = item.value
    if item.page is not None or not isinstance(pages, list) or not pages:
        return item
    page = clicked_page(item.context) or 0
    return replace(item, value=pages[page], page=page) if page < len(pages) else item


def answers(
    function: Callable[..., Any],
    batch: Sequence[Item],
    wants: Wants,
    *,
    single: bool,
    value_of: Callable[[Item], Any],
    encoded: Callable[[Item], Any],
) -> list[Any]:
    """One result per item; a context that nobody understands is its own item's error."""
    results: list[Any] = [None] * len(batch)
    asked: list[tuple[int, tuple[Any, ...]]] = []
    for index, item in enumerate(batch):
        try:
            prompts = item.prompts
        except RequestError as error:
            results[index] = error
            continue
        if prompts or not wants.clicks_only:
            given = (value_of(item), prompts)
            asked.append((index, (*given, encoded(item)) if wants.encoded else given))
    if single:
        for index, given in asked:
            results[index] = function(*given)
    elif asked:
        columns = [list(column) for column in zip(*(given for _, given in asked), strict=True)]
        said = checked(function(*columns), len(asked))
        for (index, _), result in zip(asked, said, strict=True):
            results[index] = result
    return results
