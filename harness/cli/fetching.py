"""Asks the API for a version's help document and keeps it. Imported only when it is asked: it needs httpx."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.cli.help_cache import cache_folder, path_of, store
from harness.cli.live import describe_difference
from harness.errors import PlatformError
from harness.exoscale.client import ExoscaleClient
from harness.exoscale.credentials import Credentials, Flags, resolve_credentials
from harness.params.help import EngineHelp


def fetch(version: str, *, zone: str | None) -> tuple[EngineHelp, Path, str]:
    """The document, the file it was kept in, and how it differs from the shipped one ("" when it does not)."""
    folder = cache_folder()
    credentials = resolve_credentials(Flags(zone=zone), environ=os.environ, home=Path.home())
    path = path_of(version, folder, source=credentials.endpoint)
    document = asyncio.run(_document(credentials, version))
    try:
        found = store(version, document, source=credentials.endpoint, now=datetime.now(UTC), folder=folder)
    except ValueError as error:
        raise PlatformError(f"get-inference-engine-help answered for {version!r}: {error}") from None
    return found, path, describe_difference(found)


async def _document(credentials: Credentials, version: str) -> dict[str, Any]:
    async with ExoscaleClient(credentials) as client:
        return await client.get_inference_engine_help(version)
