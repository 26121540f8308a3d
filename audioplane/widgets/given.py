"""What a widget is given: heads and Subjects, or where they lie; frames that follow each other."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from audioplane.errors import UserError
from audioplane.evaluation.resized import at_size_of
from audioplane.inference.talking_head import TalkingHead
from audioplane.subject import Subject

if TYPE_CHECKING:
    AnyHead: TypeAlias = "TalkingHead | str | PathLike[str]"
    AnySubject: TypeAlias = "Subject | str | PathLike[str]"


def head_of(given: AnyHead) -> TalkingHead:
    """A head, or that of a file, of a run's folder, or of a name ("adam").

    Raises:
        UserError: it is none of these.
    """
    if isinstance(given, (str, PathLike)):
        return TalkingHead.load(Path(given))
    if not isinstance(given, TalkingHead):
        raise UserError(f"head: expected a TalkingHead or its file, received {type(given).__name__}")
    return given


def subject_of(given: AnySubject) -> Subject:
    """A Subject, or that of a folder.

    Raises:
        UserError: it is none of these.
    """
    if isinstance(given, (str, PathLike)):
        return Subject.open(Path(given))
    if not hasattr(given, "viewmats") or isinstance(given, TalkingHead):
        raise UserError(f"subject: expected a Subject or its folder, received {type(given).__name__}")
    return given


def own_subject(head: TalkingHead, subject: Subject) -> Subject:
    """The subject at the head's size.

    Raises:
        UserError: the head was trained on somebody else.
    """
    if head.about["name"] != subject.name:
        raise UserError(
            f"head: it was trained on {head.about['name']!r}, the subject is {subject.name!r}; give the subject it was "
            "trained on"
        )
    return at_size_of(head, subject)


def checked_frames(subject: Subject, frames: Iterable[int] | None) -> range:
    """The frames to scrub through: those given, which follow each other, or the test split.

    Raises:
        ValueError: they do not, or are none of the subject's.
    """
    try:
        numbers = [operator.index(t) for t in (subject.test if frames is None else frames)]
    except TypeError:
        numbers = []
    found = range(numbers[0], numbers[0] + len(numbers)) if numbers else range(0)
    if not numbers or numbers != list(found) or found.start < 0 or found.stop > subject.num_frames:
        raise ValueError(f"frames: expected neighbouring ones of 0 to {subject.num_frames - 1}, received {frames}")
    return found
