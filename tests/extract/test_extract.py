"""``smtpwire extract``: messages byte by byte with their envelopes; nothing hostile leaves DIR."""

from __future__ import annotations

import hashlib
import json
import shutil
import smtplib
import stat
import subprocess
from collections import Counter
from email import message_from_bytes, policy
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from captures import pcap
from scripts import MESSAGE, Script, connections, envelope, hello, lines, records, segments

from smtpwire.analyzer.audit import Audit
from smtpwire.analyzer.commands.registry import smtpwire as command_line
from smtpwire.analyzer.errors import OutputError, UsageError
from smtpwire.analyzer.extract import spooled_message as spill_module
from smtpwire.analyzer.extract.directory import MessageDirectory
from smtpwire.analyzer.extract.envelope import Envelope
from smtpwire.analyzer.model import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = Path(__file__).parents[2] / "samples"

Extracted = list[tuple[dict[str, Any], bytes]]


def extracted(target: Path) -> Extracted:
    """Return the envelopes with their messages, in order of their numbers."""
    found = [json.loads(path.read_bytes()) for path in target.rglob("*.json")]
    found.sort(key=lambda one: str(one["file"]).rpartition("/")[2])
    return [(one, (target / one["file"]).read_bytes()) for one in found]


def extract(tmp_path: Path, script: Script, *options: str, onesided: bool = False, port: int = 25) -> Extracted:
    capture, target = tmp_path / "c.pcap", tmp_path / "mail"
    capture.write_bytes(pcap(records(segments(script, onesided=onesided, port=port))))
    assert (
        command_line(["extract", str(capture), "-o", str(target), "--no-config", *options], standalone_mode=False) == 0
    )
    return extracted(target)


