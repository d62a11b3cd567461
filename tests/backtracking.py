"""Which regular expressions can backtrack without bound, found in their parse trees."""

# Theory
# ------
# An expression becomes an automaton: one state for each character that it takes, and an edge for each pair of them that
# may follow one another. A matcher that backtracks tries the paths of this automaton one after the other. So its
# time grows faster than the text if there is a word that leads from a state p to itself, from p to another state q, and
# from q to itself: n such words have at least n paths. A search begins anew at each place; that is one more state
# before the expression, which takes any character and goes on to itself.
#
# Three facts end paths, and the automaton knows them. A possessive repeat of one character is left only before another
# character. From each place there is one way through an atomic group, so that two paths which entered it together
# leave it together; what happens inside it is examined as an expression of its own. Where an expression matches
# whatever comes next, nothing before that place is tried again.
#
# Where the automaton is not exact (look-aheads of several characters, look-behinds inside an expression) it has more
# paths than the matcher, so that it may find a fault that is none, but misses none.

from __future__ import annotations

import re
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["fault"]

parser: Any = import_module("re._parser")
sre: Any = import_module("re._constants")

SMALL = 16  # a repeat of at most so many times costs a factor, not a power

_TEXT = (
    *range(256),
    0x660,
    0x2003,
    0x4E00,
    0x2026,
)  # in text also a digit, a blank, a letter and a mark beyond Latin-1
_ONE = (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)
_NONE: frozenset[int] = frozenset()


class Step(NamedTuple):
    """``state`` may come, if the next character is in ``guard`` and the one before in ``after``; both are sets of bits.
    With an ``after`` of 0 it comes only at the start of the text. ``inside``: the atomic groups that it does not
    leave."""

    state: int
    guard: int
    after: int
    inside: frozenset[int] = _NONE


class Part(NamedTuple):
    """A part of the automaton: where it begins and ends, and the guards of the ways through it that take nothing."""

    first: list[Step]
    last: list[Step]
    skips: list[tuple[int, int]]


