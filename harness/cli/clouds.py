"""Which cloud a command talks to: the real one, the embedded one, or engines on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import ConfigError, ForbiddenError, NotFoundError, UsageError
from harness.results.clock import steady_unix
from harness.secret import Secret
from harness.units import counted

if TYPE_CHECKING:
    import httpx

    from harness.exoscale.credentials import Credentials
    from harness.plan.config import SweepConfig, Timeouts
    from harness.simulator.virtual import VirtualZone
    from harness.sweep.deployers import Deployer
    from harness.sweep.lifecycle import Patience
    from harness.sweep.models import ModelKeeper

# A simulated cloud provisions this many times faster than a real one, and is polled as much more often.
DEFAULT_TIME_SCALE = 60.0
FIRST_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class CloudChoice:
    """What the options said: at most one of ``simulate``, ``local`` and ``endpoint``; the real cloud otherwise."""

    simulate: bool = False
    virtual: bool = False
    local: bool = False
    endpoint: str | None = None
    api_key_env: str | None = None
    zone: str | None = None
    account: str | None = None
    time_scale: float = DEFAULT_TIME_SCALE
    seed: int = 0
    faults: str | None = None
    engines: Mapping[str, str] | None = None
    model_paths: Mapping[str, str] | None = None
    same_organisation: bool = False

    def check(self) -> None:
        """UsageError for options that do not go together."""
        if sum((self.simulate, self.local, self.endpoint is not None)) > 1:
            raise UsageError("--simulate, --local and --endpoint exclude each other")
        if self.virtual and not self.simulate:
            raise UsageError("--virtual is a way to --simulate; no other endpoint has virtual time")
        if self.faults is not None and not self.simulate:
            raise UsageError("--faults are the simulated cloud's: add --simulate")

    @property
    def managed(self) -> bool:
        """True when a platform starts the engine, and its own rules on parameters hold."""
        return not self.local and self.endpoint is None


@dataclass(frozen=True, slots=True)
class Cloud:
    """A deployer, how patient to be with it, and what a clean-up needs to find it again.

    ``authorized`` are the GPU families this organisation may use here, None where that is no question;
    ``family_gpus`` how many GPUs of a family its quota leaves; ``models`` brings models into the zone. ``clock`` is the
    cloud's time in Unix seconds, in which everything is dated and paid for; ``pace`` how many of its seconds one of
    provisioning takes, below 1 where a simulated cloud hurries. In virtual time ``zone`` is the world all of it
    happens in.
    """

    deployer: Deployer
    patience: Patience
    where: Mapping[str, Any]
    authorized: tuple[str, ...] | None = None
    family_gpus: Mapping[str, int] = field(default_factory=dict)
    pace: float = 1.0
    clock: Callable[[], float] = field(default_factory=steady_unix)
    models: ModelKeeper | None = None
    zone: VirtualZone | None = None
    credentials: Credentials | None = None


def credentials(choice: CloudChoice, *, zone: str | None = None) -> Credentials:
    """Flag, environment, profile: as the ``exo`` command resolves them."""
    from harness.exoscale.credentials import Flags, resolve_credentials

    flags = Flags(zone=choice.zone or zone, account=choice.account)
    return resolve_credentials(flags, environ=os.environ, home=Path.home())


@asynccontextmanager
async def open_cloud(
    choice: CloudChoice, config: SweepConfig, *, log_folder: Path, since_unix: float | None = None
) -> AsyncIterator[Cloud]:
    """The cloud the options chose, for the life of the block; an embedded one ends with it.

    Virtual time goes on from ``since_unix``, the last that an earlier attempt wrote down.
    """
    if choice.endpoint is not None:
        yield await existing_cloud(choice.endpoint, choice.api_key_env)
    elif choice.local:
        yield local_cloud(choice, config, log_folder=log_folder)
    elif choice.virtual:
        async with _virtual(choice, config, since_unix=since_unix) as cloud:
            yield cloud
    elif choice.simulate:
        async with _embedded(choice, config) as cloud:
            yield cloud
    else:
        found = credentials(choice, zone=config.zone)
        async with exoscale_cloud(found, config.timeouts, simulated_pace=None) as cloud:
            yield cloud


@asynccontextmanager
async def _embedded(choice: CloudChoice, config: SweepConfig) -> AsyncIterator[Cloud]:
    """The embedded cloud; at the end it is asked for its own list of what is still alive."""
    from harness.simulator.faults import read_faults
    from harness.simulator.process import SimulatorProcess
    from harness.simulator.server import Options

    faults = None if choice.faults is None else Path(choice.faults)
    if faults is not None:
        read_faults(faults)  # what is wrong with the file is ours to say, not a process's that will not start
    options = Options(seed=choice.seed, time_scale=choice.time_scale, faults=faults)
    with SimulatorProcess(options) as simulator:
        try:
            found = simulator.credentials
            async with exoscale_cloud(
                found, config.timeouts, simulated_pace=1.0 / choice.time_scale
            ) as cloud:
                yield cloud
        finally:
            state = simulator.state()
            tell_own_list(created=len(state["created"]), alive=len(state["alive"]))


@asynccontextmanager
async def _virtual(
    choice: CloudChoice, config: SweepConfig, *, since_unix: float | None
) -> AsyncIterator[Cloud]:
    """The embedded cloud on the running virtual loop."""
    from harness.simulator.server import Options
    from harness.simulator.virtual import EPOCH_UNIX, open_zone

    faults = None if choice.faults is None else Path(choice.faults)
    options = Options(seed=choice.seed, time_scale=choice.time_scale, faults=faults)
    zone = open_zone(options, since_unix=EPOCH_UNIX if since_unix is None else since_unix)
    pace = 1.0 / choice.time_scale
    try:
        async with exoscale_cloud(zone.credentials, config.timeouts, simulated_pace=pace, zone=zone) as cloud:
            yield cloud
    finally:
        created, alive = len(zone.cloud.ledger.created), len(zone.alive())
        await zone.cloud.close()
        tell_own_list(created=created, alive=alive)


def tell_own_list(*, created: int, alive: int) -> None:
    """What a simulator says there was and is, beside what our journal says."""
    click.echo(f"the simulator's own list: {counted(created, 'deployment')} created, {alive} alive", err=True)


@asynccontextmanager
async def exoscale_cloud(
    found: Credentials,
    timeouts: Timeouts,
    *,
    simulated_pace: float | None,
    ask: bool = True,
    zone: VirtualZone | None = None,
) -> AsyncIterator[Cloud]:
    """A client of one zone. ``ask``: find out now, by one signed call, that the key is good and what it may use."""
    from harness.exoscale.client import ExoscaleClient
    from harness.exoscale.urls import is_loopback
    from harness.sweep.exoscale_deployer import ExoscaleDeployer
    from harness.sweep.exoscale_ready import CloudTiming
    from harness.sweep.lifecycle import Patience
    from harness.sweep.models import ModelKeeper

    simulated = is_loopback(found.endpoint)
    pace = simulated_pace or (_asked_pace() if simulated else 1.0)
    clock = time.monotonic if zone is None else zone.seconds
    transport, policy = (None, None) if zone is None else (zone.transport, zone.policy)
    timing = CloudTiming(timeouts.ready_s, timeouts.operation_s, pace, clock)
    patience = Patience(
        delete_s=timeouts.delete_s,
        find_s=max(1.0, 60.0 * pace),
        resend_s=max(2.0, 60.0 * pace),
        poll_s=max(0.1, 3.0 * pace),
        retry_s=max(0.2, 5.0 * pace),
    )
    where = {
        "endpoint": found.endpoint,
        "zone": found.zone,
        "embedded": simulated_pace is not None,
        "virtual": zone is not None,
        "pace": pace,
        "key": key_digest(found),
    }
    async with ExoscaleClient(found, transport=transport, policy=policy) as client:
        authorized, quotas = await _allowed(found, transport) if ask else (None, {})
        deployer = ExoscaleDeployer(client, simulated=simulated, timing=timing, transport=transport)
        models = ModelKeeper(
            client, huggingface_token=_huggingface_token(), polling=timing.polling(timeouts.ready_s)
        )
        yield Cloud(
            deployer,
            patience,
            where,
            authorized=authorized,
            family_gpus=quotas,
            pace=pace,
            clock=steady_unix() if zone is None else zone.surroundings.unix_s,
            models=models,
            zone=zone,
            credentials=found,
        )


def key_digest(found: Credentials) -> str:
    """What a journal keeps of an API key: enough to know it again, not enough to use it."""
    return hashlib.sha256(found.key.encode()).hexdigest()[:12]


async def _allowed(
    found: Credentials, transport: httpx.AsyncBaseTransport | None
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The GPU families the key may use, and the GPUs their quotas leave.

    Impatient, because somebody is waiting for the first answer. A key that may not read quotas has none to heed.
    """
    from harness.exoscale.client import ExoscaleClient
    from harness.exoscale.retries import RetryPolicy

    policy = RetryPolicy(deadline_s=FIRST_ANSWER_S)
    async with ExoscaleClient(found, transport=transport, policy=policy, timeout_s=FIRST_ANSWER_S) as client:
        try:
            listed = await client.list_ai_instance_types()
        except NotFoundError as error:
            raise UsageError(
                f"{found.endpoint!r} answers, but not as Exoscale's API: {error}; the address ends in /v2"
            ) from error
        families = tuple(family.family for family in listed if family.authorized)
        try:
            quotas = await client.list_quotas()
        except ForbiddenError:
            quotas = ()
    left = {quota.resource: quota.limit - (quota.usage or 0) for quota in quotas if quota.limit is not None}
    return families, {family: left[family] for family in families if family in left}


