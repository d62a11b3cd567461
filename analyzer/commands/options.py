"""Options and arguments that several commands share, declared once."""

# Each is a decorator of a command's function. Without the option the function gets None, or an empty tuple if the
# option may be given several times; `settings.py` combines that with the configuration file. A default that is shown in
# the help, and comes from the configuration file, is written out as ``show_default``.

from __future__ import annotations

import click

from ..enums import Decoder, Profile, Redact, ReportFormat, Require
from ..run import FailOn
from .option_types import PATH, Command, DescriptionFormat, EnumChoice, complete_output, complete_rules

__all__ = [
    "PORTS",
    "baseline_option",
    "concise_option",
    "config_option",
    "decoder_option",
    "description_format_option",
    "division_options",
    "fail_option",
    "format_option",
    "ignore_option",
    "jobs_option",
    "keylog_option",
    "no_config_option",
    "output_option",
    "paths_argument",
    "port_option",
    "profile_option",
    "read_option",
    "redact_option",
    "require_option",
    "resume_option",
    "select_option",
    "spool_option",
    "stats_option",
    "zeek_json_option",
]

PORTS = "24, 25, 465, 587 and 2525"  # the default ports of the audit, for help; a test compares them

paths_argument = click.argument("paths", metavar="[PATH]...", nargs=-1, type=PATH)
read_option = click.option("-r", "--read", metavar="PATH", type=PATH, multiple=True, help="The same as PATH.")
format_option = click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    type=EnumChoice(ReportFormat),
    show_default="text",
    help=f"Format of the report: {', '.join(ReportFormat)}. docs/formats.md describes each.",
)
concise_option = click.option(
    "--concise", is_flag=True, help="Text with one line for each finding: CAPTURE:FRAME: SEVERITY RULE SIDE."
)
profile_option = click.option(
    "--profile",
    type=EnumChoice(Profile),
    help="Rules to judge by. Without it, each connection gets the profile that fits what it does.",
)
port_option = click.option(
    "--port",
    metavar="N[,N...]",
    multiple=True,
    help=f"TCP ports of SMTP servers, instead of {PORTS}. On other ports SMTP is recognised by its content.",
)
select_option = click.option(
    "--select",
    metavar="RULE[,...]",
    multiple=True,
    shell_complete=complete_rules,
    help="Use only these rules: ids, prefixes of ids, or names.",
)
ignore_option = click.option(
    "--ignore",
    metavar="RULE[,...]",
    multiple=True,
    shell_complete=complete_rules,
    help="Do not use these rules. Wins over --select.",
)
fail_option = click.option(
    "--fail-on",
    type=EnumChoice(FailOn),
    show_default="error",
    help="Exit with status 1 if a finding has this severity or a higher one.",
)
baseline_option = click.option(
    "--baseline",
    metavar="FILE",
    type=PATH,
    help="Leave out the findings that this file of `smtpwire baseline write` holds.",
)
decoder_option = click.option(
    "--decoder",
    type=EnumChoice(Decoder),
    default=Decoder.RAW.value,
    show_default=True,
    help="raw is fast; scapy sends every frame through Scapy's own dissection.",
)
output_option = click.option(
    "-o",
    "--output",
    metavar="[FORMAT:]FILE",
    multiple=True,
    shell_complete=complete_output,
    help="Write a report to FILE instead of standard output. May be given several times. Without FORMAT, the suffix "
    "of FILE or --format decides: report.html.",
)
redact_option = click.option(
    "--redact",
    type=EnumChoice(Redact),
    show_default="secrets",
    help="What reports hide. secrets: passwords and the text of messages. pii: also mailboxes, subjects, message ids, "
    "names and addresses of clients.",
)
description_format_option = click.option(
    "--format",
    "format_",
    type=EnumChoice(DescriptionFormat),
    default=DescriptionFormat.TEXT.value,
    show_default=True,
    help="Format of the description.",
)
require_option = click.option(
    "--require",
    type=EnumChoice(Require),
    help="Exit with status 4 if the captures do not hold this. smtp: a connection of SMTP. cleartext: also, none is "
    "encrypted without being decrypted. complete: also, each was captured as a whole.",
)
zeek_json_option = click.option(
    "--zeek-json", is_flag=True, help="With --format zeek: JSON lines instead of tab-separated text."
)
stats_option = click.option("--stats", is_flag=True, help="Print speed, and what took the time, on standard error.")
jobs_option = click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    show_default="as many as pay",
    help="Number of processes that share the work.",
)
keylog_option = click.option(
    "--keylog",
    metavar="FILE",
    type=PATH,
    multiple=True,
    help="Decrypt TLS with this key log (SSLKEYLOGFILE). May be given several times. NAME.keys and NAME.keylog beside "
    "a capture, and secrets in a pcapng file, are used without it.",
)
cluster_option = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Let the workers of a Dask cluster do the work: the address of its scheduler, tcp://HOST:8786. Captures, "
    "--spool and -o must be URLs, or folders that all of them share.",
)
spool_option = click.option(
    "--spool",
    metavar="DIR",
    type=PATH,
    help="The folder, or URL, for intermediate files. It needs as much room as the mail in the captures. Without it: a "
    "new folder in the one for temporary files.",
)
resume_option = click.option(
    "--resume", is_flag=True, help="Finish the run that began in the folder of --spool, without doing anything twice."
)


def division_options(command: Command) -> Command:
    """Add all options that divide the work to a command."""
    return jobs_option(cluster_option(spool_option(resume_option(command))))


config_option = click.option(
    "--config",
    metavar="FILE",
    type=PATH,
    help="Settings file. Without it: smtpwire.toml or pyproject.toml, in this folder or the nearest one above, up to "
    "the home folder or the root of a repository.",
)
no_config_option = click.option("--no-config", is_flag=True, help="Read no settings file.")
