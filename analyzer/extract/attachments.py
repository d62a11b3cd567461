"""The attachments of a message, listed by the parser of the standard library. None of them is opened or run."""

# Theory
# ------
# The parser is made for mail, not for attacks: its work grows with lines times the depth of multiparts, and with the
# square of the length of a Content-Type. So a message is checked first, in linear time. A message that would need too
# much work is not parsed, and the envelope reports this. The policy is the one that keeps headers as text (compat32):
# it never raises on defects, and it does not parse the grammar of header fields.

from __future__ import annotations

import hashlib
import re
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING

from ..errors import display_path
from ..redact.report_texts import shown_field
from .envelope import Attachment

if TYPE_CHECKING:
    from email.message import Message

__all__ = ["MAX_LISTED", "AttachmentsUnlisted", "attachments_of"]

MAX_LISTED = 1 << 25  # octets of a message; the parser needs ten times that in memory
MAX_WORK = 20_000_000  # lines times nested parts: a few seconds
MAX_NESTED = 200  # multipart and message headers; keeps the recursion of the parser far below Python's limit
MAX_FIELD = 2048  # octets of a Content-Type or Content-Disposition with its continuation lines
MAX_PARTS = 1000
MAX_NAME = 255  # characters of a name that are reported

# The parser accepts CR, LF and CRLF as line ends.
_NESTING = re.compile(rb"(?:\A|[\r\n])content-type[ \t]*:\s*(?:multipart|message)/", re.IGNORECASE)
_FIELD = re.compile(
    rb"(?:\A|[\r\n])content-(?:type|disposition)[ \t]*:[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*", re.IGNORECASE
)


class AttachmentsUnlisted(Exception):
    """The attachments are not listed; the text says why."""


def attachments_of(data: bytes) -> list[Attachment]:
    """Return the attachments of the message ``data``. Raises AttachmentsUnlisted with the reason."""
    _check_work(data)
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(data)
        return [_attachment(part) for part in _parts(message) if _is_attached(part)]
    except AttachmentsUnlisted:
        raise
    except RecursionError:
        raise AttachmentsUnlisted("its parts are nested too deeply") from None
    except Exception as error:  # a hostile message must not stop the extraction of the others
        raise AttachmentsUnlisted(f"Python's parser gave up ({type(error).__name__})") from error


def _check_work(data: bytes) -> None:
    if len(data) > MAX_LISTED:
        raise AttachmentsUnlisted(f"the message is larger than {MAX_LISTED:,} octets")
    nested = sum(1 for _ in _NESTING.finditer(data))
    if nested > MAX_NESTED or nested * data.count(b"\n") > MAX_WORK:
        raise AttachmentsUnlisted(f"it has {nested:,} multipart or message headers")
    longest = max((len(found[0]) for found in _FIELD.finditer(data)), default=0)
    if longest > MAX_FIELD:
        raise AttachmentsUnlisted(f"a header field that describes a part has {longest:,} octets")


def _parts(message: Message) -> list[Message]:
    parts: list[Message] = []
    waiting = [message]
    while waiting:
        part = waiting.pop()
        parts.append(part)
        if len(parts) > MAX_PARTS:
            raise AttachmentsUnlisted(f"it has more than {MAX_PARTS:,} parts")
        payload = part.get_payload()
        if isinstance(payload, list):
            waiting.extend(one for one in reversed(payload) if not isinstance(one, str))
    return parts


def _is_attached(part: Message) -> bool:
    kind = part.get_content_maintype()
    if kind == "multipart":
        return False
    return part.get_content_disposition() == "attachment" or part.get_filename() is not None or kind != "text"


def _attachment(part: Message) -> Attachment:
    name = part.get_filename()
    shown = None if name is None else shown_field(display_path(str(name)[:MAX_NAME]))
    kind = shown_field(display_path(part.get_content_type()[:MAX_NAME]))
    content = None if part.is_multipart() else part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return Attachment(kind, shown, None, None, None, None)
    digests = (hashlib.new(name, content, usedforsecurity=False).hexdigest() for name in ("md5", "sha1", "sha256"))
    return Attachment(kind, shown, len(content), *digests)
