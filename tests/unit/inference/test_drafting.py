"""Which guesses are made: those that have come true, and hardly any where they fail."""

from __future__ import annotations

from inference.drafting import FAILURES, FIRST_REST, LONGEST_REST, Drafter

MOST = 3


def written(drafter: Drafter, prompt: list[int], reply: list[int]) -> tuple[int, int, int]:
    """Has `reply` written after `prompt` with guesses; the steps, and the guesses made and come true."""
    tokens = list(prompt)
    steps = made = right = 0
    while len(tokens) < len(prompt) + len(reply):
        rest = reply[len(tokens) - len(prompt) :]
        draft = drafter.draft(tokens, room=len(rest) - 1)
        accepted = next((index for index, guess in enumerate(draft) if guess != rest[index]), len(draft))
        if draft:
            drafter.learn(drafted=len(draft), accepted=accepted)
        tokens += rest[: accepted + 1]
        steps, made, right = steps + 1, made + len(draft), right + accepted
    return steps, made, right


def deceptive(count: int, *, seed: int = 0) -> list[int]:
    """The same three tokens again and again, never followed by what followed them before."""
    return [token for number in range(count) for token in (1, 2, 3, 1000 * (seed + 1) + number)]


def test_a_quotation_takes_a_third_of_the_steps_or_less() -> None:
    passage = list(range(100, 200))
    steps, made, right = written(Drafter(MOST), passage, passage)
    assert steps < len(passage) / 3
    assert right > 0.9 * made


def test_text_that_only_seems_to_repeat_is_soon_left_alone() -> None:
    steps, made, right = written(Drafter(MOST), deceptive(4), deceptive(500, seed=1))
    assert right == 0
    assert steps == 2000
    # Two failures, then one after each rest: 8, 16, ... 256 tokens, and 256 from there on.
    doublings = (LONGEST_REST // FIRST_REST).bit_length()
    assert FAILURES <= made <= FAILURES + doublings + 2000 // LONGEST_REST


def test_a_quotation_after_much_deceit_is_still_found() -> None:
    passage = list(range(100, 200))
    drafter = Drafter(MOST)
    prompt = [*passage, *deceptive(40)]
    written(drafter, prompt, deceptive(100, seed=1))
    steps, _made, right = written(drafter, [*prompt, *deceptive(100, seed=1)], passage * 8)
    assert right > 0.5 * 800
    assert steps < 400
