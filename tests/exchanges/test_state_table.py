"""The state table compared with the catalogue, cell by cell, and the next phase after each reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from smtpwire.analyzer.exchanges.state_table import (
    ACTS,
    NO_KEYWORDS,
    PRESUMED,
    START,
    TABLE,
    TARGETS,
    Act,
    Hello,
    Phase,
    State,
    advance,
    broken_rule,
    moved,
    unsure,
)

EHLO = Hello(b"EHLO", {"CHUNKING": (), "AUTH": ("PLAIN",), "STARTTLS": (), "BURL": ()})
PHASES = (Phase.GREETED, Phase.READY, Phase.MAIL, Phase.RCPT, Phase.CHUNKS, Phase.BROKEN)

# The rule that each command violates in each phase, one row for each command; "-" is legal.
CATALOGUE = """
             GREETED  READY   MAIL    RCPT    CHUNKS  BROKEN
    EHLO     -        -       -       -       -       -
    HELO     -        -       -       -       -       -
    MAIL     SEQ101   -       SEQ102  SEQ102  SEQ102  SEQ102
    RCPT     SEQ103   SEQ103  -       -       SEQ109  SEQ109
    DATA     SEQ104   SEQ104  SEQ105  -       SEQ106  SEQ106
    BDAT     SEQ104   SEQ104  SEQ105  -       -       SEQ108
    LAST     SEQ104   SEQ104  SEQ105  -       -       SEQ108
    BURL     SEQ104   SEQ104  SEQ105  -       -       SEQ108
    RSET     -        -       -       -       -       -
    ANYTIME  -        -       -       -       -       -
    AUTH     -        -       SEQ111  SEQ111  SEQ109  SEQ109
    STARTTLS -        -       -       -       SEQ109  SEQ109
    ETRN     -        -       SEQ126  SEQ126  SEQ126  -
    ATRN     -        -       -       -       -       -
    XCLIENT  -        -       -       -       -       -
    TURN     -        -       -       -       -       -
    QUIT     -        -       -       -       -       -
    OTHER    -        -       -       -       -       -
