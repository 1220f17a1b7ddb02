"""The study of a search on disk: `Study.create` and `Study.resume` write one, `Study.open` reads one."""

from .ranking import Ranked
from .reader import StudyReader, StudySummary
from .schema import FILE, Candidate, Evaluation, MeasurementRow, NewCandidate, NewEvaluation
from .store import Study

__all__ = [
    "FILE",
    "Candidate",
    "Evaluation",
    "MeasurementRow",
    "NewCandidate",
    "NewEvaluation",
    "Ranked",
    "Study",
    "StudyReader",
    "StudySummary",
]
