"""Counters for Prometheus, over HTTP."""

# The metrics are built on request, in the thread of `metrics_server`, from the counts of the loop; the loop itself only
# adds one. Labels are rules and sides, whose number is fixed. Hosts are not labels: an attacker could create any
# number.

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UsageError, how_to_install
from ..model import Summary
from .metrics_server import MetricsServer, listening
from .sinks import Sink, Totals
from .syslog_sink import parse_address

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from ..model import Connection, Finding

__all__ = ["PrometheusSink"]


_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # which every version of Prometheus reads


class PrometheusSink(Sink):
    """Serves ``ADDRESS:PORT``. Raises UsageError if it cannot, or if the extra is not installed."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._address = parse_address(where, "--metrics")
        self._findings: dict[tuple[str, str, str], int] = {}
        self._totals = Totals(0, 0, 0, 0, Summary())
        self._server: MetricsServer | None = None
        try:
            import prometheus_client.exposition  # noqa: PLC0415
            from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415
        except ImportError:
            package = "prometheus-client"
            raise UsageError(f"{package} is not installed", "--metrics", how_to_install(package)) from None
        self._client = prometheus_client
        self._listener: socket.socket | None = None
        self._families = CounterMetricFamily, GaugeMetricFamily

    def prepare(self) -> None:
        """See ``Sink``: take the port, which may be one that only root can have."""
        try:
            self._listener = listening(self._address)
        except OSError as error:
            where = f"--metrics {self._where}"
            raise UsageError(f"cannot listen ({error.strerror})", where, "name another port") from error

    def open(self) -> None:
        """Start to serve."""
        assert self._listener is not None
        registry = self._client.CollectorRegistry()
        registry.register(self)
        self._server = MetricsServer(
            self._listener, self._address, lambda: (_CONTENT_TYPE, self._client.generate_latest(registry))
        )

    def close(self) -> None:
        """Stop to serve."""
        if self._server is not None:
            self._server.close()
        elif self._listener is not None:
            self._listener.close()

    def collect(self) -> Iterator[Metric]:
        """Return the metrics. Called by prometheus-client for each request."""
        counter, gauge = self._families
        totals = self._totals
        counts = (
            ("frames", "Frames captured", totals.frames),
            ("bytes", "Bytes captured", totals.octets),
            ("dropped_frames", "Frames that the kernel dropped because the ring was full", totals.dropped),
            ("connections", "SMTP connections that have ended", totals.summary.connections),
            ("messages", "Messages in these connections", totals.summary.messages),
            ("suppressed_findings", "Findings that are in the baseline", totals.summary.suppressed),
        )
        for name, text, value in counts:
            yield counter(f"smtpwire_{name}", text, value=value)
        yield gauge("smtpwire_open_connections", "TCP connections followed now", value=totals.open)
        found = counter("smtpwire_findings", "Violations of the rules", labels=("rule", "severity", "side"))
        for labels, count in dict(self._findings).items():
            found.add_metric(labels, count)
        yield found

    def finding(self, finding: Finding, connection: Connection) -> None:
        """Count the finding."""
        key = finding.rule, finding.severity, finding.side
        self._findings[key] = self._findings.get(key, 0) + 1

    def tick(self, totals: Totals) -> None:
        """Keep the totals."""
        self._totals = totals
