"""What a release is made by: the rules and gates and their thresholds. The same specification gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from feedback.release.gates.personal_data import DETECTOR_VERSION
from feedback.release.prompts import SHAPE_VERSION
from feedback.release.rules import CONFIGS, RULES_VERSION
from feedback.release.rules_of_signals import WEAK_RULES


class BadSpecification(ValueError):  # noqa: N818
    """A specification that cannot be used; `str()` says why."""


# More of anything than there can be; and no number that is none.
MOST = 2**31 - 1
MOST_LICENCE_CHARACTERS = 100


@dataclass(frozen=True)
class Specification:
    """Every choice that decides which rows are in and how they are laid out. Shares and thresholds are of 1."""

    configs: tuple[str, ...] = CONFIGS
    rules_version: int = RULES_VERSION
    shape_version: int = SHAPE_VERSION
    # Only what was rated since this release was frozen; 0 for everything.
    after_version: int = 0
    detector_version: int = DETECTOR_VERSION
    languages: tuple[str, ...] = ()
    min_confidence: float = 0.0
    # What a rater believed less than this said is left out.
    min_weight: float = 0.05
    min_reply_characters: int = 1
    max_row_characters: int = 48_000
    # E-mail addresses, numbers and keys: leave the row out, put placeholders in their place, or look away.
    personal_data: Literal["drop", "mask", "keep"] = "drop"
    # Rows with a prompt of an evaluation; those known up to this number, 0 for all that are when it is frozen.
    evaluation_prompts: Literal["drop", "keep"] = "drop"
    evaluation_prompts_until: int = 0
    near_duplicates: Literal["drop", "keep"] = "drop"
    near_duplicate_similarity: float = 0.66
    # No person gives more than this share of a config's rows, nor fewer than so many rows are cut.
    person_share: float = 0.02
    person_rows: int = 50
    validation_share: float = 0.05
    test_share: float = 0.05
    shard_rows: int = 200_000
    # Rules that guess from what people did and said nothing about: only those that are named here.
    weak_rules: tuple[str, ...] = ()
    # Under which licence it is given away; empty where it is for training in the house alone.
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.configs or len(set(self.configs)) < len(self.configs) or set(self.configs) - set(CONFIGS):
            raise BadSpecification(f"configs are some of {', '.join(CONFIGS)}, each once")
        if len(set(self.weak_rules)) < len(self.weak_rules) or set(self.weak_rules) - set(WEAK_RULES):
            raise BadSpecification(f"weak_rules are some of {', '.join(WEAK_RULES)}, each once")
        for name, value in asdict(self).items():
            if isinstance(value, float | int) and not 0 <= value <= MOST:
                raise BadSpecification(f"{name} must be between 0 and {MOST}")
        if self.near_duplicates not in ("drop", "keep"):
            raise BadSpecification("near_duplicates is drop or keep")
        if self.evaluation_prompts not in ("drop", "keep"):
            raise BadSpecification("evaluation_prompts is drop or keep")
        if self.personal_data not in ("drop", "mask", "keep"):
            raise BadSpecification("personal_data is drop, mask or keep")
        if len(self.licence) > MOST_LICENCE_CHARACTERS or not self.licence.isprintable():
            raise BadSpecification(f"licence is a name of at most {MOST_LICENCE_CHARACTERS} characters on one line")
        if not 0 <= self.validation_share + self.test_share < 1:
            raise BadSpecification("validation_share and test_share together must leave something to train on")
        if self.shard_rows < 1 or not 0.3 <= self.near_duplicate_similarity <= 1:
            raise BadSpecification("shard_rows must be at least 1 and near_duplicate_similarity between 0.3 and 1")

    def check_versions(self) -> None:
        """Raises `BadSpecification` where it asks for other rules than there are; old releases may have done so."""
        for name in ("rules_version", "shape_version", "detector_version"):
            if getattr(self, name) != (only := getattr(type(self), name)):
                raise BadSpecification(f"{name} can only be {only} here")

    def as_json(self) -> dict[str, Any]:
        given = asdict(self)
        for name in ("licence", "weak_rules"):
            if not given[name]:  # what was made before there was a choice stays the same specification
                del given[name]
        return json.loads(json.dumps(given))  # type: ignore[no-any-return]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()


def specification(given: dict[str, Any]) -> Specification:
    """The specification with these choices, the rest as they are by default. Raises `BadSpecification`."""
    if not isinstance(given, dict):
        raise BadSpecification("it must be an object of settings")
    known = {field.name: field.type for field in fields(Specification)}
    if unknown := set(given) - set(known):
        raise BadSpecification(f"unknown settings {sorted(unknown)}; known are {', '.join(sorted(known))}")
    lists = {name: tuple(value) for name, value in given.items() if isinstance(value, (list, tuple))}
    defaults = asdict(Specification())
    for name, value in {**given, **lists}.items():
        wanted = type(defaults[name])
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if not (is_number if wanted is int else isinstance(value, wanted) or (wanted is float and is_number)):
            raise BadSpecification(f"{name} must be of the kind {wanted.__name__}")
        if wanted is tuple and not all(isinstance(one, str) and "\0" not in one for one in value):
            raise BadSpecification(f"{name} must be a list of texts")
    return Specification(**{**given, **lists})
