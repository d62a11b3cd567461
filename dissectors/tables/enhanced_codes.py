"""Enhanced status codes (RFC 3463): the meaning of class, subject and detail."""

# The details are those of the IANA registry "SMTP Enhanced Status Codes" (RFC 5248).

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

__all__ = ["DETAILS", "STATUS_CLASSES", "STATUS_SUBJECTS", "SUBJECT_SECTIONS", "Detail", "describe_status"]

# RFC 3463 §2, first number
STATUS_CLASSES: dict[int, str] = {2: "success", 4: "persistent transient failure", 5: "permanent failure"}

# RFC 3463 §2, second number
STATUS_SUBJECTS: dict[int, str] = {
    0: "other or undefined",
    1: "addressing",
    2: "mailbox",
    3: "mail system",
    4: "network and routing",
    5: "mail delivery protocol",
    6: "message content or media",
    7: "security or policy",
}

SUBJECT_SECTIONS: dict[int, str] = {subject: f"RFC 3463 §3.{subject + 1}" for subject in STATUS_SUBJECTS}
"""For each subject, the section that lists its details."""


class Detail(Struct, frozen=True):
    """What subject and detail mean together. ``codes``: the reply codes that the registry names for it; none: any."""

    meaning: str
    reference: str
    codes: tuple[int, ...]


def _detail(meaning: str, codes: str = "", reference: str = "") -> Detail:
    return Detail(meaning, reference, tuple(map(int, codes.split())))


_AUTH = "RFC 4954 §6"
_UTF8 = "RFC 6531 §4.2"
_REGISTRY = "RFC 5248 §2.4"

