"""The cloud that an earlier sweep ran in, found again from what its journal says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.clouds import CloudChoice, credentials, existing_cloud, exoscale_cloud, key_digest
from harness.errors import CredentialsError
from harness.secret import Secret

if TYPE_CHECKING:
    from harness.exoscale.credentials import Credentials
    from harness.sweep.deployers import Deployer
    from harness.sweep.lifecycle import Patience


def refuse_another_cloud(
    found: Credentials, started: Mapping[str, Any], *, same_organisation: bool = False
) -> None:
    """CredentialsError unless a 404 of this cloud proves anything about what the journal of ``started`` names.

    It is another zone's where the endpoint differs, and may be another organisation's where the key does.
    """
    endpoint, keys = started.get("endpoint"), started.get("keys") or ()
    if endpoint is not None and endpoint != found.endpoint:
        raise CredentialsError(
            f"that sweep ran in {endpoint}, these credentials are for {found.endpoint}: nothing there is its own"
        )
    if keys and key_digest(found) not in keys and not same_organisation:
        raise CredentialsError(
            "that sweep ran with another API key: to another organisation its deployments look as if they were gone; "
            "use that key, or say --same-organisation if this one is of the same"
        )


@asynccontextmanager
async def cloud_of_journal(
    choice: CloudChoice, folder: Path, started: Mapping[str, Any]
) -> AsyncIterator[tuple[Deployer, Patience]]:
    """What a folder's sweep deployed with, from what its journal says of it."""
    from harness.exoscale.credentials import Credentials
    from harness.plan.config import Timeouts
    from harness.sweep.lifecycle import Patience
    from harness.sweep.local_deployer import LocalEngines, LocalVllmDeployer

    if started.get("deployer") == "existing":
        kept = await existing_cloud(str(started.get("url")), None, ask=False)
        yield kept.deployer, kept.patience
        return
    if started.get("deployer") == "local":
        deployer = LocalVllmDeployer(LocalEngines({}, {}, {}), log_folder=folder / "logs")
        yield deployer, Patience(delete_s=120.0, find_s=0.0, resend_s=30.0, poll_s=0.2, retry_s=1.0)
        return
    embedded = bool(started.get("embedded"))
    if embedded:
        found = Credentials("EXOembedded", Secret("gone"), str(started["zone"]), str(started["endpoint"]))
    else:
        known = credentials(replace(choice, zone=choice.zone or started.get("zone")))
        endpoint = str(started.get("endpoint", known.endpoint))
        found = Credentials(known.key, known.secret, str(started.get("zone", known.zone)), endpoint)
        refuse_another_cloud(found, started, same_organisation=choice.same_organisation)
    pace = float(started.get("pace", 1.0))
    timeouts = Timeouts(delete_s=2.0 if embedded else Timeouts().delete_s)
    async with exoscale_cloud(
        found, timeouts, simulated_pace=pace if pace != 1.0 else None, ask=False
    ) as cloud:
        yield cloud.deployer, cloud.patience
