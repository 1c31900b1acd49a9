"""The TensorRT network, interpreted, against the torch model, on tiny random checkpoints of every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from inference.executor.base import Segment
from inference.executor.interpreter_executor import make_interpreter_executor
from inference.executor.torch_executor import TorchExecutor
from inference.tensorrt.graph import UnsupportedByTensorRTError
from inference.tensorrt.slot_executor import SlotExecutor
from inference.tensorrt.weight_set import load_weight_set, quantised, scales
from inference.weights import open_weights
from tests.unit.inference.test_model_agreement import CASES, save_random_checkpoint

SLOTS, POSITIONS = 4, 64
POISON = 7.0
"""What fills the cache beforehand: anything read beyond a sequence's own tokens shows."""
SUPPORTED = [name for name in CASES if "slid" not in name]


def executors(path: Path, *, precision: str = "float32", chunk: int = 8) -> tuple[SlotExecutor, TorchExecutor]:
    interpreted = make_interpreter_executor(
        open_weights(path), slots=SLOTS, positions=POSITIONS, precision=precision, max_chunk=chunk
    )
    for cache in interpreted.caches.values():
        cache.fill_(POISON)
    return interpreted, TorchExecutor(open_weights(path), slots=SLOTS, positions=POSITIONS, precision="float32")


def prompts(*lengths: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(11)
    return [torch.randint(0, 97, (length,), generator=generator).tolist() for length in lengths]


@pytest.mark.parametrize("case", SUPPORTED)
def test_whole_ragged_generations_agree(case: str, tmp_path: Path, trt: Any) -> None:
    family, overrides = CASES[case]
    save_random_checkpoint(tmp_path, family, overrides)
    interpreted, reference = executors(tmp_path)
    texts = prompts(25, 3, 14)
    slots = (2, 0, 3)  # slot 1 stays idle between them

    for step in range(12):
        if step == 0:
            segments = [Segment(slot, 0, text) for slot, text in zip(slots, texts, strict=True)]
        else:
            segments = [Segment(slot, len(text) - 1, text[-1:]) for slot, text in zip(slots, texts, strict=True)]
        expected = reference.forward(segments)
        torch.testing.assert_close(interpreted.forward(segments), expected, atol=1e-4, rtol=1e-5)
        for text, row in zip(texts, expected, strict=True):
            text.append(int(row.argmax()))


def test_prefill_and_decode_in_one_step_and_logits_for_a_draft(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    interpreted, reference = executors(tmp_path)
    first, second = prompts(20, 30)
    for executor in (interpreted, reference):
        executor.forward([Segment(0, 0, first[:-1], logits=0), Segment(3, 0, second[:10], logits=0)])
    mixed = [Segment(3, 10, second[10:], logits=5), Segment(0, 19, first[-1:]), Segment(1, 0, [5], logits=0)]
    torch.testing.assert_close(interpreted.forward(mixed), reference.forward(mixed), atol=1e-4, rtol=1e-5)


def test_a_slot_is_used_again_and_a_prefix_is_copied(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Qwen3", {"head_dim": 16})
    interpreted, reference = executors(tmp_path)
    long, short = prompts(50, 12)
    for executor in (interpreted, reference):
        executor.forward([Segment(1, 0, long)])
        executor.forward([Segment(1, 0, short[:-1], logits=0)])
        executor.copy_prefix(source=1, target=2, length=11)
        executor.release(1)
    again = [Segment(2, 11, short[-1:])]
    torch.testing.assert_close(interpreted.forward(again), reference.forward(again), atol=1e-4, rtol=1e-5)


def test_the_last_position_can_be_used_while_others_idle(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Llama", {})
    interpreted, reference = executors(tmp_path)
    text = prompts(POSITIONS)[0]
    for executor in (interpreted, reference):
        executor.forward([Segment(0, 0, text[:-1], logits=0), Segment(3, 0, text[:5], logits=0)])
        executor.forward([Segment(3, 5, text[5:6])])  # slot 0 idles along in this launch
    last = [Segment(0, POSITIONS - 1, text[-1:])]
    torch.testing.assert_close(interpreted.forward(last), reference.forward(last), atol=1e-4, rtol=1e-5)


def test_another_checkpoint_is_swapped_in_without_a_new_network(tmp_path: Path, trt: Any) -> None:
    base, tuned = tmp_path / "base", tmp_path / "tuned"
    save_random_checkpoint(base, "Llama", {})
    save_random_checkpoint(tuned, "Llama", {}, seed=8)
    interpreted, _ = executors(base)
    _, reference = executors(tuned)
    segments = [Segment(0, 0, prompts(9)[0])]
    before = interpreted.forward(segments)
    interpreted.swap_weights(load_weight_set(open_weights(tuned), interpreted.contract))
    after = interpreted.forward(segments)
    torch.testing.assert_close(after, reference.forward(segments), atol=1e-4, rtol=1e-5)
    assert (after - before).abs().max() > 0.1


@pytest.mark.parametrize(("precision", "limit"), [("float16", 0.02), ("bfloat16", 0.2)])
def test_half_precisions_stay_near(precision: str, limit: float, tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Qwen2", {})
    interpreted, reference = executors(tmp_path, precision=precision)
    segments = [Segment(slot, 0, text) for slot, text in enumerate(prompts(25, 3, 14))]
    expected = reference.forward(segments)
    difference = (interpreted.forward(segments) - expected).norm() / expected.norm()
    assert difference < limit


def test_weights_of_8_bits_stay_near_and_are_within_half_a_step_of_their_own(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Qwen2", {})
    interpreted, reference = executors(tmp_path, precision="float16-int8")
    segments = [Segment(slot, 0, text) for slot, text in enumerate(prompts(25, 3, 14))]
    expected = reference.forward(segments)
    difference = (interpreted.forward(segments) - expected).norm() / expected.norm()
    assert difference < 0.05

    matrix = torch.randn(5, 40)
    error = (quantised(matrix) * scales(matrix).unsqueeze(1) - matrix).abs()
    assert (error <= scales(matrix).unsqueeze(1) / 2 + 1e-7).all()


def test_a_sliding_window_that_matters_is_refused(tmp_path: Path, trt: Any) -> None:
    save_random_checkpoint(tmp_path, "Mistral", {"sliding_window": 7})
    with pytest.raises(UnsupportedByTensorRTError, match="INFERENCE_CONTEXT to at most 7"):
        executors(tmp_path)


def test_a_network_with_an_unknown_layer_is_not_guessed_at(trt: Any) -> None:
    from inference.tensorrt.interpreter import Interpreter
    from inference.tensorrt.semantics import UnknownLayerError

    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(0)
    x = network.add_input("x", trt.DataType.FLOAT, [2])
    network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
    with pytest.raises(UnknownLayerError):
        Interpreter(trt, network).run({"x": torch.ones(2)})
    softmax = builder.create_network(0)
    y = softmax.add_input("y", trt.DataType.FLOAT, [2, 2])
    softmax.mark_output(softmax.add_softmax(y).get_output(0))
    with pytest.raises(UnknownLayerError):
        Interpreter(trt, softmax)
