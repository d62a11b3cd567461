"""MSG: what single fields of the message header say (RFC 5322, RFC 2045)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..content.header import fault_of_field
from ..content.octet_checks import Flaw
from .messages import NOT_IN_LMTP, at_line, at_start, message_of
from .phrases import Count, Phrase, Term, Text
from .registry import Evidence, OnContent, rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..content.header import HeaderFault
    from ..exchanges.conversation import Conversation
    from ..exchanges.exchange import Exchange

__all__: list[str] = []


def _fault_of(name: str, fault: HeaderFault) -> Phrase:
    """Say what is wrong with the field ``name``, and quote it."""
    field = Text(fault.quoted) if fault.quoted else Term(name)
    return Phrase("{field} {reason}.", field=field, reason=Term(fault.what))


@rule(
    "MSG713",
    "message-id",
    "warning",
    "client",
    "RFC 5322 §3.6.4, §4.5.4; RFC 6409 §8.3",
    on=OnContent(flaws=Flaw.NO_MESSAGE_ID | Flaw.BAD_MESSAGE_ID),
    severities={"submission": "info", "rfc821": "off", **NOT_IN_LMTP},
)
def message_id(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message-ID missing or malformed.

    A message should have an identifier of the form <left@right>, which answers and delivery reports refer to. Some
    receivers refuse a message without one, and programs treat a malformed one in different ways. Many clients leave it
    to the submission server, which should add a missing one and replace a malformed one (RFC 6409 §8.3). So a missing
    one is only an info, although RFC 5322 says SHOULD. Fix the program that creates the message: write a Message-ID in
    angle brackets, with a name of the host after the "@". Fix the server: if users submit their mail to it, let it add
    the field.
    """
    content = message_of(x, talk)
    if content is None or content.report is None:
        return
    fault = content.report.bad_message_id
    if fault is not None:
        yield at_line(content, fault, _fault_of("Message-ID", fault))
    elif talk.profile == "rfc5321":
        yield at_start(content, "The message has no Message-ID; some receivers refuse it.", severity="info")


@rule(
    "MSG714",
    "bad-from",
    "warning",
    "client",
    "RFC 5322 §3.6.2, §3.4",
    on=OnContent(flaws=Flaw.BAD_AUTHOR),
    severities=NOT_IN_LMTP,
)
def bad_from(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """From field holds no usable author.

    From names the authors, each by an address with a domain. If there are several, Sender names the one who sends the
    message. Receivers check the domain of the author (SPF, DKIM, DMARC), and many refuse a message in which there is
    none. Fix the program that creates the message: write a whole address, and a Sender field for several authors. Fix
    the server: if users submit their mail to it, complete or refuse the address.
    """
    content = message_of(x, talk)
    fault = None if content is None or content.report is None else content.report.bad_author
    if content is None or fault is None:
        return
    if fault.times > 1:
        phrase = Phrase("From has {authors} authors, and there is no Sender.", authors=Count(fault.times))
    else:
        phrase = _fault_of("From", fault)
    yield at_line(content, fault, phrase)


@rule(
    "MSG716",
    "return-path-sent",
    "info",
    "client",
    "RFC 5321 §4.4",
    on=OnContent(flaws=Flaw.RETURN_PATH),
    severities={"submission": "warning", **NOT_IN_LMTP},
)
def return_path_sent(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Message is sent with a Return-Path field.

    The server that makes final delivery adds this field, with the reverse-path of MAIL. A message that still travels
    must not have one; a program that sends a message again has to remove it. Otherwise readers may take the wrong
    address for the one that delivery reports go to. RFC 5321 says SHOULD NOT, but only to the system where the message
    begins, which is seldom known; so outside submission this is only an info. Fix the client: remove the field before
    it sends the message. Fix the server: if it makes final delivery, replace the field by its own.
    """
    content = message_of(x, talk)
    fault = None if content is None or content.report is None else content.report.return_path
    if content is not None and fault is not None:
        yield at_line(
            content,
            fault,
            Phrase("The message already has a Return-Path field; only the server that makes final delivery adds it."),
        )


@rule(
    "MSG717",
    "mime-version-missing",
    "warning",
    "client",
    "RFC 2045 §4",
    on=OnContent(flaws=Flaw.NOT_MIME),
    severities=NOT_IN_LMTP,
)
def mime_version_missing(x: Exchange, talk: Conversation) -> Iterator[Evidence]:
    """Content-Type or Content-Transfer-Encoding without MIME-Version.

    The field MIME-Version says that the other fields of MIME mean what RFC 2045 defines. Without it a reader may show
    the text as it stands: encoded, or with its markup. Fix the program that creates the message: add
    "MIME-Version: 1.0".
    """
    content = message_of(x, talk)
    if content is not None and content.report is not None:
        name = "Content-Transfer-Encoding" if content.field(b"Content-Type") is None else "Content-Type"
        phrase = Phrase(
            "{field} is given without MIME-Version: readers may show the text as it stands.", field=Term(name)
        )
        yield at_line(content, fault_of_field(content.header, name.encode(), ""), phrase)
