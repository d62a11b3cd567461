"""``python -m smtpwire``: the same as the command ``smtpwire``."""

from .analyzer.cli import main

if __name__ == "__main__":
    main()
