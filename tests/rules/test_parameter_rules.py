"""CMD307 to CMD309, EXT518 and EXT519: parameters of MAIL and RCPT."""

from __future__ import annotations

import pytest
from scripts import END, findings, hello, lines, rules

SENDER = "C MAIL FROM:<a@client.example>"
HOLD = "FUTURERELEASE 86400 2026-12-20T00:00:00Z"


def on_mail(keywords: tuple[str, ...], parameters: str, reply: str = "250 ok") -> list[tuple[str, bytes | str]]:
    return [*hello(*keywords), *lines(f"{SENDER} {parameters}", f"S {reply}"), *END]


def on_rcpt(keywords: tuple[str, ...], parameters: str, reply: str = "250 ok") -> list[tuple[str, bytes | str]]:
    rcpt = lines(SENDER, "S 250 ok", f"C RCPT TO:<b@mx.example> {parameters}", f"S {reply}")
    return [*hello(*keywords), *rcpt, *END]


# -- CMD308, CMD309 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "parameter", "reference"),
    [
        ("FUTURERELEASE", "HOLDFOR=0", "RFC 4865 §3(4)"),
        ("FUTURERELEASE", "HOLDFOR=0600", "RFC 4865 §3(4)"),
        ("FUTURERELEASE", "HOLDUNTIL=tomorrow", "RFC 4865 §3(4)"),
        ("FUTURERELEASE", "HOLDUNTIL=2026-12-20T00:00:00+01:00", "RFC 4865 §3(4)"),
        ("SIZE", "SIZE=x", "RFC 1870 §3"),
        ("MT-PRIORITY", "MT-PRIORITY=10", "RFC 6710 §3(5), §7"),
    ],
)
def test_only_the_section_of_the_parameter_is_cited(keyword: str, parameter: str, reference: str) -> None:
    (one,) = findings(on_mail((keyword,), parameter, "501 no"))
    assert (one.rule, one.reference) == ("CMD308", reference)


def test_a_time_in_rrvs_has_no_fraction() -> None:
    (one,) = findings(on_rcpt(("RRVS",), "RRVS=2026-12-20T00:00:00.5Z", "501 no"))
    assert (one.rule, one.reference) == ("CMD308", "RFC 7293 §3.1")
    assert rules(on_rcpt(("RRVS",), "RRVS=2026-12-20T00:00:00Z;C")) == []


def test_a_parameter_twice() -> None:
    (one,) = findings(on_mail(("SIZE",), "SIZE=1 size=2", "501 no"))
    assert (one.rule, one.reference) == ("CMD309", "RFC 1870 §6; RFC 6152 §3; RFC 3461 §4.5; RFC 6710 §4.1(1)")


# -- EXT518 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "parameter", "reference"),
    [
        (HOLD, "HOLDFOR=86401", "RFC 4865 §4.1(3)"),
        (HOLD, "HOLDUNTIL=2026-12-20T00:00:01Z", "RFC 4865 §4.1(4)"),
        ("DELIVERBY 240", "BY=239;R", "RFC 2852 §3"),
    ],
)
def test_only_the_section_about_the_bound_is_cited(keyword: str, parameter: str, reference: str) -> None:
    (one,) = findings(on_mail((keyword,), parameter, "501 no"))
    assert (one.rule, one.reference) == ("EXT518", reference)


@pytest.mark.parametrize(
    ("keyword", "parameter", "part"),
    [
        (HOLD, "HOLDFOR=86401", "HOLDFOR=86401 is above the 86400 that the server announced."),
        (HOLD, "HOLDUNTIL=2026-12-20T00:00:01Z", "HOLDUNTIL=2026-12-20T00:00:01Z is after the 2026-12-20T00:00:00Z"),
        ("DELIVERBY 240", "BY=239;R", "BY=239;R is below the 240 that the server announced."),
        ("DELIVERBY 240", "BY=60;RT", "BY=60;RT is below the 240"),
    ],
)
@pytest.mark.parametrize("reply", ["250 ok", "501 no", "550 no", "554 no", "504 no"])
def test_a_value_beyond_the_bound(keyword: str, parameter: str, part: str, reply: str) -> None:
    (one,) = findings(on_mail((keyword,), parameter, reply))
    assert (one.rule, one.severity, one.side) == ("EXT518", "warning", "client")
    assert part in one.message


