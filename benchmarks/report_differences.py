"""Sort the differences between the reports of two versions by kind.

    PYTHON benchmarks/report_differences.py collect FOLDER CAPTURE...   one NDJSON report for each capture
    PYTHON benchmarks/report_differences.py compare OLD NEW [--examples N]

``collect`` runs the version that PYTHON has installed. ``compare`` counts the kinds of differences (a finding of a rule
added, lost or changed; a field of a turn; connections) and names captures for each. Exit status 1: there are
differences. An argument CAPTURE may be a folder; every capture below it is read.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, cast

import msgspec

Kinds = dict[str, list[str]]

SUFFIXES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".dmp")


def captures(paths: list[str]) -> list[Path]:
    """Return the captures that ``paths`` name, sorted."""
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += [each for each in sorted(path.rglob("*")) if each.name.endswith(SUFFIXES)]
        else:
            found.append(path)
    return found


def collect(folder: Path, paths: list[str]) -> int:
    """Write the report of each capture to ``folder``. The name of a report is the path of its capture."""
    from smtpwire.analyzer.audit import Audit, Options  # noqa: PLC0415  compare needs no installation
    from smtpwire.analyzer.model import Capture  # noqa: PLC0415
    from smtpwire.analyzer.reports.json_ import NdjsonWriter  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    for path in captures(paths):
        name = str(path.resolve()).strip("/").replace("/", "__")
        audit = Audit(Options())
        with (folder / f"{name}.ndjson").open("wb") as out:
            writer = NdjsonWriter(cast("Any", out))
            if hasattr(audit, "attach"):
                audit.attach(writer)
            for item in audit.run([str(path)]):
                if isinstance(item, Capture):
                    writer.capture(item)
                else:
                    writer.connection(item)
            writer.finish(audit.summary)
    return 0


def read(path: Path) -> tuple[dict[Any, Any], list[Any]]:
    """Return the connections of a report by their ends and start, with their findings, and its other lines."""
    connections: dict[Any, Any] = {}
    by_id: dict[int, Any] = {}
    others = []
    for line in path.read_bytes().splitlines():
        one = msgspec.json.decode(line)
        kind = one.pop("type")
        if kind == "connection":
            one["findings"] = []
            by_id[one["id"]] = one
            key: tuple[Any, ...] = (tuple(one["client"].values()), tuple(one["server"].values()), one["started"])
            while key in connections:
                key = (*key, "again")
            connections[key] = one
        elif kind == "finding":
            by_id[one.pop("connection")]["findings"].append(one)
        else:
            others.append((kind, one))
    return connections, others


def compare_findings(old: list[Any], new: list[Any], where: str, kinds: Kinds) -> None:
    """Add the differences between the findings of one connection."""

    def place(finding: Any) -> tuple[Any, ...]:
        return finding["rule"], finding["side"], finding["offset"], finding["turn"]

    def cause(findings: list[Any], finding: Any) -> Any:
        return None if finding["caused_by"] is None else findings[finding["caused_by"]]["rule"]

    left: dict[Any, list[Any]] = defaultdict(list)
    for finding in new:
        left[place(finding)].append(finding)
    lost = []
    for finding in old:
        same = left[place(finding)]
        if not same:
            lost.append(finding)
            continue
        match = same.pop(0)
        for name, value in finding.items():
            if name == "caused_by":
                if cause(old, finding) != cause(new, match):
                    kinds[f"finding {finding['rule']}: caused_by {cause(old, finding)} -> {cause(new, match)}"].append(
                        where
                    )
            elif match.get(name) != value:
                text = f": {value} -> {match.get(name)}" if name in {"severity", "certainty"} else ""
                kinds[f"finding {finding['rule']}: {name}{text}"].append(where)
    gained = [finding for same in left.values() for finding in same]
    for finding in lost:
        moved = next((one for one in gained if one["rule"] == finding["rule"] and one["side"] == finding["side"]), None)
        if moved is not None:
            gained.remove(moved)
            kinds[f"finding {finding['rule']}: moved"].append(where)
        else:
            kinds[f"finding {finding['rule']} {finding['severity']}: gone"].append(where)
    for finding in gained:
        kinds[f"finding {finding['rule']} {finding['severity']}: new"].append(where)


def compare_connection(old: Any, new: Any, where: str, kinds: Kinds) -> None:
    """Add the differences between two reports of one connection."""
    compare_findings(old["findings"], new["findings"], where, kinds)
    if len(old["dialogue"]) != len(new["dialogue"]):
        kinds["dialogue: number of turns"].append(where)
    else:
        for index, (one, other) in enumerate(zip(old["dialogue"], new["dialogue"], strict=True)):
            if one.get("kind") != other.get("kind"):
                kinds[f"turn: {one.get('kind')} -> {other.get('kind')}"].append(f"{where} turn {index}")
                continue
            for name in sorted({*one, *other}):
                if one.get(name) != other.get(name):
                    kinds[f"turn {one['kind']}: {name}"].append(f"{where} turn {index}")
    for name in sorted({*old, *new} - {"findings", "dialogue"}):
        if old.get(name) != new.get(name):
            kinds[f"connection: {name}"].append(where)


def compare(old: Path, new: Path, examples: int) -> int:
    """Print the kinds of differences, the most frequent first."""
    kinds: Kinds = defaultdict(list)
    names = sorted({path.name for path in (*old.iterdir(), *new.iterdir())})
    same = 0
    for name in names:
        if not (old / name).exists() or not (new / name).exists():
            kinds["report: only on one side"].append(name)
            continue
        if (old / name).read_bytes() == (new / name).read_bytes():
            same += 1
            continue
        ours, others = read(old / name)
        theirs, more = read(new / name)
        for key in ours.keys() | theirs.keys():
            if key not in theirs:
                kinds["connection: gone"].append(f"{name} #{ours[key]['id']}")
            elif key not in ours:
                kinds["connection: new"].append(f"{name} #{theirs[key]['id']}")
            else:
                compare_connection(ours[key], theirs[key], f"{name} #{theirs[key]['id']}", kinds)
        for (kind, one), (_, other) in zip(others, more, strict=False):
            for field in sorted({*one, *other}):
                if one.get(field) != other.get(field):
                    kinds[f"{kind}: {field}"].append(name)
        if list(ours) != list(theirs) and sorted(map(str, ours)) == sorted(map(str, theirs)):
            kinds["report: order of connections"].append(name)
    print(f"{same} of {len(names)} reports are the same")
    for kind, places in sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"{len(places):7,} {kind}")
        for place in places[:examples]:
            print(f"            {place}")
    return 1 if kinds else 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Sort the differences between the reports of two versions by kind.")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("collect")
    one.add_argument("folder", type=Path)
    one.add_argument("captures", nargs="+")
    two = commands.add_parser("compare")
    two.add_argument("old", type=Path)
    two.add_argument("new", type=Path)
    two.add_argument("--examples", type=int, default=2)
    args = parser.parse_args()
    if args.command == "collect":
        return collect(args.folder, args.captures)
    return compare(args.old, args.new, args.examples)


if __name__ == "__main__":
    sys.exit(main())
