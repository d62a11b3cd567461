"""The one place that holds the address of the project. While it is empty, nothing shows a link to it."""

__all__ = ["URL", "page"]

URL = ""  # of the repository, without a slash at the end


def page(path: str, version: str) -> str | None:
    """Return the address of a file of the repository as it is in ``version``; None while the project has none."""
    return f"{URL}/blob/v{version}/{path}" if URL else None
