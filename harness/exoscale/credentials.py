"""Credentials, found as the ``exo`` command finds them: flag, then environment, then profile, then built-in.

Reads the environment, ``exoscale.toml`` and, where a profile names one, the output of its secret command.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import CredentialsError
from harness.exoscale.urls import check_endpoint, zone_endpoint
from harness.secret import Secret

DEFAULT_ZONE = "ch-dk-2"
FILE_NAME = "exoscale.toml"
SECRET_COMMAND_TIMEOUT_S = 60.0
# Newest first; the older pairs are still read by the vendor's own tools.
ENVIRONMENT_PAIRS = (
    ("EXOSCALE_API_KEY", "EXOSCALE_API_SECRET"),
    ("EXOSCALE_KEY", "EXOSCALE_SECRET"),
    ("CLOUDSTACK_KEY", "CLOUDSTACK_SECRET"),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key pair and where it is good. ``endpoint`` is the API's base URL, without a trailing slash."""

    key: str
    secret: Secret
    zone: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line said; None for what it did not say."""

    key: str | None = None
    secret: Secret | None = None
    zone: str | None = None
    endpoint: str | None = None
    config: str | None = None
    account: str | None = None


def resolve_credentials(
    flags: Flags | None = None, *, environ: Mapping[str, str], home: Path, platform: str = sys.platform
) -> Credentials:
    """Credentials from the first source that has each part; CredentialsError names what is missing.

    A key and its secret always come from one source. A profile's zone and endpoint hold even when the key pair
    comes from the environment.
    """
    flags = flags or Flags()
    pair = _pair_of_flags(flags) or _pair_of_environment(environ)
    profile = _profile(flags, environ=environ, home=home, platform=platform, needed=pair is None)
    zone = flags.zone or environ.get("EXOSCALE_ZONE") or _text(profile, "defaultzone") or DEFAULT_ZONE
    endpoint = flags.endpoint or environ.get("EXOSCALE_API_ENDPOINT") or _text(profile, "endpoint")
    key, secret = pair or _pair_of_profile(profile)
    return Credentials(
        key=key, secret=secret, zone=zone, endpoint=check_endpoint(endpoint or zone_endpoint(zone))
    )


def config_folders(*, environ: Mapping[str, str], home: Path, platform: str) -> tuple[Path, ...]:
    """Where ``exoscale.toml`` is looked for, in order."""
    if platform == "darwin":
        user = home / "Library" / "Application Support"
    else:
        user = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return (user / "exoscale", home / ".exoscale", home, Path())


def _pair_of_flags(flags: Flags) -> tuple[str, Secret] | None:
    if flags.key and flags.secret:
        return flags.key, flags.secret
    if flags.key or flags.secret:
        raise CredentialsError("an API key and its secret go together; only one of them was given")
    return None


def _pair_of_environment(environ: Mapping[str, str]) -> tuple[str, Secret] | None:
    for key_name, secret_name in ENVIRONMENT_PAIRS:
        key, secret = environ.get(key_name, ""), environ.get(secret_name, "")
        if key and secret:
            return key, Secret(secret)
        if key or secret:
            missing = secret_name if key else key_name
            present = key_name if key else secret_name
            raise CredentialsError(f"{present} is set but {missing} is not; set both or neither")
    return None


def _pair_of_profile(profile: Mapping[str, Any]) -> tuple[str, Secret]:
    key, name = _text(profile, "key"), _text(profile, "name") or ""
    if not key:
        raise CredentialsError(f"the profile {name!r} in {FILE_NAME} has no key")
    command = profile.get("secretcommand")
    if command:
        return key, _run_secret_command(command, name=name)
    secret = _text(profile, "secret")
    if not secret:
        raise CredentialsError(f"the profile {name!r} in {FILE_NAME} has no secret and no secretCommand")
    return key, Secret(secret)


def _run_secret_command(command: Any, *, name: str) -> Secret:
    """The secret a profile's command prints, without its trailing newline; never through a shell."""
    if not isinstance(command, list) or not all(isinstance(part, str) for part in command):
        raise CredentialsError(f"secretCommand of the profile {name!r} must be a list of words")
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECRET_COMMAND_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CredentialsError(f"secretCommand {command[0]!r} of the profile {name!r} failed") from error
    secret = done.stdout.decode(errors="replace").rstrip("\r\n")
    if done.returncode != 0 or not secret:
        outcome = f"ended with {done.returncode}" if done.returncode else "printed nothing"
        raise CredentialsError(f"secretCommand {command[0]!r} of the profile {name!r} {outcome}")
    return Secret(secret)


def _profile(
    flags: Flags, *, environ: Mapping[str, str], home: Path, platform: str, needed: bool
) -> Mapping[str, Any]:
    """The chosen account with its keys in lower case; empty when there is no file and none is needed."""
    wanted_file = flags.config or environ.get("EXOSCALE_CONFIG")
    path = _find_file(wanted_file, environ=environ, home=home, platform=platform)
    account = flags.account or environ.get("EXOSCALE_ACCOUNT")
    if path is None:
        if needed or account:
            raise CredentialsError(
                f"no Exoscale credentials: set EXOSCALE_API_KEY and EXOSCALE_API_SECRET, or make {FILE_NAME}"
                " with 'exo config'"
            )
        return {}
    document = _read_toml(path)
    listed = document.get("accounts")
    accounts = (
        [_lowered(entry) for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    )
    chosen = account or _text(document, "defaultaccount") or ""
    for entry in accounts:
        if _text(entry, "name") == chosen:
            return entry
    if not account and not chosen and len(accounts) == 1:
        return accounts[0]
    if needed or account:
        known = ", ".join(repr(_text(entry, "name") or "") for entry in accounts) or "none"
        raise CredentialsError(f"no account {chosen!r} in '{path}'; it has: {known}")
    return {}


def _find_file(wanted: str | None, *, environ: Mapping[str, str], home: Path, platform: str) -> Path | None:
    if wanted:
        path = Path(wanted)
        if not _is_file(path):
            raise CredentialsError(f"the configuration file '{wanted}' does not exist")
        return path
    for folder in config_folders(environ=environ, home=home, platform=platform):
        if _is_file(folder / FILE_NAME):
            return folder / FILE_NAME
    return None


def _is_file(path: Path) -> bool:
    """True for a file; CredentialsError for one in a folder that may not be looked into."""
    try:
        return path.is_file()
    except OSError as error:
        raise CredentialsError(f"cannot look for '{path}': {error.strerror}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return _lowered(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise CredentialsError(f"cannot read '{path}': {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CredentialsError(f"'{path}' is not TOML") from error


def _lowered(table: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of ``exoscale.toml`` are read without regard to case."""
    return {key.lower(): value for key, value in table.items()}


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    return value if isinstance(value, str) and value else None
