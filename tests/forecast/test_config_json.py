"""Facts from a model's configuration file, and what is refused."""

from __future__ import annotations

import pytest

from harness.forecast.config_json import NotCovered, from_config
from harness.forecast.models import ModelFacts
from harness.forecast.tables import model

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip


def test_a_configuration_gives_the_same_facts_as_the_table() -> None:
    known = model("llama3-8b")
    assert known is not None
    assert from_config(LLAMA, name="llama3-8b") == known


def facts(**changes: object) -> ModelFacts:
    found = from_config(LLAMA | changes)
    assert isinstance(found, ModelFacts)
    return found


def test_head_size_and_key_heads_follow_from_the_rest_when_absent() -> None:
    config = {key: value for key, value in LLAMA.items() if key not in {"head_dim", "num_key_value_heads"}}
    found = from_config(config)
    assert isinstance(found, ModelFacts)
    assert (found.head_dim, found.kv_heads) == (128, 32)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"quant_method": "awq", "bits": 4}, ("awq", 4)),
        ({"quant_method": "fp8", "activation_scheme": "dynamic"}, ("fp8", 8)),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4}}}},
         ("compressed-tensors", 4)),
        (None, (None, None)),
    ],
)  # fmt: skip
def test_quantisation_is_read_from_the_configuration(
    declared: object, expected: tuple[object, object]
) -> None:
    found = facts(quantization_config=declared)
    assert (found.quantization, found.weight_bits) == expected


def test_sliding_windows_count_only_where_they_are_switched_on() -> None:
    assert facts(sliding_window=4096).sliding_layers == 32
    assert facts(sliding_window=4096, use_sliding_window=False).sliding_window is None
    half = facts(sliding_window=128, layer_types=["sliding_attention", "full_attention"] * 16)
    assert (half.sliding_window, half.sliding_layers) == (128, 16)


def test_experts_make_the_active_part_smaller_than_the_whole() -> None:
    found = facts(num_local_experts=8, num_experts_per_tok=2)
    assert found.expert_ffn == 14336
    assert found.active_parameters < found.linear_parameters / 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kv_lora_rank": 512}, "latent attention"),
        ({"vision_config": {}}, "vision"),
        ({"mamba_d_state": 16}, "state-space"),
        ({"is_encoder_decoder": True}, "encoder-decoder"),
        ({"layer_types": ["linear_attention"] * 32}, "linear_attention"),
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": "many"}, "hidden_size"),
    ],
)
def test_what_the_equations_do_not_cover_is_refused_with_the_reason(
    change: dict[str, object], words: str
) -> None:
    found = from_config(LLAMA | change)
    assert isinstance(found, NotCovered)
    assert words in found.reason


