"""What engines say when they do not start: texts of vLLM, the class of failure, the lint rule that catches it. Pure.

The texts are those of 0.12.0 and 0.15.1; the tests hold the table against the recorded words of both. They are looked
for in the whole log, so ``\\s+`` may be the end of a line and ``.`` is not.
"""

from __future__ import annotations

import re

OUT_OF_MEMORY = "out-of-memory"
BAD_ARGUMENT = "bad-argument"
MODEL_MISSING = "model-missing"
NO_CAPACITY = "no-capacity"
IMAGE = "image"
TIMEOUT = "timeout"
UNKNOWN = "unknown"
# Not the engine's doing: it runs something else than was asked, or was taken away.
NOT_AS_ASKED = "not-as-asked"
GONE = "gone"

# Colours, which engines write to a file as well.
STYLE = re.compile(r"\x1b\[[0-9;]*m")
# What vLLM's logger puts before a line, and the lines of it that are no error: what it warns of did not end the engine.
PREFIX = re.compile(r"^\s*(?:\([^)]*\)\s*)*(?:ERROR [\d-]+ [\d:]+ (?:\[[^\]]*\]\s?)?)?")
CHATTER = re.compile(r"^\s*(?:\([^)]*\)\s*)*(?:(?:DEBUG|INFO|WARNING) [\d-]+ [\d:]+ |INFO:\s)")
# A line of source code in a traceback, which holds the words of an error before they are filled in.
SOURCE = re.compile(r"^\s*raise \w")


def _bad(rule: str | None, text: str) -> tuple[re.Pattern[str], str, str | None]:
    return re.compile(text), BAD_ARGUMENT, rule


def _full(rule: str | None, text: str) -> tuple[re.Pattern[str], str, str | None]:
    return re.compile(text), OUT_OF_MEMORY, rule


