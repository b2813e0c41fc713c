"""A run on disk: atomic files, fsynced journal, manifest with hashes; found, verified and resumed."""

from rigd.session.journal import DamagedJournal, JournalInUse
from rigd.session.store import FrameRecord, Session, SessionError, create, reopen
from rigd.session.survey import Inspection, Overview, survey, verify

__all__ = [
    "DamagedJournal",
    "FrameRecord",
    "Inspection",
    "JournalInUse",
    "Overview",
    "Session",
    "SessionError",
    "create",
    "reopen",
    "survey",
    "verify",
]
