"""What TLS costs: the same mail in clear text and inside TLS with keys, processor time against processor time.

    python benchmarks/tls.py [--megabytes 100] [--rounds 5]

Each capture has messages of 200 KB, one connection for ten of them. Records of 16 KB are what most programs send;
records of 1,400 octets fit in a segment. Printed are the minima of the rounds, in seconds of processor time of one
process, and how many times the clear text each takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from captures import Conversation, pcap
from tls_captures import QUIT, tls_capture

MESSAGE = 200_000
MESSAGES = 10  # in each connection
LINE = b"The quick brown fox jumps over the lazy dog, and then it does so once more, all day.\r\n"
FORMS: dict[str, dict[str, object]] = {
    "TLS 1.3, records of 16 KB": {},
    "TLS 1.3, records of 1,400": {"record_size": 1400},
    "TLS 1.2 AES-128-GCM": {"ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256", "version": "TLSv1_2"},
    "TLS 1.2 AES-128-CBC-SHA": {"ciphers": "ECDHE-ECDSA-AES128-SHA@SECLEVEL=0", "version": "TLSv1_2"},
}


def script() -> list[tuple[str, bytes]]:
    """Return the dialogue of one connection."""
    header = b"From: a@client.example\r\nTo: b@mx.example\r\nSubject: big\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n"
    body = LINE * (MESSAGE // len(LINE))
    turns = [("C", b"EHLO client.example\r\n"), ("S", b"250-mx.example\r\n250 SIZE 2000000\r\n")]
    for number in range(MESSAGES):
        message = header + b"Message-ID: <%d@client.example>\r\n\r\n" % number + body
        for said, answer in (
            (b"MAIL FROM:<a@client.example>\r\n", b"250 ok\r\n"),
            (b"RCPT TO:<b@mx.example>\r\n", b"250 ok\r\n"),
            (b"DATA\r\n", b"354 go\r\n"),
            (message + b".\r\n", b"250 queued\r\n"),
        ):
            turns += [("C", said), ("S", answer)]
    return [*turns, *QUIT]


def write_clear(path: Path, connections: int) -> None:
    """Write the mail in clear text."""
    records = []
    for number in range(connections):
        talk = Conversation(20_000 + number, 25).open()
        talk.server(b"220 mx.example ESMTP\r\n")
        for who, data in script():
            if who[0] == "F":
                talk.finish("client" if who == "FC" else "server")
                continue
            send = talk.client if who == "C" else talk.server
            for at in range(0, len(data), 1400):
                send(data[at : at + 1400])
        records += talk.records
    path.write_bytes(pcap(records))


def write_inside(folder: Path, name: str, connections: int, form: dict[str, object]) -> Path:
    """Write the same mail inside TLS, all of it with one key log."""
    import ssl  # noqa: PLC0415

    options = dict(form)
    if "version" in options:
        options["version"] = ssl.TLSVersion[str(options["version"])]
    whole, keys = bytearray(), bytearray()
    for number in range(connections):
        one, log = folder / "one.pcap", folder / "one.log"
        log.unlink(missing_ok=True)
        tls_capture(one, script(), keylog=log, port=20_000 + number, **options)  # type: ignore[arg-type]
        data = one.read_bytes()
        whole += data if not whole else data[24:]
        keys += log.read_bytes()
    path = folder / f"{name}.pcap"
    path.write_bytes(whole)
    path.with_suffix(".keys").write_bytes(keys)
    return path


def processor_seconds(path: Path) -> float:
    """Return the processor time of one audit, in one process."""
    before = getrusage(RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "smtpwire", "audit", "--no-config", "--jobs", "1", "--format", "ndjson", str(path)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False, env={**os.environ, "PYTHONHASHSEED": "0"})
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Make the captures and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    connections = max(1, given.megabytes * 1_000_000 // (MESSAGE * MESSAGES))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {"clear text": folder / "clear.pcap"}
        write_clear(paths["clear text"], connections)
        for number, (form, options) in enumerate(FORMS.items()):
            paths[form] = write_inside(folder, f"tls{number}", connections, options)
        times: dict[str, list[float]] = {form: [] for form in paths}
        for _ in range(given.rounds):
            for form, path in paths.items():
                times[form].append(processor_seconds(path))
        clear = min(times["clear text"])
        for form, taken in times.items():
            print(f"{form:<28}{min(taken):7.2f} s  {min(taken) / clear:5.2f}")


if __name__ == "__main__":
    main()
