"""The version that a model of `label_studio_ml` goes by: its source's, until its ``fit`` sets another.

The one that ``fit`` set is a run of its own, and stands in the model's state: it outlives the process, and other
processes follow it. It holds for the source that it was learnt with; a changed source begins anew.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from prelabel.errors import NotFoundError, PrelabelError
from prelabel.lsml.state import State
from prelabel.lsml.versions import UNTOLD, named
from prelabel.runs.models import Models

if TYPE_CHECKING:
    from prelabel.runs import Ledger

logger = logging.getLogger(__name__)

SERVED = "prelabel:served"
"""Under no project: the version that ``fit`` set last, and the source's version at that time."""
KNOWN = "prelabel:known"
"""Under each project: what the model called itself when an instance was first made, and after the last ``fit``."""
AGAIN = "prelabel:again"
"""Under each project where ``fit`` set a version of which no predictions were asked for yet: that version."""


class Announced:
    """Notices when the model calls itself otherwise, and takes that on as the version of its predictions.

    Not thread-safe: the wrapper's lock is held.

    Args:
        model: its class.
        first: the version that its source gives it.
        state: where the model keeps what it keeps.
        ledger: where runs are entered; None: nowhere.
        name: the model's name in the ledger.
        shadow: whether the process predicts without being shown.
    """

    def __init__(
        self, model: type[Any], first: str, state: State, ledger: Ledger | None, name: str, *, shadow: bool
    ) -> None:
        self._model = model
        self._first = first
        self._state = state
        self._ledger = ledger
        self._name = name
        self._shadow = shadow
        self._changed: dict[str, str] = {}  # project to what the model calls itself now; the last one last
        self.version = self.kept()

    def kept(self) -> str:
        """The version that the state tells now."""
        said = self._read("", SERVED)
        return str(said["version"]) if said else self._first

    def begins(self, instance: Any, project: str) -> None:
        """An instance was made: where its ``setup`` has set the first version again, that of ``fit`` comes back."""
        own, known = own_name(instance), self._read(project, KNOWN)
        if not known:
            self._know(project, own, own)
        elif own == known["begun"] != (last := self._changed.get(project, known["own"])):
            instance.set("model_version", last)

    def learnt(self, instance: Any, project: str) -> None:
        """``fit`` has returned: note whether the model calls itself otherwise since."""
        own, known = own_name(instance), self._read(project, KNOWN)
        self._changed.pop(project, None)
        if known and own != known["own"]:
            self._changed[project] = own

    def settle(self) -> None:
        """Take on what was noted; of several projects the last one names the version. Cheap where nothing was noted."""
        if not self._changed:
            return
        project, own = list(self._changed.items())[-1]
        try:
            version = self._taken_on(own, project)
        except PrelabelError as error:
            logger.error("%s goes on as %s: %s", self._name, self.version, error)  # noqa: TRY400 (a sentence for people)
            version = None
        for each, said in self._changed.items():
            self._know(each, self._read(each, KNOWN).get("begun", said), said)
            if version is not None:
                self._state.set(each, AGAIN, version)
        self._changed.clear()

    def follow(self) -> bool:
        """Take on what another process wrote down; whether that is another version."""
        kept = self.kept()
        if kept == self.version or self._changed:
            return False
        self.version = kept
        return True

    def again(self, project: str) -> bool:
        """Whether the model has learnt a version in a project and no predictions were asked for since."""
        return self._state.get(project, AGAIN) is not None

    def asked_again(self, project: str) -> None:
        """They were asked for."""
        self._state.set(project, AGAIN, None)

    def _taken_on(self, own: str, project: str) -> str | None:
        """The new version, which is in the registry now; None where there is none.

        Raises:
            SettingsError: another model has it.
        """
        version = self._free(named(self._model, own), project)
        before = self.version
        if version is None or version == before:
            return None
        if self._ledger is not None:
            standing = self._ledger.enter(version, self._name, shadow=self._shadow)
            models = Models(self._ledger.database)
            run = models.run(version)
            learnt = {"trained_from": before, "project": project, "tasks_until": self._ledger.newest_known(self._name)}
            if "trained_from" not in run.provenance:
                models.change_run(run.id, provenance=learnt)
            logger.info("project %s: serving %s", project, standing.sentence if standing.hidden else version)
        self._state.set("", SERVED, json.dumps({"of": self._first, "version": version}))
        self.version = version
        return version

    def _free(self, version: str | None, project: str) -> str | None:
        """The version, with the project's number where another project's ``fit`` has set the same."""
        if version is None or self._ledger is None:
            return version
        try:
            theirs = Models(self._ledger.database).run(version).provenance.get("project", project)
        except NotFoundError:
            return version
        return version if theirs == project else f"{version}-p{project}"

    def _know(self, project: str, begun: str, own: str) -> None:
        self._state.set(project, KNOWN, json.dumps({"of": self._first, "begun": begun, "own": own}))

    def _read(self, project: str, key: str) -> dict[str, Any]:
        """What was written with this source; {} where nothing was."""
        said: dict[str, Any] = json.loads(self._state.get(project, key) or "{}")
        return said if said.get("of") == self._first else {}


def own_name(instance: Any) -> str:
    """What an instance calls its version."""
    return str(getattr(instance, "model_version", None) or UNTOLD)
