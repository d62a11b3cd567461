"""What a rule of your own is made of: ``from smtpwire.plugin import Evidence, Phrase, OnExchange, Act, rule``.

docs/plugins.md is the tutorial, docs/api.md lists every name. Rules of smtpwire itself are made of the same parts.
"""

from __future__ import annotations

from .analyzer.content.octet_checks import Flaw
from .analyzer.exchanges.conversation import Conversation
from .analyzer.exchanges.exchange import Exchange, Mark, Transaction
from .analyzer.exchanges.state_table import Act, Hello, Phase, State
from .analyzer.model import Severity, Side
from .analyzer.rules import Ended, Evidence, OnContent, OnExchange, Rule, rule
from .analyzer.rules.phrases import (
    Code,
    Count,
    EnhancedStatus,
    Field,
    Frame,
    Host,
    IpAddress,
    Keyword,
    Mailbox,
    Milliseconds,
    Octets,
    Phrase,
    Seconds,
    Secret,
    Term,
    Text,
    Verb,
)

__all__ = [
    "Act",
    "Code",
    "Conversation",
    "Count",
    "Ended",
    "EnhancedStatus",
    "Evidence",
    "Exchange",
    "Field",
    "Flaw",
    "Frame",
    "Hello",
    "Host",
    "IpAddress",
    "Keyword",
    "Mailbox",
    "Mark",
    "Milliseconds",
    "Octets",
    "OnContent",
    "OnExchange",
    "Phase",
    "Phrase",
    "Rule",
    "Seconds",
    "Secret",
    "Severity",
    "Side",
    "State",
    "Term",
    "Text",
    "Transaction",
    "Verb",
    "rule",
]
