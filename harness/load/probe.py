"""Ask an endpoint once what it is and what it honours: model, limits, request extras, what words cost.

Anything that keeps a load test from making sense is an exception here, before the first measured request.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.errors import EndpointError, NetworkError, UsageError
from harness.load.lengths import least_length
from harness.load.prompts import (
    GUESS,
    VOCABULARY,
    Calibration,
    calibrate,
    calibration_from_json,
    join_prompt,
    repeated,
)
from harness.load.records import Endpoint, Outcome, RequestRecord
from harness.load.request import RequestForm, get_bytes, post_bytes, request_body
from harness.load.response import NS_PER_S, Response, complete_record
from harness.load.sse import error_text, excerpt, integer
from harness.load.surroundings import REAL, Connections, Surroundings
from harness.load.target import Target, resolve
from harness.load.workload import Workload

# A simulated endpoint's answers carry this; a real engine's never do.
SIMULATED_HEADER = "x-simulated-by"
REPEATS = 16
TOKENS_ASKED = 4
PARALLEL = 8
CACHE_SALT: Mapping[str, Any] = {}
# What is asked for beside a bare request, the most needed first; min_tokens only where ignore_eos is refused.
EXTRAS: tuple[Mapping[str, Any], ...] = (
    {"usage": True},
    {"exact_length": "ignore_eos"},
    {"exact_length": "min_tokens"},
    CACHE_SALT,
    {"continuous_usage": True},
    {"token_ids": True},
)


@dataclass(frozen=True, slots=True)
class Probe:
    """What an endpoint was found to support.

    ``cache_salt`` says that the field is accepted, not that it separates caches: only ``cached_tokens`` (reported or
    not) can show that. ``round_trip_s`` is a request for the model list on an open connection. ``simulated``: the
    endpoint says that it is.
    """

    model: str
    max_model_len: int | None
    usage: bool
    token_ids: bool
    continuous_usage: bool
    cache_salt: bool
    exact_length: str | None
    cached_tokens: bool
    round_trip_s: float | None
    calibration: Calibration
    simulated: bool = False

    def form(self, workload: Workload) -> RequestForm:
        """The common part of a workload's requests, with the extras this endpoint honours."""
        return RequestForm(
            model=self.model,
            api=workload.api,
            streamed=workload.streamed,
            usage=self.usage,
            token_ids=self.token_ids and workload.streamed,
            continuous_usage=self.continuous_usage and not self.token_ids and workload.streamed,
            exact_length=self.exact_length if workload.exact_output else None,
            extra=workload.extra,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; ``probe_from_json`` reads them back."""
        plain = {name: getattr(self, name) for name in self.__slots__ if name != "calibration"}
        return {**plain, "calibration": self.calibration.to_json()}


def probe_from_json(data: Mapping[str, Any]) -> Probe:
    """The probe ``to_json`` described."""
    return Probe(**{**data, "calibration": calibration_from_json(data["calibration"])})


def check_room(workload: Workload, probe: Probe) -> None:
    """UsageError when no request of ``workload`` fits the model's context; single long ones are left to fail."""
    if probe.max_model_len is None or workload.items:
        return
    least = least_length(workload.input_tokens) + least_length(workload.output_tokens)
    what = "request"
    if workload.conversations is not None and workload.conversations.turns is not None:
        least, what = least * least_length(workload.conversations.turns), "conversation"
    if least > probe.max_model_len:
        raise UsageError(
            f"every {what} comes to {least} tokens or more, input and output together; "
            f"{probe.model!r} takes {probe.max_model_len}"
        )


async def probe_endpoint(
    endpoint: Endpoint,
    *,
    workload: Workload | None = None,
    timeout_s: float = 60.0,
    salt: str = "probe",
    surroundings: Surroundings = REAL,
) -> Probe:
    """Probe ``endpoint`` for ``workload``'s API (chat unless told).

    NetworkError when nothing answers; EndpointError when what answers is no OpenAI server, refuses the key, lacks the
    model, or cannot complete a prompt. ``timeout_s`` bounds each request.
    """
    target = await resolve(endpoint.url, ca_file=endpoint.ca_file)
    asker = _Asker(endpoint, target, surroundings.connect(target), timeout_s)
    try:
        return await _probe(asker, workload or Workload(), salt=salt)
    finally:
        asker.pool.close()


async def _probe(asker: _Asker, workload: Workload, *, salt: str) -> Probe:
    listed = await asker.models()
    models = listed.models
    model = asker.endpoint.model or next(iter(models), "")
    if not model:
        raise EndpointError(f"{asker.endpoint.url} lists no model; name one")
    if models and model not in models:
        raise EndpointError(f"{asker.endpoint.url} does not serve {model!r}; it serves: {', '.join(models)}")
    form, salted, seen = await asker.extras(model, workload, salt=salt)
    honours = _Honours(seen, form)
    return Probe(
        model=model,
        max_model_len=models.get(model),
        usage=honours.usage,
        token_ids=honours.token_ids,
        continuous_usage=honours.continuous_usage,
        cache_salt=salted,
        exact_length=form.exact_length,
        cached_tokens=honours.cached_tokens,
        round_trip_s=listed.round_trip_s,
        calibration=await asker.calibration(model, workload, salt=salt if salted else None) or GUESS,
        simulated=listed.simulated,
    )


@dataclass(frozen=True, slots=True)
class _Listed:
    """The model list: each with its max_model_len, and the time of a second asking. Empty without that route."""

    models: Mapping[str, int | None] = field(default_factory=dict)
    round_trip_s: float | None = None
    simulated: bool = False


class _Honours:
    """What one answered stream shows: extras asked for and found in it."""

    def __init__(self, body: bytes, form: RequestForm) -> None:
        text = body.decode("utf-8", "replace")
        messages = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
        with_choices = [m for m in messages if isinstance(m.get("choices"), list) and m["choices"]]
        usages = [message["usage"] for message in messages if isinstance(message.get("usage"), dict)]
        self.usage = bool(usages)
        self.continuous_usage = form.continuous_usage and any(
            isinstance(message.get("usage"), dict) for message in with_choices[:-1]
        )
        self.token_ids = form.token_ids and any(
            isinstance(choice.get("token_ids"), list)
            for message in with_choices
            for choice in message["choices"]
            if isinstance(choice, dict)
        )
        details = [usage.get("prompt_tokens_details") for usage in usages]
        self.cached_tokens = any(isinstance(detail, dict) and "cached_tokens" in detail for detail in details)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Single requests to one endpoint, outside any measurement."""

    endpoint: Endpoint
    target: Target
    pool: Connections
    timeout_s: float

    async def send(self, request: bytes) -> Response:
        """The response; NetworkError when there is none or it breaks off."""
        response = Response()
        try:
            async with asyncio.timeout(self.timeout_s):
                await self.pool.exchange(request, response)
        except TimeoutError:
            raise NetworkError(f"{self.endpoint.url} did not answer within {self.timeout_s:g} s") from None
        if response.outcome is Outcome.MALFORMED:
            raise EndpointError(f"{self.endpoint.url} does not speak HTTP: {response.detail}")
        if response.outcome is not None:
            raise NetworkError(f"{self.endpoint.url}: {response.detail}")
        return response

    async def models(self) -> _Listed:
        """What the endpoint says it serves."""
        request = get_bytes(self.target, path=f"{self.target.path}/models", key=self.endpoint.key)
        response = await self.send(request)
        if response.status == 404 and response.content_type == "application/json" and self.endpoint.model:
            return _Listed()
        message = self.json_of(response, what="the model list")
        data = message.get("data")
        if not isinstance(data, list):
            raise EndpointError(f"{self.endpoint.url}/models is no model list: {excerpt(response.content)!r}")
        began = time.monotonic_ns()
        again = await self.send(request)
        round_trip_s = ((again.headers_ns or began) - (again.sent_ns or began)) / NS_PER_S
        entries = [entry for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
        models = {entry["id"]: integer(entry.get("max_model_len")) for entry in entries}
        return _Listed(models, round_trip_s, SIMULATED_HEADER in response.headers)

    def json_of(self, response: Response, *, what: str) -> dict[str, Any]:
        """The JSON object of a good answer; EndpointError for anything else, in the server's own words."""
        url = self.endpoint.url
        if response.status in (401, 403):
            if self.endpoint.key:
                raise EndpointError(f"{url} refuses the API key ({response.status})")
            raise EndpointError(
                f"{url} needs an API key ({response.status}): put it into an environment variable "
                "and name that with --api-key-env"
            )
        try:
            message = json.loads(response.content)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            found = response.content_type or "no content type"
            raise EndpointError(
                f"{url} is not an OpenAI endpoint: {what} came as {found} ({response.status}): "
                f"{excerpt(response.content)!r}"
            )
        if response.status != 200 or message.get("error") is not None:
            raise EndpointError(f"{url} refused {what} ({response.status}): {error_text(message)}")
        return message

    async def extras(self, model: str, workload: Workload, *, salt: str) -> tuple[RequestForm, bool, bytes]:
        """The richest request the endpoint completes: its form, whether the salt was taken, the stream it gave.

        When all extras at once are answered with 400 or 422, they are added to a bare request one by one, and those
        that are taken stay. A refusal of the bare request is final.
        """
        form = RequestForm(
            model, api=workload.api, token_ids=True, continuous_usage=True, extra=workload.extra
        )
        salted = True
        response = await self.complete(form, salt=salt)
        if response.status in (400, 422):
            form, salted = _bare(form), False
            response = await self.complete(form, salt=None)
            for changes in EXTRAS if response.status == 200 else ():
                if "exact_length" in changes and form.exact_length is not None:
                    continue
                richer, with_salt = _changed(form, changes), salted or changes is CACHE_SALT
                answer = await self.complete(richer, salt=salt if with_salt else None)
                if answer.status == 200:
                    form, salted, response = richer, with_salt, answer
        if response.status != 200:
            self.json_of(response, what="a completion")
        record = RequestRecord(index=0, scheduled_s=0.0)
        stream = response.content  # reading it lets go of it
        complete_record(record, response, streamed=True, origin_ns=0)
        if record.outcome is not Outcome.SUCCEEDED:
            raise EndpointError(
                f"{self.endpoint.url} does not complete a prompt: {record.outcome}: {record.detail}"
            )
        return form, salted, stream

    async def complete(self, form: RequestForm, *, salt: str | None) -> Response:
        """The answer to a short prompt in that form."""
        body = request_body(
            form, prompt=join_prompt([VOCABULARY[1:4]]), output_tokens=TOKENS_ASKED, cache_salt=salt
        )
        return await self.send(post_bytes(self.target, api=form.api, body=body, key=self.endpoint.key))

    async def calibration(self, model: str, workload: Workload, *, salt: str | None) -> Calibration | None:
        """What each word of the vocabulary costs here; None when the endpoint does not count."""
        form = RequestForm(model, api=workload.api, streamed=False, exact_length=None, extra=workload.extra)
        opening = await self.count(form, VOCABULARY[0], salt=salt)
        if opening is None:
            return None
        gate = asyncio.Semaphore(PARALLEL)

        async def count_word(word: str) -> int | None:
            async with gate:
                return await self.count(form, repeated(word, times=REPEATS), salt=salt)

        counts = await asyncio.gather(*(count_word(word) for word in VOCABULARY))
        known = {word: count for word, count in zip(VOCABULARY, counts, strict=True) if count is not None}
        return calibrate(opening, known, times=REPEATS)

    async def count(self, form: RequestForm, prompt: str, *, salt: str | None) -> int | None:
        """The endpoint's own count of a prompt; None when it does not say, or refuses it."""
        body = request_body(form, prompt=prompt, output_tokens=1, cache_salt=salt)
        response = await self.send(post_bytes(self.target, api=form.api, body=body, key=self.endpoint.key))
        try:
            usage = json.loads(response.content)["usage"]
            return integer(usage["prompt_tokens"])
        except (ValueError, RecursionError, KeyError, TypeError):
            return None


def _bare(form: RequestForm) -> RequestForm:
    """The request without any extra of ours."""
    return _changed(
        form, {"usage": False, "exact_length": None, "continuous_usage": False, "token_ids": False}
    )


def _changed(form: RequestForm, changes: Mapping[str, Any]) -> RequestForm:
    fields = {name: getattr(form, name) for name in RequestForm.__slots__}
    return RequestForm(**{**fields, **changes})
