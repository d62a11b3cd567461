"""Names of TLS alerts (RFC 8446 §6, RFC 5246 §7.2, and the registry of TLS Alerts at IANA)."""

from __future__ import annotations

from typing import Final

__all__ = ["ALERTS", "CAUSES", "alert_name"]

ALERTS: Final = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""The name of each alert, by its description."""

CAUSES: Final = {
    40: "the two sides have no cipher suite or other parameter in common",
    42: "it does not accept the certificate",
    43: "it does not accept the certificate",
    44: "the certificate is revoked",
    45: "the certificate has expired",
    46: "it does not accept the certificate",
    48: "it does not trust the certificate",
    70: "the two sides have no version of TLS in common",
    71: "the other side offers only weak parameters",
    112: "it does not know the server name that was asked for",
    116: "it requires a certificate of the client",
}
"""What the alerts that are usual in mail mean, for the end of a sentence."""


def alert_name(description: int) -> str:
    """Return the name of an alert, or its number."""
    return ALERTS.get(description) or str(description)
