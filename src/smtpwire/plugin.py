"""What a rule of your own is made of: ``from smtpwire.plugin import Evidence, OnExchange, Act, rule``.

docs/plugins.md is the tutorial, docs/api.md lists every name. Rules of smtpwire itself are made of the same parts.
"""

from __future__ import annotations

from .analyzer.content.octet_checks import Flaw
from .analyzer.exchanges.conversation import Conversation
from .analyzer.exchanges.exchange import Exchange, Mark, Transaction
from .analyzer.exchanges.state_table import Act, Hello, Phase, State
from .analyzer.model import Severity, Side
from .analyzer.rules import Ended, Evidence, OnContent, OnExchange, Rule, rule

__all__ = [
    "Act",
    "Conversation",
    "Ended",
    "Evidence",
    "Exchange",
    "Flaw",
    "Hello",
    "Mark",
    "OnContent",
    "OnExchange",
    "Phase",
    "Rule",
    "Severity",
    "Side",
    "State",
    "Transaction",
    "rule",
]
