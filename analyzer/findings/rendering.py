"""The step from a finding as the rule book records it to a finding of the report: its sentence is made, once."""

# Theory
# ------
# Between the rule and the report a finding is data: it has a phrase, and no message. Suppression and redaction work on
# that. `rendered` is the only place where a phrase becomes a sentence; it is the last step of redaction, so every
# report has the redacted values, in the sentence and beside it.
#
# A plugin may yield a plain sentence in place of a phrase. Then the message is there from the start, `phrase` is None,
# and nothing is known about the values inside; redaction has to search the sentence for them.

from __future__ import annotations

from operator import attrgetter

from .. import model
from ..rules.phrases import PLAIN, Phrase

__all__ = ["RecordedFinding", "rendered"]

_fields = attrgetter(*model.Finding.__struct_fields__)


class RecordedFinding(model.Finding):
    """A finding before redaction. ``phrase``: what becomes its message; None: the message is a plain sentence.

    ``breaches``: how many breaches of one fact it stands for, and ``unit``: what they are, in the plural. ``at``: its
    place in the stream as exchanges count it, which differs from ``offset`` inside TLS.
    """

    phrase: Phrase | None = None
    breaches: int = 1
    unit: str = ""
    at: int = 0


def rendered(finding: model.Finding) -> model.Finding:
    """Return ``finding`` with its message and values as the report shows them. A finding that has them is returned
    unchanged."""
    if not isinstance(finding, RecordedFinding):
        return finding
    phrase = finding.phrase
    made = model.Finding(*_fields(finding))
    if phrase is not None:
        made.message = phrase.text()
        values = made.values = {}  # not the one that is shared with ``finding``
        for name, value in phrase.values.items():
            values[name] = PLAIN[type(value)](value)
    if finding.breaches > 1:
        made.message += f" It is the first of {finding.breaches} such {finding.unit}."
        made.values = {**made.values, "breaches": finding.breaches}
    return made
