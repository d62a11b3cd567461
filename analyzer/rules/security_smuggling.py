"""SEC 612, 614, 615, 617, 619: text that one reader takes for data and another one for commands."""

# Smuggling is judged in three steps that may each be there without the next: a look-alike of the end mark stands in the
# mail data (SEC612), commands stand behind it (SEC614), a server took it for the end (SEC615). What the server did
# shows in two ways: it answered before the real end came, or it answered more often than it was asked.

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...dissectors.lazy_regex import LazyPattern
from ...dissectors.printable import printable
from ..content.octet_checks import Flaw
from ..exchanges.attack_marks import hidden_command
from ..exchanges.exchange import Mark
from ..exchanges.state_table import Act
from .registry import Evidence, OnContent, OnExchange, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content.mail_data import Content
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []

_NAMES = {"\r": "<CR>", "\n": "<LF>", "\0": "<NUL>"}
_LINE_ENDS = LazyPattern(rb"\r\n|\r|\n")
_MORE = LazyPattern(rb"(?:\r\n|\n|\r)\x00*\.\x00*(?=\r\n|\n|\r)")
_FIRST = LazyPattern(rb"(?:MAIL FROM:|RCPT TO:|(?:EHLO|HELO)(?: |\n)|(?:RSET|DATA)[ \t]*\n|BDAT +[0-9])", re.IGNORECASE)
_MAIL = LazyPattern(rb"^MAIL FROM:", re.IGNORECASE | re.MULTILINE)
_RCPT = LazyPattern(rb"^RCPT TO:", re.IGNORECASE | re.MULTILINE)
_COMMAND = LazyPattern(rb"^(MAIL FROM|RCPT TO|EHLO|HELO|LHLO|RSET|DATA|BDAT|QUIT)\b", re.IGNORECASE | re.MULTILINE)
_FIELD_BEHIND_LF = LazyPattern(rb"(?<!\r)\n([!-9;-~]+):")
_FIELD_BEHIND_CR = LazyPattern(rb"\r(?!\n)([!-9;-~]+):")
MAX_NAMED = 6


def _form(content: Content) -> str:
    """The look-alike with its invisible bytes named."""
    return "".join(_NAMES.get(char, char) for char in content.lookalike_form.decode("latin-1"))


def _behind(content: Content) -> bytes:
    """What stands behind the look-alike, with LF for every line end."""
    return _LINE_ENDS.sub(b"\n", content.since_lookalike)


def _honoured(x: Exchange, talk: Conversation) -> bool:
    return bool(x.marks & Mark.HONOURED) or talk.watch.beyond is not None


def _verdict(x: Exchange, talk: Conversation) -> str:
    """What the server made of it, for the end of a message."""
    if _honoured(x, talk):
        return "the server took it for the end of the mail data"
    if x.code >= 400:
        return f"the server refused the message with {x.code}"
    if x.accepted:
        return "nothing shows that the server took it for the end"
    return "what the server made of it is not in the capture"


