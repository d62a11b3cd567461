"""The end of a long text report: rules and hosts ranked, in few lines and in bounded memory."""

from __future__ import annotations

from handmade import capture, connection, finding, lines_of, output, summary_of

from smtpwire.analyzer.model import Connection, Endpoint, Severity, Side
from smtpwire.analyzer.reports.host_counts import MAX_HOSTS, HostTally
from smtpwire.analyzer.reports.ranking import LONG_REPORT, SHOWN, ranked_hosts
from smtpwire.analyzer.reports.text import TextWriter

Fault = tuple[Side, Severity]
ERROR: Fault = ("client", "error")


def between(
    number: int, client: str, server: str, *sides: Fault, rule: str = "SEQ101", name: str = "a-rule"
) -> Connection:
    one = connection(number, [finding(rule, name=name, side=side, severity=severity) for side, severity in sides])
    one.client, one.server = Endpoint(client, 40000 + number % 20000), Endpoint(server, 25)
    return one


def printed(*connections: Connection, width: int = 80) -> list[str]:
    out, stream = output(width)
    writer = TextWriter(out)
    writer.capture(capture())
    for one in connections:
        writer.connection(one)
    writer.finish(summary_of(*connections))
    return lines_of(stream)


def test_a_short_report_has_no_table_of_hosts() -> None:
    short = [between(n, "192.0.2.1", "192.0.2.2", ("client", "error")) for n in range(LONG_REPORT)]
    assert not any(line.startswith("Hosts with") for line in printed(*short))
    one_more = between(99, "192.0.2.1", "192.0.2.2", ("client", "error"))
    assert any(line.startswith("Hosts with") for line in printed(*short, one_more))


def test_hosts_are_ranked_by_their_own_errors_then_warnings() -> None:
    warning: Fault = ("client", "warning")
    info: Fault = ("client", "info")
    lines = printed(
        *(between(n, "192.0.2.1", "198.51.100.1", ERROR) for n in range(1, 13)),
        *(between(n, "192.0.2.2", "198.51.100.1", ERROR, warning, warning) for n in range(13, 16)),
        *(between(n, "192.0.2.3", "2001:db8::25", info, ("server", "error"), ("path", "error")) for n in range(16, 20)),
        between(20, "192.0.2.4", "2001:db8::25"),
    )
    at = next(n for n, line in enumerate(lines) if line.startswith("Hosts with"))
    assert lines[at:] == [
        "Hosts with most errors  errors  warnings  connections",
        "  client 192.0.2.1          12         0           12",
        "  server 2001:db8::25        4         0            5",
        "  client 192.0.2.2           3         6            3",
    ]


def test_the_tables_are_short() -> None:
    many = [
        between(
            n, f"192.0.2.{n}", "198.51.100.1", *[ERROR] * (40 - n), rule=f"SEQ{n:03}", name=f"rule-{n}"
        )
        for n in range(1, 31)
    ]  # fmt: skip
    lines = printed(*many)
    at = next(n for n, line in enumerate(lines) if " errors, " in line)
    rules, hosts = lines[at + 1 : lines.index("", at)], lines[lines.index("", at) + 2 :]
    assert len(rules) == len(hosts) == SHOWN + 1
    assert rules[0].split() == ["SEQ001", "rule-1", "39"]
    assert rules[-1].split() == ["20", "more", "rules", f"{sum(range(10, 30))}"]
    assert hosts[-1] == "  and 20 more hosts with errors or warnings"


def test_long_addresses_fit_the_page() -> None:
    longest = "2001:db8:1111:2222:3333:4444:5555:6666"
    found = [between(n, longest, "192.0.2.1", *[ERROR] * 200) for n in range(2000)]
    tally = HostTally()
    for one in found:
        tally.connection(one)
    for width in (60, 80):
        lines = ["".join(text for _, text in line) for line in ranked_hosts(tally, width)]
        assert "400,000" in lines[-1]
        assert max(map(len, lines)) <= width
    assert longest in lines[-1]


def test_a_scan_does_not_fill_memory_and_is_named() -> None:
    tally = HostTally()
    for n in range(MAX_HOSTS + 7):
        tally.connection(between(n, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "192.0.2.1", ("client", "error")))
    assert len(tally.hosts["client"]) == MAX_HOSTS
    lines = ["".join(text for _, text in line) for line in ranked_hosts(tally, 80)]
    assert lines[-1] == "  7 connections of further hosts, which are not counted separately"


def test_faults_of_the_path_rank_no_host() -> None:
    tally = HostTally()
    tally.connection(between(1, "192.0.2.1", "192.0.2.2", ("path", "error"), ("client", "info")))
    assert list(ranked_hosts(tally, 80)) == []
    assert tally.on_the_path == 1
