"""Make words of what a TLS session showed of itself: version, suite, names, certificates, JA4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.printable import printable
from ...dissectors.tables.tls_alerts import alert_name
from ...dissectors.tables.tls_names import group_name, suite_name, version_name
from .. import model
from ..timestamps import format_time
from ..tls.ja4 import ja4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..tls.certificates import Certificate
    from ..tls.facts import TlsFacts

__all__ = ["render_tls"]

_LONGEST = 255  # characters of a name or a subject; real ones have some tens


def render_tls(facts: TlsFacts, *, keys: bool) -> model.TlsSession | None:
    """Return what is reported of a TLS session, None if nothing of it could be read. ``keys``: there are key logs."""
    client, server, alert = facts.client_hello, facts.server_hello, facts.failed
    if client is None and server is None and alert is None:
        return None
    read, unread = sum(facts.text.values()), sum(facts.unread.values())
    return model.TlsSession(
        version=None if server is None else version_name(server.version),
        suite=None if server is None else suite_name(server.suite),
        group=None if facts.group is None else group_name(facts.group),
        dh_bits=facts.dh_bits,
        sni=None if client is None or client.sni is None else _shown(client.sni),
        alpn=None if facts.alpn is None else _shown(facts.alpn),
        alpn_offered=[] if client is None else [_shown(name) for name in client.alpn],
        resumed=facts.resumed,
        retried=facts.retried,
        early_data=facts.early_data,
        renegotiations=facts.renegotiations,
        key_updates=facts.key_updates,
        compressed=server is not None and server.compression != 0,
        ja4=None if client is None else ja4(client),
        alert=None if alert is None else model.TlsAlert(alert.side, alert_name(alert.description)),
        certificates=_rendered(facts.certificates),
        client_certificates=_rendered(facts.client_certificates),
        decrypted="none" if not read else "part" if facts.why_unread or unread else "all",
        why=facts.why_unread or None if keys else None,
    )


def _rendered(chain: Sequence[Certificate]) -> list[model.TlsCertificate]:
    return [
        model.TlsCertificate(
            one.subject[:_LONGEST],
            one.issuer[:_LONGEST],
            [name[:_LONGEST] for name in one.names],
            format_time(one.not_before * 1_000_000_000, 0),
            format_time(one.not_after * 1_000_000_000, 0),
            one.key_type,
            one.key_bits,
            one.signature,
            one.serial[:_LONGEST],
            one.sha256,
        )
        for one in chain
    ]


def _shown(name: bytes) -> str:
    return printable(name[:_LONGEST])