@rule(
    "SEC612",
    "smuggling-end-of-data",
    "error",
    "client",
    "RFC 5321 §4.1.1.4, §2.3.8; CVE-2023-51764, CVE-2023-51765, CVE-2023-51766",
    on=OnContent(partial=True, flaws=Flaw.LOOKALIKE),
    hides=("TCP903",),
)
def smuggling_end_of_data(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Non-standard end-of-data sequence inside DATA content.

    Mail data end with CRLF "." CRLF and nothing else. A lone dot between other line ends is the end for some servers
    and text for others; whoever sends it can show two servers on one road two different mails (SMTP smuggling). A
    sender has to send all its line ends as CRLF and to stuff the dot.
    """
    content = x.content
    if content is None or content.lookalike is None or content.missing:
        return
    spot = content.lookalike
    count = 1 + len(_MORE.findall(content.since_lookalike))
    times = "" if count == 1 else f" ({count} times)"
    yield Evidence(
        f"{_form(content)} stands in the mail data{times}; {_verdict(x, talk)}.",
        offset=spot.offset,
        length=len(content.lookalike_form),
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence=printable(content.lookalike_form),
        count=count,
    )


@rule(
    "SEC614",
    "smuggled-commands",
    "error",
    "client",
    "RFC 5321 §4.1.1.4; CVE-2023-51764, CVE-2023-51765, CVE-2023-51766",
    on=OnContent(partial=True, flaws=Flaw.LOOKALIKE),
)
def smuggled_commands(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Envelope commands behind a non-standard end of data.

    Behind a look-alike of the end of data stands a second dialogue. A server that takes the look-alike for the end
    obeys it, so that a mail with a sender of the attacker's choice comes from the address of this client.
    """
    content = x.content
    if content is None or content.lookalike is None or content.missing or not content.since_lookalike:
        return
    text = _behind(content)
    if not _FIRST.match(text) and not (_MAIL.search(text) and _RCPT.search(text)):
        return
    names = list(dict.fromkeys(m[1].upper().decode() for m in _COMMAND.finditer(text)))[:MAX_NAMED]
    spot = content.lookalike
    verdict = "the server obeyed them" if _honoured(x, talk) else _verdict(x, talk)
    yield Evidence(
        f"Behind {_form(content)} in the mail data stand commands ({', '.join(names)}); {verdict}.",
        offset=spot.offset + len(content.lookalike_form),
        length=len(content.since_lookalike),
        frame=spot.frame,
        time_ns=spot.time_ns,
        evidence=printable(text.split(b"\n", 1)[0][:100]),
    )


@rule(
    "SEC615",
    "smuggling-honoured",
    "error",
    "server",
    "RFC 5321 §4.1.1.4, §2.3.8; CVE-2023-51764, CVE-2023-51765, CVE-2023-51766",
    on=OnContent(flaws=Flaw.LOOKALIKE),
)
def smuggling_honoured(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Server ended the data at a non-standard sequence.

    The server answered where no CRLF "." CRLF stood, or answered commands that stand behind a look-alike of it. It can
    be sent mails whose senders its neighbours never saw. Fix the server: lines end with CRLF only.
    """
    content, beyond = x.content, talk.watch.beyond
    if content is None or content.lookalike is None or x.act is not Act.END:
        return
    if x.marks & Mark.HONOURED:
        yield Evidence(
            f"The server answered {x.code} behind {_form(content)}, though <CR><LF>.<CR><LF> had not come: "
            "it ended the mail data there.",
            reply=True,
        )
    elif beyond is not None and beyond.reply is not None:
        count = talk.watch.beyond_count
        more = "one reply more" if count == 1 else f"{count} replies more"
        yield Evidence(
            f"The server gave {more} than was due, {beyond.code} first: it had ended the mail data at {_form(content)} "
            "and obeyed what stands behind it.",
            reply=True,
            offset=beyond.reply_offset,
            length=len(beyond.reply.raw),
            frame=beyond.reply_frame,
            time_ns=beyond.reply_time_ns,
            evidence=printable(beyond.reply.raw.split(b"\n", 1)[0].rstrip(b"\r")),
        )


@rule(
    "SEC617",
    "newline-command-injection",
    "error",
    "client",
    "RFC 5321 §2.3.8, §4.1.1",
    on=OnExchange(marks=Mark.HIDDEN_COMMAND),
    hides=("CMD304", "CMD310"),
)
def newline_command_injection(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Bare CR or LF inside a command followed by another command.

    An address from a form on a web page, say, was put into a command unchecked. A server that ends lines at a bare LF
    or CR sees a second command there. Fix the client: refuse CR and LF in what it puts into commands.
    """
    found = hidden_command(x.raw)
    if found is None:
        return
    verb = found[1].upper().decode()
    newline = "LF" if x.raw[found.start() : found.start() + 1] == b"\n" else "CR"
    yield Evidence(
        f"{verb} stands behind a bare {newline} inside the line of another command: a lenient server takes it for a "
        "command of its own.",
        offset=x.offset + found.start(),
        length=found.end() - found.start(),
        evidence=printable(x.raw[found.start() :][:100]),
    )


@rule(
    "SEC619",
    "header-injection-newline",
    "error",
    "client",
    "RFC 5322 §2.2; RFC 5321 §2.3.8",
    on=OnContent(flaws=Flaw.BARE_NEWLINE),
)
def header_injection_newline(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Bare CR or LF in the header followed by a field name.

    Text with a line end in it was put into a header field unchecked, and readers that end lines at a bare LF or CR see
    a field of the attacker's choice: another recipient, another sender.
    """
    content = x.content
    if content is None or content.missing or (content.bare_lf is None and content.bare_cr is None):
        return
    header = content.header
    if b"\r\n" not in header and not content.header_ends_in_crlf:
        return  # all its lines end so: no injection, a client that writes no CRLF
    found = min(
        (m for m in (_FIELD_BEHIND_LF.search(header), _FIELD_BEHIND_CR.search(header)) if m is not None),
        key=lambda m: m.start(),
        default=None,
    )
    if found is None:
        return
    bare = content.bare_lf if header[found.start() : found.start() + 1] == b"\n" else content.bare_cr
    assert bare is not None
    newline = "LF" if bare is content.bare_lf else "CR"
    line_start = header.rfind(b"\n", 0, found.start()) + 1
    yield Evidence(
        f'The field "{printable(found[1][:40])}" of the message header stands behind a bare {newline}.',
        offset=max(bare.offset, content.offset + found.start()),
        length=1,
        frame=bare.frame,
        time_ns=bare.time_ns,
        evidence=printable(header[line_start : found.end() + 20][:100]),
    )
