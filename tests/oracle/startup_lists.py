"""Argument lists for the start-up corpus: hand-written, every flag alone, seeded random. Same seed, same lists."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "startup-cases.txt"
HELP = Path(__file__).parents[2] / "harness" / "params" / "data"
HEADING = re.compile(r"\[(?P<models>.+?) / (?P<places>.+?)\]")

# (compute capability, GiB the driver reports, device name) of the GPU families the lists are recorded on.
GPUS = {
    "gpu2": ("7.0", 15.77, "Tesla V100-PCIE-16GB"),
    "gpu3080ti": ("8.6", 11.76, "NVIDIA GeForce RTX 3080 Ti"),
    "gpua5000": ("8.6", 23.57, "NVIDIA RTX A5000"),
    "gpu3": ("8.6", 44.43, "NVIDIA A40"),
    "gpua30": ("8.0", 23.6, "NVIDIA A30"),
    "gpurtx6000pro": ("12.0", 94.97, "NVIDIA RTX PRO 6000 Blackwell Server Edition"),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One list and what it is recorded under. ``origin`` is ``hand``, ``alone`` or ``random``."""

    parameters: tuple[str, ...]
    model: str
    gpu_type: str
    gpu_count: int
    origin: str


def handwritten() -> Iterator[Case]:
    """Every line of the case file under every setting of its heading."""
    models: list[str] = []
    places: list[tuple[str, int]] = []
    for line in CASES.read_text(encoding="utf-8").splitlines():
        heading = HEADING.fullmatch(line)
        if heading:
            models = heading["models"].split()
            places = [
                (place[: place.rindex("x")], int(place.rpartition("x")[2]))
                for place in heading["places"].split()
            ]
        elif line.strip() and not line.startswith("#"):
            parameters = tuple(shlex.split(line))
            for model in models:
                for gpu_type, gpu_count in places:
                    yield Case(parameters, model, gpu_type, gpu_count, "hand")


# Values to try on a flag by the type its help document gives; a flag with listed values gets these.
TRIED = {
    "integer": ("0", "1", "-1", "2", "7", "4096", "1000000"),
    "number": ("0", "1", "-1", "2", "7", "4096", "1000000", "0.5", "-0.5", "1.5", "nan", "inf"),
    "string": ("x", "", "None", "{}", "[]", "5", '{"a":1}', "null", "true", '"s"'),
}
NOT_ALONE = {"help", "model", "config", "model-tag"}


def alone(version: str) -> Iterator[Case]:
    """Every flag of the version's help document by itself, with each value worth a try, on three models."""
    document = json.loads((HELP / f"help-{version}.json").read_text(encoding="utf-8"))
    lists: list[list[str]] = []
    for entry in document["parameters"]:
        flag, kind = f"--{entry['name']}", entry.get("type")
        if entry["name"] in NOT_ALONE or flag not in entry["flags"]:
            continue
        if kind == "boolean":
            lists += [[spelling] for spelling in entry["flags"] if spelling.startswith("--")]
        elif kind in {"integer", "number"}:
            lists += [[f"{flag}={value}"] for value in TRIED[kind]]
        else:
            lists += [[f"{flag}={value}"] for value in entry.get("allowed-values") or TRIED["string"]]
    for model in ("llama-8b", "gemma3-4b", "mixtral-8x7b"):
        for parameters in lists:
            yield Case(tuple(parameters), model, "gpua5000", 2, "alone")


