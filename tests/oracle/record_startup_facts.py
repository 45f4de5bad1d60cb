"""Write ``harness/params/data/startup-VERSION.json``: what a vLLM's own code knows about quantization and models.

    VENV/bin/python tests/oracle/record_startup_facts.py --fake DIR OUT

Run under an interpreter that has the vLLM to describe. ``DIR`` holds ``fakecuda.py``, which makes it believe in a GPU.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Import the installed vLLM, ask its registries, write one JSON document."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--fake", required=True)
    options.add_argument("out", type=Path)
    chosen = options.parse_args()
    # Model classes are looked at as the engine does it: in a process of their own, without a GPU.
    with multiprocessing.get_context("spawn").Pool(1) as alone:
        models = alone.apply(architectures)
    sys.path.insert(0, chosen.fake)
    import fakecuda  # type: ignore[import-not-found,unused-ignore]  # given on the command line

    fakecuda.install(n=1)
    document = {"quantization": quantization(), "architectures": models, **names()}
    lines = [f" {json.dumps(key)}: {folded(value)}" for key, value in document.items()]
    chosen.out.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def folded(value: Any) -> str:
    """JSON with one line per entry of a table, so that a person can read and change it."""
    if not isinstance(value, dict):
        return json.dumps(value)
    return (
        "{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items())
        + "\n }"
    )


def quantization() -> dict[str, dict[str, Any]]:
    """Per method: least capability, activation types, and how it starts without a checkpoint's configuration."""
    import vllm.model_executor.layers.quantization as methods

    deprecated = set(getattr(methods, "DEPRECATED_QUANTIZATION_METHODS", ()))
    found: dict[str, dict[str, Any]] = {}
    for name in methods.QUANTIZATION_METHODS:
        entry: dict[str, Any] = {"deprecated": name in deprecated}
        try:
            method = methods.get_quantization_config(name)
            entry["min_capability"] = method.get_min_capability()
        except Exception as problem:  # noqa: BLE001 - any failure of the engine's own code is an answer here
            print(f"{name}: {problem}"[:150], file=sys.stderr)
            found[name] = {**entry, "min_capability": None, "bare": False, "dtypes": None}
            continue
        entry["bare"] = bare(name, method)
        try:
            probe = method.__new__(method)
            entry["dtypes"] = [
                str(dtype).removeprefix("torch.") for dtype in probe.get_supported_act_dtypes()
            ]
        except Exception:  # noqa: BLE001 - as above
            entry["dtypes"] = None
        found[name] = entry
    return found


def bare(name: str, method: Any) -> bool:
    """True when the method works on a checkpoint that says nothing of quantization."""
    if name == "bitsandbytes":
        return True
    if method.get_config_filenames():
        return False
    try:
        method()
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def architectures() -> dict[str, str]:
    """Per architecture a word of letters, ``?`` when its code could not be looked at.

    g generates, p pools, m multimodal, l pipeline layers, h hybrid, f attention-free, c cross-encoder, s Mamba prefix
    caching.
    """
    from vllm.model_executor.models.registry import ModelRegistry, _ModelInfo

    letters = {
        "is_text_generation_model": "g", "is_pooling_model": "p", "supports_multimodal": "m", "supports_pp": "l",
        "is_hybrid": "h", "is_attention_free": "f", "supports_cross_encoding": "c",
        "supports_mamba_prefix_caching": "s",
    }  # fmt: skip
    found: dict[str, str] = {}
    for name, model in ModelRegistry.models.items():
        try:
            facts = _ModelInfo.from_model_cls(model.load_model_cls())
        except Exception as problem:  # noqa: BLE001 - any failure of the engine's own code is an answer here
            print(f"{name}: {problem}"[:150], file=sys.stderr)
            found[name] = "?"
            continue
        word = "".join(letter for field, letter in letters.items() if getattr(facts, field, False))
        pooling = getattr(facts, "default_seq_pooling_type", None) or getattr(
            facts, "default_pooling_type", "LAST"
        )
        attention = getattr(facts, "attn_type", "decoder")
        notes = [str(pooling).upper()] * (pooling not in {None, "LAST"}) + [attention] * (
            attention != "decoder"
        )
        found[name] = " ".join([word, *notes])
    return found


def names() -> dict[str, list[str]]:
    """Names that configuration code accepts and that no registry document carries."""
    from vllm.model_executor.models import registry

    found: dict[str, list[str]] = {"gone_architectures": sorted(registry._PREVIOUSLY_SUPPORTED_MODELS)}
    try:
        from vllm.transformers_utils.chat_templates.registry import CHAT_TEMPLATES_DIR

        found["chat_templates"] = sorted(path.name for path in CHAT_TEMPLATES_DIR.glob("*.jinja"))
    except ImportError:
        found["chat_templates"] = []
    try:
        from vllm.v1.attention.backends.registry import AttentionBackendEnum
    except ImportError:
        from vllm.attention.backends.registry import AttentionBackendEnum  # type: ignore[no-redef,unused-ignore]
    found["attention_backends"] = list(AttentionBackendEnum.__members__)
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from vllm.transformers_utils.config import _CONFIG_REGISTRY

    found["model_types"] = sorted({*CONFIG_MAPPING_NAMES, *_CONFIG_REGISTRY})
    return found


if __name__ == "__main__":
    main()