def _huggingface_token() -> Secret | None:
    """The token for gated repositories, as Hugging Face's own tools name it."""
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    return Secret(token) if token else None


def _asked_pace() -> float:
    """How a simulated cloud that somebody else started is paced: its time scale, when the environment names it."""
    try:
        return 1.0 / float(os.environ.get("HARNESS_TIME_SCALE", "1"))
    except (ValueError, ZeroDivisionError):
        raise UsageError("HARNESS_TIME_SCALE is a number above 0") from None


def local_cloud(choice: CloudChoice, config: SweepConfig, *, log_folder: Path) -> Cloud:
    """Real engines on this machine; ConfigError when the config names a version without a command."""
    from harness.sweep.lifecycle import Patience
    from harness.sweep.local_deployer import LocalEngines, LocalVllmDeployer

    commands = {**config.engines, **(choice.engines or {})}
    for command in commands.values():
        if shutil.which(os.path.expanduser(command)) is None:
            raise ConfigError(f"{command!r} is not an executable; give one with --engine VERSION=COMMAND")
    folders = {model: str(Path(path).parent) for model, path in config.models.items()}
    paths = {**folders, **(choice.model_paths or {})}
    engines = LocalEngines(commands, paths, config.engine_environment, config.timeouts.ready_s)
    patience = Patience(delete_s=config.timeouts.delete_s, find_s=0.0, resend_s=30.0, poll_s=0.2, retry_s=1.0)
    given = {model: str(Path(path).absolute()) for model, path in (choice.model_paths or {}).items()}
    where = {"engines": dict(commands), "model_paths": given}
    return Cloud(LocalVllmDeployer(engines, log_folder=log_folder), patience, where)


async def existing_cloud(url: str, key_variable: str | None, *, ask: bool = True) -> Cloud:
    """An endpoint somebody else keeps; its key, if it needs one, is in the environment.

    ``ask`` it whether it is simulated.
    """
    from harness.exoscale.urls import normalise_deployment_url
    from harness.load.records import Endpoint
    from harness.sweep.existing import ExistingEndpoint, says_simulated
    from harness.sweep.lifecycle import Patience

    key = os.environ.get(key_variable) if key_variable else None
    if key_variable and not key:
        raise UsageError(f"the environment has no {key_variable}")
    endpoint = Endpoint(normalise_deployment_url(url) or url, "", Secret(key) if key else None)
    deployer = ExistingEndpoint(endpoint, simulated=ask and await says_simulated(endpoint))
    return Cloud(deployer, Patience(find_s=0.0), {"url": endpoint.url})
