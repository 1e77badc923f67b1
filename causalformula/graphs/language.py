"""From text to a diagram: the edge syntax that dagitty and DOT share, with a caret under what cannot be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from causalformula.errors import GraphError, choose
from causalformula.graphs.diagram import Diagram, gathered, way

Span = tuple[int, int]

MAX_CHARACTERS = 200_000
ARROWS = ("<->", "->", "<-", "--")
UNDIRECTED = (
    "an edge without a direction says nothing of causes: write A -> B, or A <-> B for an unmeasured common cause"
)
NOT_AN_ARROW = "not an arrow; there are A -> B, A <- B and A <-> B"
# Signs between names that other notations have for arrows.
SIGNS = "~\u2190\u2192\u2194\u21d0\u21d2\u21d4\u27f5\u27f6\u27f7"
# Marks of a node without a value, each with what it becomes.
FLAGS = {
    "latent": "latent",
    "unobserved": "latent",
    "u": "latent",
    "selected": "selected",
    "exposure": "exposure",
    "e": "exposure",
    "outcome": "outcome",
    "o": "outcome",
    "adjusted": "adjusted",
}
# DoWhy's word for the opposite of latent.
OBSERVED = "observed"
YES, NO = ("true", "yes", "1"), ("false", "no", "0")
WRITTEN = ("latent", "selected", "exposure", "outcome", "missing = Y")

_TOKEN = re.compile(
    r"""(?P<blank>[\s\u00a0]+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
      | (?P<arrow><->|->|<-|--)
      | (?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)
      | (?P<name>[^\s{}\[\]();,=<>"'`\-]+(?:-(?![->])[^\s{}\[\]();,=<>"'`\-]+)*)
      | (?P<mark>[{}\[\];,=])""",
    re.VERBOSE | re.DOTALL,
)
# Arrows of other languages.
_WRONG = re.compile(r"<?[-=]{2,}>|<[-=]{2,}|=>|<=>?")
_GML = re.compile(r"(?:Creator\s+\"[^\"]*\"\s*)?graph\s*\[", re.IGNORECASE)
_NEGATIVE = re.compile(r"-[\d.]+")
_HEAD = re.compile(
    r"(?P<strict>strict\s+)?(?P<kind>dag|digraph|graph|pdag|mag|pag)\b\s*(?P<name>[\w.]+|\"[^\"]*\")?\s*(?=\{)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: its kind (``arrow name quoted mark end``), value and place."""

    kind: str
    value: str
    span: Span


@dataclass
class Draft:
    """What has been read so far, each with its first place in the text."""

    nodes: dict[str, Span] = field(default_factory=dict)
    arrows: dict[tuple[str, str], Span] = field(default_factory=dict)
    bows: dict[tuple[str, str], Span] = field(default_factory=dict)
    marks: dict[str, dict[str, None]] = field(default_factory=dict)
    missing: dict[str, tuple[str, Span]] = field(default_factory=dict)


@dataclass(frozen=True)
class Read:
    """A diagram, and what its text marks as treatments, as outcomes and as adjusted for."""

    diagram: Diagram
    exposures: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    adjusted: tuple[str, ...] = ()


def read_graph(text: str) -> Read:
    """Read a graph in dagitty's or DOT's edge syntax.

    Raises
    ------
    GraphError
        With a caret under what is wrong: a piece that is not of the language, an edge without a direction, a cycle.
    """
    if not isinstance(text, str):
        raise GraphError(f"a graph is text, not {type(text).__name__}: write it in quotes")
    if len(text) > MAX_CHARACTERS:
        raise GraphError(f"the graph has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read")
    draft = _Reader(text).read()
    if not draft.nodes:
        raise GraphError('the graph is empty; write its arrows, such as "Z -> A; Z -> Y; A -> Y"')
    for variable, span in draft.missing.values():
        if variable not in draft.nodes:
            raise GraphError(f"the graph has no node {variable!r}{choose(variable, draft.nodes, 'it has')}", text, span)
    _refuse_cycle(draft, text)
    marked = {kind: frozenset(names) for kind, names in draft.marks.items()}
    diagram = Diagram(
        tuple(draft.nodes),
        tuple(draft.arrows),
        tuple(draft.bows),
        marked.get("latent", frozenset()),
        marked.get("selected", frozenset()),
        {node: variable for node, (variable, _) in draft.missing.items()},
    )
    return Read(diagram, *(tuple(draft.marks.get(kind, ())) for kind in ("exposure", "outcome", "adjusted")))


def flags(facts: Mapping[str, Any]) -> Iterator[str]:
    """What is said of a node by words with or without a value: ``latent = yes``, ``observed = no``, ``selected``."""
    for word, value in facts.items():
        said = str("true" if value is None else value).casefold()
        if word in FLAGS and said in YES:
            yield FLAGS[word]
        elif word == OBSERVED and said in NO:
            yield "latent"


def find_cycle(nodes: Iterable[str], arrows: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Nodes of a directed cycle, the first again at the end; empty where there is none.

    The arrows are taken in their order, so the one that closes the cycle is its last.
    """
    children = gathered(nodes, ())
    for cause, effect in arrows:
        if back := way(children, effect, cause):
            return (*back, effect)
        children[cause].append(effect)
    return ()


def _refuse_cycle(draft: Draft, text: str) -> None:
    cycle = find_cycle(draft.nodes, draft.arrows)
    if cycle:
        span = max(draft.arrows[edge] for edge in pairwise(cycle))
        raise GraphError(cycle_words(cycle), text, span)


def cycle_words(cycle: tuple[str, ...]) -> str:
    """What is said of a cycle."""
    return (
        f"a cycle: {' -> '.join(cycle)}. Nothing causes itself: where two things act on each other, draw them once for "
        "each time"
    )


class _Reader:
    """Reads statements one by one: chains of nodes and sets, marks of a node, settings of the graph."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.draft = Draft()
        start = len(text) - len(text.lstrip())
        if gml := _GML.match(text, start):
            raise GraphError("this is GML: cf.dag(networkx.parse_gml(text)) reads it", text, gml.span())
        head = _HEAD.match(text, start)
        if head and head["kind"].casefold() not in ("dag", "digraph"):
            raise GraphError(f"{head['kind']} {{...}} holds {_KINDS[head['kind'].casefold()]}", text, head.span("kind"))
        self.closed = head is not None
        self.dot = head is not None and head["kind"].casefold() == "digraph"
        self.tokens = list(_tokens(text, head.end() if head else 0))
        self.at = 0

    def error(self, message: str, span: Span) -> GraphError:
        return GraphError(message, self.text, span)

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.tokens[self.at]
        self.at += token.kind != "end"
        return token

    def sees(self, *values: str) -> bool:
        return self.next.kind in ("mark", "arrow") and self.next.value in values

    def read(self) -> Draft:
        self.block(self.take() if self.closed else None)
        if self.next.kind != "end":
            raise self.error("text behind the graph's closing }", self.next.span)
        return self.draft

    def block(self, opening: Token | None) -> None:
        """Statements up to the end of the text, or to the brace that closes them."""
        while self.next.kind != "end" and not (opening is not None and self.sees("}")):
            if self.sees(";", ","):
                self.take()
            else:
                self.statement()
        if opening is not None and not self.sees("}"):
            raise self.error("the { that opens here is never closed", opening.span)
        if opening is not None:
            self.take()

    def opens_part(self) -> bool:
        """Whether DOT's ``subgraph name {`` stands here: a part of the picture, whose statements are the graph's."""
        ahead = self.tokens[self.at + 1 : self.at + 3]
        named = len(ahead) == 2 and ahead[0].kind in ("name", "quoted")
        brace = ahead[1 if named else 0] if ahead else self.next
        return self.next.kind == "name" and self.next.value.casefold() == "subgraph" and brace.value == "{"

    def statement(self) -> None:
        if self.opens_part():
            while not self.sees("{"):
                self.take()
            self.block(self.take())
            return
        first = self.next
        if first.kind == "name" and self.tokens[self.at + 1].value in ("=", "["):
            if self.tokens[self.at + 1].value == "=":
                self.at += 2  # a setting of the page, such as rankdir = LR
                self.take()
                return
            if first.value in ("graph", "node", "edge"):
                self.take()
                self.attributes()
                return
        ends = self.end()
        if self.sees("["):
            self.mark(ends)
        while self.sees(*ARROWS):
            arrow = self.take()
            others = self.end()
            options = self.attributes() if self.sees("[") and not self.marks_node(others) else {}
            if self.sees("["):
                self.mark(others)
            self.join(ends, _direction(arrow.value, options), others, arrow.span)
            ends = others

    def end(self) -> list[Token]:
        """One end of an edge: a node, or a set of them in braces."""
        token = self.take()
        if token.kind in ("name", "quoted"):
            return [self.node(token)]
        if token.kind == "mark" and token.value == "{":
            return self.members(token)
        if token.kind == "arrow":
            raise self.error(f"{token.value} has no node before it", token.span)
        raise self.error("a node is missing here" if token.kind == "end" else f"{token.value!r} is no node", token.span)

    def members(self, opening: Token) -> list[Token]:
        found: list[Token] = []
        while not self.sees("}"):
            if self.sees(",", ";"):
                self.take()
            elif self.next.kind in ("name", "quoted"):
                found.append(self.node(self.take()))
            elif self.next.kind == "end":
                raise self.error("the { that opens here is never closed", opening.span)
            else:
                raise self.error("a set holds names only: {A B} -> C", self.next.span)
        closing = self.take()
        if not found:
            raise self.error("an empty set", (opening.span[0], closing.span[1]))
        return found

    def node(self, token: Token) -> Token:
        if re.search(r"<-|->", token.value) or not token.value.strip():
            raise self.error("not a name for a node", token.span)
        if token.kind == "name":
            if self.dot:  # without the port, the side of a box at which an edge ends
                token = replace(token, value=token.value.partition(":")[0] or token.value)
            self.plain(token)
        self.draft.nodes.setdefault(token.value, token.span)
        return token

    def plain(self, token: Token) -> None:
        """Refuse signs that stand in a name without quotation marks: something else was meant."""
        for k, sign in enumerate(token.value):
            if sign not in "_.-" and unicodedata.category(sign)[0] not in "LMN":
                what = NOT_AN_ARROW if sign in SIGNS else f"{sign!r} in a name: write the name in quotation marks"
                raise self.error(what, (token.span[0] + k, token.span[0] + k + 1))

    def marks_node(self, ends: list[Token]) -> bool:
        """Whether the brackets that follow an edge hold marks of its last node, as in ``A -> B [latent]``."""
        inside = self.tokens[self.at + 1]
        return len(ends) == 1 and inside.value.casefold() in (*FLAGS, OBSERVED, "missing")

    def join(self, ends: list[Token], arrow: str, others: list[Token], span: Span) -> None:
        if arrow == "--":
            raise self.error(UNDIRECTED, span)
        for left in ends:
            for right in others:
                a, b = (right.value, left.value) if arrow == "<-" else (left.value, right.value)
                if a == b:
                    raise self.error(f"{a} points at itself", (left.span[0], right.span[1]))
                if arrow == "<->":
                    if (b, a) not in self.draft.bows:
                        self.draft.bows.setdefault((a, b), span)
                else:
                    self.draft.arrows.setdefault((a, b), (left.span[0], right.span[1]))

    def mark(self, ends: list[Token]) -> None:
        found = self.attributes()
        for name, (value, span) in found.items():
            if name == "missing":
                if value is None:
                    raise self.error("missing names the variable whose gaps it marks: R_Y [missing = Y]", span)
                self.draft.missing.update({token.value: (value, span) for token in ends})
            elif value is None and name not in FLAGS and name != OBSERVED:
                raise self.error(f"unknown mark {name!r}{choose(name, WRITTEN, 'a node takes')}", span)
        for flag in flags({name: value for name, (value, _) in found.items()}):
            self.draft.marks.setdefault(flag, {}).update((token.value, None) for token in ends)

    def attributes(self) -> dict[str, tuple[str | None, Span]]:
        """What brackets hold: words, and words with a value, each with its place."""
        opening = self.take()
        found: dict[str, tuple[str | None, Span]] = {}
        while not self.sees("]"):
            token = self.take()
            if token.kind == "end":
                raise self.error("the [ that opens here is never closed", opening.span)
            if token.kind == "mark" and token.value in ",;":
                continue
            if token.kind not in ("name", "quoted"):
                raise self.error(f"{token.value!r} is no mark of a node", token.span)
            value, span = None, token.span
            if self.sees("="):
                self.take()
                given = self.take()
                if given.kind not in ("name", "quoted"):
                    raise self.error(f"{token.value} = has no value", token.span)
                value, span = given.value, given.span
            found[token.value.casefold()] = (value, span)
        self.take()
        return found


_KINDS = {
    "graph": f"edges without directions; write digraph or dag. {UNDIRECTED[0].upper()}{UNDIRECTED[1:]}",
    "pdag": "a class of graphs, of which some edges have no direction: choose one dag",
    "mag": "an ancestral graph, in which latent nodes are gone; write the dag with A <-> B for common causes",
    "pag": "a class of graphs, of which some edges have no direction: choose one dag",
}


def _direction(arrow: str, options: dict[str, tuple[str | None, Span]]) -> str:
    """The arrow, turned or doubled by DOT's ``dir``."""
    way = options.get("dir", (None, (0, 0)))[0]
    if arrow == "->" and way == "both":
        return "<->"
    return "<-" if arrow == "->" and way == "back" else arrow


def _tokens(text: str, at: int) -> Iterator[Token]:
    while at < len(text):
        if wrong := _WRONG.match(text, at):
            raise GraphError(NOT_AN_ARROW, text, wrong.span())
        match = _TOKEN.match(text, at) or _NEGATIVE.match(text, at)
        if match is None:
            raise GraphError(_foreign(text[at:]), text, (at, at + 1))
        kind = match.lastgroup or "name"
        value = match[0]
        if kind == "quoted":
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
        if kind != "blank":
            yield Token(kind, value, match.span())
        at = match.end()
    yield Token("end", "", (len(text), len(text) + 1))


def _foreign(rest: str) -> str:
    head = rest[0]
    if head in "\"'`":
        return f"the {head} that opens here is never closed"
    if head in "-<>=":
        return NOT_AN_ARROW
    return f"unexpected character {head!r}"
