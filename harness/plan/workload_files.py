"""What a sweep file's workload keeps in files of its own: prompts, lengths, a tokenizer.

They are read to plan a sweep, not to lint it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.errors import ConfigError, UsageError
from harness.load.prompt_files import PromptFile, read_length_file, read_prompt_file
from harness.load.tokenizer import token_counter
from harness.plan.config import LengthConfig, LoadLevel, SweepConfig


def with_files(config: SweepConfig) -> SweepConfig:
    """The configuration with the contents of its workload's files; ConfigError for one that cannot be used."""
    workload = config.workload
    prompt_file = None
    if workload.prompts is not None:
        prompt_file = read_prompt_file(Path(workload.prompts), in_turns=workload.in_turns)
    _check(config, prompt_file)
    _check_tokenizer(config)
    return replace(
        config,
        workload=replace(
            workload,
            input_tokens=_with_values(workload.input_tokens),
            output_tokens=_with_values(workload.output_tokens),
            turns=None if workload.turns is None else _with_values(workload.turns),
            prompt_file=prompt_file,
        ),
    )


def _check(config: SweepConfig, prompt_file: PromptFile | None) -> None:
    """ConfigError where a level wants times that the prompts do not have."""
    replays = any(isinstance(level, LoadLevel) and level.trace for level in config.load)
    if replays and prompt_file is not None and prompt_file.times_s is None:
        raise ConfigError(
            f"{_place(config)}: a load level replays a trace, but {config.workload.prompts} has no times"
        )


def _place(config: SweepConfig) -> str:
    """Where the workload stands in the sweep file, as ``x.yaml:7:12``."""
    place = config.workload.place
    return config.path if place is None else str(config.source.location(*place))


def _check_tokenizer(config: SweepConfig) -> None:
    """ConfigError for a tokenizer that no prompt could be made with, before anything is paid for."""
    if config.workload.tokenizer is None:
        return
    try:
        token_counter(config.workload.tokenizer)
    except UsageError as error:
        raise ConfigError(f"{_place(config)}: {error}") from error


def _with_values(length: LengthConfig) -> LengthConfig:
    if length.file is None:
        return length
    found = read_length_file(Path(length.file))
    return replace(length, values=found.values, weights=found.weights)