# Looked for in this order: the argument parser's words, memory, what one rule is about, then what any would do.
PATTERNS: tuple[tuple[re.Pattern[str], str, str | None], ...] = (
    _bad("unknown-flag", r"unrecognized arguments: .*"),
    _bad("value-not-allowed", r"invalid choice: .*"),
    _bad("ambiguous-abbreviation", r"ambiguous option: .*"),
    _bad("missing-value", r"argument \S+: expected .*argument.*"),
    _bad("value-for-switch", r"argument \S+: ignored explicit argument .*"),
    _bad("malformed-json", r"argument \S+: (?:invalid loads value|Value .*cannot be converted to <function loads).*"),
    _bad("malformed-json", r"Invalid JSON(?: format)?.*"),
    _bad("unknown-key", r"argument \S+: \d+ validation errors? for \w+\s+\S+\s+Unexpected keyword argument.*"),
    _bad("mistyped-key", r"argument \S+: \d+ validation errors? for \w+\s+[\w.\[\]',]+\s+Input should be .*"),
    _bad("refused-combination", r"argument \S+: \d+ validation errors? for \w+\s+(?:Value error|Assertion failed), .*"),
    _bad("wrong-type", r"(?:argument [^:\s]+: |Invalid fields for --).*"),
    # Memory.
    _full("gpu-memory", r"To serve at least one request with .*"),
    _full("gpu-memory", r"No available memory for the cache blocks.*"),
    _full("gpu-memory", r"Failed to load model - not enough GPU memory.*"),
    _full(None, r"Free memory on device .* is less than desired.*"),
    _full("gpu-memory", r"(?:torch\.)?(?:cuda\.)?OutOfMemoryError.*|CUDA out of memory.*"),
    # What one rule is about.
    _bad("sequence-length", r"User-specified max_model_len .*"),
    _bad("sequence-length", r"max_model_len\s+Input should be greater than or equal to -1.*"),
    _bad("chunked-prefill", r"max_num_batched_tokens \(\d+\) is smaller than max_model_len.*"),
    _bad("batched-tokens", r"max_num_batched_tokens \(\d+\) .*"),
    _bad("heads-not-divisible", r"Total number of attention heads .*|Assertion failed, \d+ is not divisible by \d+.*"),
    _bad("too-few-gpus", r"Tensor parallel size .* available GPUs.*|World size .* available GPUs.*"),
    _bad("context-parallel", r"tp_size=\d+ must be divisible by\s*dcp_size.*|Prefill context parallelism .*"),
    _bad("context-parallel", r"tensor parallel size \d+ must be greater than total num kv heads.*"),
    _bad("cache-interleave", r"Block_size\(\d+\) .*cp_kv_cache_interleave_size.*"),
    _bad("pipeline-parallel", r"Pipeline [Pp]arallelism .*is not supported.*"),
    _bad("parallel-size", r"data_parallel_rank \(\d+\) must be in the range \[0, 0\).*"),
    _bad("ray-missing", r"Failed to import Ray.*|Unable to use nsight profiling unless workers run with Ray.*"),
    _bad("data-parallel-backend", r"data_parallel_backend\s+(?:can only be ray or mp|Input should be).*"),
    _bad("several-nodes", r"(?:world_size=\d+ must be divisible by nnodes|nnodes > 1 |node_rank=).*"),
    _bad("data-parallel", r"(?:data_parallel_\w+|Cannot use both external and hybrid data parallel).*"),
    _bad("headless", r"--api-server-count=\S+ cannot be used with --headless.*"),
    _bad("microbatching", r"Microbatching currently only supports .*"),
    _bad("expert-balancing", r"(?:enable_expert_parallel must be True to use EPLB|num_redundant_experts is set).*"),
    _bad("expert-balancing", r"EPLB requires tensor_parallel_size.*"),
    _bad("expert-parallel", r"Number of experts in the model must be greater than 0.*"),
    _bad("dtype-not-supported", r"Bfloat16 is only supported on GPUs .*"),
    _bad("dtype-not-supported", r"The model type '\w+' does not support float16.*"),
    _bad("quantization-mismatch", r"Quantization method specified in the model config .*"),
    _bad("unknown-quantization", r"Unknown quantization method.*"),
    _bad("quantization-deprecated", r".*The quantization method .* is deprecated.*"),
    _bad("quantization-capability", r"The quantization method \w+ is not supported for the current GPU.*"),
    _bad("quantization-dtype", r"\S+ is not supported for quantization method.*"),
    _bad("quantization-not-in-checkpoint", r"Cannot find the config file for \w.*"),
    _bad("quantization-not-in-checkpoint", r"\w+ quantization is supported only on ROCm.*"),
    _bad("quantization-not-in-checkpoint", r"\w+Config\.__init__\(\) missing \d+ required positional argument.*"),
    _bad("async-scheduling", r"(?:Async scheduling is not yet|Currently, async scheduling is only) .*"),
    _bad("hybrid-kv-cache", r"Hybrid KV cache manager was explicitly enabled.*"),
    _bad("swap-space", r"Too large swap space.*"),
    _bad("kv-offloading", r"You must set kv_offloading_size .*"),
    _bad("mamba-cache", r"--mamba-block-size can only be set with .*|Chunked MM input is required because we need .*"),
    _bad("cudagraph-sizes", r"Maximum cudagraph size should .*|customized max_cudagraph_capture_size.*"),
    _bad("cudagraph-sizes", r"(?:cudagraph_capture_sizes |max_cudagraph_capture_size and ).*"),
    _bad("compilation-options", r"(?:Unrecognized size type in compile_sizes|Invalid compile range split point).*"),
    _bad("optimization-level", r"optimization_level\s+Input should be .*"),
    _bad("metrics-version", r"show_hidden_metrics_for_version\s+Value error, Invalid version.*"),
    _bad("tracing", r"collect_detailed_traces(?: requires|\.\d+\s+Input should be).*"),
    _bad("multimodal-options", r"mm_encoder_attn_backend\s+Value error, .*"),
    _bad("multimodal-options", r"'mm_shm_cache_max_object_size_mb' should only .*"),
    _bad("attention-backend", r"Unknown attention backend.*|attention_backend and attention_config\.backend .*"),
    _bad("tool-call-parser", r"(?:invalid tool call parser|Error: --enable-auto-tool-choice requires).*"),
    _bad("reasoning-parser", r"invalid reasoning parser.*|Reasoning parser '.*' not found.*"),
    _bad("chat-template", r"The supplied chat template string .*"),
    _bad("log-outputs", r"Error: --enable-log-outputs requires .*"),
    _bad("lora-limits", r"max_cpu_loras \(\d+\) must be .*|Default modality-specific LoRA.*"),
    _bad("fast-prefill", r".*kv_sharing_fast_prefill.*"),
    _bad("speculation-with-lora", r"Consider increasing max_num_batched_tokens or decreasing num_spec.*"),
    _bad("speculative-config", r"Draft model speculative decoding is not supported.*"),
    _bad("speculative-config", r"Speculative decoding with draft model is not supported.*"),
    _bad("speculative-config", r"(?:Unsupported speculative method|Arctic Inference is required for suffix).*"),
    _bad("speculative-config", r"(?:num_speculative_tokens|prompt_lookup_\w+|disable_by_batch_size)\b\s+\S.*"),
    _bad("speculative-config", r"'\w+' is not a valid argument in the speculative_config.*"),
    _bad("speculative-config", r"\d+ validation errors? for SpeculativeConfig\s+[a-z]\w*\s+.*"),
    _bad("unsupported-feature", r"(?:Concurrent Partial Prefill|--logits-processor-pattern) is not supported.*"),
    _bad("model-architecture", r"Model architecture\S* .*not supported.*"),
    _bad("model-architecture", r"The checkpoint you are trying to load has model type.*"),
    _bad("model-architecture", r".*is not compatible with vLLM.*|Cannot find model module.*"),
    _bad("model-runner", r"This model does not support `--runner .*"),
    _bad("config-format", r"(?:Unknown config format|No config format|Could not detect config format).*"),
    _bad("config-format", r"Repo id must be in the form 'repo_name' or 'namespace/repo_name'.*"),
    _bad("load-options", r"Load format `.*` is not supported.*"),
    _bad(None, r"No (?:tokenizer|renderer) registered for .*"),
    # The configuration objects' own checks, by their form; the fields that hold structures are known by name.
    _bad("structured-value", r"(?:\w+_(?:config|overrides|kwargs|prompt|processors|domains|location)|served_model_name)"
         r"[\w.\[\],]*\s+Input should be a valid (?!integer\b(?!,)).*"),
    _bad("out-of-range", r"\w+\s+Input should be (?:greater|less) than .*"),
    # The model and where it comes from.
    (re.compile(r"Repo id must use alphanumeric chars.*"), MODEL_MISSING, "repository-name"),
    (re.compile(r"(?:RepositoryNotFoundError|GatedRepoError|HFValidationError).*"), MODEL_MISSING, None),
    (re.compile(r"Invalid repository ID or local directory.*"), MODEL_MISSING, None),
    (re.compile(r"OSError: (?!\[Errno).*"), MODEL_MISSING, None),
    (re.compile(r".*(?:401|403) Client Error.*"), MODEL_MISSING, None),
    # The platform's words, in state-details or in the container's events.
    (re.compile(r"ImagePullBackOff.*|ErrImagePull.*|manifest unknown.*"), IMAGE, None),
    (re.compile(r"Failed to infer device type.*"), IMAGE, None),
    (re.compile(r"(?:not enough|insufficient) (?:\S+ )?(?:GPU|nvidia).*", re.IGNORECASE), NO_CAPACITY, None),
    (re.compile(r".*(?:took too long|timed out).*", re.IGNORECASE), TIMEOUT, None),
    # Whatever else ended it was an exception at its arguments; the wrapper that only points upward is none.
    _bad(None, r"(?:Value error|Assertion failed), .*"),
    _bad(None, r"\d+ validation errors? for \w+.*"),
    _bad(None, r"vllm\S* ?\w*: error: .*"),
    _bad(None, r"(?m)\b(?!RuntimeError: Engine core initialization failed)[A-Z]\w*(?:Error|Exception)\b(?::.*)?$"),
)  # fmt: skip
