"""The refusal that explains a later failure is remembered until a success makes it unimportant."""

from __future__ import annotations

import pytest

from smtpwire.analyzer.exchanges.causes import NO_CAUSES, Causes
from smtpwire.analyzer.exchanges.exchange import Exchange
from smtpwire.analyzer.exchanges.session import Session
from smtpwire.analyzer.lines.acts import Act

KIND = {
    Act.EHLO: "hello",
    Act.HELO: "hello",
    Act.MAIL: "mail",
    Act.RCPT: "rcpt",
    Act.DATA: "data",
    Act.STARTTLS: "starttls",
}


def answered(causes: Causes, act: Act, code: int) -> Exchange:
    x = Exchange(act, 0, 0, 0)
    causes.remember(x, code)
    return x


@pytest.mark.parametrize(("act", "kind"), KIND.items(), ids=lambda one: getattr(one, "name", one))
def test_a_refusal_is_the_cause_of_its_kind_only(act: Act, kind: str) -> None:
    causes = Causes()
    refused = answered(causes, act, 550)
    for name in ("hello", "mail", "rcpt", "data", "starttls", "order"):
        assert getattr(causes, name) is (refused if name == kind else None)


@pytest.mark.parametrize("act", [Act.EHLO, Act.HELO, Act.MAIL, Act.STARTTLS, Act.DATA], ids=lambda act: act.name)
def test_the_last_answer_counts(act: Act) -> None:
    causes = Causes()
    answered(causes, act, 550)
    second = answered(causes, act, 451)
    assert getattr(causes, KIND[act]) is second
    answered(causes, act, 354 if act is Act.DATA else 250)
    assert getattr(causes, KIND[act]) is None


def test_an_accepted_recipient_does_not_explain_away_a_refused_one() -> None:
    causes = Causes()
    refused = answered(causes, Act.RCPT, 550)
    answered(causes, Act.RCPT, 250)
    assert causes.rcpt is refused


def test_data_answered_with_250_is_a_cause_because_no_mail_data_may_follow() -> None:
    causes = Causes()
    odd = answered(causes, Act.DATA, 250)
    assert causes.data is odd


@pytest.mark.parametrize("act", [Act.EHLO, Act.HELO, Act.MAIL, Act.END, Act.RSET], ids=lambda act: act.name)
def test_a_new_start_that_is_accepted_ends_the_causes_in_the_transaction(act: Act) -> None:
    causes = Causes()
    answered(causes, Act.MAIL, 550)
    answered(causes, Act.RCPT, 550)
    causes.order = answered(causes, Act.STARTTLS, 454)
    answered(causes, act, 250)
    assert not any(getattr(causes, name) for name in ("mail", "rcpt", "order"))
    assert causes.starttls is not None


@pytest.mark.parametrize("act", [Act.END, Act.RSET], ids=lambda act: act.name)
def test_a_refused_new_start_ends_nothing(act: Act) -> None:
    causes = Causes()
    mail = answered(causes, Act.MAIL, 550)
    answered(causes, act, 554)
    assert causes.mail is mail


def test_a_session_without_refusals_shares_its_causes_and_never_changes_them() -> None:
    session, other = Session(midstream=False), Session(midstream=False)
    assert session.causes is other.causes is NO_CAUSES
    session.own_causes().mail = Exchange(Act.MAIL, 0, 0, 0)
    assert session.causes.mail is not None
    assert other.causes.mail is None