_ROWS: dict[tuple[int, int], Detail] = {  # without a reference: the section of the subject
    (0, 0): _detail("nothing but the class is known"),
    (1, 0): _detail("something is wrong with an address"),
    (1, 1): _detail("the mailbox does not exist", "451 550"),
    (1, 2): _detail("the domain of the recipient does not exist or takes no mail"),
    (1, 3): _detail("the address of the recipient breaks the grammar", "501"),
    (1, 4): _detail("the address fits more than one mailbox"),
    (1, 5): _detail("the address is valid", "250"),
    (1, 6): _detail("the mailbox has moved, and nobody knows where"),
    (1, 7): _detail("the address of the sender breaks the grammar"),
    (1, 8): _detail("the domain of the sender does not exist or takes no mail", "451 501"),
    (1, 9): _detail("relayed to a system that sends no reports", "", _REGISTRY),
    (1, 10): _detail("the domain of the recipient takes no mail (null MX)", "556", "RFC 7505"),
    (2, 0): _detail("something is wrong with the mailbox"),
    (2, 1): _detail("the mailbox is disabled and takes no messages"),
    (2, 2): _detail("the mailbox is full", "552"),
    (2, 3): _detail("the message is too big for this mailbox", "552"),
    (2, 4): _detail("the mailing list cannot be expanded", "450 452"),
    (3, 0): _detail("something about the mail system", "221 250 421 451 550 554"),
    (3, 1): _detail("the storage of the mail system is full", "452"),
    (3, 2): _detail("the host takes no messages now, or never", "453 521"),
    (3, 3): _detail("the host does not have a feature that the message needs"),
    (3, 4): _detail("the message is too big for the system", "552 554"),
    (3, 5): _detail("the system has a wrong configuration"),
    (3, 6): _detail("the requested priority was changed", "250 251", "RFC 6710"),
    (4, 0): _detail("something is wrong with the network"),
    (4, 1): _detail("the next host does not answer", "451"),
    (4, 2): _detail("the connection broke", "421"),
    (4, 3): _detail("a directory, for example the DNS, does not answer", "451 550"),
    (4, 4): _detail("no route to the next host is known"),
    (4, 5): _detail("the mail system has too much to do", "451"),
    (4, 6): _detail("the message goes round in a loop"),
    (4, 7): _detail("the message is too old, no attempt succeeded in time"),
    (5, 0): _detail("something about the protocol", "220 250 251 252 253 451 452 454 458 459 501 502 503 554"),
    (5, 1): _detail("the command is unknown or out of order", "430 500 501 503 530 550 554 555"),
    (5, 2): _detail("the command breaks the grammar", "500 501 502 550 555"),
    (5, 3): _detail("too many recipients", "451"),
    (5, 4): _detail("an argument is invalid or not implemented", "451 501 502 503 504 550 555"),
    (5, 5): _detail("the two sides do not speak the same version of the protocol"),
    (5, 6): _detail("a line of the AUTH exchange is too long", "500", _AUTH),
    (6, 0): _detail("something is wrong with the content of the message"),
    (6, 1): _detail("this kind of content is not supported"),
    (6, 2): _detail("the content must be converted, which is prohibited"),
    (6, 3): _detail("the content must be converted, which this host cannot do", "554"),
    (6, 4): _detail("the content was converted, and something of it was lost", "250"),
    (6, 5): _detail("the conversion of the content failed"),
    (6, 6): _detail("the content that a URL names cannot be fetched", "554", "RFC 4468"),
    (6, 7): _detail("an address that is not ASCII is not permitted", "550 553", _UTF8),
    (6, 8): _detail("the reply needs UTF-8, which the client did not permit", "252 550 553", _UTF8),
    (6, 9): _detail("a header in UTF-8 cannot be passed on to a recipient", "550", _UTF8),
    (6, 10): _detail("old form of X.6.8, not to be used", "", _UTF8),
    (7, 0): _detail("something about security", "220 235 450 454 500 501 503 504 530 535 550"),
    (7, 1): _detail(
        "the sender may not send to this address: policy, a filter, or no relaying", "451 454 502 503 533 550 551"
    ),
    (7, 2): _detail("the sender may not send to this mailing list", "550"),
    (7, 3): _detail("the message must be converted into another secure form, which is not possible"),
    (7, 4): _detail("a security feature is not supported", "504"),
    (7, 5): _detail("decryption or signature failed"),
    (7, 6): _detail("the cryptographic algorithm is not supported"),
    (7, 7): _detail("the message was damaged or changed"),
    (7, 8): _detail("the credentials are not valid", "535 554", _AUTH),
    (7, 9): _detail("the mechanism of authentication is too weak", "534", _AUTH),
    (7, 10): _detail("the connection must be encrypted first", "523", _REGISTRY),
    (7, 11): _detail("this mechanism of authentication needs encryption", "524 538", _AUTH),
    (7, 12): _detail("the password has to be changed first", "422 432", _AUTH),
    (7, 13): _detail("the account of the user is disabled", "525", _REGISTRY),
    (7, 14): _detail("the two hosts must trust each other first", "535 554", _REGISTRY),
    (7, 15): _detail("the priority of the message is too low now", "450 550", "RFC 6710"),
    (7, 16): _detail("the message is too big for its priority", "552", "RFC 6710"),
    (7, 17): _detail("the mailbox has another owner now", "", "RFC 7293"),
    (7, 18): _detail("the domain has another owner now", "", "RFC 7293"),
    (7, 19): _detail("the server cannot check who owns the mailbox", "", "RFC 7293"),
    (7, 20): _detail("no valid DKIM signature", "550", "RFC 7372 §3.1"),
    (7, 21): _detail("no acceptable DKIM signature", "550", "RFC 7372 §3.1"),
    (7, 22): _detail("no valid DKIM signature of the author's domain", "550", "RFC 7372 §3.1"),
    (7, 23): _detail("SPF does not permit this host to send for the domain", "550", "RFC 7372 §3.2"),
    (7, 24): _detail("SPF could not be checked", "451 550", "RFC 7372 §3.2"),
    (7, 25): _detail("the name of the sending host does not fit its address (DNS)", "550", "RFC 7372 §3.3"),
    (7, 26): _detail("more than one check of the sender failed", "550", "RFC 7372 §3.4"),
    (7, 27): _detail("the domain of the sender takes no mail (null MX)", "550", "RFC 7505"),
    (7, 28): _detail("the message is part of a flood of mail", "", "IANA registry"),
    (7, 29): _detail("the ARC chain of the message is not valid", "550", "RFC 8617"),
    (7, 30): _detail("the message requires TLS, which the next host does not have", "", "RFC 8689 §4.2.1"),
}

DETAILS: dict[tuple[int, int], Detail] = {
    key: replace(detail, reference=detail.reference or SUBJECT_SECTIONS[key[0]]) for key, detail in _ROWS.items()
}
"""By subject and detail."""


def describe_status(status: str) -> str:
    """Return a one-line description of an enhanced status code such as "5.1.1" (RFC 3463 §2), as parsed from a
    reply."""
    status_class, subject, detail = (int(number) for number in status.split("."))
    about = STATUS_SUBJECTS.get(subject, "subject not defined")
    described = f"{status}: {STATUS_CLASSES.get(status_class, 'class not defined')}, {about}"
    known = DETAILS.get((subject, detail))
    return described if known is None else f"{described}: {known.meaning} ({known.reference})"
