"""TCP 907, 908: a PROXY header in front of the session."""

# The header is no part of SMTP: a proxy puts it in front of the client's bytes, and a server that is configured for it
# takes it. Other servers read it as command lines.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exchanges.exchange import Mark
from .phrases import Code, Count, IpAddress, Phrase, Term
from .registry import Evidence, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange
    from ..model import Endpoint

__all__: list[str] = []

_DOCUMENT = "HAProxy: The PROXY protocol, versions 1 and 2"


def _end(end: Endpoint) -> Phrase:
    """The address and port of ``end``."""
    address, port = IpAddress(end.address), Count(end.port)
    if ":" in end.address:
        return Phrase("[{address}]:{port}", address=address, port=port)
    return Phrase("{address}:{port}", address=address, port=port)


@rule("TCP907", "proxy-header", "info", "path", _DOCUMENT, on=OnExchange(marks=Mark.PROXIED))
def proxy_header(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Connection begins with a PROXY header.

    A proxy or load balancer in front of the server has put a header before the first command, to pass on the addresses
    of the real client and of its target. It is no part of SMTP, and no other rule judges it. The addresses of this
    connection are those of the proxy. There is nothing to fix if the server expects the header. Fix the proxy: turn the
    header off, if the server does not expect it (TCP908).
    """
    header = None if talk.proxy is None else talk.proxy.header
    if header is None:
        return
    version = Term(f"v{header.version}")
    if header.command == "LOCAL":
        phrase = Phrase("PROXY {version} LOCAL: the proxy speaks for itself (a health check).", version=version)
    elif header.client is None or header.target is None:
        phrase = Phrase("PROXY {version}: the header gives no internet addresses.", version=version)
    else:
        phrase = Phrase(
            "PROXY {version}: the client is {source}, for {destination}.",
            version=version,
            source=_end(header.client).numbered(1),
            destination=_end(header.target).numbered(2),
        )
    yield Evidence(phrase, length=header.length, evidence="", certain=True)


@rule(
    "TCP908",
    "proxy-header-not-expected",
    "warning",
    "client",
    f"{_DOCUMENT}, §2; RFC 5321 §4.1",
    on=OnExchange(marks=Mark.PROXY_REFUSED),
    explains=True,
)
def proxy_header_not_expected(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """PROXY header sent to a server that does not expect it.

    The server took the header for commands and refused them. A header of version 1 is one line for it; a header of
    version 2 has four line ends, and the first command after it becomes the rest of its last line. What goes wrong
    after that follows from the header. Nothing shows which of the two has the wrong setting, so it is a warning. Fix
    the proxy: turn the header off, if the server cannot read it. Fix the server: let it expect the header, from this
    proxy only.
    """
    header = None if talk.proxy is None else talk.proxy.header
    if header is not None:
        yield Evidence(
            Phrase(
                "The server does not expect the PROXY header and answered it with {code}: it has to be turned off in "
                "the proxy, or on in the server.",
                code=Code(x.code),
            ),
            length=header.length,
            evidence="",
        )
