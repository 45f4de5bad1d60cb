"""What the keys of a structured value must fulfil together; each condition by its name in the grammar files. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.params.lenient import integer_of, truth
from harness.params.refusals import Refusal, RefusalKind
from harness.params.schema import Schema

_PIECEWISE_BACKENDS = {"", "eager", "inductor"}
_VLLM_COMPILE = 3

Condition = Callable[[Mapping[str, object], Schema], Refusal | None]


def _condition(key: str, detail: str) -> Refusal:
    return Refusal(RefusalKind.CONDITION, detail, (key,))


def _custom_operations(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    operations = value.get("custom_ops")
    if not isinstance(operations, list):
        return None
    if operations.count("none") + operations.count("all") > 1:
        return _condition("custom_ops", "only one 'none' or 'all' may be given")
    for operation in operations:
        if operation not in ("all", "none") and not str(operation).startswith(("+", "-")):
            return _condition("custom_ops", f"{operation!r} is not 'all', 'none', '+name' or '-name'")
    return None


def _inductor_passes(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    if value.get("inductor_passes"):
        return _condition("inductor_passes", "names must be importable functions of the engine's image")
    return None


def _piecewise_backend(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    mode = value.get("mode")
    if mode is None:
        mode = value.get("level")
        compiled = integer_of(mode) == _VLLM_COMPILE
    else:
        compiled = (
            mode.upper() == "VLLM_COMPILE" if isinstance(mode, str) else integer_of(mode) == _VLLM_COMPILE
        )
    if compiled and value.get("backend", "") not in _PIECEWISE_BACKENDS:
        return _condition("backend", "mode 3 (VLLM_COMPILE) takes the backend eager or inductor")
    return None


def _structured_outputs(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    backend = value.get("backend", "auto")
    if truth(value.get("disable_any_whitespace")) and backend not in ("xgrammar", "guidance"):
        return _condition("disable_any_whitespace", "needs the backend xgrammar or guidance")
    if truth(value.get("disable_additional_properties")) and backend != "guidance":
        return _condition("disable_additional_properties", "needs the backend guidance")
    return None


def _reasoning_parser(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    parser = value.get("reasoning_parser", "")
    if parser == "" or parser in schema.reasoning_parsers:
        return None
    names = schema.reasoning_parsers
    return Refusal(RefusalKind.CONDITION, "not a reasoning parser", ("reasoning_parser",), choices=names)


def _role(prefix: str) -> Condition:
    def check(value: Mapping[str, object], schema: Schema) -> Refusal | None:
        if value.get(f"{prefix}_connector") is not None and value.get(f"{prefix}_role") is None:
            return _condition(f"{prefix}_connector", f"{prefix}_role must be given with it")
        return None

    return check


def _balancedness_interval(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    interval = integer_of(value.get("log_balancedness_interval", 1))
    if truth(value.get("log_balancedness")) and interval is not None and interval <= 0:
        return _condition("log_balancedness_interval", "must be above 0 when log_balancedness is on")
    return None


def _one_pooling_type(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    if not value.get("pooling_type"):
        return None
    for other in ("seq_pooling_type", "tok_pooling_type"):
        if value.get(other) is not None:
            return _condition(other, "cannot be given together with pooling_type")
    return None


def _torch_profiler_directory(value: Mapping[str, object], schema: Schema) -> Refusal | None:
    if value.get("profiler") == "torch" and not value.get("torch_profiler_dir"):
        return _condition("profiler", "the torch profiler needs torch_profiler_dir")
    return None


CONDITIONS: Mapping[str, Condition] = {
    "custom-operations": _custom_operations,
    "inductor-passes": _inductor_passes,
    "piecewise-backend": _piecewise_backend,
    "structured-outputs": _structured_outputs,
    "reasoning-parser": _reasoning_parser,
    "kv-role": _role("kv"),
    "ec-role": _role("ec"),
    "balancedness-interval": _balancedness_interval,
    "one-pooling-type": _one_pooling_type,
    "torch-profiler-directory": _torch_profiler_directory,
}
