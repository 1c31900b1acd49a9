"""Our encoder gives the vectors of the reference implementation, whatever shares the batch."""

import pytest
import torch
from transformers import AutoModel

from inference.embedding import Embedder
from inference.errors import ModelError
from inference.fetch import EMBEDDER, fetch

TEXTS = [
    "The quarterly report lists revenue by region.",
    "收入按地区列出。",
    "a",
    "Parley keeps every conversation. " * 60,
]


@pytest.fixture(scope="module")
def embedder():
    return Embedder(fetch(model=EMBEDDER))


def test_vectors_agree_with_transformers(embedder):
    reference = AutoModel.from_pretrained(EMBEDDER.path(), local_files_only=True).eval()
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(EMBEDDER.path() / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.no_padding()
    vectors = embedder.embed(TEXTS).vectors
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            hidden = reference(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        wanted = torch.nn.functional.normalize(hidden.mean(1), dim=-1)[0]
        torch.testing.assert_close(vector, wanted, atol=2e-5, rtol=0)


def test_a_question_is_nearest_to_the_passage_that_answers_it(embedder):
    passages = ["The warranty lasts two years.", "The kitchen is open until nine.", "Send parcels to the depot."]
    vectors = embedder.embed(["How long am I covered if it breaks?", *passages]).vectors
    assert (vectors[1:] @ vectors[0]).argmax() == 0


def test_a_text_has_the_same_vector_alone_and_in_a_batch(embedder):
    together, alone = embedder.embed(TEXTS).vectors[2], embedder.embed([TEXTS[2]]).vectors[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_a_missing_model_says_how_to_get_it(tmp_path):
    with pytest.raises(ModelError, match="inference fetch"):
        Embedder(tmp_path).embed(["hello"])
