"""Roles: the function of a weight in a transformer, found by its name.

`PATTERNS` ignore case. They have ``.`` between the parts of a name, also where a framework writes ``/`` or ``['a']``.
``*`` is any text within a part. A pattern matches the last parts of a name, or all of them if it starts with ``^``; a
last part ``weight``, ``kernel`` or ``w`` of the name may be missing in the pattern. The first matching pattern decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from types import MappingProxyType

from seedbed.arguments import shortened

EMBEDDING = "embedding"
POSITION = "position"
QUERY = "query"
KEY = "key"
VALUE = "value"
KEY_VALUE = "key_value"
QKV = "query_key_value"
ATTENTION_OUTPUT = "attention_output"
GATE = "gate"
UP = "up"
GATE_UP = "gate_up"
DOWN = "down"
EXPERT_GATE = "expert_gate"
EXPERT_UP = "expert_up"
EXPERT_GATE_UP = "expert_gate_up"
EXPERT_DOWN = "expert_down"
ROUTER = "router"
PROJECTION = "projection"
HEAD = "head"
NORM = "norm"
BIAS = "bias"
GAIN = "residual_gain"

ROLES: Mapping[str, str] = MappingProxyType(
    {
        EMBEDDING: "embeddings of tokens",
        POSITION: "embeddings of positions and segments, class tokens, relative position biases",
        QUERY: "kernel of the queries",
        KEY: "kernel of the keys",
        VALUE: "kernel of the values",
        KEY_VALUE: "one kernel of keys and values",
        QKV: "one kernel of queries, keys and values",
        ATTENTION_OUTPUT: "output kernel of attention",
        GATE: "gate of a gated feed-forward layer",
        UP: "first kernel of a feed-forward layer",
        GATE_UP: "one kernel of gate and first layer",
        DOWN: "output kernel of a feed-forward layer",
        EXPERT_GATE: "gate of an expert",
        EXPERT_UP: "first kernel of an expert",
        EXPERT_GATE_UP: "one kernel of gate and first layer of an expert",
        EXPERT_DOWN: "output kernel of an expert",
        ROUTER: "kernel that chooses experts",
        PROJECTION: "any other kernel: patches, poolers, low-rank attention",
        HEAD: "kernel of the logits",
        NORM: "weight of a norm",
        BIAS: "bias",
        GAIN: "number, or vector, by which a residual branch is multiplied",
    }
)
"""Each role, and the weights that have it."""

EXPERTS: Mapping[str, str] = MappingProxyType(
    {EXPERT_GATE: GATE, EXPERT_UP: UP, EXPERT_GATE_UP: GATE_UP, EXPERT_DOWN: DOWN}
)
"""Each role in an expert, and the corresponding role in a feed-forward layer."""

_OF_EXPERT = {dense: expert for expert, dense in EXPERTS.items()}

PATTERNS: tuple[tuple[str, str], ...] = tuple(
    (pattern, role)
    for role, patterns in (
        (
            GAIN,
            "resweight resweight_* rezero* skip_gain skipinit_gain residual_gain alpha layer_scale* ls1 ls1.gamma ls2 "
            "ls2.gamma lambda_1 lambda_2 gamma_1 gamma_2",
        ),
        (
            POSITION,
            "*relative_attention_bias *rel_embedding *relpos_bias wpe position_embeddings position_embedding "
            "embed_pos* pos_embed pos_embedding pos_embeddings pos_emb token_type_embeddings segment_embeddings "
            "cls_token mask_token dist_token distillation_token reg_token register_tokens class_token "
            "class_embedding cls",
        ),
        (
            BIAS,
            "bias *.b in_proj_bias q_proj_bias v_proj_bias gate_up_proj_bias down_proj_bias mlp1_bias mlp2_bias "
            "*layer_norm_bias *norm*.beta e_score_correction_bias expert_bias",
        ),
        (
            NORM,
            "*norm *norm[0-9_]* norm* *layernorm* ln ln[0-9_]* *_ln *_ln_? scale *norm*.gamma *layer_norm_weight",
        ),
        (
            HEAD,
            "lm_head lm_head.w_out ^output embed_out output_layer output_projection unembed unembedding readout "
            "classifier score ^head heads.head *.head logits_dense logitdense logits cls.predictions.decoder "
            "cls.seq_relationship qa_outputs ^ff_out transformer.ff_out classification_head.out_proj "
            "vocab_projection ^projection",
        ),
        (ROUTER, "router router.* *moe.gate *mlp.gate *ffn.gate *feed_forward.gate *moe*.router gate_network"),
        (
            PROJECTION,
            "embedding.kernel *patch_embed* *patch_embed*.* conv_proj conv1 pooler pooler.dense "
            "predictions.transform.dense classification_head.dense q_a_proj q_b_proj kv_a_proj_with_mqa kv_b_proj wq_a "
            "wq_b wkv_a wkv_b *attention.w_g *attn.g_proj project_in project_out embed_projection pre_logits",
        ),
        (
            EMBEDDING,
            "wte embed_tokens word_embeddings tok_embeddings tok_embed token_embed token_embedding token_embeddings "
            "token_embedder embed_in input_embedding shared shared_embedding ^embeddings ^embedding ^embed *.embed "
            "*.embedding *.embeddings embed_[0-9]",
        ),
        (
            QKV,
            "c_attn wqkv w_qkv *qkv qkv_proj query_key_value qkv_einsum att_proj in_proj_weight *attn.in_proj "
            "*attention.in_proj",
        ),
        (KEY_VALUE, "kv_einsum kv_proj linear_kv wkv w_kv key_value"),
        (QUERY, "q_proj q_proj_weight query query_proj query_dense wq w_q q_einsum linear_q *att*.q"),
        (KEY, "k_proj k_proj_weight key key_proj key_dense wk w_k k_einsum *att*.k"),
        (VALUE, "v_proj v_proj_weight value value_proj value_dense wv w_v v_einsum *att*.v"),
        (
            ATTENTION_OUTPUT,
            "o_proj *att*.out_proj *att*.c_proj attention.output.dense *att*.dense *att*.wo *att*.w_out attn_out "
            "*att*.linear_proj linear_o *att*.proj *att*.out *att*.o attn_vec_einsum "
            "attention_output *att*.attention_output",
        ),
        (GATE_UP, "gate_up_proj merged_gate_up_proj gating_einsum w13 *mlp1_weight*"),
        (GATE, "gate_proj linear_gate w1 w1_efd wi_0 gate ffn_gate feedforward_gate_dense"),
        (
            UP,
            "up_proj w3 w3_efd v1 wi_1 wi c_fc fc1 fc_in intermediate.dense dense_h_to_4h linear_fc1 ff_proj linear1 "
            "*mlp*.dense_0 *mlp*.lin1 *mlp*.linear_1 feedforward_intermediate_dense ffn_up ffn.lin1",
        ),
        (
            DOWN,
            "down_proj merged_down_proj w2 w2_edf wo *mlp*.c_proj *ffn.c_proj fc2 fc_out output.dense dense_4h_to_h "
            "linear_fc2 ff_out linear2 *mlp*.dense_1 *mlp*.lin2 *mlp*.linear *mlp*.linear_2 *mlp2_weight* "
            "feedforward_output_dense ffn_down ffn.lin2",
        ),
    )
    for pattern in patterns.split()
)
"""Patterns of names and their roles, for transformers, torchtitan, OLMo, Megatron, MPT, torchscale, timm and Flax."""

_LEAVES = ("weight", "kernel", "w")
_IN_EXPERT = re.compile(r"(^|[._])experts?([._]|$)")
_SHARED = re.compile(r"shared_expert")
_LAYER = re.compile(r"(?:^|[._])(?:\w*?(?:layers?|blocks?|transformer_(?:en|de)coder)|h)[._](\d+)(?:[._]|$)")
_CROSS = re.compile(r"encdec|encoder_attn|encoder_decoder|cross_?att|multihead_attn")


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """Return a name in lower case with ``.`` between its parts, without the suffix ``.value`` of Flax NNX.

    >>> plain("params/Block_0['attn']/query/kernel")
    'params.block_0.attn.query.kernel'
    """
    joined = re.sub(r"\[['\"]?([^'\"\]]*)['\"]?\]", r".\1", name.replace("/", ".")).lower().strip(".")
    return joined.removesuffix(".value")


class Roles:
    """The roles of weights, by a user's patterns first, then by `PATTERNS`.

    Arguments:
        own: a mapping from patterns of whole names (`fnmatch.fnmatchcase`) to roles, or pairs of them.

    Raises:
        TypeError, ValueError: if a pattern is not a string, or a role is unknown.
    """

    def __init__(self, own: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self.own = tuple(own.items() if isinstance(own, Mapping) else own)
        for pattern, role in self.own:
            if not isinstance(pattern, str):
                raise TypeError(f"a pattern of names must be a string. Received: {shortened(pattern)}")
            if role not in ROLES:
                raise ValueError(
                    f"a role must be one of {', '.join(ROLES)}. Received: {shortened(role)} for {shortened(pattern)}"
                )

    def of(self, name: str) -> str | None:
        """Return the role of a weight; None if no pattern matches its name."""
        own = next((role for pattern, role in self.own if fnmatchcase(name, pattern)), None)
        return own or _shipped_role(re.sub(r"(?<=\.)\d+(?=\.)", "0", plain(name)))  # One cache entry for all layers.


@lru_cache(maxsize=4096)
def _shipped_role(name: str) -> str | None:
    path, _, leaf = name.rpartition(".")
    texts = (name, path) if leaf in _LEAVES else (name,)
    for test, role in _tests():
        if any(map(test.match, texts)):
            is_expert = _IN_EXPERT.search(name) and not _SHARED.search(name)
            return _OF_EXPERT.get(role, role) if is_expert else role
    return None


@lru_cache(maxsize=1)
def _tests() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(_regular(pattern)), role) for pattern, role in PATTERNS]


def _regular(pattern: str) -> str:
    """Return the regular expression of a shipped pattern."""
    text = translate(pattern.removeprefix("^")).replace(".*", "[^.]*")
    return text if pattern.startswith("^") else rf"(?:.*\.)?{text}"


def layer_of(name: str) -> int | None:
    """Return the number of a weight's layer, counted from 0; None if its name has no such number.

    >>> layer_of("encoder.block.3.layer.1.wi.weight"), layer_of("params/layers_7/mlp/kernel"), layer_of("head.0.weight")
    (3, 7, None)
    """
    found = _LAYER.search(plain(name))
    return int(found[1]) if found else None


def side_of(name: str) -> str:
    """Return "encoder" or "decoder" if the name has such a part, otherwise an empty string."""
    parts = plain(name).split(".")
    return next((part for part in parts if part in ("encoder", "decoder")), "")


def is_cross(name: str) -> bool:
    """Return whether a weight belongs to an attention layer of a decoder that attends to an encoder."""
    return bool(_CROSS.search(plain(name)))