class Automaton:
    """The states and edges of one expression."""

    def __init__(self, tree: Any, flags: int, every: int, groups: dict[Any, Any]) -> None:
        self.every = every  # the characters, and one bit for the end of the text, which no state takes
        self.flags = flags
        self.taken: list[int] = []  # what each state takes
        self.atoms: list[frozenset[int]] = []  # the atomic groups that each state is in
        self.edges: list[list[Step]] = []
        self.bodies: list[tuple[Any, int]] = []  # of the atomic groups
        self.sure: set[int] = set()  # the atomic groups that always match, if only nothing
        self.groups = groups
        self._inside = _NONE
        self._known: dict[str, int] = {}
        self._closure: dict[tuple[int, bool], int] = {}
        self._matched: set[int] = set()
        self.whole = self.sequence(tree)

    # -- characters ------------------------------------------------------------------------------------------------

    def bits(self, item: Any) -> int:
        """Return what an item of one character takes."""
        key = f"{item} {self.flags & (re.IGNORECASE | re.DOTALL)}"
        if key not in self._known:
            fold = bool(self.flags & re.IGNORECASE)
            places = range(self.every.bit_length() - 1)
            self._known[key] = sum(1 << place for place in places if self._takes(item, _TEXT[place], fold=fold))
        return self._known[key]

    def _takes(self, item: Any, code: int, *, fold: bool) -> bool:
        op, value = item
        if op is sre.ANY:
            return bool(self.flags & re.DOTALL) or code != 10
        cases = {code}
        if fold and (code < 128 or self.every.bit_length() > 257):
            cases |= {ord(case) for case in (chr(code).lower(), chr(code).upper()) if len(case) == 1}
        if op is sre.LITERAL:
            return value in cases
        if op is sre.NOT_LITERAL:
            return value not in cases
        negated = value[0][0] is sre.NEGATE
        return negated != any(self._holds(kind, inner, one) for kind, inner in value[negated:] for one in cases)

    def _holds(self, kind: Any, inner: Any, code: int) -> bool:
        if kind is sre.LITERAL:
            return bool(code == inner)
        if kind is sre.RANGE:
            return bool(inner[0] <= code <= inner[1])
        name, char = str(inner), chr(code)
        if code > 127 and (self.every.bit_length() <= 257 or self.flags & re.ASCII):
            hit = False
        elif "DIGIT" in name:
            hit = char.isdecimal()
        else:
            hit = char.isspace() if "SPACE" in name else char.isalnum() or char == "_"
        return hit != ("NOT_" in name)

    # -- parts -----------------------------------------------------------------------------------------------------

    def sequence(self, items: Iterable[Any]) -> Part:
        """Return the part for items that follow one another."""
        whole = self.nothing()
        rest = list(items)
        while rest:
            item = rest.pop(0)
            if (
                item[0] is sre.ASSERT_NOT
                and item[1][0] > 0
                and len(item[1][1]) > 1
                and all(map(_is_single, item[1][1]))
            ):
                return self.joined(whole, self.without([self.bits(one) for one in item[1][1]], rest))
            whole = self.joined(whole, self.item(*item))
        return whole

    def without(self, text: list[int], items: list[Any]) -> Part:
        """Return the part for ``items`` that do not begin with ``text``: each state once more for each place in it."""
        start = len(self.taken)
        part = self.sequence(items)
        size = len(self.taken) - start
        for depth in range(len(text) - 1):
            self.taken += [taken & text[depth] for taken in self.taken[start : start + size]]
            self.atoms += self.atoms[start : start + size]
            self.edges += [[] for _ in range(size)]

        def steps(plain: Iterable[Step], depth: int) -> list[Step]:
            """Return steps out of a state at ``depth`` of the text."""
            away = [one._replace(guard=one.guard & ~text[depth]) for one in plain]
            if depth == len(text) - 1:
                return away
            on = [one._replace(state=one.state + size * (depth + 1), guard=one.guard & text[depth]) for one in plain]
            return [one for one in (*away, *on) if one.guard]

        for depth in range(1, len(text)):
            for state in range(start, start + size):
                self.edges[state + size * depth] = steps(self.edges[state], depth)
        ends = [one._replace(state=one.state + size * depth) for one in part.last for depth in range(len(text))]
        return Part(steps(part.first, 0), ends, part.skips)

    def nothing(self, guard: int | None = None, after: int | None = None) -> Part:
        """Return a part that takes nothing."""
        return Part([], [], [(self.every if guard is None else guard, self.every if after is None else after)])

    def joined(self, left: Part, right: Part) -> Part:
        """Return ``left`` and then ``right``."""
        self.link(left.last, right.first)
        before = [one._replace(guard=one.guard & g, after=one.after & a) for g, a in left.skips for one in right.first]
        beyond = [
            one._replace(guard=one.guard & g) for g, a in right.skips for one in left.last if self.taken[one.state] & a
        ]
        skips = [(g & h, a & b) for g, a in left.skips for h, b in right.skips]
        return Part(_few([*left.first, *before]), _few([*right.last, *beyond]), _few(skips))

    def link(self, lasts: Iterable[Step], firsts: Iterable[Step]) -> None:
        """Add the edges from each of ``lasts`` to each of ``firsts``."""
        for last in lasts:
            for first in firsts:
                guard = last.guard & first.guard & self.taken[first.state]
                step = Step(first.state, guard, self.every, self._inside)
                edges = self.edges[last.state]
                if guard and self.taken[last.state] & first.after and edges.count(step) < 2:
                    edges.append(step)

    def item(self, op: Any, value: Any) -> Part:  # noqa: PLR0911 - one case for each kind of item
        """Return the part for one item of a parse tree."""
        if op in _ONE:
            self.taken.append(self.bits((op, value)))
            self.atoms.append(self._inside)
            self.edges.append([])
            one = Step(len(self.taken) - 1, self.every, self.every)
            return Part([one], [one], [])
        if op is sre.SUBPATTERN:
            _, added, removed, body = value
            outer, self.flags = self.flags, (self.flags | added) & ~removed
            part = self.sequence(body)
            self.flags = outer
            return part
        if op is sre.GROUPREF:
            return self.sequence(self.groups[value])
        if op is sre.BRANCH:
            return self.either([self.sequence(branch) for branch in value[1]])
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            return self.repeat(value, left_before=self.every)
        if op is sre.POSSESSIVE_REPEAT and _is_one(value[2]):
            return self.repeat(value, left_before=self.every & ~self.bits(value[2][0]))
        if op in (sre.POSSESSIVE_REPEAT, sre.ATOMIC_GROUP):
            return self.atomic(op, value)
        if op in (sre.ASSERT, sre.ASSERT_NOT):
            return self.look(op, *value)
        assert op is sre.AT, op
        if value in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            lines = value is sre.AT_BEGINNING and self.flags & re.MULTILINE
            return self.nothing(after=1 << 10 if lines else 0)
        end = 1 << self.every.bit_length() - 1
        if value is sre.AT_END:
            return self.nothing(guard=1 << 10 | end)
        return self.nothing(guard=end if value is sre.AT_END_STRING else None)

    def either(self, parts: list[Part]) -> Part:
        """Return a choice of parts."""
        return Part(*(_few([one for part in parts for one in part[field]]) for field in range(3)))

    def repeat(self, times: Any, left_before: int) -> Part:
        """Return a body repeated. The repeat is left only before the characters ``left_before``."""
        low, high, body = times
        whole, left = self.nothing(), self.nothing(guard=left_before)
        for _ in range(min(low, SMALL) - (high is sre.MAXREPEAT or high > SMALL)):
            whole = self.joined(whole, self.sequence(body))
        if high is sre.MAXREPEAT or high > SMALL:
            loop = self.sequence(body)
            self.link(loop.last, loop.first)
            loop = self.joined(loop, left)
            return self.joined(whole, loop if low else self.either([loop, left]))
        rest = left
        for _ in range(high - low):
            rest = self.either([self.joined(self.sequence(body), rest), left])
        return self.joined(whole, rest)

    def atomic(self, op: Any, value: Any) -> Part:
        """Return a group of which nothing is given back."""
        body = value if op is sre.ATOMIC_GROUP else value[2]
        self.bodies.append((body, self.flags))
        if op is sre.POSSESSIVE_REPEAT and value[0] == 0:
            self.sure.add(len(self.bodies))
        outer, self._inside = self._inside, self._inside | {len(self.bodies)}
        part = self.sequence(body) if op is sre.ATOMIC_GROUP else self.repeat(value, left_before=self.every)
        self._inside = outer
        return part

    def look(self, op: Any, direction: int, body: Any) -> Part:
        """Return a look-ahead or look-behind. The text of a look-ahead is taken on a way that leads nowhere; what it
        says about the next character is the guard of the other way."""
        one = self.bits(body[0]) if _is_one(body) else None
        if direction < 0:
            if one is None:
                return self.nothing()
            return self.nothing(after=one if op is sre.ASSERT else self.every >> 1 & ~one)
        part = self.sequence(body)
        guard = self.every if one is None or op is sre.ASSERT else self.every & ~one
        if op is sre.ASSERT and not part.skips:
            guard = 0
            for first in part.first:
                guard |= first.guard & self.taken[first.state]
        return Part(part.first, [], [(guard, self.every)])

    # -- paths -----------------------------------------------------------------------------------------------------

    def search_starts(self) -> None:
        """Let the expression begin at each place of the text."""
        start = self._plain_state(self.every >> 1)
        self.edges[start].append(Step(start, self.every >> 1, self.every))
        for first in self.whole.first:
            place = start
            if ~first.after & self.every >> 1:  # what comes before it is a state of its own
                place = self._plain_state(first.after)
                self.edges[start].append(Step(place, first.after, self.every))
            if first.after:
                guard = first.guard & self.taken[first.state]
                self.edges[place].append(Step(first.state, guard, self.every))

    def _plain_state(self, taken: int) -> int:
        self.taken.append(taken)
        self.atoms.append(_NONE)
        self.edges.append([])
        return len(self.taken) - 1

    def doubled(self, *, ends: bool) -> tuple[int, int] | None:
        """Return two states as in the theory above, None: there are none. ``ends``: the expression may end anywhere."""
        self._matched = self._always_matching() if ends else set()
        loops = [place for place in range(len(self.taken)) if self._reach(place, place)]
        groups = {place: frozenset(one for one in loops if self._alike(place, one)) for place in loops}
        for place in loops:
            for step in self.edges[place]:
                if self.edges[place].count(step) > 1 and step.state in groups[place]:
                    return place, place  # an empty repeat in a repeat
        for place in loops:
            for other in loops:
                if other != place and self._leads(place, other) and self._meet(place, other, groups):
                    return place, other
        return None

    def _always_matching(self) -> set[int]:
        """Return the states after which the expression matches whatever comes next."""
        ends = [0] * len(self.taken)
        for one in self.whole.last:
            ends[one.state] |= one.guard
        matched = set(range(len(self.taken)))
        while True:
            kept = {one for one in matched if self._covered(one, ends, matched) or self._in_sure(one, ends, matched)}
            if kept == matched:
                return matched
            matched = kept

    def _covered(self, state: int, ends: list[int], matched: set[int], left: frozenset[int] = _NONE) -> bool:
        """Whether each character leads from ``state`` to the end or to one of ``matched``. ``left``: groups that it has
        to leave."""
        covered = ends[state]
        for step in self.edges[state]:
            if step.state in matched and not step.inside & left:
                covered |= step.guard
        return covered == self.every

    def _in_sure(self, state: int, ends: list[int], matched: set[int]) -> bool:
        """Whether ``state`` is in an atomic group that cannot fail, after which the expression matches."""
        for group in self.atoms[state] & self.sure:
            exits = [
                one
                for one in range(len(self.taken))
                if group in self.atoms[one] and (ends[one] or any(group not in step.inside for step in self.edges[one]))
            ]
            if all(self._covered(one, ends, matched, frozenset({group})) for one in exits):
                return True
        return False

    def _reach(self, start: int, goal: int) -> bool:
        """Whether a path leads from ``start`` to ``goal`` on which the expression may always fail."""
        return start not in self._matched and bool(self._reached(start, self._matched) >> goal & 1)

    def _leads(self, start: int, goal: int) -> bool:
        """Whether a path leads from ``start`` to ``goal``."""
        return bool(self._reached(start, set()) >> goal & 1)

    def _reached(self, start: int, without: set[int]) -> int:
        key = start, bool(without)
        if key not in self._closure:
            seen, todo = 0, [start]
            while todo:
                for step in self.edges[todo.pop()]:
                    if not seen >> step.state & 1 and step.state not in without:
                        seen |= 1 << step.state
                        todo.append(step.state)
            self._closure[key] = seen
        return self._closure[key]

    def _alike(self, one: int, other: int) -> bool:
        return self._reach(one, other) and self._reach(other, one)

    def _meet(self, place: int, other: int, groups: dict[int, frozenset[int]]) -> bool:
        """Whether a word leads from ``place`` to itself and to ``other``, and from ``other`` to itself."""
        begin = (place, place, other, self.atoms[place])
        seen, todo = {begin}, deque([begin])
        while todo:
            a, b, c, together = todo.popleft()
            for x in self.edges[a]:
                if x.state not in groups[place]:
                    continue
                for z in self.edges[c]:
                    both = x.guard & z.guard
                    if not both or z.state not in groups[other]:
                        continue
                    for y in self.edges[b]:
                        if not both & y.guard or not (y.state == other or self._leads(y.state, other)):
                            continue
                        if together & (x.inside ^ y.inside):
                            continue  # two paths leave an atomic group together
                        kept = together & x.inside & y.inside
                        kept |= (self.atoms[x.state] - x.inside) & (self.atoms[y.state] - y.inside)
                        if (x.state, y.state, z.state) == (place, other, other) and not kept:
                            return True
                        one = (x.state, y.state, z.state, kept)
                        if one not in seen:
                            seen.add(one)
                            todo.append(one)
        return False


