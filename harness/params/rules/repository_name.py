"""The text can be no repository and no folder: the engine looks for a tokenizer or a configuration under it.

A repository is written ``name`` or ``owner/name`` in letters, digits, ``-``, ``_`` and ``.``. Left out, the model's own
files are used.

Wrong::

    --tokenizer ''

Right::

    --tokenizer-mode auto
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.diagnostics import Diagnostic, Severity, Stage
from harness.params.context import Context
from harness.params.rules.managed_flag import removal
from harness.params.settings import Settings

CODE = "repository-name"
STAGE = Stage.STARTUP
SEVERITY = Severity.ERROR
FLAGS = ("tokenizer", "hf-config-path")
PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
REPOSITORY = re.compile(rf"(?:{PART}/)?{PART}", re.ASCII)
LONGEST = 96


def check(context: Context) -> Iterator[Diagnostic]:
    """One finding per flag; paths from the root or from here may exist in the image and are not judged."""
    settings = Settings(context)
    for name in FLAGS:
        argument, text = settings.given(name), settings.text(name)
        if argument is None or text is None or text.startswith(("/", "./", "../", "~", "s3://", "gs://")):
            continue
        if is_repository(text):
            continue
        shown = f"'{text}' is no repository" if text else f"{argument.flag_text} is empty"
        yield context.error(CODE, argument.value_span, shown, fix=removal(argument))


def is_repository(text: str) -> bool:
    """True for what the hub takes as the name of a repository; several slashes may be a folder.

    ``None`` is what remains of a missing value: these flags do not read it as null.
    """
    if text == "None":
        return False
    if text.count("/") > 1:
        return not re.search(r"[^\w./-]", text)
    return (
        REPOSITORY.fullmatch(text) is not None
        and len(text) <= LONGEST
        and "--" not in text
        and ".." not in text
    )
