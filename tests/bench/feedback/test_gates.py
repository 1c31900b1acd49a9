"""How fast the gates are: personal data and near-duplicates, by the processor's clock, on one core.

The bars are those of the product, not of a busy machine: 20,000 messages a second and 25,000 documents a second.
"""

import random
import time

import pytest

from feedback.release.gates import near_duplicates, personal_data
from tests.unit.feedback.personal import corpus

WORDS = "time year people way day man thing woman life child world school state family student group country problem"


def per_second(work, count):
    """Units a second of processor time; the best of three rounds."""
    best = 0.0
    for _round in range(3):
        began = time.process_time()
        work()
        best = max(best, count / (time.process_time() - began))
    return best


def prose(chance, words):
    return " ".join(chance.choices(WORDS.split(), k=words)) + f" {chance.random()}"


@pytest.mark.parametrize("size", ["short", "reply of 1.2 kB"])
def test_personal_data(size):
    chance = random.Random(1)
    texts = [message.text for message in corpus()]
    if size != "short":
        texts = [f"{text} {prose(chance, 190)}" for text in texts]
    rate = per_second(lambda: [personal_data.findings(text) for text in texts], len(texts))
    print(f"\npersonal data, {size}: {rate:,.0f} messages/s a core")
    # The bar is for messages as people write them; of long replies the figure is only told.
    assert size != "short" or rate >= 20_000


def test_near_duplicates():
    chance = random.Random(2)
    texts = [prose(chance, 120) for _text in range(40_000)]
    batches = [texts[at : at + 2_000] for at in range(0, len(texts), 2_000)]

    def find():
        near_duplicates.clusters(batches, similarity=0.66, texts_at=lambda numbers: [texts[n] for n in numbers])

    rate = per_second(find, len(texts))
    print(f"\nnear-duplicates: {rate:,.0f} documents/s a core, signatures, bands and comparisons")
    assert rate >= 25_000
