"""The decoder a third time, as ONNX opset 24 in onnxruntime: an oracle that shares no layer with the other two, only
the model's config, its weights and the table of angles.

TensorRT's own ONNX parser drops the lengths of rows without a word, so this is for checking, never for building.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference import rope
from inference.weights import WeightSource

OPSET = 24
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class OnnxDecoder:
    """A checkpoint in onnxruntime with caches [rows, kv_heads, capacity, head_size]."""

    def __init__(self, source: WeightSource, *, rows: int, capacity: int) -> None:
        self.config = source.config
        graph = _Graph(source, capacity)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        shape = (rows, self.config.kv_heads, capacity, self.config.head_size)
        self.caches = {name: np.full(shape, 7.0, np.float32) for name in graph.caches}

    def step(self, tokens: Sequence[Sequence[int]], starts: Sequence[int], *, first_row: int = 0) -> torch.Tensor:
        """Logits [rows, tokens, vocabulary] of equally many tokens for neighbouring rows, each from its own start."""
        count, last = len(tokens[0]), first_row + len(tokens)
        begins = np.array(starts, np.int64)
        feed: dict[str, NDArray[Any]] = {
            "tokens": np.array(tokens, np.int64),
            "positions": begins[:, None] + np.arange(count),
            "starts": begins,
            "lengths": begins + count,
        }
        feed |= {name: cache[first_row:last] for name, cache in self.caches.items()}
        logits, *updated = self._session.run(None, feed)
        for cache, new in zip(self.caches.values(), updated, strict=True):
            cache[first_row:last] = new
        return torch.from_numpy(logits)


class _Graph:
    """The nodes of one decoder, as they are written."""

    def __init__(self, source: WeightSource, capacity: int) -> None:
        self.source, self.config = source, source.config
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.caches = [f"{kind}_{layer}" for layer in range(self.config.layers) for kind in ("key", "value")]
        factors = source.load("rope.frequency_factors") if "rope.frequency_factors" in source.names() else None
        for name, table in zip(("cosines", "sines"), rope.tables(self.config, capacity, factors), strict=True):
            self._keep(name, table.numpy())
        self.shape = ["rows", self.config.kv_heads, capacity, self.config.head_size]

    def model(self) -> Any:
        hidden = self._node("Gather", self._weight("model.embed_tokens.weight"), "tokens")
        updated = []
        for layer in range(self.config.layers):
            hidden, caches = self._layer(hidden, layer)
            updated += caches
        own = not self.config.tied_head and "lm_head.weight" in self.source.names()
        head = self._weight("lm_head.weight" if own else "model.embed_tokens.weight", is_turned=True)
        logits = self._node("MatMul", self._norm(hidden, "model.norm.weight"), head)
        flat: list[tuple[str, int, list[Any]]] = [
            ("tokens", INT64, ["rows", "count"]),
            ("positions", INT64, ["rows", "count"]),
            ("starts", INT64, ["rows"]),
            ("lengths", INT64, ["rows"]),
            *((name, FLOAT, self.shape) for name in self.caches),
        ]
        graph = helper.make_graph(
            self.nodes,
            "decoder",
            [helper.make_tensor_value_info(*value) for value in flat],
            [helper.make_tensor_value_info(name, FLOAT, None) for name in (logits, *updated)],
            list(self.constants.values()),
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=11)

    def _layer(self, hidden: str, layer: int) -> tuple[str, list[str]]:
        prefix = f"model.layers.{layer}"
        normed = self._norm(hidden, f"{prefix}.input_layernorm.weight")
        queries = self._turned(normed, f"{prefix}.self_attn.q", self.config.heads)
        keys = self._turned(normed, f"{prefix}.self_attn.k", self.config.kv_heads)
        values = self._by_head(self._linear(normed, f"{prefix}.self_attn.v_proj"), self.config.kv_heads)
        caches = [
            self._node("TensorScatter", f"{kind}_{layer}", update, "starts", axis=2, mode="linear")
            for kind, update in (("key", keys), ("value", values))
        ]
        scale = self.config.head_size**-0.5
        attended = self._node("Attention", queries, *caches, "", "", "", "lengths", is_causal=1, scale=scale)
        joined = self._node("Transpose", attended, perm=[0, 2, 1, 3])
        joined = self._node("Reshape", joined, self._keep_ints([0, 0, self.config.query_size]))
        hidden = self._node("Add", hidden, self._linear(joined, f"{prefix}.self_attn.o_proj"))
        normed = self._norm(hidden, f"{prefix}.post_attention_layernorm.weight")
        gate = self._linear(normed, f"{prefix}.mlp.gate_proj")
        silu = self._node("Mul", gate, self._node("Sigmoid", gate))
        product = self._node("Mul", silu, self._linear(normed, f"{prefix}.mlp.up_proj"))
        return self._node("Add", hidden, self._linear(product, f"{prefix}.mlp.down_proj")), caches

    def _turned(self, x: str, name: str, heads: int) -> str:
        x = self._by_head(self._linear(x, f"{name}_proj"), heads)
        if self.config.qk_norm:
            x = self._norm(x, f"{name}_norm.weight")
        return self._node("RotaryEmbedding", x, "cosines", "sines", "positions", interleaved=0)

    def _by_head(self, x: str, heads: int) -> str:
        split = self._node("Reshape", x, self._keep_ints([0, 0, heads, self.config.head_size]))
        return self._node("Transpose", split, perm=[0, 2, 1, 3])

    def _norm(self, x: str, name: str) -> str:
        return self._node("RMSNormalization", x, self._weight(name), axis=-1, epsilon=self.config.norm_epsilon)

    def _linear(self, x: str, name: str) -> str:
        product = self._node("MatMul", x, self._weight(f"{name}.weight", is_turned=True))
        has_bias = f"{name}.bias" in self.source.names()
        return self._node("Add", product, self._weight(f"{name}.bias")) if has_bias else product

    def _weight(self, name: str, *, is_turned: bool = False) -> str:
        key = f"{name}.turned" if is_turned else name
        if key not in self.constants:
            tensor = self.source.load(name).float()
            self._keep(key, (tensor.t() if is_turned else tensor).contiguous().numpy())
        return key

    def _keep(self, name: str, values: NDArray[Any]) -> str:
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def _keep_ints(self, values: list[int]) -> str:
        return self._keep("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


assert onnx.defs.onnx_opset_version() >= OPSET
