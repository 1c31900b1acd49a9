"""What you think of it: ratings, their review, and the releases made of both."""

from feedback.models.better_answers import BetterAnswer, WritingLease
from feedback.models.comparisons import Comparison, ComparisonEvent
from feedback.models.exposures import Exposure
from feedback.models.ratings import (
    MAX_COMMENT_CHARACTERS,
    Correction,
    FeedbackEvent,
    Rating,
    RatingQuerySet,
)
from feedback.models.reviews import Escalation, GoldAnswer, GoldItem, RepeatAnswer, ReviewDecision, ReviewLease
from feedback.models.signals import ImplicitSignal
from feedback.release.models import (
    CandidateRow,
    Erasure,
    EvaluationPrompt,
    RatedPrompt,
    Release,
    ReleaseChunk,
    ReleaseMember,
    ReleaseRow,
)
from feedback.release.uses import LoadCheck, ReleaseDownload, TrainedModel

__all__ = [
    "MAX_COMMENT_CHARACTERS",
    "BetterAnswer",
    "CandidateRow",
    "Comparison",
    "ComparisonEvent",
    "Correction",
    "Erasure",
    "Escalation",
    "EvaluationPrompt",
    "Exposure",
    "FeedbackEvent",
    "GoldAnswer",
    "GoldItem",
    "ImplicitSignal",
    "LoadCheck",
    "RatedPrompt",
    "Rating",
    "RatingQuerySet",
    "Release",
    "ReleaseChunk",
    "ReleaseDownload",
    "ReleaseMember",
    "ReleaseRow",
    "RepeatAnswer",
    "ReviewDecision",
    "ReviewLease",
    "TrainedModel",
    "WritingLease",
]
