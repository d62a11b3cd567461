"""URLs that fsspec knows: objects in a store, files of another machine."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError, display_path, how_to_install

__all__ = ["file_system", "is_url"]

_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    "hdfs": "pyarrow",
    "smb": "smbprotocol",
}
"""What must be installed for a scheme."""


def is_url(path: str) -> bool:
    """Whether ``path`` names something by its scheme: ``s3://bucket/a.pcap``."""
    scheme, separator, _ = path.partition("://")
    return bool(separator) and scheme.isalnum()


def file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it. Raises UsageError if there is none for it, or a package is
    missing."""
    scheme, where = url.partition("://")[0], display_path(url)
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415  only URLs need it
    except ImportError:
        raise UsageError("URLs need fsspec", where, how_to_install("'smtpwire[cluster]'")) from None
    try:
        system, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        package = _PACKAGES.get(scheme)
        if package is not None:
            raise UsageError(f"{scheme}: URLs need {package}", where, how_to_install(package)) from None
        raise UsageError(f"no such URL ({error})", where, "fsspec lists the schemes that it knows") from None
    return system, path
