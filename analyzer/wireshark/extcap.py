"""An interface in Wireshark's list that shows captures with the findings of the audit in them."""

# Wireshark runs every extcap at its start, and again for each query. So only the standard library is loaded before a
# capture is requested. The queries and answers: https://www.wireshark.org/docs/wsdg_html_chunked/ChCaptureExtcap.html

from __future__ import annotations

import argparse
import socket
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from ..._version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..audit import Options

__all__ = ["INTERFACE", "answer", "main"]

INTERFACE = "smtpwire"

_DISPLAY = "SMTP audit"


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one call; return the exit status."""
    parser = argparse.ArgumentParser(prog="smtpwire-extcap", description=__doc__, allow_abbrev=False)
    for flag in ("--extcap-interfaces", "--extcap-dlts", "--extcap-config", "--capture"):
        parser.add_argument(flag, action="store_true")
    for name in ("--extcap-version", "--extcap-interface", "--extcap-reload-option"):
        parser.add_argument(name)
    for name in ("--extcap-capture-filter", "--fifo", "--source", "--replay", "--select", "--ignore", "--ports"):
        parser.add_argument(name, default="")
    # Later versions of Wireshark may pass more options than these.
    asked, _ = parser.parse_known_args(arguments)
    if asked.capture:
        return _capture(asked)
    sys.stdout.write("".join(f"{line}\n" for line in answer(asked)))
    return 0


def answer(asked: argparse.Namespace) -> Iterator[str]:
    """Return the lines that describe the interface to Wireshark."""
    if asked.extcap_interfaces:
        yield f"extcap {{version={__version__}}}{{display=smtpwire}}"
        yield f"interface {{value={INTERFACE}}}{{display={_DISPLAY}}}"
    elif asked.extcap_dlts:
        # Wireshark shows it only before the capture: each interface in the pcapng has its own link type.
        yield "dlt {number=1}{name=EN10MB}{display=Ethernet}"
    elif asked.extcap_config:
        yield "arg {number=0}{call=--source}{display=Interface}{tooltip=Capture here}{type=selector}{group=Source}"
        yield (
            "arg {number=1}{call=--replay}{display=Or a capture file}{tooltip=Read this file, not the interface}"
            "{type=fileselect}{mustexist=true}{group=Source}"
        )
        yield (
            "arg {number=2}{call=--select}{display=Only these rules}"
            "{tooltip=Ids, prefixes of ids, or names, commas between them}{type=string}{group=Rules}"
        )
        yield (
            "arg {number=3}{call=--ignore}{display=Not these rules}"
            "{tooltip=Ids, prefixes of ids, or names, commas between them}{type=string}{group=Rules}"
        )
        yield (
            "arg {number=4}{call=--ports}{display=Server ports}"
            "{tooltip=Numbers, commas between them; elsewhere SMTP is recognised by content}{type=string}{group=Rules}"
        )
        for number, name in enumerate(_interfaces()):
            yield f"value {{arg=0}}{{value={name}}}{{display={name}}}{{default={str(not number).lower()}}}"


def _interfaces() -> list[str]:
    """Return the names of the interfaces of this machine, on Linux first the one that means all of them."""
    every = ["any"] if sys.platform.startswith("linux") else []
    # In the answers to Wireshark braces are syntax, and the kernel allows them in a name.
    return every + [name for _, name in socket.if_nameindex() if name.isprintable() and not {*"{}"} & {*name}]


def _capture(asked: argparse.Namespace) -> int:
    from ..console import notice  # noqa: PLC0415
    from ..errors import InputError, UsageError  # noqa: PLC0415
    from ..files.atomic_files import into_pipe  # noqa: PLC0415

    try:
        if not asked.fifo:
            raise UsageError("--capture without --fifo", "extcap", "Wireshark gives both")
        options = _options(asked)
        with into_pipe(asked.fifo) as fifo:
            if asked.replay:
                from ..audit import Audit  # noqa: PLC0415
                from .annotate import annotate, find_comments  # noqa: PLC0415

                with closing(find_comments(asked.replay, Audit(options))) as comments:
                    annotate(asked.replay, comments, fifo)
            else:
                from .extcap_sink import capture, capture_command  # noqa: PLC0415

                # Programs that capture take more than names of interfaces: of other machines, for example.
                if asked.source and asked.source not in _interfaces():
                    raise UsageError("no such interface", asked.source, "choose one of the list")
                source = asked.source or _interfaces()[0]
                capture(capture_command(source, asked.extcap_capture_filter), fifo, options)
    except BrokenPipeError:
        return 0  # the capture was stopped
    except OSError as error:
        notice(f"{error.strerror}: {asked.fifo}: is it the pipe that Wireshark made?")
        return 1
    except (UsageError, InputError) as error:
        notice(str(error))
        return 1
    return 0


def _options(asked: argparse.Namespace) -> Options:
    from ..audit import DEFAULT_PORTS, Options  # noqa: PLC0415
    from ..console import notice  # noqa: PLC0415
    from ..errors import UsageError  # noqa: PLC0415
    from ..rules.plugins import load_plugins  # noqa: PLC0415

    load_plugins(notice)
    select, ignore, ports = (
        tuple(word.strip() for word in text.split(",") if word.strip())
        for text in (asked.select, asked.ignore, asked.ports)
    )
    if not all(port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536 for port in ports):
        raise UsageError("no such port", asked.ports, "give numbers from 1 to 65535, commas between them")
    chosen = frozenset(map(int, ports)) or DEFAULT_PORTS
    options = Options(ports=chosen, select=select, ignore=ignore)
    options.rules()  # reports a name that is not a rule before the capture starts
    return options


if __name__ == "__main__":
    sys.exit(main())
