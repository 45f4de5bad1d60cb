"""Finds engine parameters in commands: ``vllm serve``, its server module, ``docker run``, the ``exo`` CLI. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from harness.plan.shell import split_commands
from harness.plan.spans import LocatedText, Source, StraightSpans
from harness.plan.targets import Target

IMAGE = re.compile(
    r"(?:^|/)vllm-openai[\w.-]*(?::(?:v?(?P<version>\d+(?:\.\d+)+))?[\w.-]*)?(?:@sha256:\w+)?$"
)
SHELLS = ("sh", "bash", "ash", "dash", "zsh")
SERVER_MODULE = "vllm.entrypoints.openai.api_server"
EXO_PARAMETERS = "--inference-engine-params"

_HINTS = re.compile(
    r"vllm(?:\s+|\S*/\S*\s+)serve|vllm-openai|" + re.escape(SERVER_MODULE) + "|" + EXO_PARAMETERS
)
# What Go's strings.Fields splits on, and so does the exo CLI; it knows no quotes.
_FIELD = re.compile(r"[^\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def looks_like_commands(text: str) -> bool:
    """True when a text holds a command this module reads."""
    return _HINTS.search(text) is not None


def whole_text(source: Source) -> LocatedText:
    """A file's text as one located text."""
    size = len(source.text)
    return LocatedText(source, source.text, (0, size), StraightSpans(0, size))


def targets_in_script(script: LocatedText) -> Iterator[Target]:
    """The parameter lists in a script's commands, in order."""
    if looks_like_commands(script.text):
        for words in split_commands(script):
            yield from targets_in_command(words)


def targets_in_command(words: Sequence[LocatedText]) -> Iterator[Target]:
    """The parameter lists in one command: none, one, or one per use of exo's flag."""
    texts = [word.text for word in words]
    if any(text == EXO_PARAMETERS or text.startswith(f"{EXO_PARAMETERS}=") for text in texts):
        yield from _exo(words, texts)
        return
    for index, text in enumerate(texts):
        name = text.rsplit("/", 1)[-1]
        if name == "vllm" and texts[index + 1 : index + 2] == ["serve"]:
            yield engine_target(words[index + 2 :], place=words[index])
            return
        if text == SERVER_MODULE:
            yield engine_target(words[index + 1 :], place=words[index])
            return
        image = IMAGE.search(text)
        if image is not None and "run" in texts[:index]:
            yield from _docker_run(words, index, image["version"])
            return


def _docker_run(words: Sequence[LocatedText], image_at: int, version: str | None) -> Iterator[Target]:
    """The lists given to the image's own engine, or to what ``--entrypoint`` puts in its place."""
    entrypoint, given = _entrypoint(words[:image_at]), words[image_at + 1 :]
    if entrypoint is None:
        yield engine_target(given, place=words[image_at], version=version)
    else:
        process = (entrypoint, *given) if entrypoint.text else given
        if process:
            yield from targets_in_process(process, version=version, is_engine_image=True)


def _entrypoint(options: Sequence[LocatedText]) -> LocatedText | None:
    for index, word in enumerate(options):
        if word.text == "--entrypoint" and index + 1 < len(options):
            return options[index + 1]
        if word.text.startswith("--entrypoint="):
            return word.part(len("--entrypoint="), len(word.text))
    return None


def targets_in_process(
    words: Sequence[LocatedText],
    *,
    version: str | None,
    is_engine_image: bool,
    gpu_count: int | None = None,
) -> Iterator[Target]:
    """The lists in the command of a container: a shell's script, an engine's command, or an engine's arguments.

    ``version`` is the image's; a command inside that names another one keeps it.
    """
    script = _script(words)
    found = targets_in_command(words) if script is None else targets_in_script(script)
    is_other = script is not None or words[0].text.rsplit("/", 1)[-1] in SHELLS
    for target in found:
        is_other = True
        yield target._replace(
            engine_version=version if target.engine_version is None else target.engine_version,
            gpu_count=gpu_count if target.gpu_count is None else target.gpu_count,
        )
    if is_engine_image and not is_other:
        yield engine_target(words, place=words[0], version=version, gpu_count=gpu_count)


def _script(words: Sequence[LocatedText]) -> LocatedText | None:
    """The script of ``sh -c SCRIPT``, or None."""
    if words[0].text.rsplit("/", 1)[-1] not in SHELLS:
        return None
    for flag, script in itertools.pairwise(words):
        if flag.text.startswith("-") and not flag.text.startswith("--") and flag.text.endswith("c"):
            return script
    return None


def engine_target(
    words: Sequence[LocatedText],
    *,
    place: LocatedText,
    version: str | None = None,
    gpu_count: int | None = None,
) -> Target:
    """The list given to the engine itself: without the model, which vLLM takes as its first word or ``--model``."""
    items, model = list(words), None
    if items and items[0].text == "serve":
        items = items[1:]
    if items and not items[0].text.startswith("-"):
        model = items.pop(0)
    else:
        for index, item in enumerate(items):
            if item.text == "--model" and index + 1 < len(items):
                model = items[index + 1]
                del items[index : index + 2]
                break
            if item.text.startswith("--model="):
                model = item.part(len("--model="), len(item.text))
                del items[index]
                break
    return Target(
        source=place.source,
        items=tuple(items),
        place=place.whole,
        engine_version=version,
        gpu_count=gpu_count,
        model=model.text if model is not None and not model.is_opaque else None,
        is_managed=False,
        may_hold_model=model is None,
    )


def _exo(words: Sequence[LocatedText], texts: Sequence[str]) -> Iterator[Target]:
    flags = _flags(texts)
    for index, word in enumerate(words):
        if word.text == EXO_PARAMETERS and index + 1 < len(words):
            value = words[index + 1]
        elif word.text.startswith(f"{EXO_PARAMETERS}="):
            value = word.part(len(EXO_PARAMETERS) + 1, len(word.text))
        else:
            continue
        yield Target(
            source=word.source,
            items=split_fields(value, is_opaque=word.is_opaque or value.is_opaque),
            place=value.whole,
            engine_version=flags.get("--inference-engine-version"),
            gpu_type=flags.get("--gpu-type"),
            gpu_count=_count(flags.get("--gpu-count")),
            replicas=_count(flags.get("--replicas")),
            model=flags.get("--model-name"),
        )


def split_fields(value: LocatedText, *, is_opaque: bool = False) -> tuple[LocatedText, ...]:
    """A text split on white space as exo does it: quotes mean nothing."""
    items = []
    for match in _FIELD.finditer(value.text):
        part = value.part(*match.span())
        opaque = is_opaque and ("$" in part.text or "`" in part.text)
        items.append(LocatedText(part.source, part.text, part.whole, part.spans, "field", opaque))
    return tuple(items)


def _flags(texts: Sequence[str]) -> dict[str, str]:
    """Long flags of a command with their values, both ``--flag value`` and ``--flag=value``; the last one wins."""
    flags: dict[str, str] = {}
    for index, text in enumerate(texts):
        if text.startswith("--"):
            name, equals, value = text.partition("=")
            following = texts[index + 1] if index + 1 < len(texts) else ""
            if (value if equals else following) and "$" not in (value if equals else following):
                flags[name] = value if equals else following
    return flags


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
