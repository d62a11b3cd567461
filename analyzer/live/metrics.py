"""Counts for Prometheus, over HTTP."""

# The counts are worked out when they are asked for, in the thread of the HTTP server, from what the loop left here; the
# loop itself does nothing but add one. Labels are rules and sides, whose number is fixed. Hosts are none: there may
# be as many as an attacker likes.

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from ..errors import UsageError
from ..model import Summary
from .sinks import Totals
from .syslog import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from prometheus_client.metrics_core import Metric

    from ..model import Capture, Connection, Finding

__all__ = ["Metrics"]


class Metrics:
    """A ``Sink`` that serves ``ADDRESS:PORT``. Raises UsageError where it cannot, or the extra is not installed."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._address = parse_address(where, "--metrics")
        self._findings: dict[tuple[str, str, str], int] = {}
        self._totals = Totals(0, 0, 0, 0, Summary())

    def __enter__(self) -> Self:
        try:
            from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415
        except ImportError:
            raise UsageError(
                "prometheus-client is not installed", "--metrics", "pip install 'smtpwire[metrics]'"
            ) from None
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(self._address.port, self._address.host, registry)
        except OSError as error:
            raise UsageError(
                f"cannot listen ({error.strerror})", f"--metrics {self._where}", "name another port"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client whenever somebody asks."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

        totals = self._totals
        counts = (
            ("frames", "Frames captured", totals.frames),
            ("bytes", "Bytes captured", totals.octets),
            ("dropped_frames", "Frames that the kernel dropped, since the ring was full", totals.dropped),
            ("connections", "SMTP connections that have ended", totals.summary.connections),
            ("messages", "Messages in them", totals.summary.messages),
            ("suppressed_findings", "Findings known to the baseline", totals.summary.suppressed),
        )
        for name, text, value in counts:
            yield CounterMetricFamily(f"smtpwire_{name}", text, value=value)
        yield GaugeMetricFamily("smtpwire_open_connections", "TCP connections followed now", value=totals.open)
        found = CounterMetricFamily("smtpwire_findings", "Breaches of the rules", labels=("rule", "severity", "side"))
        for labels, count in dict(self._findings).items():
            found.add_metric(labels, count)
        yield found

    def finding(self, finding: Finding, connection: Connection) -> None:
        """Count it."""
        key = finding.rule, finding.severity, finding.side
        self._findings[key] = self._findings.get(key, 0) + 1

    def ended(self, connection: Connection) -> None:
        """Counted in the totals."""

    def standing(self, connections: Sequence[Connection], time: str) -> None:
        """Nothing to count."""

    def notice(self, text: str) -> None:
        """Nothing to count."""

    def tick(self, totals: Totals) -> None:
        """Keep them."""
        self._totals = totals

    def capture(self, capture: Capture) -> None:
        """Nothing to count."""

    def finish(self, summary: Summary) -> None:
        """Nothing to count."""