def mail(content: str | bytes = MESSAGE, end: str = "S 250 ok", mark: bytes = b".\r\n") -> Script:
    data = content.encode() if isinstance(content, str) else content
    return [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", data + mark), *lines(end, "C QUIT", "S 221 bye")]


# -- the octets -------------------------------------------------------------------------------------------------------


def test_a_message_is_equal_byte_by_byte_and_has_the_digest_of_the_report(tmp_path: Path) -> None:
    script = mail()
    ((sidecar, data),) = extract(tmp_path, script)
    (connection,) = connections(segments(script))
    assert data == MESSAGE.encode()
    assert sidecar["sha256"] == hashlib.sha256(data).hexdigest() == connection.messages[0].sha256
    assert (sidecar["size"], sidecar["octets"]) == (len(data), len(data))
    assert sidecar["complete"]
    assert not sidecar["truncated"]
    assert sidecar["file"].startswith("accepted/000001-" + sidecar["sha256"][:12])


class FakeServer:
    """A socket for smtplib: takes what the client sends, answers from a list, records both."""

    def __init__(self, replies: list[bytes]) -> None:
        self._replies = replies
        self.script: list[tuple[str, bytes | str]] = []
        self._answers = BytesIO()

    def answer(self) -> None:
        reply = self._replies.pop(0)
        at = self._answers.tell()
        self._answers.seek(0, 2)
        self._answers.write(reply)
        self._answers.seek(at)
        self.script.append(("S", reply))

    def sendall(self, data: bytes) -> None:
        self.script.append(("C", data))
        self.answer()

    def makefile(self, mode: str) -> BytesIO:
        return self._answers

    def close(self) -> None:
        """Do nothing: no socket is open."""


def test_a_message_sent_with_smtplib_is_extracted_as_the_email_package_wrote_it(tmp_path: Path) -> None:
    message = EmailMessage(policy=policy.SMTP)
    message["From"], message["To"], message["Subject"] = "a@client.example", "b@mx.example", "dots"
    message.set_content("one\n.\n..two\n.three\nlast\n")
    message.add_attachment(b"\0\1\2" * 500, maintype="application", subtype="octet-stream", filename="x.bin")
    written = message.as_bytes()  # which also fixes the boundary
    server = FakeServer(
        [b"220 mx\r\n", b"250 mx\r\n", *[b"250 ok\r\n"] * 2, b"354 go\r\n", b"250 ok\r\n", b"221 bye\r\n"]
    )
    server.answer()
    client = smtplib.SMTP(local_hostname="client.example")
    client.sock = server  # type: ignore[assignment]
    client.getreply()
    client.send_message(message)
    client.quit()
    ((sidecar, data),) = extract(tmp_path, server.script)
    assert data == written
    back = message_from_bytes(data, policy=policy.default)
    body = back.get_body()
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == "one\n.\n..two\n.three\nlast\n"
    (attached,) = sidecar["attachments"]
    assert attached["name"] == "x.bin"
    assert attached["sha256"] == hashlib.sha256(b"\0\1\2" * 500).hexdigest()


def test_chunks_are_joined(tmp_path: Path) -> None:
    script = [
        *hello("CHUNKING"),
        *envelope(),
        *lines("C BDAT 11"),
        ("C", "Subject: x\r"),
        *lines("S 250 ok", "C BDAT 6 LAST"),
        ("C", "\n\r\n.hi"),
        *lines("S 250 ok", "C QUIT", "S 221 bye"),
    ]
    ((sidecar, data),) = extract(tmp_path, script)
    assert data == b"Subject: x\r\n\r\n.hi"
    assert sidecar["chunked"]
    assert sidecar["complete"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
@pytest.mark.parametrize("name", ["postfix--mail-before-ehlo", "postfix--clean-esmtp", "sendmail--rcpt-before-mail"])
def test_tshark_exports_the_same_octets(name: str, tmp_path: Path) -> None:
    capture = SAMPLES / f"{name}.pcap"
    if not capture.exists():
        pytest.skip("needs the source tree")
    objects = tmp_path / "objects"
    subprocess.run(
        ["tshark", "-Q", "-r", capture, "--export-objects", f"imf,{objects}"], check=True, capture_output=True
    )
    (exported,) = objects.iterdir()
    target = tmp_path / "mail"
    assert command_line(["extract", str(capture), "-o", str(target), "--no-config"], standalone_mode=False) == 0
    ((_, data),) = extracted(target)
    # tshark keeps the stuffed dots (RFC 5321 §4.5.2).
    assert exported.read_bytes() == data.replace(b"\r\n.", b"\r\n..")


# -- incomplete messages -----------------------------------------------------------------------------------------------


def test_with_a_gap_the_other_octets_are_extracted_and_the_gap_is_listed(tmp_path: Path) -> None:
    script = [
        *hello(),
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", "Subject: x\r\n\r\nfirst"),
        ("GC", "1000"),
        ("C", "last\r\n.\r\n"),
        *lines("S 250 ok", "C QUIT", "S 221 bye"),
    ]
    ((sidecar, data),) = extract(tmp_path, script)
    assert data == b"Subject: x\r\n\r\nfirstlast\r\n"
    assert sidecar["missing"] == [{"offset": 19, "length": 1000}]
    assert sidecar["size"] == len(data) + 1000
    assert not sidecar["complete"]
    assert sidecar["file"].endswith("-partial.eml")


def test_the_fate_of_a_message_that_never_ended_is_unknown(tmp_path: Path) -> None:
    script = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", "Subject: x\r\n\r\nfirst\r\n."), ("RC", "")]
    ((sidecar, data),) = extract(tmp_path, script)
    assert data == b"Subject: x\r\n\r\nfirst\r\n"  # the dot is dot-stuffing, or the start of the end of data
    assert sidecar["file"].startswith("unknown/")
    assert sidecar["file"].endswith("-partial.eml")
    assert sidecar["from"] == "a@client.example"


def test_the_fate_of_chunks_that_rset_discarded_is_unknown(tmp_path: Path) -> None:
    script = [
        *hello("CHUNKING"),
        *envelope(),
        *lines("C BDAT 5"),
        ("C", "a: b\r"),
        *lines("S 250 ok", "C RSET", "S 250 ok"),
    ]
    ((sidecar, data),) = extract(tmp_path, [*script, *envelope(), *lines("C QUIT", "S 221 bye")])
    assert data == b"a: b\r"
    assert (sidecar["fate"], sidecar["complete"]) == ("unknown", False)


def test_a_limit_truncates_and_this_is_reported(tmp_path: Path) -> None:
    ((sidecar, data),) = extract(tmp_path, mail(), "--max-size", "20")
    assert data == MESSAGE.encode()[:20]
    assert (sidecar["truncated"], sidecar["octets"], sidecar["size"]) == (True, 20, len(MESSAGE))
    assert sidecar["file"].endswith("-partial.eml")


def test_an_end_that_only_the_server_saw_ends_the_message(tmp_path: Path) -> None:
    script = [
        *hello(),
        *envelope(),
        *lines("C DATA", "S 354 go"),
        ("C", "Subject: one\r\n\r\nhi\n.\nMAIL FROM:<e@x.example>\r\n"),
        *lines("S 250 stored", "S 250 ok", "C RCPT TO:<b@mx.example>", "S 250 ok", "C DATA", "S 354 go"),
        ("C", "Subject: two\r\n\r\nsmuggled\r\n.\r\n"),
        *lines("S 250 stored", "C QUIT", "S 221 bye"),
    ]
    (one, first), (two, second) = extract(tmp_path, script)
    assert first == b"Subject: one\r\n\r\nhi\n"
    assert second == b"Subject: two\r\n\r\nsmuggled\r\n"
    assert one["from"] == "a@client.example"
    assert two["from"] == "e@x.example"
    assert "look-alike" in one["notes"][0]


def test_a_message_that_the_server_split_in_two_has_a_note(tmp_path: Path) -> None:
    content = "Subject: one\r\n\r\nhi\n.\nMAIL FROM:<e@x.example>\r\n"
    script = mail(content)
    replies = lines("S 250 stored", "S 250 sender ok")
    script = [*script[:-3], *replies, *script[-2:]]
    ((sidecar, data),) = extract(tmp_path, script)
    assert data == content.encode()
    assert "stored less" in sidecar["notes"][0]


# -- the envelope -----------------------------------------------------------------------------------------------------


def test_the_envelope_has_each_path_with_its_parameters_and_reply(tmp_path: Path) -> None:
    script = [
        *hello("SIZE", "DSN"),
        *lines(
            "C MAIL FROM:<a@client.example> SIZE=100 RET=HDRS",
            "S 250 2.1.0 ok",
            "C RCPT TO:<b@mx.example> NOTIFY=NEVER",
            "S 250 ok",
            "C RCPT TO:<nobody@mx.example>",
            "S 550 5.1.1 no such user",
            "C DATA",
            "S 354 go",
        ),
        ("C", MESSAGE + ".\r\n"),
        *lines("S 250 2.0.0 queued as 1", "C QUIT", "S 221 bye"),
    ]
    ((sidecar, _),) = extract(tmp_path, script)
    assert sidecar["from"] == "a@client.example"
    assert sidecar["parameters"] == {"SIZE": "100", "RET": "HDRS"}
    assert [(one["address"], one["reply"]["code"]) for one in sidecar["recipients"]] == [
        ("b@mx.example", 250),
        ("nobody@mx.example", 550),
    ]
    assert sidecar["recipients"][0]["parameters"] == {"NOTIFY": "NEVER"}
    assert [(one["code"], one["lines"]) for one in sidecar["replies"]] == [(250, ["2.0.0 queued as 1"])]
    assert sidecar["client"]["address"] == "192.0.2.1"


def test_a_refused_message_is_not_among_the_accepted(tmp_path: Path) -> None:
    ((sidecar, data),) = extract(tmp_path, mail(end="S 554 spam"))
    assert sidecar["file"].startswith("refused/")
    assert sidecar["fate"] == "refused"
    assert data == MESSAGE.encode()
    assert not list((tmp_path / "mail" / "accepted").iterdir())


def test_without_replies_the_fate_is_unknown_and_the_envelope_is_from_the_client(tmp_path: Path) -> None:
    script = [entry for entry in mail() if entry[0] == "C"]
    ((sidecar, data),) = extract(tmp_path, script, onesided=True)
    assert data == MESSAGE.encode()
    assert sidecar["file"].startswith("unknown/")
    assert sidecar["from"] == "a@client.example"
    assert [(one["address"], one["reply"]) for one in sidecar["recipients"]] == [("b@mx.example", None)]


def test_lmtp_has_a_reply_for_each_recipient(tmp_path: Path) -> None:
    script = [
        *lines("S 220 mx LMTP", "C LHLO c.example", "S 250 mx", "C MAIL FROM:<>", "S 250 ok"),
        *lines("C RCPT TO:<a@mx.example>", "S 250 ok", "C RCPT TO:<b@mx.example>", "S 250 ok", "C DATA", "S 354 go"),
        ("C", MESSAGE + ".\r\n"),
        *lines("S 250 stored", "S 452 full", "C QUIT", "S 221 bye"),
    ]
    ((sidecar, _),) = extract(tmp_path, script, port=24)
    assert sidecar["protocol"] == "lmtp"
    assert sidecar["from"] == ""
    assert [one["code"] for one in sidecar["replies"]] == [250, 452]
    assert sidecar["fate"] == "accepted"


def test_pipelined_messages_keep_their_envelopes(tmp_path: Path) -> None:
    def group(n: int) -> str:
        return f"MAIL FROM:<{n}@c.example>\r\nRCPT TO:<r{n}@mx.example>\r\nDATA\r\n"

    script = [
        *hello("PIPELINING"),
        ("C", group(1)),
        *lines("S 250 ok", "S 250 ok", "S 354 go"),
        ("C", "Subject: 1\r\n\r\n.\r\n" + group(2)),
        *lines("S 250 one", "S 250 ok", "S 250 ok", "S 354 go"),
        ("C", "Subject: 2\r\n\r\n.\r\nQUIT\r\n"),
        *lines("S 550 two", "S 221 bye"),
    ]
    found = {sidecar["from"]: (sidecar["fate"], data) for sidecar, data in extract(tmp_path, script)}
    assert found == {
        "1@c.example": ("accepted", b"Subject: 1\r\n\r\n"),
        "2@c.example": ("refused", b"Subject: 2\r\n\r\n"),
    }


# -- the directory ----------------------------------------------------------------------------------------------------


def test_nothing_from_the_wire_is_in_a_name_and_only_the_owner_may_read(tmp_path: Path) -> None:
    hostile = MESSAGE.replace("test", "../../../etc/passwd") + 'X: y; filename="../../x"\r\n'
    extract(tmp_path, mail(hostile))
    files = [path for path in (tmp_path / "mail").rglob("*") if path.is_file()]
    assert len(files) == 2
    for path in files:
        assert path.parent.name == "accepted"
        assert set(path.stem) <= set("0123456789abcdef-")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_directory_with_files_is_not_used_without_force(tmp_path: Path) -> None:
    target = tmp_path / "mail"
    target.mkdir()
    (target / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        MessageDirectory(str(target))
    assert [path.name for path in target.iterdir()] == ["note.txt"]


def test_with_force_numbers_continue_and_nothing_is_overwritten(tmp_path: Path) -> None:
    extract(tmp_path, mail())
    before = {path: path.read_bytes() for path in (tmp_path / "mail").rglob("*") if path.is_file()}
    found = extract(tmp_path, mail(), "--force")
    assert [one["file"][9:16] for one, _ in found] == ["000001-", "000002-"]
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_link_in_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "mail", tmp_path / "elsewhere"
    target.mkdir()
    elsewhere.mkdir()
    (target / "accepted").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="a link is in the place"):
        MessageDirectory(str(target), force=True)
    assert not list(elsewhere.iterdir())


def test_a_file_in_place_of_the_directory_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("x")
    with pytest.raises(UsageError, match=r"cannot write .*: .*mail: name another"):
        MessageDirectory(str(tmp_path / "mail"))


# -- temporary files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    def bounds(one: int, together: int) -> None:
        monkeypatch.setattr(spill_module, "WAITING_BYTES", one)
        monkeypatch.setattr(spill_module, "ALL_WAITING_BYTES", together)

    return bounds


def test_large_messages_use_a_temporary_file_and_leave_nothing_else(
    tmp_path: Path, small: Callable[[int, int], None]
) -> None:
    small(1000, 1 << 20)
    big = MESSAGE + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 500
    ((_, data),) = extract(tmp_path, mail(big))
    assert data == big.encode()
    assert not list((tmp_path / "mail").glob(".smtpwire*"))


def test_a_message_on_disk_can_be_truncated_too(tmp_path: Path, small: Callable[[int, int], None]) -> None:
    small(100, 1 << 20)
    head = "Subject: x\r\n\r\n" + ("y" * 70 + "\r\n") * 100
    script = [*hello(), *envelope(), *lines("C DATA", "S 354 go"), ("C", head + "\n.\nMAIL FROM:<e@x.example>\r\n")]
    ((_, data),) = extract(tmp_path, [*script, *lines("S 250 stored", "S 250 ok", "C QUIT", "S 221 bye")])
    assert data == head.encode() + b"\n"


def test_a_disk_that_cannot_be_written_is_a_one_line_error(tmp_path: Path) -> None:
    folder = MessageDirectory(str(tmp_path / "mail"))
    spooled = folder.spool.begin()
    spooled.append(b"x")
    shutil.rmtree(tmp_path / "mail")
    with pytest.raises(OutputError, match=r"cannot write \(No such file"):
        folder.keep(Envelope(), spooled)


LAB = Path(__file__).parents[3] / "shared" / "lab" / "captures"


@pytest.mark.skipif(not LAB.is_dir(), reason="needs the captures of the laboratory")
def test_every_digest_of_the_report_is_that_of_a_file(tmp_path: Path) -> None:
    paths = [str(path) for path in sorted(LAB.glob("*.pcap"))[::6]]
    target = tmp_path / "mail"
    assert command_line(["extract", *paths, "-o", str(target), "--no-config"], standalone_mode=False) == 0
    found = extracted(target)
    reported = Counter(
        (item.id, message.sha256)
        for item in Audit().run(paths)
        if isinstance(item, Connection)
        for message in item.messages
        if message.sha256 is not None
    )
    assert sum(reported.values()) > 20
    assert not reported - Counter((sidecar["connection"], hashlib.sha256(data).hexdigest()) for sidecar, data in found)


def test_links_that_are_put_in_the_place_of_folders_during_the_run_get_nothing(tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "mail", tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = MessageDirectory(str(target))
    spooled = folder.spool.begin()
    spooled.append(b"private")
    spooled.flush()
    (target / "unknown").rename(tmp_path / "real")
    (target / "unknown").symlink_to(elsewhere)
    target.rename(tmp_path / "moved")
    target.symlink_to(elsewhere)
    folder.keep(Envelope(), spooled)
    folder.close()
    assert not list(elsewhere.iterdir())
    assert sorted(path.suffix for path in (tmp_path / "real").iterdir()) == [".eml", ".json"]
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["accepted", "refused", "unknown"]


@pytest.mark.parametrize("room", range(0, 3000, 250))
def test_a_disk_that_becomes_full_is_one_line_and_leaves_no_part_of_a_message(
    tmp_path: Path, small: Callable[[int, int], None], monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    small(100, 1 << 20)
    left = room

    def limited(stream: Any, data: bytes) -> None:
        nonlocal left
        stream.write(data[:left])
        if len(data) > left:
            raise OSError(28, "No space left on device")
        left -= len(data)

    monkeypatch.setattr(spill_module, "_write_all", limited)
    capture = tmp_path / "c.pcap"
    capture.write_bytes(pcap(records(segments(mail(MESSAGE + ("y" * 70 + "\r\n") * 30)))))
    words = ["extract", str(capture), "-o", str(tmp_path / "mail"), "--no-config"]
    try:
        command_line(words, standalone_mode=False)
    except OutputError as error:
        assert "cannot write (No space left on device)" in str(error)  # noqa: PT017  it may have fitted
        assert not list((tmp_path / "mail").rglob("*.json"))
        for path in (tmp_path / "mail").rglob("*.eml"):
            assert path.stat().st_size > 2000
    assert not list((tmp_path / "mail").rglob(".smtpwire*"))


# -- inside TLS -------------------------------------------------------------------------------------------------------


def test_the_envelope_says_what_a_message_was_inside_of(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from tls_captures import HELLO_INSIDE, QUIT, TRANSACTION, tls_capture  # noqa: PLC0415
    from tls_captures import MESSAGE as SENT  # noqa: PLC0415

    script = [*HELLO_INSIDE, *TRANSACTION, *QUIT]
    path = tls_capture(tmp_path / "a.pcap", script, keylog=tmp_path / "a.keys").path
    command_line(["extract", str(path), "-o", str(tmp_path / "mail"), "--no-config"], standalone_mode=False)
    ((sidecar, data),) = extracted(tmp_path / "mail")
    assert sidecar["tls"] == {"version": "TLS 1.3", "suite": "TLS_AES_256_GCM_SHA384"}
    assert data == SENT


def test_the_envelope_of_a_message_in_clear_text_says_nothing_of_tls(tmp_path: Path) -> None:
    ((sidecar, _),) = extract(tmp_path, mail())
    assert "tls" not in sidecar
