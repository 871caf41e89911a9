"""Label Studio: whether we reach it, whether it reaches us, and whether its projects and our model go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prelabel.connect import CONNECTED, PRIVATE_ADDRESSES_FIX, explain, label_studio_for, webhooks_of
from prelabel.doctor.findings import Finding, fail, ok, skip, warn
from prelabel.errors import LabelStudioAuthError, LabelStudioError, PrelabelError
from prelabel.server.auth import WEBHOOK_HEADER, credentials, webhook_token

if TYPE_CHECKING:
    from prelabel.doctor.ours import OurParts
    from prelabel.labeling import LabelingConfig
    from prelabel.labelstudio import LabelStudio, TokenKind
    from prelabel.runs import Connection
    from prelabel.settings import Settings

TRIED_VERSION = "1.23"
SAMPLE_TASKS = 3
LEGACY: TokenKind = "legacy"
LEGACY_REFUSED_FIX = (
    "Either make a personal access token (Account & Settings > Personal Access Token in Label Studio) and set "
    "LABEL_STUDIO_API_KEY to it, or let an owner allow legacy tokens (Organization > API Tokens Settings)."
)


class LabelStudioSide:
    """The other side of the network.

    Args:
        settings: address and key of Label Studio; where they are missing, what ``/setup`` brought is used.
        ours: our own parts, examined.
    """

    def __init__(self, settings: Settings, ours: OurParts) -> None:
        self.settings = settings
        self.ours = ours
        self.client: LabelStudio | None = None

    def close(self) -> None:
        """Close the client."""
        if self.client is not None:
            self.client.close()

    def examine(self) -> Iterator[Finding]:
        """Address, version and token."""
        known = self.ours.connections()
        connection: Connection | None = known[0] if known else None
        try:
            client = label_studio_for(self.settings, connection)
        except PrelabelError as error:
            yield fail("Label Studio", error.message, error.hint)
            return
        try:
            version = client.version()
        except LabelStudioAuthError:
            version = ""
        except LabelStudioError as error:
            client.close()
            yield fail("Label Studio", error.message, error.hint)
            return
        self.client = client
        if version and not version.startswith(TRIED_VERSION):
            yield warn("Label Studio", f"{client.url} is version {version}; prelabel is tested with {TRIED_VERSION}.")
        else:
            yield ok("Label Studio", f"{client.url} answers{f', version {version}' if version else ''}.")
        yield self._token(client)

    def _token(self, client: LabelStudio) -> Finding:
        source = "LABEL_STUDIO_API_KEY" if self.settings.label_studio_api_key is not None else "what /setup brought"
        legacy = client.token_kind == LEGACY
        kind = "a legacy token" if legacy else "a personal access token"
        try:
            user = client.whoami()
        except LabelStudioAuthError as error:
            self.client = None
            client.close()
            fix = LEGACY_REFUSED_FIX if legacy else error.hint
            return fail("token", f"Label Studio refuses {source}, which is {kind}.", fix)
        except LabelStudioError as error:
            return fail("token", error.message, error.hint)
        return ok("token", f"{source} is {kind} of {user.get('email')}.")

    def examine_project(self, project: int) -> Iterator[Finding]:
        """One project: its connection, webhook, labeling config, data, and what failed."""
        if self.client is None:
            yield skip(f"project {project}", "needs Label Studio.")
            return
        try:
            found = self.client.project(project)
        except LabelStudioError as error:
            yield fail(f"project {project}", error.message, "Check the project's id and who the token belongs to.")
            return
        yield ok(f"project {project}", f"{found.get('title')!r}, {found.get('task_number')} tasks.")
        try:
            yield from self._connection(self.client, project)
            yield from self._config(project, str(found.get("label_config") or ""))
        except LabelStudioError as error:
            yield fail(f"project {project}", error.message, error.hint)
        yield self._shown(found)
        yield self._failures(project)

    # -- Label Studio to us

    def _connection(self, client: LabelStudio, project: int) -> Iterator[Finding]:
        url = self.settings.effective_public_url
        thing = "Label Studio to us"
        backends = client.backends(project)  # this makes Label Studio ask each for health and set-up
        ours = [backend for backend in backends if str(backend["url"]).rstrip("/") == url]
        if not ours:
            others = ", ".join(str(backend["url"]) for backend in backends)
            elsewhere = f" (it has {others})" if others else ""
            yield fail(
                thing,
                f"project {project} has no backend at {url}{elsewhere}.",
                f"Run `prelabel connect --project {project}`, or give the doctor the --public-url that it is known by.",
            )
            yield skip("webhook", "comes with the backend.")
            return
        backend = ours[0]
        if backend.get("state") != CONNECTED:
            yield self._why_not_connected(client, project, backend)
        else:
            yield from self._version(backend)
        if len(ours) > 1 or len(backends) > len(ours):
            yield warn(
                "backends",
                f"project {project} has {len(backends)} backends; Label Studio asks only the first for predictions.",
                "Remove the others in Settings > Model, or run `prelabel connect` to remove copies of this one.",
            )
        yield from self._webhook(client, project)

    def _version(self, backend: dict[str, Any]) -> Iterator[Finding]:
        said, here = str(backend.get("model_version") or ""), str(self.ours.model.get("model_version") or "")
        if here and said != here:
            yield fail(
                "model version",
                f"Label Studio was told {said or 'none'}, but the server that we asked has {here}.",
                "Two servers answer: make --public-url (theirs) and --server-url (ours) the same one.",
            )
        else:
            yield ok("Label Studio to us", f"connected; it was told {said}.")

    def _why_not_connected(self, client: LabelStudio, project: int, backend: dict[str, Any]) -> Finding:
        """Registering again makes Label Studio say why; should it succeed, the copy is removed."""
        thing, url = "Label Studio to us", str(backend["url"])
        try:
            copy = client.create_backend(project, url, title="prelabel doctor", basic_auth=credentials(self.settings))
        except LabelStudioError as error:
            for extra in client.backends(project):
                if extra.get("title") == "prelabel doctor":
                    client.delete_backend(int(extra["id"]))
            why = explain(error, url)
            return fail(thing, why.message, why.hint)
        client.delete_backend(int(copy["id"]))
        return fail(
            thing,
            f"Label Studio shows the backend as {backend.get('readable_state')}, but a new registration works.",
            f"Run `prelabel connect --project {project}`: its password was changed, or it was down a moment ago.",
        )

    def _webhook(self, client: LabelStudio, project: int) -> Iterator[Finding]:
        hooks = webhooks_of(client, project, self.settings.effective_public_url)
        fix = f"Run `prelabel connect --project {project}`"
        if not hooks:
            yield fail(
                "webhook",
                f"project {project} has none that points to us, so imports are noticed by the sweep only.",
                f"{fix}. If that says that the address is refused: {PRIVATE_ADDRESSES_FIX}",
            )
            return
        token = webhook_token(self.settings)
        marked = [hook for hook in hooks if (hook.get("headers") or {}).get(WEBHOOK_HEADER) == token]
        if token is not None and not marked:
            yield fail(
                "webhook",
                "it lacks the header that stands for the password (Label Studio sends no password with webhooks).",
                f"{fix} (with the same BASIC_AUTH_USER and BASIC_AUTH_PASS as the server).",
            )
        elif not any(hook.get("is_active", True) for hook in hooks):
            yield fail("webhook", "it is switched off.", "Switch it on in Settings > Webhooks.")
        elif len(hooks) > 1:
            yield warn("webhook", f"there are {len(hooks)} that point to us; every event comes as often.", f"{fix}.")
        else:
            yield ok("webhook", "it points to us" + (" and carries our header." if token else "."))

    # -- the project and the model

    def _config(self, project: int, xml: str) -> Iterator[Finding]:
        from prelabel.labeling import parse  # noqa: PLC0415 (with its XML parser)

        thing = "labeling config"
        try:
            config = parse(xml)
            fit = self.ours.fit(config)
        except PrelabelError as error:
            yield fail(thing, error.message, error.hint)
            return
        if fit is None:
            yield skip(thing, "needs the server.")
        elif not fit.ok:
            yield fail(thing, fit.refusal, "Change the labeling config, or map labels with --label-map.")
        elif fit.dropped:
            for sentence in fit.dropped:
                yield warn(
                    thing,
                    f"will be dropped: {sentence}",
                    "Add the label, or a control for it, to the config; labels can be mapped, too (--label-map).",
                )
        else:
            yield ok(thing, "it takes everything that the model says it makes.")
        yield self._data(project, config)

    def _data(self, project: int, config: LabelingConfig) -> Finding:
        """Whether the first tasks' data can be read from here."""
        from prelabel.data import DataReader, natural_kind  # noqa: PLC0415 (with NumPy and decoders)

        assert self.client is not None  # noqa: S101 (the caller looked)
        client = self.client
        tasks = next(client.tasks(project, page=SAMPLE_TASKS), [])
        if not tasks:
            return skip("task data", "the project has no tasks yet.")
        reader = DataReader(self.settings, lambda: client)
        try:
            for task in tasks:
                for tag in config.objects.values():
                    reader.read(task, tag, natural_kind(tag.tag))
        except PrelabelError as error:
            return fail("task data", f"task {task.id}: {error.message}", error.hint or "Open the task in Label Studio.")
        finally:
            reader.close()
        return ok("task data", f"{len(tasks)} tasks tried, all could be read.")

    def _shown(self, project: dict[str, Any]) -> Finding:
        if project.get("show_collab_predictions", True):
            return ok("shown", "annotators see predictions.")
        return warn(
            "shown",
            "the project does not show predictions to annotators.",
            "Switch on Settings > Annotation > Prelabeling > Use predictions to prelabel tasks.",
        )

    def _failures(self, project: int) -> Finding:
        if self.ours.ledger is None:
            return skip("failures", "needs the database.")
        version = self.ours.model.get("model_version")
        failed = self.ours.ledger.quarantined(project=project, version=version, limit=1000)
        if not failed:
            return ok("failures", "no task failed.")
        return warn(
            "failures",
            f"{len(failed)} tasks failed, the last one ({failed[0].task}) with: {failed[0].error}",
            "`prelabel jobs failed` shows all; `prelabel jobs retry JOB` tries again.",
        )