"""
ROWS = [line.split() for line in CATALOGUE.strip().splitlines()[1:]]
CELLS = [
    (Act[row[0]], phase, None if rule == "-" else rule)
    for row in ROWS
    for phase, rule in zip(PHASES, row[1:], strict=True)
]


def at(phase: Phase, *, hello: Hello = EHLO) -> State:
    return State(phase, hello, "transaction" if phase in {Phase.MAIL, Phase.RCPT, Phase.CHUNKS} else None)


@pytest.mark.parametrize(("act", "phase", "rule"), CELLS, ids=[f"{a.name}-{p.name}" for a, p, _ in CELLS])
def test_each_cell_says_what_the_catalogue_says(act: Act, phase: Phase, rule: str | None) -> None:
    assert broken_rule(at(phase), act) == rule


def test_every_command_has_a_row() -> None:
    assert {Act[row[0]] for row in ROWS} == {*ACTS.values(), Act.LAST, Act.OTHER}


def test_every_phase_has_a_cell_for_everything() -> None:
    assert set(TABLE) == set(Phase)
    for row in TABLE.values():
        assert set(row) == set(Act)


@pytest.mark.parametrize("act", [Act[row[0]] for row in ROWS])
def test_before_the_greeting_a_client_is_judged_as_after_it(act: Act) -> None:
    assert broken_rule(START, act) == broken_rule(at(Phase.GREETED), act)


@pytest.mark.parametrize("act", [Act[row[0]] for row in ROWS])
def test_after_quit_everything_is_wrong_and_a_closing_server_excuses_everything(act: Act) -> None:
    assert broken_rule(at(Phase.QUIT), act) == "SEQ114"
    assert broken_rule(at(Phase.TURNED_AWAY), act) is None
    assert broken_rule(at(Phase.CLOSING), act) is None


# -- the next phase after a reply -------------------------------------------------------------------------------------

# From, command, code, to. If no next phase is given, the phase stays.
STEPS = [
    (Phase.GREETED, Act.EHLO, 250, Phase.READY),
    (Phase.GREETED, Act.EHLO, 550, Phase.GREETED),
    (Phase.RCPT, Act.EHLO, 250, Phase.READY),
    (Phase.RCPT, Act.EHLO, 501, Phase.RCPT),
    (Phase.CHUNKS, Act.HELO, 250, Phase.READY),
    (Phase.READY, Act.MAIL, 250, Phase.MAIL),
    (Phase.READY, Act.MAIL, 550, Phase.READY),
    (Phase.GREETED, Act.MAIL, 250, Phase.MAIL),  # follow the server
    (Phase.RCPT, Act.MAIL, 250, Phase.MAIL),
    (Phase.MAIL, Act.RCPT, 250, Phase.RCPT),
    (Phase.MAIL, Act.RCPT, 251, Phase.RCPT),
    (Phase.MAIL, Act.RCPT, 550, Phase.MAIL),
    (Phase.RCPT, Act.RCPT, 550, Phase.RCPT),
    (Phase.READY, Act.RCPT, 250, Phase.RCPT),
    (Phase.RCPT, Act.DATA, 354, Phase.CONTENT),
    (Phase.RCPT, Act.DATA, 451, Phase.RCPT),
    (Phase.MAIL, Act.DATA, 354, Phase.CONTENT),
    (Phase.READY, Act.DATA, 354, Phase.CONTENT),
    (Phase.CONTENT, Act.END, 250, Phase.READY),
    (Phase.CONTENT, Act.END, 451, Phase.READY),
    (Phase.CONTENT, Act.END, 554, Phase.READY),
    (Phase.RCPT, Act.BDAT, 250, Phase.CHUNKS),
    (Phase.RCPT, Act.BDAT, 452, Phase.BROKEN),
    (Phase.RCPT, Act.LAST, 250, Phase.READY),
    (Phase.CHUNKS, Act.BDAT, 250, Phase.CHUNKS),
    (Phase.CHUNKS, Act.BDAT, 552, Phase.BROKEN),
    (Phase.CHUNKS, Act.LAST, 250, Phase.READY),
    (Phase.CHUNKS, Act.LAST, 554, Phase.BROKEN),
    (Phase.CHUNKS, Act.BURL, 250, Phase.CHUNKS),
    (Phase.CHUNKS, Act.DATA, 503, Phase.BROKEN),
    (Phase.BROKEN, Act.RSET, 250, Phase.READY),
    (Phase.BROKEN, Act.BDAT, 250, Phase.CHUNKS),
    (Phase.RCPT, Act.RSET, 250, Phase.READY),
    (Phase.CHUNKS, Act.RSET, 250, Phase.READY),
    (Phase.GREETED, Act.RSET, 250, Phase.GREETED),
    (Phase.READY, Act.STARTTLS, 220, Phase.TLS),
    (Phase.READY, Act.STARTTLS, 454, Phase.READY),
    (Phase.READY, Act.XCLIENT, 220, Phase.GREETED),
    (Phase.READY, Act.XCLIENT, 250, Phase.READY),
    (Phase.RCPT, Act.QUIT, 221, Phase.QUIT),
    (Phase.RCPT, Act.QUIT, 501, Phase.RCPT),
    (Phase.TURNED_AWAY, Act.EHLO, 250, Phase.TURNED_AWAY),
    (Phase.TURNED_AWAY, Act.QUIT, 221, Phase.QUIT),
    (Phase.RCPT, Act.ANYTIME, 250, Phase.RCPT),
    (Phase.RCPT, Act.OTHER, 500, Phase.RCPT),
    (Phase.READY, Act.AUTH, 334, Phase.READY),
]


@pytest.mark.parametrize(
    ("before", "act", "code", "after"), STEPS, ids=[f"{b.name}-{a.name}-{c}" for b, a, c, _ in STEPS]
)
def test_a_reply_leads_to_the_next_phase(before: Phase, act: Act, code: int, after: Phase) -> None:
    assert advance(at(before), act, code).phase is after


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("act", Act)
def test_421_closes_in_every_phase(phase: Phase, act: Act) -> None:
    assert advance(at(phase), act, 421).phase is Phase.CLOSING


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("code", [199, 250, 354, 451, 550, 503, 600, 0])
def test_every_cell_can_be_advanced_with_any_code(phase: Phase, act: Act, code: int) -> None:
    after = advance(at(phase), act, code, verb=b"EHLO", keywords=NO_KEYWORDS, transaction="new")
    assert after.phase in Phase


@pytest.mark.parametrize(
    ("before", "act", "after"),
    [
        (Phase.READY, Act.MAIL, Phase.MAIL),
        (Phase.MAIL, Act.RCPT, Phase.RCPT),
        (Phase.RCPT, Act.DATA, Phase.CONTENT),
        (Phase.RCPT, Act.LAST, Phase.READY),
        (Phase.CONTENT, Act.END, Phase.READY),
        (Phase.GREETED, Act.EHLO, Phase.READY),
    ],
)
def test_the_client_may_presume_success(before: Phase, act: Act, after: Phase) -> None:
    assert advance(at(before), act, None).phase is after


# -- other facts of a state --------------------------------------------------------------------------------------------


def test_ehlo_replaces_the_keywords_and_helo_empties_them() -> None:
    after = advance(at(Phase.RCPT), Act.EHLO, 250, verb=b"EHLO", keywords={"SIZE": ()})
    assert after.hello.lists("SIZE")
    assert not after.hello.lists("CHUNKING")
    assert after.transaction is None
    assert advance(after, Act.HELO, 250, verb=b"HELO").hello.keywords == {}
    assert advance(after, Act.EHLO, 550).hello.lists("SIZE")


def test_while_ehlo_is_in_flight_the_old_keywords_count() -> None:
    assert advance(at(Phase.READY), Act.EHLO, None, verb=b"EHLO").hello.lists("CHUNKING")


def test_only_235_authenticates_and_only_once() -> None:
    ready = at(Phase.READY)
    logged_in = advance(ready, Act.AUTH, 235)
    assert logged_in.hello.authenticated
    assert broken_rule(logged_in, Act.AUTH) == "SEQ112"
    assert not advance(ready, Act.AUTH, 250).hello.authenticated
    assert not advance(ready, Act.AUTH, 535).hello.authenticated
    assert advance(advance(ready, Act.AUTH, 334), Act.ANSWER, 235).hello.authenticated


def test_tls_inside_tls() -> None:
    inside = at(Phase.READY, hello=replace(EHLO, secure=True))
    assert broken_rule(inside, Act.STARTTLS) == "SEQ116"
    assert advance(inside, Act.EHLO, 250, verb=b"EHLO", keywords={}).hello.secure


def test_a_chunk_after_the_last_chunk_breaks_its_own_rule() -> None:
    after = advance(at(Phase.RCPT), Act.LAST, 250)
    assert broken_rule(after, Act.BDAT) == broken_rule(after, Act.LAST) == "SEQ107"
    assert broken_rule(after, Act.DATA) == "SEQ104"
    assert broken_rule(advance(after, Act.RSET, 250), Act.BDAT) == "SEQ104"
    again = advance(advance(after, Act.MAIL, 250, transaction="next"), Act.RCPT, 250)
    assert broken_rule(again, Act.BDAT) is None


def test_a_chunk_that_was_never_offered_is_an_unknown_command() -> None:
    plain = at(Phase.RCPT, hello=Hello(b"EHLO", NO_KEYWORDS))
    assert advance(plain, Act.BDAT, 500) == plain


def test_a_refused_data_leaves_the_transaction_open_and_is_remembered() -> None:
    after = advance(at(Phase.RCPT), Act.DATA, 451)
    assert (after.phase, after.data_refused, after.transaction) == (Phase.RCPT, True, "transaction")
    assert not advance(after, Act.RSET, 250).data_refused
    assert not advance(after, Act.MAIL, 250, transaction="next").data_refused


def test_mail_opens_the_given_transaction() -> None:
    assert advance(at(Phase.READY), Act.MAIL, 250, transaction="this").transaction == "this"
    for act, code in ((Act.END, 250), (Act.LAST, 250), (Act.RSET, 250), (Act.EHLO, 250)):
        assert advance(at(Phase.RCPT), act, code, verb=b"EHLO", keywords={}).transaction is None, act


def test_hello_rset_and_mail_make_an_unsure_state_sure() -> None:
    lost = unsure(at(Phase.RCPT))
    assert not lost.sure
    assert lost.hello.keywords is None
    assert advance(lost, Act.EHLO, 250, verb=b"EHLO", keywords={}).sure
    assert advance(lost, Act.RSET, 250).sure
    assert advance(lost, Act.MAIL, 250, transaction="new").sure
    assert not advance(lost, Act.RCPT, 250).sure
    assert not advance(lost, Act.END, 250).sure
    # of these only EHLO shows what is offered
    assert advance(lost, Act.RSET, 250).hello.keywords is None


steps = st.tuples(st.sampled_from(list(Act)), st.sampled_from([None, 220, 221, 235, 250, 334, 354, 421, 452, 503, 550]))


@given(st.lists(steps, max_size=30))
def test_any_walk_stays_on_the_table(walk: list[tuple[Act, int | None]]) -> None:
    state = START
    for act, code in walk:
        before = state
        state = advance(state, act, code, verb=b"EHLO", keywords=NO_KEYWORDS, transaction="t")
        assert state.phase in TABLE
        if before.sure and state.hello.keywords is not None:
            assert state.sure
        if act is Act.QUIT and code == 221:
            assert state.phase is Phase.QUIT
        if before.phase is Phase.QUIT and code != 421:
            assert state.phase is Phase.QUIT


@pytest.mark.parametrize("phase", Phase)
def test_the_look_ups_say_what_the_table_says(phase: Phase) -> None:
    state = State(phase, EHLO, "transaction", after_last=True)
    steps: list[tuple[Act, int | None, Phase | None]]
    steps = [(act, code, TARGETS[phase][act][code // 100]) for act in Act for code in (100, 250, 354, 450, 550, 900)]
    steps += [(act, None, PRESUMED[phase][act]) for act in Act]
    looked_up = [(act, code, target) for act, code, target in steps if target is not None]
    assert len(looked_up) > len(steps) / 3
    for act, code, target in looked_up:
        assert advance(state, act, code) == moved(state, target)
