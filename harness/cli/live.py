"""``harness lint --live``: what the API itself says it accepts, and which GPU families may be used."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import PlatformError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials, Flags, resolve_credentials
from harness.exoscale.retries import RetryPolicy
from harness.exoscale.urls import is_loopback
from harness.params.help import EngineHelp, parse_help
from harness.params.snapshots import known_versions, load_help

if TYPE_CHECKING:
    from harness.plan.lint import LintOptions


# Somebody waits for the answer: an API that does not come back soon is an error, not something to sit out.
PATIENCE_S = 15.0


def with_live_facts(options: LintOptions, zone: str | None, *, patience_s: float = PATIENCE_S) -> LintOptions:
    """The options with the zone's GPU families, and with help documents asked for when a version first comes up."""
    credentials = resolve_credentials(Flags(zone=zone), environ=os.environ, home=Path.home())
    if is_loopback(credentials.endpoint):
        click.echo(f"SIMULATED: the API asked is {credentials.endpoint}, which is no real one", err=True)
    policy = RetryPolicy(deadline_s=patience_s)
    authorized = asyncio.run(_authorized(credentials, policy))
    return replace(options, live=True, authorized=authorized, help_of=LiveHelp(credentials, policy).get)


async def _authorized(credentials: Credentials, policy: RetryPolicy) -> tuple[str, ...]:
    async with ExoscaleClient(credentials, policy=policy) as client:
        return tuple(kind.family for kind in await client.list_ai_instance_types() if kind.authorized)


class LiveHelp:
    """Help documents of a zone, each fetched once; lives for one run."""

    def __init__(self, credentials: Credentials, policy: RetryPolicy) -> None:
        self.credentials = credentials
        self.policy = policy
        self.known: dict[str, EngineHelp] = {}

    def get(self, version: str) -> EngineHelp:
        """The document for a version; where it differs from the shipped one, that is said once on stderr."""
        if version not in self.known:
            document = asyncio.run(self._fetch(version))
            try:
                found = parse_help(
                    document, version=version, provenance={"source": self.credentials.endpoint}
                )
            except ValueError as error:
                raise PlatformError(f"get-inference-engine-help answered for {version!r}: {error}") from None
            self.known[version] = found
            difference = describe_difference(found)
            if difference:
                click.echo(f"note: {difference}", err=True)
        return self.known[version]

    async def _fetch(self, version: str) -> dict[str, Any]:
        async with ExoscaleClient(self.credentials, policy=self.policy) as client:
            return await client.get_inference_engine_help(version)


def describe_difference(live: EngineHelp) -> str:
    """How a live document differs from the shipped one for its version; "" when it does not, or none is shipped."""
    if live.version not in known_versions():
        return ""
    shipped = load_help(live.version)
    added = [name for name in live.by_name if name not in shipped.by_name]
    removed = [name for name in shipped.by_name if name not in live.by_name]
    changed = [
        name
        for name, spec in live.by_name.items()
        if name in shipped.by_name and _facts(spec) != _facts(shipped.by_name[name])
    ]
    parts = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for names, what in ((added, "more"), (removed, "fewer"), (changed, "changed"))
        if names
    ]
    listed = ", ".join(parts)
    return f"the API's parameters for {live.version} differ from the shipped ones: {listed}" if parts else ""


def _facts(spec: Any) -> tuple[object, ...]:
    """What of an entry changes a verdict: section and description do not."""
    return spec.flags, spec.type, spec.default, spec.allowed_values
