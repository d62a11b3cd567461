"""What a reply changes besides the state: how the client's bytes are read after it, and signs of attacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from ...dissectors.lines.replies import MAX_OFFERS
from ..lines.acts import CHUNKS, DECIDING, HELLOS, Act
from ..lines.client_reader import Mode
from ..lines.marks import Mark
from .attack_marks import mark_offers
from .exchange import Exchange
from .hello_names import note_name
from .judging import judge_masked_greeting
from .loss_recovery import LossEvent
from .mail_data import begin_content
from .postmasters import note_postmaster
from .starttls_history import StartTlsOffer, plain_offer
from .state_table import NO_KEYWORDS, Hello
from .tls_upgrade import expect_tls

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["EFFECT_FROM", "go_on"]

SMTP_PORT = 25
_POSTMASTER = Mark.POSTMASTER.value
_LAYERED = frozenset({"GSSAPI", "DIGEST-MD5"})  # mechanisms that may encrypt the rest of the stream

_MASKED = Mark.MASKED.value
_ALWAYS = frozenset({*DECIDING, *CHUNKS, *HELLOS, Act.XCLIENT, Act.ANYTIME, Act.TURN})
EFFECT_FROM: tuple[int, ...] = tuple(0 if act in _ALWAYS else 530 for act in Act)
"""For each act, the lowest code with which a reply to it can have an effect. For all others ``go_on`` only continues
after an end of mail data that the server saw."""


def go_on(talk: Conversation, x: Exchange, code: int) -> None:
    """Continue with the client's bytes: the reply to ``x`` is known."""
    act, reader, session = x.act, talk.reader, talk.session
    if code == 530 and talk.hello_after_login is not None:
        _note_forgotten_login(talk, x, talk.hello_after_login)
    if act in DECIDING:
        if act is Act.AUTH or act is Act.ANSWER:
            login = talk.watch.login
            talk.sasl_layer_expected = code == 235 and login is not None and login.mechanism in _LAYERED
        _decide_held(talk, x, code)
    elif act in CHUNKS:
        _after_chunk(talk, x, code)
    elif act in HELLOS:
        note_name(talk, x, code)
        if code < 300:
            _greet_back(talk, x)
        _note_veil(talk, x)
    elif act is Act.XCLIENT and code == 220:
        hello = Hello(keywords=NO_KEYWORDS, secure=session.state.hello.secure)
        session.restart(replace(session.state, hello=hello))
    elif act is Act.ANYTIME or (act is Act.RCPT and code >= 550):
        talk.watch.probed(x, code)
        if x.marks & _POSTMASTER:
            note_postmaster(talk, x, code)
    elif act is Act.TURN and code == 250:
        talk.stop("decoding stopped: TURN was accepted, the two sides change roles (RFC 821 §3.8)")
    mail = talk.mail_tracking
    if mail is not None and mail.rest is not None:
        rest, mail.rest = mail.rest, None
        reader.feed(*rest, -1)


def _after_chunk(talk: Conversation, x: Exchange, code: int) -> None:
    """Continue after the reply to BDAT."""
    reader = talk.reader
    if code >= 400 and x.before is not None and not x.before.hello.lists("CHUNKING"):
        talk.replies_unreliable = True  # the octets of the chunk, which the server takes for commands
    if reader.mode is Mode.HOLD and not talk.session.due:
        if code >= 400 and reader.held_size:
            talk.own_loss().note(LossEvent.END_LOST)
            talk.replies_unreliable = True
        reader.release(Mode.COMMAND)


def _note_forgotten_login(talk: Conversation, x: Exchange, hello: Exchange) -> None:
    """Note that the server asks again for a login that it had accepted; RFC 4954 §4 allows one per session."""
    if x.before is not None and x.before.hello.authenticated:
        talk.note(
            f"{x.name} in frame {x.frame} was refused with 530 although the client had logged in: this server "
            f"forgets a login at the next {hello.name} (frame {hello.frame}); RFC 4954 asks for no second one"
        )


def _greet_back(talk: Conversation, x: Exchange) -> None:
    """Handle an accepted hello; the first one shows whether it is SMTP or LMTP."""
    hello = talk.session.state.hello
    if x.before is not None and x.before.hello.authenticated:
        talk.hello_after_login = x
    if hello.keywords and sum(map(len, hello.keywords.values()), len(hello.keywords)) >= MAX_OFFERS:
        talk.note(f"a reply to EHLO lists {MAX_OFFERS} words or more: further ones are not known")
    if not hello.secure and hello.keywords:
        mark_offers(x, hello.keywords)
    if x.act is Act.EHLO and hello.lists("STARTTLS"):
        _remember_offer(talk, x)
    command = x.line.command
    if command is None:
        return
    if command.verb == b"LHLO":
        if not talk.run.profile_fixed:
            talk.profile = "lmtp"
            if talk.record.server.port == SMTP_PORT:
                x.marks |= Mark.LMTP_SERVER
    elif talk.profile == "lmtp":
        if talk.run.profile_fixed or _is_lmtp_server(talk):
            x.marks |= Mark.LMTP_SERVER
        if not talk.run.profile_fixed:
            talk.profile = "rfc5321"


def _is_lmtp_server(talk: Conversation) -> bool:
    """Whether the server has accepted LHLO. The last one comes first: that is the one that set the profile."""
    hellos = (turn for turn in reversed(talk.record.dialogue) if type(turn) is Exchange and turn.act is Act.EHLO)
    return any(hello.line.name == "LHLO" and hello.accepted for hello in hellos)


def _note_veil(talk: Conversation, x: Exchange) -> None:
    """Note whether the reply to the hello ``x`` shows that the path changes what the server says. If it does not, a
    masked greeting is what shows it best, and is judged now."""
    if x.marks & _MASKED:
        talk.watch.veil = x
    elif talk.watching is not None:
        judge_masked_greeting(talk, talk.watching)


def _remember_offer(talk: Conversation, x: Exchange) -> None:
    """Record that the reply to the EHLO ``x`` offers STARTTLS, for connections to the same server that follow. What is
    observed does not depend on the rules that are selected."""
    plain = plain_offer(x, talk.greeting)
    if plain is not None and not talk.record.on_loopback:
        key = plain.key(talk.record.server, talk.record.client.address)
        talk.judge.servers.offered(key, StartTlsOffer(talk.record.id, x.reply_time_ns, x.reply_frame))


def _decide_held(talk: Conversation, x: Exchange, code: int) -> None:
    """Release the held client bytes, if the reply to ``x`` shows what they are."""
    reader = talk.reader
    due = talk.session.due
    if reader.mode is not Mode.HOLD or (due and any(one.act in DECIDING for one in due)):
        return
    first = reader.first_held
    if x.act is Act.DATA and 300 <= code < 400:
        if first is not None and 0 <= first.seen < x.reply_end:
            x.marks |= Mark.HASTY_TEXT
            talk.session.begin_run(x)
        begin_content(talk, x.offset + x.length, x.frame, x.time_ns)
    elif x.act in {Act.AUTH, Act.ANSWER} and 300 <= code < 400:
        reader.release(Mode.ANSWER)
    elif x.act is Act.STARTTLS and code == 220:
        expect_tls(talk, x)
    else:
        if x.act is Act.STARTTLS and first is not None:
            x.marks |= Mark.INJECTED
        reader.release(Mode.COMMAND)
