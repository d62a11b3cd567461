"""The public API: which names are exported, that docs/api.md shows each of them, and that no document uses another."""

from __future__ import annotations

import pydoc
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "api.md"

# Others import these. A name that goes, or gets another meaning, breaks their code: say so in CHANGELOG.md.
NAMES = {
    "smtpwire": """
        RULES Audit AuditedConnection AuthTurn Baseline Capture CommandTurn Connection Endpoint Finding GapTurn
        InputError Limits MalformedTurn Message MessageTurn Options OutputError Peer Recipient Redact ReplyTurn Report
        RingSocket Rule SMTPSession Summary TlsTurn Turn UsageError __version__ audit load_plugins read_baseline
        scapy_ext
    """,
    "smtpwire.plugin": """
        Act Code Conversation Count Ended EnhancedStatus Evidence Exchange Field Flaw Frame Hello Host IpAddress Keyword
        Mailbox Mark Milliseconds Octets OnContent OnExchange Phase Phrase Rule Seconds Secret Severity Side State Term
        Text Transaction Verb rule
    """,
    "smtpwire.dissectors": """
        COMMAND EHLO_LINE FORWARD_PATH KEYWORDS MAILBOX PARAMETERS REPLY REPLY_LINE REVERSE_PATH SMTP VERBS Command
        Container Deviation DeviationKind Reply ReplyLine SMTPAuth SMTPCommand SMTPMessage SMTPReply SyntaxFault Verb
        bind build_command build_reply describe_code describe_status describe_verb parse_command parse_reply
        xtext_decode xtext_encode
    """,
}

# In an interpreter of its own: rules are declared and Scapy's layers bound there.
RUN = """
import doctest, re, sys
text = open(sys.argv[1], encoding="utf-8").read()
code = "".join(re.findall(r"^```pycon\\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
test = doctest.DocTestParser().get_doctest(code, {"__name__": "__main__"}, sys.argv[1], sys.argv[1], 0)
result = doctest.DocTestRunner().run(test)
assert result.attempted > 60, result
sys.exit(result.failed > 0)
"""


def code_of(page: Path) -> str:
    """All of the page that is code of Python."""
    return "\n".join(re.findall(r"^```py(?:con|thon)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("package", NAMES)
def test_the_exported_names_are_these(package: str) -> None:
    module = import_module(package)
    assert sorted(module.__all__) == sorted(NAMES[package].split())
    for name in module.__all__:
        getattr(module, name)
    assert dir(module) == sorted(module.__all__) or package == "smtpwire.plugin"


@pytest.mark.parametrize("package", NAMES)
def test_help_explains_the_package_and_every_class(package: str) -> None:
    """Some classes evaluate their annotations for that, so the names in them must exist."""
    assert pydoc.render_doc(import_module(package))
    for name in NAMES[package].split():
        value = getattr(import_module(package), name)
        if isinstance(value, type) and value.__module__.startswith("smtpwire."):
            assert name in pydoc.render_doc(value)


@pytest.mark.parametrize("package", ["smtpwire", "smtpwire.dissectors"])
def test_a_name_that_does_not_exist_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'audi'"):
        _ = import_module(package).audi
    with pytest.raises(ImportError):
        exec(f"from {package} import audi")


@pytest.mark.tree
def test_the_page_shows_every_name_in_use() -> None:
    code = code_of(PAGE)
    for package, names in NAMES.items():
        for name in names.split():
            assert re.search(rf"\b{name}\b", code), f"{package}.{name}"


@pytest.mark.slow
@pytest.mark.tree
def test_the_page_is_true() -> None:
    run = subprocess.run([sys.executable, "-c", RUN, PAGE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr


@pytest.mark.tree
def test_no_document_imports_anything_else() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "samples" / "README.md"]
    found = [
        (page.name, package)
        for page in pages
        for package in re.findall(r"^\W*(?:from|import) +(smtpwire[\w.]*)", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(found) > 20
    assert [one for one in found if one[1] not in NAMES] == []
    inline = [re.findall(r"`from (smtpwire[\w.]*) import", page.read_text("utf-8")) for page in pages]
    assert {package for names in inline for package in names} <= NAMES.keys()
