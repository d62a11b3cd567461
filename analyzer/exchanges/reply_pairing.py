"""Replies in a conversation: which command each one answers, and how the client's bytes are read after it."""

# Replies pair with the unanswered commands strictly in order (RFC 2920 §3.1). An unexpected reply has a reason: the
# client may have ended a line with a bare LF and the server accepted it, or the server took a look-alike for the end of
# mail data. Then the server is followed, because only so can the next bytes be understood; the rules decide whose fault
# it was.

from __future__ import annotations

from typing import TYPE_CHECKING

from ...dissectors.lines.commands import parse_command
from ...dissectors.lines.replies import parse_reply
from ..lines.client_reader import Mode
from .attack_marks import Injection
from .conversation_content import DECIDING, STRONG, Contents
from .exchange import Exchange, Mark, Transaction
from .session import mark_reply
from .state_table import NO_KEYWORDS, Act, Hello, Phase, advance, unsure

if TYPE_CHECKING:
    from ...dissectors.lines.replies import Reply

__all__ = ["CHUNKS", "ReplyPairing"]

CHUNKS = frozenset({Act.BDAT, Act.LAST})
_ONLY_ANSWERS = {
    354: frozenset({Act.DATA}),
    334: frozenset({Act.AUTH, Act.ANSWER}),
    235: frozenset({Act.AUTH, Act.ANSWER}),
}
_QUITS = frozenset({Act.QUIT})
_LAYERED = frozenset({"GSSAPI", "DIGEST-MD5"})  # mechanisms that may encrypt the rest of the stream
_ODD_END = Mark.HONOURED | Mark.BARE_LF | Mark.BARE_CR
_FAREWELLS = frozenset({221, 421, 521})  # RFC 7504 §3: after 521 the server may close too
_GREETINGS = frozenset({220, 421, 521, 554})
_ENDS_MESSAGE = frozenset({Act.END, Act.LAST})
_TLS_HELLO = (0x16, 0x80)  # a TLS handshake record, or an SSLv2-style hello


