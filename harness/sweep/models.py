"""The models a sweep needs, in the zone it runs in: created where absent, deleted again only if we created them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from harness.errors import ConfigError, ConflictError, HarnessError, NotFoundError, PlatformError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.retries import is_ambiguous
from harness.exoscale.waiting import Polling, wait_for_model, wait_for_operation
from harness.exoscale.wire import ERROR, Model
from harness.results.journal import Journal
from harness.secret import Secret

Say = Callable[[str], None]


class ModelKeeper:
    """Makes models ready before a sweep. ``huggingface_token`` is for gated repositories; None for open ones."""

    def __init__(self, client: ExoscaleClient, *, huggingface_token: Secret | None, polling: Polling) -> None:
        self._client = client
        self._token = huggingface_token
        self._polling = polling
        self._created: dict[str, str] = {}

    async def check(self, names: Iterable[str]) -> None:
        """ConfigError, or PlatformError, for a name that ``ensure`` could not bring into this zone; changes nothing."""
        present = await self._client.list_models()
        for name in dict.fromkeys(names):
            _require_possible(name, present)

    async def ensure(self, names: Iterable[str], journal: Journal, *, say: Say) -> None:
        """Every name or id ready in this zone; ConfigError for an unknown id, PlatformError when one will not come.

        Models that an earlier attempt of this journal created are this keeper's as well.
        """
        for event in journal.events():
            if event.kind == "model-created":
                self._created[str(event.data["name"])] = str(event.data["model_id"])
            elif event.kind == "model-deleted":
                self._created.pop(str(event.data["name"]), None)
        for name in dict.fromkeys(names):
            present = await self._client.list_models()
            model = _named(present, name) or await self._create(name, journal, present, say=say)
            if not model.is_settled and model.id is not None:
                say(f"waiting for model {name}")
                model = await wait_for_model(self._client, model.id, polling=self._polling)
            _require_possible(name, [model])

    async def _create(self, name: str, journal: Journal, present: Iterable[Model], *, say: Say) -> Model:
        """Start the import of a Hugging Face repository; an id that is not here cannot be created.

        One that somebody else creates at the same time is used and stays theirs; one whose create had no answer is
        ours when it is there.
        """
        _require_possible(name, present)
        say(f"creating model {name}: it is not in this zone yet")
        journal.append("model-create-intended", data={"name": name})
        try:
            operation = await self._client.create_model(name, huggingface_token=self._token)
        except ConflictError:
            return await self._listed(name)
        except PlatformError as error:
            if not is_ambiguous(error):
                raise
            return self._made(await self._listed(name), name, journal)
        if (
            operation.subject_id
        ):  # on record before it is waited for: the download may take longer than we live
            self._made(Model(id=operation.subject_id), name, journal)
        await wait_for_operation(self._client, operation, polling=self._polling)
        made = await self._listed(name)
        return made if operation.subject_id else self._made(made, name, journal)

    async def _listed(self, name: str) -> Model:
        made = _named(await self._client.list_models(), name)
        if made is None or made.id is None:
            raise PlatformError(f"create-model of {name!r} left no model behind that is listed")
        return made

    def _made(self, model: Model, name: str, journal: Journal) -> Model:
        """The model, now on record as ours."""
        self._created[name] = str(model.id)
        journal.append("model-created", data={"name": name, "model_id": model.id})
        return model

    async def remove_created(self, journal: Journal, *, say: Say) -> list[str]:
        """Delete the models that this sweep created; the names of those that would not go."""
        kept = []
        for name, model_id in list(self._created.items()):
            try:
                await wait_for_operation(
                    self._client, await self._client.delete_model(model_id), polling=self._polling
                )
            except NotFoundError:
                pass
            except HarnessError as error:
                say(f"model {name} stays: {error}")
                kept.append(name)
                continue
            del self._created[name]
            journal.append("model-deleted", data={"name": name, "model_id": model_id})
        return kept


def _require_possible(name: str, present: Iterable[Model]) -> None:
    model = _named(present, name)
    if model is None and "/" not in name:
        there = ", ".join(sorted(each.name for each in present if each.name)) or "none"
        raise ConfigError(
            f"no model {name!r} in this zone, and it is no Hugging Face repository; there are: {there}"
        )
    if model is not None and model.state == ERROR:
        raise PlatformError(f"model {name!r} is in error in this zone; delete it or choose another")


def _named(models: Iterable[Model], name: str) -> Model | None:
    """The model of this name or id."""
    return next((each for each in models if name in (each.name, each.id)), None)
