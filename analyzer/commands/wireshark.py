"""``smtpwire wireshark``: findings inside Wireshark."""

from __future__ import annotations

import click

from ..console import notice, say
from ..errors import display_path
from ..run import Status

__all__ = ["wireshark"]


@click.group(short_help="Bring findings into Wireshark.")
def wireshark() -> None:
    """Bring findings into Wireshark: an interface that captures with them, and fields made of them."""


@wireshark.command(short_help="Install the interface and the fields in your Wireshark folders.")
def install() -> int:
    """Install the extcap and the Lua post-dissector in your own Wireshark folders."""
    from ..wireshark.install import install  # noqa: PLC0415

    for place in install():
        say(f"{place.what:<10} {display_path(place.path)}")
    return _seen_by_tshark()


@wireshark.command(short_help="Show what is installed, and whether tshark sees it.")
def status() -> int:
    """Show what is installed, and whether tshark sees it. The exit status is 1 if something is missing."""
    from ..wireshark.install import FileState, places  # noqa: PLC0415

    states = [(place, place.state()) for place in places()]
    for place, state in states:
        say(f"{place.what:<10} {display_path(place.path)}: {state.value}")
    seen = _seen_by_tshark()
    return seen if all(state is FileState.INSTALLED for _, state in states) else Status.FINDINGS


@wireshark.command(short_help="Remove the interface and the fields.")
def uninstall() -> int:
    """Remove the extcap and the Lua post-dissector."""
    from ..wireshark.install import uninstall  # noqa: PLC0415

    removed = list(uninstall())
    for place in removed:
        say(f"{place.what:<10} {display_path(place.path)}: removed")
    if not removed:
        say("nothing was installed")
    return Status.CLEAN


def _seen_by_tshark() -> Status:
    """Print what tshark sees."""
    from ..wireshark.install import loaded  # noqa: PLC0415

    seen = loaded()
    if seen is None:
        notice("tshark not found: cannot check whether Wireshark sees them: install tshark")
        return Status.CLEAN
    for what, here in seen.items():
        say(f"{what:<10} {'seen' if here else 'not seen'} by tshark")
    return Status.CLEAN if all(seen.values()) else Status.FINDINGS
