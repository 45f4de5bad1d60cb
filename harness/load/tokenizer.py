"""A model's own tokenizer, read from a file, for prompts of exactly the wanted length. I/O.

Needs the package ``tokenizers``, an optional extra. Nothing is ever downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.load.prompts import CountTokens

FILE_NAME = "tokenizer.json"


def tokenizer_place(path: Path) -> Path:
    """Where the ``tokenizer.json`` is that ``path`` names: itself, or the file in that folder; it may not be there."""
    return path / FILE_NAME if path.is_dir() else path


def tokenizer_file(path: str) -> str:
    """The absolute path of the ``tokenizer.json`` that ``path`` is or holds; UsageError when there is none."""
    place = tokenizer_place(Path(path))
    if not place.is_file():
        raise UsageError(f"no tokenizer at {path!r}: give a {FILE_NAME} or the folder that holds one")
    return str(place.resolve())


def token_counter(path: str) -> CountTokens:
    """What counts the tokens of a text, special ones left out.

    UsageError when the extra is not installed or the file holds no tokenizer.
    """
    try:
        import tokenizers
    except ImportError:
        raise UsageError(
            "a tokenizer needs the extra 'tokenizers': pip install 'inference-harness[tokenizers]'"
        ) from None
    file = tokenizer_file(path)
    try:
        tokenizer = tokenizers.Tokenizer.from_file(file)
    except Exception as error:  # what the library raises for a file it cannot read
        raise UsageError(f"{file!r} holds no tokenizer that can be read: {error}") from error
    # A file may carry settings of training that would cut or fill up a prompt.
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False))

    return count