# Cut down to what decides: the keys of published config.json files of one model each.
OTHER_FAMILIES = [
    ("DeepSeek-V3", {"model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "kv_lora_rank": 512,
                     "q_lora_rank": 1536, "n_routed_experts": 256, "first_k_dense_replace": 3}, "latent attention"),
    ("GLM-4.5-Air", {"model_type": "glm4_moe", "architectures": ["Glm4MoeForCausalLM"], "first_k_dense_replace": 1,
                     "n_routed_experts": 128, "num_experts_per_tok": 8}, "dense and expert layers"),
    ("ERNIE-4.5-21B-A3B", {"model_type": "ernie4_5_moe", "moe_num_experts": 64, "moe_k": 6}, "dense and expert"),
    ("Hunyuan-Large", {"model_type": "hunyuan", "num_experts": [1, 16], "moe_topk": [1, 1]}, "different numbers"),
    ("Mamba-2", {"model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"], "state_size": 128}, "state-space"),
    ("Jamba", {"model_type": "jamba", "mamba_d_state": 16, "attn_layer_period": 8, "num_experts": 16}, "state-space"),
    ("Nemotron-H", {"model_type": "nemotron_h", "hybrid_override_pattern": "M-M-M*-", "ssm_state_size": 128},
     "state-space"),
    ("Falcon-H1", {"model_type": "falcon_h1", "mamba_d_ssm": 3072}, "state-space"),
    ("Granite-4.0-H", {"model_type": "granitemoehybrid", "layer_types": ["mamba"] * 36 + ["attention"] * 4},
     "attention, mamba"),
    ("Qwen3-Next", {"model_type": "qwen3_next", "linear_num_key_heads": 16, "full_attention_interval": 4},
     "linear-attention"),
    ("MiniMax-Text-01", {"model_type": "minimax_text_01", "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1]},
     "linear-attention"),
    ("LFM2", {"model_type": "lfm2", "conv_L_cache": 3}, "convolution"),
    ("RecurrentGemma", {"model_type": "recurrent_gemma", "lru_width": 2560}, "recurrent"),
    ("Whisper", {"model_type": "whisper", "is_encoder_decoder": True}, "encoder-decoder"),
    ("T5 (d_model in place of hidden_size)", {"is_encoder_decoder": True, "hidden_size": None}, "encoder-decoder"),
    ("BERT", {"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "no decoder"),
    ("Qwen2.5-VL", {"model_type": "qwen2_5_vl", "vision_config": {"depth": 32}}, "vision"),
    ("Llama-4-Scout", {"model_type": "llama4", "text_config": {"hidden_size": 5120}}, "several parts"),
    ("Phi-3.5-vision", {"architectures": ["Phi3VForCausalLM"], "img_processor": {"name": "clip"}}, "vision"),
    ("Qwen2-Audio", {"model_type": "qwen2_audio", "audio_config": {"d_model": 1280}}, "audio"),
    ("StarCoder2", {"model_type": "starcoder2", "hidden_act": "gelu_pytorch_tanh"}, "without a gate"),
    ("Qwen2-MoE with dense layers", {"model_type": "qwen2_moe", "num_experts": 60, "num_experts_per_tok": 4,
                                     "mlp_only_layers": [0, 1]}, "dense and expert"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [family[1:] for family in OTHER_FAMILIES],
    ids=[family[0] for family in OTHER_FAMILIES],
)
def test_families_with_other_layers_are_refused(change: dict[str, object], words: str) -> None:
    found = from_config(LLAMA | change)
    assert isinstance(found, NotCovered)
    assert words in found.reason


def test_a_mixture_of_experts_is_read_whole() -> None:
    """Qwen3-30B-A3B's own file: 30.5 billion parameters, 3.3 of them active, embeddings included."""
    config = {
        "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 2048, "head_dim": 128,
        "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8,
        "decoder_sparse_step": 1, "mlp_only_layers": [], "num_attention_heads": 32, "num_key_value_heads": 4,
        "num_hidden_layers": 48, "vocab_size": 151936, "max_position_embeddings": 40960, "sliding_window": None,
        "use_sliding_window": False, "max_window_layers": 48, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    found = from_config(config)
    assert isinstance(found, ModelFacts)
    assert found.linear_parameters + found.embedding_parameters == pytest.approx(30.53e9, rel=0.01)
    assert found.active_parameters + found.embedding_parameters == pytest.approx(3.35e9, rel=0.02)


def test_gemma_ties_its_embeddings_and_slides_in_five_layers_of_six_without_saying_so() -> None:
    """Gemma-3-1B's own file leaves both out: 1.0 billion parameters."""
    config = {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "hidden_size": 1152, "head_dim": 256,
        "intermediate_size": 6912, "num_attention_heads": 4, "num_key_value_heads": 1, "num_hidden_layers": 26,
        "sliding_window": 512, "sliding_window_pattern": 6, "vocab_size": 262144, "max_position_embeddings": 32768,
    }  # fmt: skip
    found = from_config(config)
    assert isinstance(found, ModelFacts)
    assert found.linear_parameters + found.embedding_parameters == pytest.approx(1.0e9, rel=0.01)
    assert (found.sliding_window, found.sliding_layers) == (512, 22)
