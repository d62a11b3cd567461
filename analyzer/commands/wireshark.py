"""``smtpwire wireshark``: findings inside Wireshark."""

from __future__ import annotations

from ..errors import display_path
from ..run import Status, notice
from .plain_parser import Command, Group

__all__ = ["group"]


def install() -> int:
    """Put the extcap and the Lua post-dissector into your own Wireshark folders."""
    from ..wireshark.install import install  # noqa: PLC0415

    for place in install():
        print(f"{place.what:<10} {display_path(place.path)}")
    return _told()


def status() -> int:
    """Say what is installed, and whether tshark sees it. The exit status is 1 if something is missing."""
    from ..wireshark.install import FileState, places  # noqa: PLC0415

    states = [(place, place.state()) for place in places()]
    for place, state in states:
        print(f"{place.what:<10} {display_path(place.path)}: {state.value}")
    seen = _told()
    return seen if all(state is FileState.INSTALLED for _, state in states) else Status.FINDINGS


def uninstall() -> int:
    """Take both away again."""
    from ..wireshark.install import uninstall  # noqa: PLC0415

    removed = list(uninstall())
    for place in removed:
        print(f"{place.what:<10} {display_path(place.path)}: removed")
    if not removed:
        print("nothing was installed")
    return Status.CLEAN


def _told() -> Status:
    """Say what tshark sees."""
    from ..wireshark.install import loaded  # noqa: PLC0415

    seen = loaded()
    if seen is None:
        notice("tshark not found: whether Wireshark sees them could not be tried: install tshark")
        return Status.CLEAN
    for what, here in seen.items():
        print(f"{what:<10} {'seen' if here else 'not seen'} by tshark")
    return Status.CLEAN if all(seen.values()) else Status.FINDINGS


group = Group(
    "Findings inside Wireshark: an interface that captures with them, and fields made of them.",
    "Bring findings into Wireshark.",
    {
        "install": Command(install, "Put both into your own Wireshark folders."),
        "status": Command(status),
        "uninstall": Command(uninstall),
    },
)