class ReplyPairing(Contents):
    """Adds the replies."""

    def malformed(self, line: bytes, offset: int, frame: int, time_ns: int) -> None:
        """Handle a server line that is not a valid reply: it answers nothing."""
        turn = self._dialogue.malformed(line, frame, time_ns, offset)
        if self.watch.upgrading:
            self._event(Mark.AFTER_220, turn, offset, frame, time_ns, line)
        elif self.last is not None or not self.midstream:
            x = Exchange(Act.NOTHING, None, -1, offset, frame, time_ns)
            x.before = self.session.state
            x.marks = Mark.MALFORMED_REPLY | Mark.EXPLAINED
            x.answer(parse_reply(line), turn, offset, offset + len(line), frame, time_ns)
            self._settle(x)

    def reply(self, reply: Reply, offset: int, end: int, frame: int, time_ns: int) -> None:
        """Handle a complete reply: find the command that it answers, and update the state."""
        self._spoken = self._replied = True
        self._passed = False
        session = self.session
        x = self._answered(reply)
        turn = self._dialogue.reply(reply, -1 if x is None else x.turn, frame, time_ns, offset)
        if x is None:
            x = Exchange(Act.NOTHING, None, -1, offset, frame, time_ns)
            x.before = session.state
            self._unasked(x, reply)
            mark_reply(x, session.state, reply)
            if self._has_reason():
                x.marks |= Mark.EXPLAINED
            if reply.code == 421:
                session.restart(advance(session.state, Act.OTHER, 421))
            elif reply.code == 354 and not session.state.sure and self._reader.mode is Mode.COMMAND:
                self._begin_content(self._reader.position, frame, time_ns)  # its DATA was lost
        x.sure = x.sure and self.client_seen and (session.state.sure or x.act is Act.GREETING)
        x.answer(reply, turn, offset, end, frame, time_ns)
        if x.act is Act.GREETING:
            self.watch.greeting = x
            if self._tls_place[2] and self._inside_from < 0:
                self._unwanted_tls()
            session.greeted(x, reply.code)
        elif x.act is Act.NOTHING:
            if self.profile == "lmtp" and self.last is not None and self.last.act in _ENDS_MESSAGE:
                x.marks |= Mark.RECIPIENT_REPLIES
        else:
            session.answered(x, reply)
            if x.command is not None:
                self._predict(x)
                session.dispute(x)
            self.last = x
            if x.due <= 0:
                self._replies_may_be_old = self._replies_may_be_old and bool(session.due)
                self._go_on(x, reply.code)
        if reply.code in _FAREWELLS:
            self.course.server_closes(x, reply.code, time_ns, asked=x.act is not Act.NOTHING)
        if x.due <= 0:
            self._settle(x)

    def _answered(self, reply: Reply) -> Exchange | None:
        """Return the exchange that ``reply`` answers; None: nothing."""
        if not self.greeted:
            self.greeted = True
            if not self.server_syn_missing or reply.code in _GREETINGS:
                return Exchange(Act.GREETING, None, -1, 0, 0, 0)
            self.session.restart(unsure(self.session.state))
        due = self.session.due
        if reply.code == 354 and due and due[0].doubted and all(x.act is not Act.DATA for x in due):
            self._give_up(len(due))  # their replies were lost, and so was the DATA that this reply answers
        elif len(due) > 1 and reply.code in _ONLY_ANSWERS:
            self._skip_to(_ONLY_ANSWERS[reply.code])
        elif self._ended_early and due:
            self._ended_early = False
            if reply.code == 221 and due[0].act is Act.END:
                self._skip_to(_QUITS)  # it had answered the message already
        if due and self.profile == "lmtp":
            self._count_replies(reply)
        if due:
            if self._lost_replies and len(due) > 1:
                return None  # some of these were answered in the gap, but it is unknown which
            self._lost_replies = False
            return due[0] if due[0].due > 1 else due.popleft()
        if self._reader.mode is Mode.CONTENT:
            return self._answer_to_content(reply)
        if self._reader.mode <= Mode.ANSWER and reply.code != 421 and self._reader.cut_bare() and due:
            first = due.popleft()
            first.marks |= Mark.HONOURED
            first.sure = first.sure and not self._answers_unseen  # the bytes not captured may be the LF
            return first
        return None

    def _count_replies(self, reply: Reply) -> None:
        """Set the number of replies that an LMTP server must give for the first message (RFC 2033 §4.2, §4.3)."""
        due, state = self.session.due, self.session.state
        first = due[0]
        if first.act is Act.LAST and first.reply is None and state.phase in {Phase.RCPT, Phase.CHUNKS}:
            transaction = state.transaction
            first.due = max(1, transaction.accepted) if isinstance(transaction, Transaction) else 1
        if reply.code == 421:
            first.due = 1  # it ends the series
        elif reply.code == 221 and first.reply is not None and any(x.act is Act.QUIT for x in due):
            self._cut_series(due.popleft())

    def _cut_series(self, x: Exchange) -> None:
        """End the series of replies for ``x``: the server went on without one reply for each recipient."""
        assert x.reply is not None
        x.missing_replies, x.due = x.due, 0
        x.reply_end = x.reply_offset + len(x.reply.raw)
        x.marks |= Mark.RECIPIENT_REPLIES
        self.session.answered(x, x.reply)
        self._go_on(x, x.code)
        self._settle(x)

    def _left_unanswered(self, x: Exchange) -> None:
        """Mark ``x``: the server received it, but closed with FIN without an answer."""
        if x.reply is not None:
            x.missing_replies = x.due
            x.marks |= Mark.RECIPIENT_REPLIES
        elif self._server.incomplete_reply is None and not self._lost_replies and x is not self._chunk:
            x.marks |= Mark.UNANSWERED

    def _has_reason(self) -> bool:
        """Whether an unexpected reply may answer something that is not seen as a command here."""
        reader, last = self._reader, self.last
        if self.replies_unreliable or self.session.due or reader.partial or reader.mode > Mode.CONTENT:
            return True
        if last is None or reader.mode is Mode.CONTENT:
            return False
        upgraded = last.act is Act.STARTTLS and last.accepted and self._inside_from < 0
        return upgraded or bool(last.marks & _ODD_END)

    def _answer_to_content(self, reply: Reply) -> Exchange | None:
        """Handle a reply during mail data: did the server see an end that is not one here?"""
        content = self._reader.content
        assert content is not None
        content.settle()
        lookalike = content.ends_like() or (content.lookalike is not None and 200 <= reply.code < 300)
        if reply.code == 421 or not (lookalike or content.missing):
            return None
        self._reader.end_content_early()
        if lookalike:
            spot = content.lookalike
            frame, time_ns = (content.frame, content.time_ns) if spot is None else (spot.frame, spot.time_ns)
            rest = content.end_early()
            if rest:
                self._rest = (rest, content.end_offset - len(rest), frame, time_ns)
        else:  # the end mark was among the missing bytes
            content.flush()
            self._skipping = True
            self.session.doubt()  # commands may have followed the end mark there
        self.content_end(content, -1)
        x = self.session.due.popleft()
        if lookalike:
            x.marks |= Mark.HONOURED
        return x

    def _skip_to(self, acts: frozenset[Act]) -> None:
        """Skip to the first command of ``acts``, the only kind that the code can answer. The server never answered the
        commands before it, or with invalid replies, so the pairing starts again there."""
        place = next((n for n, x in enumerate(self.session.due) if x.act in acts), 0)
        if place:
            self._give_up(place)
            self.session.doubt()

    def _pass_lost_replies(self, data: bytes) -> None:
        """Pass replies that the capture does not have but the client has seen: ``data``, sent next, shows their
        result."""
        reader, due = self._reader, self.session.due
        if not due and reader.mode <= Mode.ANSWER:
            reader.cut_bare()
        self._lost_replies = False
        if reader.mode is not Mode.HOLD:
            self._give_up(len(due))
        elif parse_command(data.partition(b"\r\n")[0]).verb in STRONG:
            self._give_up(len(due))
            reader.release(Mode.COMMAND)
        else:
            self._release_as_presumed()
            self._give_up(len(due))

    def _end_reply_that_hangs(self, data: bytes) -> None:
        """End a reply without a last line: the client, not allowed to pipeline, sent its next command before the reply
        to the last one had ended. If ``data`` does not end as many replies as are expected, the bytes so far were the
        whole first reply."""
        x, due, self._overtaken = self._overtaken, self.session.due, None
        if not due or x is not due[0] or self._server.count_ends(data) >= len(due):
            return
        if x.act is Act.EHLO or not self.session.state.hello.lists("PIPELINING"):
            later = [due.pop() for _ in range(len(due) - 1)]
            self._server.end_unfinished()
            later[-1].sure = False  # it is unknown which side did not wait for the other
            due.extend(reversed(later))

    def _unasked(self, x: Exchange, reply: Reply) -> None:
        """Mark an unexpected reply if there is a reason for it."""
        if self.watch.upgrading:
            x.marks |= Mark.AFTER_220
        elif reply.code == 421:
            return
        elif self._reader.mode is Mode.CONTENT:
            self._ended_early = reply.code >= 400
        elif self._unjudged is not None:
            self.watch.answered_beyond(x)
        elif self.injected is not None and self._inside_from >= 0:
            turns = self.record.dialogue[self._inside_from :]
            if all(turn.side == "server" for turn in turns):
                x.marks |= Mark.INSIDE_FIRST

    def _go_on(self, x: Exchange, code: int) -> None:
        """Continue with the client's bytes: the reply to ``x`` is known."""
        act, reader, session = x.act, self._reader, self.session
        if code == 530 and self._hello_after_login is not None:
            self._login_forgotten(x, self._hello_after_login)
        if act in CHUNKS and code >= 400 and x.before is not None and not x.before.hello.lists("CHUNKING"):
            self.replies_unreliable = True  # the octets of the chunk, which the server takes for commands
        if act in DECIDING:
            self._sasl_layer_expected = code == 235 and self._login_name() in _LAYERED
            self._decide_held(x, code)
        elif act in CHUNKS and reader.mode is Mode.HOLD and not session.due:
            if code >= 400 and reader.held:
                self._skipping = self.replies_unreliable = True
            reader.release(Mode.COMMAND)
        elif act in {Act.EHLO, Act.HELO} and code < 300:
            self._greet_back(x)
        elif act is Act.XCLIENT and code == 220:
            hello = Hello(keywords=NO_KEYWORDS, secure=session.state.hello.secure)
            session.restart(session.state._replace(hello=hello))
        elif act is Act.RCPT:
            if code >= 550:
                self.watch.probed(x, code)
        elif act is Act.ANYTIME:
            self.watch.probed(x, code)
        elif act is Act.TURN and code == 250:
            self._stop("decoding stopped: TURN was accepted, the two sides change roles (RFC 821 §3.8)")
        rest, self._rest = self._rest, None
        if rest is not None:
            reader.feed(*rest, -1)

    def _login_forgotten(self, x: Exchange, hello: Exchange) -> None:
        """Note that the server asks again for a login that it had accepted; RFC 4954 §4 allows one per session."""
        if x.before is not None and x.before.hello.authenticated:
            self._note(
                f"{x.name} in frame {x.frame} was refused with 530 although the client had logged in: this server "
                f"forgets a login at the next {hello.name} (frame {hello.frame}); RFC 4954 asks for no second one"
            )

    def _login_name(self) -> str:
        return "" if self.watch.login is None else self.watch.login.mechanism

    def _greet_back(self, x: Exchange) -> None:
        """Handle an accepted hello; the first one shows whether it is SMTP or LMTP."""
        hello = self.session.state.hello
        if x.before is not None and x.before.hello.authenticated:
            self._hello_after_login = x
        if not hello.secure and hello.keywords:
            self.watch.hello(x, hello.keywords)
        if not self._profile_fixed and x.command is not None:
            if x.command.verb == b"LHLO":
                self.profile = "lmtp"
            elif self.profile == "lmtp":
                self.profile = "rfc5321"

    def _decide_held(self, x: Exchange, code: int) -> None:
        """Release the held client bytes, if the reply to ``x`` shows what they are."""
        reader = self._reader
        if reader.mode is not Mode.HOLD or any(one.act in DECIDING for one in self.session.due):
            return
        if x.act is Act.DATA and 300 <= code < 400:
            if reader.held and 0 <= reader.held_seen < x.reply_end:
                x.marks |= Mark.HASTY_TEXT
            self._begin_content(x.offset + x.length, x.frame, x.time_ns)
        elif x.act in {Act.AUTH, Act.ANSWER} and 300 <= code < 400:
            reader.release(Mode.ANSWER)
        elif x.act is Act.STARTTLS and code == 220:
            held = reader.held
            if held and held[0] not in _TLS_HELLO:
                line = held.partition(b"\r\n")[0]
                self.watch.injection = Injection(line, reader.held_size, *reader.held_place)
                reader.discard_held()
                self.injected = x
                x.marks |= Mark.INJECTED
            self._server.expect_tls = self.watch.upgrading = True
            self.session.restart(self._inside_tls())
            reader.release(Mode.TLS_EXPECTED)
        else:
            if x.act is Act.STARTTLS and reader.held:
                x.marks |= Mark.INJECTED
            reader.release(Mode.COMMAND)