def _is_one(body: Any) -> bool:
    return len(body) == 1 and body[0][0] in _ONE


def _is_single(item: Any) -> bool:
    return item[0] in _ONE


def _few(items: list[Any]) -> list[Any]:
    """Return each of the items, at most twice: two ways are as bad as many."""
    kept: list[Any] = []
    for one in items:
        if kept.count(one) < 2:
            kept.append(one)
    return kept


def _groups(tree: Any, found: dict[Any, Any]) -> dict[Any, Any]:
    """Return the groups of a parse tree by number."""
    for op, value in tree:
        if op is sre.SUBPATTERN:
            found[value[0]] = value[3]
        for inner in value if isinstance(value, tuple) else (value,):
            for one in inner if op is sre.BRANCH and isinstance(inner, list) else (inner,):
                if isinstance(one, parser.SubPattern):
                    _groups(one, found)
    return found


def fault(pattern: str | bytes, flags: int, method: str) -> str | None:
    """Return where ``method`` of the expression can try a text in more ways than the text has characters; None:
    nowhere."""
    tree = parser.parse(pattern, flags)
    every = (2 << (256 if isinstance(pattern, bytes) else len(_TEXT))) - 1
    groups = _groups(tree, {})
    todo = [(tree, tree.state.flags, method)]
    while todo:
        body, used, way = todo.pop()
        automaton = Automaton(body, used, every, groups)
        if way not in ("match", "fullmatch"):
            automaton.search_starts()
        two = automaton.doubled(ends=way != "fullmatch")
        if two is not None:
            return f"{_shown(automaton, two[0])} and {_shown(automaton, two[1])}"
        todo += [(inner, own, "match") for inner, own in automaton.bodies]
    return None


def _shown(automaton: Automaton, state: int) -> str:
    taken = automaton.taken[state]
    chars = [chr(_TEXT[place]) for place in range(taken.bit_length()) if taken >> place & 1]
    return f"state {state} of {len(automaton.taken)} ({''.join(chars[:40])!r})"