@pytest.mark.parametrize(
    ("keyword", "parameter"),
    [
        (HOLD, "HOLDFOR=86400"),
        (HOLD, "HOLDUNTIL=2026-12-20T00:00:00Z"),
        ("FUTURERELEASE", "HOLDFOR=999999999"),
        ("FUTURERELEASE 86400", "HOLDUNTIL=2099-12-20T00:00:00Z"),
        ("FUTURERELEASE soon later", "HOLDFOR=9"),
        ("DELIVERBY 240", "BY=240;R"),
        ("DELIVERBY 240", "BY=60;N"),
        ("DELIVERBY 240", "BY=-60;N"),
        ("DELIVERBY", "BY=1;R"),
    ],
)
def test_a_value_within_the_bound(keyword: str, parameter: str) -> None:
    assert rules(on_mail((keyword,), parameter)) == []


def test_an_illegal_value_has_no_bound() -> None:
    assert rules(on_mail((HOLD,), "HOLDFOR=0864000", "501 no")) == ["CMD308"]
    assert rules(on_mail(("DELIVERBY 240",), "BY=-60;R", "501 no")) == ["CMD308"]
    assert rules(on_mail((HOLD,), "HOLDFOR=" + "9" * 5000, "501 no"))[0] == "CMD308"
    assert rules(on_mail((HOLD,), "HOLDFOR=864000"), profile="rfc821", select=("EXT518",)) == []


# -- EXT519 ------------------------------------------------------------------------------------------------------------

OF_MAIL = (
    "SIZE=9",
    "BODY=8BITMIME",
    "SMTPUTF8",
    "AUTH=<>",
    "RET=FULL",
    "ENVID=x",
    "BY=900;R",
    "HOLDFOR=9",
    "HOLDUNTIL=2026-12-20T00:00:00Z",
    "MT-PRIORITY=1",
    "REQUIRETLS",
    "TRANSID=<1@x.example>",
)
OF_RCPT = ("NOTIFY=NEVER", "ORCPT=rfc822;b@mx.example", "RRVS=2026-12-20T00:00:00Z")
ALL = (
    *("SIZE", "8BITMIME", "SMTPUTF8", "AUTH CRAM-MD5", "DSN", "DELIVERBY", "FUTURERELEASE", "MT-PRIORITY"),
    *("REQUIRETLS", "CHECKPOINT", "RRVS"),
)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("reply", ["250 ok", "501 no", "504 no", "555 no"])
@pytest.mark.parametrize("parameter", OF_MAIL)
def test_a_parameter_of_mail_on_rcpt(parameter: str, reply: str, listed: bool) -> None:
    (one,) = findings(on_rcpt(ALL if listed else ("SIZE",), parameter, reply), select=("CMD", "EXT", "RPL"))
    assert (one.rule, one.severity, one.side) == ("EXT519", "error", "client")
    name = parameter.partition("=")[0]
    assert one.message == f"{name} is a parameter of MAIL, not of RCPT."
    assert one.length == len(parameter)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("parameter", OF_RCPT)
def test_a_parameter_of_rcpt_on_mail(parameter: str, listed: bool) -> None:
    (one,) = findings(on_mail(ALL if listed else ("SIZE",), parameter, "555 no"), select=("CMD", "EXT", "RPL"))
    assert one.rule == "EXT519"
    assert one.message.endswith("is a parameter of RCPT, not of MAIL.")


def test_the_value_of_a_misplaced_parameter_is_not_judged() -> None:
    assert rules(on_rcpt(("SIZE",), "SIZE=x", "501 no")) == ["EXT519"]
    assert rules(on_mail(("DSN", "SIZE"), "NOTIFY=x SIZE=y", "501 no")) == ["CMD308", "EXT519"]
    assert rules(on_mail(("DSN",), "NOTIFY=NEVER SIZE=9", "555 no")) == ["EXT502", "EXT519"]


def test_without_the_pair_the_others_would_fire() -> None:
    # the same parameters, where they belong
    assert "EXT502" in rules(on_mail(("8BITMIME",), "SIZE=9", "555 no"))
    assert "CMD308" in rules(on_mail(("SIZE",), "SIZE=x", "501 no"))


def test_rfc_821_knows_no_parameters_at_all() -> None:
    assert rules(on_rcpt(("SIZE",), "SIZE=9", "555 no"), profile="rfc821", select=("EXT",)) == ["EXT502"]


def test_unknown_parameters_are_only_not_offered() -> None:
    assert rules(on_rcpt(("SIZE",), "FOO=1", "555 no")) == ["EXT502"]
    assert rules(on_rcpt(("DSN",), "NOTIFY=FAILURE ORCPT=rfc822;b@mx.example")) == []
