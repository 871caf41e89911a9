"""A newly trained or promoted version takes the place of the one that is served, and no request is dropped."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prelabel.errors import PrelabelError
from prelabel.loader import load_wrapper, model_name

if TYPE_CHECKING:
    from prelabel.model import ModelWrapper
    from prelabel.predictor.local import LocalPredictor
    from prelabel.runs import Ledger
    from prelabel.settings import Settings

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Pause between two looks into the registry."""
END_S = 2.0
"""How long the end of the process waits for the thread."""


def as_trained(wrapper: ModelWrapper, ledger: Ledger, settings: Settings) -> ModelWrapper:
    """The wrapper, with the files of the trained version that is to be served; it is not loaded yet.

    Files that are missing or were changed leave the model as it is before any training, and the log says so.
    """
    artifact = ledger.to_serve(model_name(wrapper, settings), shadow=settings.shadow)
    if artifact is not None:
        try:
            wrapper.artifact = artifact.place(settings)
        except PrelabelError as error:
            logger.error("%s", error)  # noqa: TRY400 (a sentence for people)
    return wrapper


@contextmanager
def following(predictor: LocalPredictor, ledger: Ledger, settings: Settings) -> Iterator[None]:
    """While inside, a thread loads the version that is to be served as soon as it is another."""
    stop = threading.Event()
    thread = threading.Thread(target=_follow, args=(predictor, ledger, settings, stop), name="successor", daemon=True)
    if predictor.trainable:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if thread.is_alive():
            thread.join(END_S)


def _follow(predictor: LocalPredictor, ledger: Ledger, settings: Settings, stop: threading.Event) -> None:
    served = predictor.model_version if predictor.wrapper.artifact is not None else None
    failed: set[str | None] = set()
    while not stop.wait(LOOK_S):
        try:
            artifact = ledger.to_serve(predictor.name, shadow=settings.shadow)
            wanted = artifact.version if artifact is not None else None
            if wanted == served or wanted in failed or settings.model is None:
                continue
            failed.add(wanted)
            wrapper = load_wrapper(settings.model, settings.model_options)
            wrapper.artifact = artifact.place(settings) if artifact is not None else None
            predictor.replace(wrapper)
            served, failed = wanted, set()
            standing = ledger.enter(predictor.model_version, predictor.name, shadow=settings.shadow)
            logger.info("serving %s", standing.sentence if standing.hidden else standing.version)
        except PrelabelError as error:
            logger.error("%s stays: %s", predictor.model_version, error)  # noqa: TRY400 (a sentence for people)
        except Exception:
            logger.exception("could not look for a newer version of %s", predictor.name)
