"""Values that both command-line options and the configuration accept. Small: ``--version`` loads this module too."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Decoder", "Profile", "Redact", "ReportFormat", "Require"]


class ReportFormat(StrEnum):
    """Report formats."""

    TEXT = "text"
    JSON = "json"
    NDJSON = "ndjson"
    HTML = "html"
    MARKDOWN = "markdown"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    EVE = "eve"
    ECS = "ecs"
    ZEEK = "zeek"
    CSV = "csv"
    SQLITE = "sqlite"
    PARQUET = "parquet"


class Profile(StrEnum):
    """Rule sets. If the user gives none, one is chosen for each connection."""

    RFC5321 = "rfc5321"
    RFC821 = "rfc821"
    SUBMISSION = "submission"
    LMTP = "lmtp"


class Redact(StrEnum):
    """What a report does not show."""

    NONE = "none"
    SECRETS = "secrets"
    PII = "pii"


class Decoder(StrEnum):
    """Which code decodes frames down to TCP."""

    RAW = "raw"
    SCAPY = "scapy"


class Require(StrEnum):
    """What captures must hold, so that a clean result means something. Each includes the one before it."""

    SMTP = "smtp"
    CLEARTEXT = "cleartext"
    COMPLETE = "complete"