def values(random_: random.Random) -> dict[str, list[str]]:
    """Plausible values, some of them wrong, by flag; an empty list stands for a switch."""
    size = str(random_.choice([1, 1, 2, 2, 4, 8, 3, 5, 16, 0, -1]))
    tokens = str(random_.choice([1, 64, 256, 512, 2048, 4096, 8192, 16384, 65536, 0, -1, 5000]))
    return {
        "--tensor-parallel-size": [size], "-tp": [size], "--pipeline-parallel-size": ["1", "2", "4", "3"],
        "-dp": ["1", "2", "4", "0"], "-dpl": ["1", "2", "0"], "-dcp": ["1", "2", "4"], "-pcp": ["1", "2"],
        "--data-parallel-rank": ["0", "1", "2"], "--data-parallel-external-lb": [], "--data-parallel-hybrid-lb": [],
        "--data-parallel-start-rank": ["0", "1"], "--nnodes": ["1", "2"], "--node-rank": ["0", "1"],
        "--data-parallel-backend": ["mp", "ray"], "--headless": [], "--api-server-count": ["1", "2", "0"],
        "--distributed-executor-backend": ["mp", "uni", "ray", "external_launcher", "x.Y"],
        "--enable-expert-parallel": [], "--enable-eplb": [], "--enable-dbo": [],
        "--all2all-backend": ["naive", "pplx", "deepep_low_latency", "allgather_reducescatter"],
        "--max-model-len": ["1024", "4096", "8k", "32768", "131072", "200000", "-1", "0", "40961", "auto", "2048"],
        "--max-num-seqs": ["1", "16", "128", "256", "257", "1024", "2048", "3000", "0", "8193"],
        "--max-num-batched-tokens": [tokens], "--enable-chunked-prefill": [], "--no-enable-chunked-prefill": [],
        "--max-num-partial-prefills": ["1", "2"], "--max-long-partial-prefills": ["1", "2", "0"],
        "--long-prefill-token-threshold": ["0", "100", "1000000"], "--stream-interval": ["1", "10", "0", "-3"],
        "--scheduling-policy": ["fcfs", "priority"], "--async-scheduling": [], "--no-async-scheduling": [],
        "--gpu-memory-utilization": ["0.9", "0.95", "1.0", "0", "1.5", "95", "-1", "0.5"],
        "--swap-space": ["0", "4", "16", "-1", "400"], "--cpu-offload-gb": ["0", "10", "-4"],
        "--block-size": ["1", "8", "16", "32", "64", "128"],
        "--kv-cache-dtype": ["auto", "fp8", "fp8_e4m3", "fp8_e5m2", "bfloat16"],
        "--kv-offloading-size": ["1", "8"], "--kv-offloading-backend": ["native", "lmcache"],
        "--mamba-block-size": ["8", "16", "0", "-8"], "--num-gpu-blocks-override": ["0", "100", "-1"],
        "--dtype": ["auto", "half", "float16", "bfloat16", "float32"],
        "--quantization": ["fp8", "awq", "gptq", "awq_marlin", "gptq_marlin", "bitsandbytes", "gguf", "mxfp4", "None",
                           "compressed-tensors", "modelopt", "experts_int8", "ptpc_fp8", "AWQ", "int8", "torchao",
                           "rtn", "quark", "moe_wna16", "hqq"],
        "--allow-deprecated-quantization": [],
        "--speculative-config": [json.dumps(config) for config in speculation(random_)],
        "--enable-lora": [], "--max-loras": ["1", "4", "0"], "--max-cpu-loras": ["1", "2", "8"],
        "--max-lora-rank": ["8", "16", "64"], "--fully-sharded-loras": [], "--lora-dtype": ["auto", "bfloat16"],
        "--enable-auto-tool-choice": [], "--tool-call-parser": ["hermes", "llama3_json", "glm47", "qwen", "mistral"],
        "--reasoning-parser": ["qwen3", "deepseek_r1", "holo2", "none_such"],
        "--chat-template": ["template.jinja", "{{ messages }}", "chatml", "template_chatml.jinja"],
        "--enable-log-outputs": [], "--enable-log-requests": [], "--disable-log-stats": [],
        "--config-format": ["auto", "hf", "mistral", "yaml"], "--load-format": ["auto", "dummy", "safetensors", "zip"],
        "--tokenizer-mode": ["auto", "slow", "hf", "fast"], "--model-impl": ["auto", "vllm", "transformers", "x"],
        "--runner": ["auto", "generate", "pooling"], "--convert": ["auto", "embed", "none", "classify"],
        "--hf-overrides": ['{"max_position_embeddings": 8192}', '{"architectures": ["NoSuchModel"]}', "3", "{}",
                           '{"num_attention_heads": 24}', '{"num_experts": 8}', '{"sliding_window": 2048}'],
        "--override-generation-config": ['{"temperature": 0}', "7", "[]"], "--additional-config": ["{}", "x"],
        "--limit-mm-per-prompt": ['{"image": 1}', '{"image": "many"}', "4"],
        "--mm-processor-cache-gb": ["0", "4", "-1"], "--video-pruning-rate": ["0", "0.5", "1.5"],
        "--mm-encoder-attn-backend": ["FLASH_ATTN", "TORCH_SDPA", "nothing"],
        "--disable-sliding-window": [], "--enforce-eager": [], "--logits-processor-pattern": ["x"],
        "--optimization-level": ["0", "1", "2", "3", "4", "O1"],
        "--cudagraph-capture-sizes": ["1", "8", "0"], "--max-cudagraph-capture-size": ["0", "8", "512"],
        "--compilation-config": ['{"mode": 3}', '{"mode": 0}', '{"cudagraph_mode": "FULL"}', '{"level": 2}',
                                 '{"cudagraph_capture_sizes": [1, 2, 4]}', '{"cudagraph_capture_sizes": []}',
                                 '{"backend": "eager"}', '{"max_cudagraph_capture_size": 16}'],
        "--attention-backend": ["FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "flash", "XFORMERS"],
        "--kv-transfer-config": ['{"kv_connector": "NixlConnector", "kv_role": "kv_both"}', "{}"],
        "--kv-events-config": ['{"enable_kv_cache_events": true}', "{}"],
        "--disable-hybrid-kv-cache-manager": [], "--no-disable-hybrid-kv-cache-manager": [],
        "--collect-detailed-traces": ["all", "model"], "--otlp-traces-endpoint": ["http://collector:4317"],
        "--kv-cache-metrics-sample": ["0.5", "0", "7"], "--show-hidden-metrics-for-version": ["0.11", "eleven"],
        "--enable-prefix-caching": [], "--no-enable-prefix-caching": [], "--trust-remote-code": [],
        "--seed": ["0", "42", "-1"], "--max-logprobs": ["20", "-1"], "--enable-sleep-mode": [],
        "--enable-return-routed-experts": [], "--mm-encoder-only": [], "--ubatch-size": ["0", "2"],
    }  # fmt: skip


def speculation(random_: random.Random) -> list[dict[str, object]]:
    """A few speculative configurations, some of them wrong."""
    count = random_.choice([1, 2, 3, 5, 0, -1])
    drafting = random_.choice(["mtp", "eagle", "eagle3", "medusa", "suffix", "draft"])
    largest = random_.choice([2, 4])
    return [
        {"method": "ngram", "num_speculative_tokens": count, "prompt_lookup_max": random_.choice([0, 2, 5])},
        {"method": "ngram", "num_speculative_tokens": count, "prompt_lookup_min": 3, "prompt_lookup_max": largest},
        {"method": drafting, "num_speculative_tokens": count},
        {"method": "ngram"},
        {"method": "ngram", "num_speculative_tokens": 3, "disable_by_batch_size": random_.choice([1, 2, 64])},
        {"model": "ngram", "num_speculative_tokens": count},
    ]  # fmt: skip


def random_lists(*, seed: int, count: int, models: tuple[str, ...]) -> Iterator[Case]:
    """``count`` lists of one to five settings each, on models, GPU families and counts drawn with them."""
    random_ = random.Random(seed)
    places = [("gpua5000", 1), ("gpua5000", 2), ("gpu3", 8), ("gpurtx6000pro", 2), ("gpu2", 1), ("gpua30", 4)]
    for _ in range(count):
        table = values(random_)
        parameters: list[str] = []
        for flag in random_.sample(sorted(table), random_.choice([1, 2, 2, 3, 3, 4, 5])):
            choices = table[flag]
            if not choices:
                parameters.append(flag)
            elif (value := random_.choice(choices)).startswith("-") or random_.random() < 0.3:
                parameters.append(f"{flag}={value}")
            else:
                parameters += [flag, value]
        gpu_type, gpu_count = random_.choice(places)
        yield Case(tuple(parameters), random_.choice(models), gpu_type, gpu_count, "random")
