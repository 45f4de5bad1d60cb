"""The platform sets this flag itself, and what stands later in the list wins.

A deployment's address, its keys and the way its process runs belong to the platform. Another port, TLS key or API key
makes the deployment unreachable; another process layout makes it wait for machines that do not exist.

Wrong::

    --port 9000

Right::

    --max-model-len 8192
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Edit, Severity, Stage
from harness.params.context import Context
from harness.params.reading import Argument

CODE = "managed-flag"
STAGE = Stage.PLATFORM
SEVERITY = Severity.ERROR
# What certainly breaks the deployment, by what it takes away.
BREAKS = {
    **dict.fromkeys(("host", "port", "uds", "root-path"), "the platform reaches the engine at its own address"),
    **dict.fromkeys(
        ("ssl-keyfile", "ssl-certfile", "ssl-ca-certs", "ssl-cert-reqs", "ssl-ciphers", "enable-ssl-refresh"),
        "the platform ends TLS before the engine",
    ),
    "api-key": "the platform issues the deployment's key",
    **dict.fromkeys(("headless", "nnodes", "node-rank", "master-addr", "master-port"), "a replica is one machine"),
    **dict.fromkeys(
        ("data-parallel-address", "data-parallel-rpc-port", "data-parallel-external-lb", "data-parallel-rank",
         "data-parallel-hybrid-lb", "data-parallel-start-rank"),
        "a replica is one machine",
    ),
}  # fmt: skip
# What the platform decides too, but may survive being told again.
TOUCHES = {
    "served-model-name": "requests name the model as the platform does",
    **dict.fromkeys(
        ("tokenizer", "revision", "code-revision", "tokenizer-revision", "download-dir", "hf-config-path"),
        "the model and its files come from the platform",
    ),
    **dict.fromkeys(
        ("api-server-count", "distributed-executor-backend", "data-parallel-backend", "data-parallel-size-local",
         "disable-frontend-multiprocessing", "ray-workers-use-nsight", "h11-max-incomplete-event-size",
         "h11-max-header-count"),
        "the platform lays out the processes",
    ),
}  # fmt: skip
FLAGS = (*BREAKS, *TOUCHES)


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per flag; values are not shown, they may be keys."""
    for name in FLAGS:
        argument = context.last(name)
        if argument is None or (name == "api-key" and turns_off(argument)):
            continue  # authentication-off speaks for an empty key
        reason = BREAKS.get(name) or TOUCHES[name]
        finding = context.error if name in BREAKS else context.warning
        message = f"{argument.flag_text} is not yours to set: {reason}"
        fix = removal(argument) if name in BREAKS else None
        yield finding(CODE, argument.flag_span, message, fix=fix)


def turns_off(argument: Argument) -> bool:
    """True for an API key that is null."""
    converted = argument.converted
    return any(key is None for key in converted) if isinstance(converted, tuple | list) else converted is None


def removal(argument: Argument) -> Edit | None:
    """Taking the flag and its values out of the list, when they stand together."""
    if argument.parts:
        return None
    last = max([argument.index, *(span.index for span in argument.value_spans)])
    return Edit(argument.index, last + 1, (), f"remove {argument.flag_text}")
