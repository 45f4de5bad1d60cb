"""Engine versions in options: which one is meant, and which are at hand."""

from __future__ import annotations

import click

from harness.errors import UsageError


def at_hand() -> tuple[str, ...]:
    """Versions whose parameters are known: those that ship, then fetched ones."""
    from harness.cli.help_cache import cache_folder, cached_versions
    from harness.params.snapshots import known_versions

    return tuple(dict.fromkeys((*known_versions(), *cached_versions(cache_folder()))))


def meant(text: str) -> str:
    """The version that an option names; UsageError for a text that is none, as ``latest``.

    ``0.15`` taken for 0.15.1 is said on stderr: the engine may be 0.15.0. A version nothing is known of is returned.
    """
    from harness.params.snapshots import known_versions
    from harness.params.versions import is_version, not_known, spelled_out

    if text in known_versions():
        return text
    known = at_hand()
    version = spelled_out(text, known)
    if not is_version(version):
        raise UsageError(not_known(text, known))
    if version.startswith(text.strip().lower().removeprefix("v") + "."):
        click.echo(f"note: vLLM {text} taken for {version}", err=True)
    return version


def to_fetch(text: str) -> str:
    """The version to ask the API for: as written, less a ``v``; UsageError for what is none."""
    from harness.params.versions import is_version, not_known, spelled_out

    version = spelled_out(text, ())
    if not is_version(version):
        raise UsageError(not_known(text, at_hand()))
    return version
