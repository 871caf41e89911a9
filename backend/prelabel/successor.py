"""A newly trained or promoted version takes the place of the one that is served, and no request is dropped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelabel.beside import beside
from prelabel.errors import PrelabelError
from prelabel.loader import load_wrapper, model_name, model_version
from prelabel.lsml.environment import tell
from prelabel.model import Surroundings

if TYPE_CHECKING:
    from prelabel.model import ModelWrapper
    from prelabel.predictor.local import LocalPredictor
    from prelabel.runs import Ledger
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Pause between two looks into the registry."""
REST_S = 30.0
"""A version that could not be loaded is tried again after this long: its files may be on their way."""


def served_artifact(model: str, ledger: Ledger, settings: Settings) -> Path | None:
    """The files of the trained version that is to be served; None: the model as it is before any training.

    Raises:
        ModelLoadError: they are missing or were changed.
    """
    artifact = ledger.to_serve(model, shadow=settings.shadow)
    return artifact.place(settings) if artifact is not None else None


def as_served(model: str, ledger: Ledger, settings: Settings) -> ModelWrapper:
    """The wrapper of ``model`` as it is to be served, see `as_trained`. Its file finds Label Studio's address."""
    tell(settings)
    return as_trained(load_wrapper(model, settings.model_options), ledger, settings)


def as_trained(wrapper: ModelWrapper, ledger: Ledger, settings: Settings) -> ModelWrapper:
    """The wrapper, with the files of the trained version that is to be served; it is not loaded yet.

    Files that are missing or were changed leave the model as it is before any training, and the log says so.
    """
    try:
        wrapper.artifact = served_artifact(model_name(wrapper, settings), ledger, settings)
    except PrelabelError as error:
        logger.error("%s Until then the model is as it was before any training.", error)  # noqa: TRY400 (a sentence for people)
    return wrapper


def announced_version(wrapper: ModelWrapper, ledger: Ledger, settings: Settings) -> str:
    """The version that a server of the wrapper announces; one of `label_studio_ml` finds its own in the registry."""
    from prelabel.data import DataReader  # noqa: PLC0415 (workers that follow a version read no data for that)

    with closing(DataReader(settings)) as reader:
        wrapper.enter(Surroundings(settings, reader, ledger))
        return model_version(wrapper, settings)


@contextmanager
def following(
    predictor: LocalPredictor, ledger: Ledger, settings: Settings, *, rest_s: float = REST_S
) -> Iterator[None]:
    """While inside, a thread loads the version that is to be served as soon as it is another.

    One that cannot be loaded is tried again after ``rest_s``. A model that learns from events has nothing to load: it
    takes on the version that it has learnt in another process.
    """
    learns_from_events = hasattr(predictor.wrapper, "follow")
    if not predictor.trainable and not learns_from_events:
        yield
        return
    follow: Callable[[threading.Event], None] = (
        partial(_follow_learnt, predictor, ledger, settings)
        if learns_from_events
        else partial(_follow, predictor, ledger, settings, rest_s)
    )
    with beside("successor", follow):
        yield


def _follow(
    predictor: LocalPredictor, ledger: Ledger, settings: Settings, rest_s: float, stop: threading.Event
) -> None:
    served = predictor.model_version if predictor.wrapper.artifact is not None else None
    rest: dict[str | None, float] = {}
    told = ""
    while not stop.wait(LOOK_S):
        try:
            artifact = ledger.to_serve(predictor.name, shadow=settings.shadow)
            wanted = artifact.version if artifact is not None else None
            if wanted == served or rest.get(wanted, 0.0) > time.monotonic() or settings.model is None:
                continue
            rest[wanted] = time.monotonic() + rest_s
            wrapper = load_wrapper(settings.model, settings.model_options)
            wrapper.artifact = artifact.place(settings) if artifact is not None else None
            predictor.replace(wrapper)
            served, rest, told = wanted, {}, ""
            _enter(predictor, ledger, settings)
        except PrelabelError as error:
            if told != (told := str(error)):
                logger.error("%s stays: %s", predictor.model_version, error)  # noqa: TRY400 (a sentence for people)
        except Exception:
            logger.exception("could not look for a newer version of %s", predictor.name)


def _follow_learnt(predictor: LocalPredictor, ledger: Ledger, settings: Settings, stop: threading.Event) -> None:
    wrapper: Any = predictor.wrapper
    while not stop.wait(LOOK_S):
        try:
            if not wrapper.follow():
                continue
            _enter(predictor, ledger, settings)
        except Exception:
            logger.exception("could not look for a newer version of %s", predictor.name)


def _enter(predictor: LocalPredictor, ledger: Ledger, settings: Settings) -> None:
    """Write down, and tell, the version that is served from now on."""
    standing = ledger.enter(predictor.model_version, predictor.name, shadow=settings.shadow)
    logger.info("serving %s", standing.sentence if standing.hidden else standing.version)
