"""The simulated zone in virtual time: the same cloud, engines, API client and load client, and no waiting.

Everything from an API call's signature to the bytes of a stream is what a zone on loopback runs. Replaced are the
sockets, the HTTP server on them, and the clock: a request is under way for some tenths of a millisecond, work of the
client and of the server takes no time, and only what the zone or an engine waits for does. So a sweep takes as long
as its computation, and the same seed gives the same records, byte for byte.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from harness.errors import InternalError
from harness.exoscale.credentials import Credentials
from harness.exoscale.retries import RetryPolicy
from harness.load.driver import run_stage
from harness.load.monitor import Progress
from harness.load.probe import Probe, probe_endpoint
from harness.load.records import Endpoint, StageResult
from harness.load.scrape import read_metrics
from harness.load.session import LoadJob
from harness.load.surroundings import Surroundings
from harness.load.workload import Workload
from harness.secret import Secret
from harness.simulator.cloud import Cloud
from harness.simulator.faults import FaultFile, read_faults
from harness.simulator.inventory import ZONE
from harness.simulator.memory import MemoryPool, MemoryTransport
from harness.simulator.server import Options, make_application, make_cloud
from harness.simulator.virtual_time import NS_PER_S, VirtualLoop
from harness.sweep.measure import Instruments

# Virtual time begins here, so that no instant depends on when a sweep was run: 2000-01-01, UTC.
EPOCH_UNIX = 946_684_800.0
# How long a request is under way to the engine's front end, about as on loopback.
TRANSIT_S = (0.1e-3, 0.5e-3)
# An address nobody listens on: what is left of a zone that ended is found unreachable there.
BASE_URL = "http://127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class VirtualZone:
    """A zone on a virtual loop and what reaches it: credentials, an httpx transport, the load client's surroundings."""

    cloud: Cloud
    credentials: Credentials
    transport: httpx.AsyncBaseTransport
    surroundings: Surroundings
    policy: RetryPolicy
    seed: int

    def seconds(self) -> float:
        """Virtual seconds, as the loop counts them."""
        return self.surroundings.now_ns() / NS_PER_S

    def alive(self) -> list[str]:
        """Names of the deployments there are."""
        return [record.name for record in self.cloud.deployments.values() if not record.foreign]

    def token(self, attempt: int) -> str:
        """What the names of an attempt's deployments have in common: drawn from the seed, another each time."""
        return hashlib.sha256(f"{self.seed}/{attempt}".encode()).hexdigest()[:8]

    def instruments(self) -> Instruments:
        """What a sweep probes, loads and reads the metrics of an endpoint with."""

        async def probe(endpoint: Endpoint, *, workload: Workload, salt: str) -> Probe:
            return await probe_endpoint(
                endpoint, workload=workload, salt=salt, surroundings=self.surroundings
            )

        async def drive(job: LoadJob, *, on_progress: Callable[[Progress], None]) -> StageResult:
            # Nobody watches what takes no time: a live view would only be slowed down by it.
            return await run_stage(
                job.endpoint,
                job.stage,
                job.workload,
                probe=job.probe,
                seed=job.seed,
                cache_salt=job.cache_salt,
                surroundings=self.surroundings,
            )

        async def metrics(endpoint: Endpoint) -> Mapping[str, float] | None:
            return await read_metrics(endpoint, transport=self.transport)

        return Instruments(probe, drive, metrics)


def open_zone(options: Options, *, since_unix: float = EPOCH_UNIX) -> VirtualZone:
    """A zone on the running virtual loop, as ``options`` describe it; ``cloud.close`` ends its tasks.

    Its time goes on from ``since_unix``.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise InternalError("virtual time needs a virtual loop")
    faults = read_faults(options.faults) if options.faults is not None else FaultFile()
    ids = random.Random(f"{options.seed}/ids")
    cloud = make_cloud(
        options,
        faults,
        base_url=BASE_URL,
        clock=loop.time,
        make_id=lambda: str(uuid.UUID(int=ids.getrandbits(128), version=4)),
    )
    key, secret = "EXOvirtual", Secret("virtual")
    application = make_application(cloud, keys={key: secret})
    transits = random.Random(f"{options.seed}/transit")
    policy = RetryPolicy(clock=loop.time, jitter=random.Random(f"{options.seed}/retries").random)
    return VirtualZone(
        cloud=cloud,
        credentials=Credentials(key=key, secret=secret, zone=ZONE, endpoint=f"{BASE_URL}/v2"),
        transport=MemoryTransport(application),
        surroundings=Surroundings(
            now_ns=loop.now_ns,
            unix_s=lambda: since_unix + loop.time(),
            connect=lambda target: MemoryPool(
                application, now_ns=loop.now_ns, transit_s=lambda: transits.uniform(*TRANSIT_S)
            ),
            virtual=True,
        ),
        policy=policy,
        seed=options.seed,
    )
