"""Every rule, by hand, in reading order: what the parser refuses, then start-up, the platform, style. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.params.rules import (
    ambiguous_abbreviation,
    config_file,
    help_flag,
    malformed_json,
    missing_value,
    mistyped_key,
    model_given,
    newer_flag,
    no_on_non_switch,
    refused_combination,
    removed_flag,
    stray_token,
    torn_by_white_space,
    two_tokens_in_one_item,
    unknown_engine_version,
    unknown_flag,
    unknown_key,
    value_for_switch,
    value_not_allowed,
    wrong_type,
)

if TYPE_CHECKING:
    from harness.params.context import Rule

RULES: tuple[Rule, ...] = (
    # parse
    unknown_flag,
    removed_flag,
    newer_flag,
    no_on_non_switch,
    ambiguous_abbreviation,
    two_tokens_in_one_item,
    missing_value,
    value_for_switch,
    stray_token,
    wrong_type,
    value_not_allowed,
    torn_by_white_space,
    malformed_json,
    unknown_key,
    mistyped_key,
    refused_combination,
    model_given,
    config_file,
    help_flag,
    # startup
    # platform
    # style
    unknown_engine_version,
)
