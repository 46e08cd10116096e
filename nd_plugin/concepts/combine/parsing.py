"""Parser of texts of concept sets: ``a+b``, ``concat(a, b)``, ``SET[object,split=val]``.

::

    expression = operand { "+" ( operand | "color" [ "?table=" FILE ] ) }
    operand    = ( source | '"' source '"' | "(" expression ")"
                 | "concat(" expression { "," expression } ")" ) { "[" selection "]" }
    source     = NAME [ ":" ARGUMENT ] [ "?" OPTIONS ]

The argument of a source may hold any of these characters itself: the longest one that is a file or
folder wins. Else ``+`` ends a source where a set follows it, and ``[`` where its bracket is closed,
holds no colon, and nothing but the expression goes on behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NoReturn
from urllib.parse import parse_qsl

from nd_plugin.concepts.combine.expressions import (
    Coloured,
    Concatenated,
    Expression,
    Overlaid,
    Selected,
    Source,
)
from nd_plugin.concepts.combine.selection import (
    Selection,
    closing_bracket,
    has_colon,
)
from nd_plugin.concepts.combine.source_texts import COLOUR, SCHEME, path_exists
from nd_plugin.errors import ConceptSetInvalid
from nd_plugin.storage.names import PATH_BYTES

OPERATORS = '+[("'  # a text without any of them is a source
TABLE = "table"
SPACES = re.compile(r"\s*")
CONCATENATION = re.compile(r"concat\(")
BEHIND_NAME = r"(?=\s*(?:$|[?\[+,)]))"
ADDED_COLOUR = re.compile(rf"\s*{COLOUR}{BEHIND_NAME}")
SHOWN = 200  # characters of a text, in a message
MOST_STEPS = 200  # operands, parentheses and brackets of a text: sets inside sets
IN_LIST = ",)"  # what ends a source there
IN_GROUP = ")"


def parse_expression(text: str, names: Iterable[str]) -> Expression:
    """Parse the text of a concept set or of a combination.

    ``names`` are those of the plugins' sets, which may stand without an argument. Raises
    ConceptSetInvalid for a text that is no expression.
    """
    parser = _Parser(text, names)
    expression = parser.read_expression("")
    parser.check_end()
    return expression


class _Parser:
    """Text, and the position up to which it is read."""

    def __init__(self, text: str, names: Iterable[str]) -> None:
        self._text = text
        self._position = 0
        self._steps = 0
        known_names = "|".join(map(re.escape, [*names, COLOUR]))
        self._operand = re.compile(
            rf'\s*(?:"|\(|{CONCATENATION.pattern}|{SCHEME.pattern}'
            rf"|(?:{known_names}){BEHIND_NAME})"
        )

    def read_expression(self, closers: str) -> Expression:
        """Read operands and what joins them, up to one of the characters ``closers``."""
        expression = self._read_operand(closers)
        while self._accept("+"):
            if ADDED_COLOUR.match(self._text, self._position):
                table = self._read_colour(closers)
                expression = Coloured(expression, table)
            else:
                expression = Overlaid(expression, self._read_operand(closers))
        return expression

    def check_end(self) -> None:
        """Raise ConceptSetInvalid unless the whole text is read."""
        self._skip_spaces()
        if self._position < len(self._text):
            self._fail("nothing can follow but '+' and brackets")

    def _read_operand(self, closers: str) -> Expression:
        self._count_step()
        self._skip_spaces()
        operand = self._read_primary(closers)
        selections = []
        while self._accept("["):
            selections.append(self._read_selection())
        if selections and isinstance(operand, Source) and self._next() == "?":
            # SET[object]?index=val.csv
            operand = self._with_options(operand, closers)
        for selection in selections:
            operand = Selected(operand, selection)
        return operand

    def _read_primary(self, closers: str) -> Expression:
        if self._accept('"'):
            return Source(self._read_quoted())
        if self._accept("("):
            expression = self.read_expression(IN_GROUP)
            self._expect(")")
            return expression
        if CONCATENATION.match(self._text, self._position):
            return self._read_concatenation()
        return self._read_source(closers)

    def _read_quoted(self) -> str:
        """Read a text up to its closing quote; a doubled one is part of the text."""
        characters: list[str] = []
        while self._position < len(self._text):
            character = self._text[self._position]
            self._position += 1
            if character == '"':
                if self._next() != '"':
                    return "".join(characters)
                self._position += 1
            characters.append(character)
        self._fail('a quote is not closed: expected "')

    def _read_concatenation(self) -> Concatenated:
        self._position += len("concat(")
        operands = [self.read_expression(IN_LIST)]
        while self._accept(","):
            operands.append(self.read_expression(IN_LIST))
        self._expect(")")
        if len(operands) < 2:
            self._fail("concat() takes two sets or more, separated by commas")
        return Concatenated(tuple(operands))

    def _read_selection(self) -> Selection:
        """Read what stands in brackets, of which the first is read."""
        self._count_step()
        end = closing_bracket(self._text, self._position)
        if end is None:
            self._fail("a bracket is not closed: expected ]")
        content = self._text[self._position : end]
        self._position = end + 1
        return Selection.parse(content)

    def _read_colour(self, closers: str) -> str | None:
        """Read ``color`` and its option; return the table, None for ours."""
        self._skip_spaces()
        self._position += len(COLOUR)
        if self._next() == "[":
            self._fail(
                "brackets behind color select of the whole: put it in parentheses, (SET+color)[…]"
            )
        if self._next() != "?":
            return None
        options = dict(
            parse_qsl(self._read_options(closers)[1:], keep_blank_values=True)
        )
        unknown = [name for name in options if name != TABLE]
        if unknown or not options.get(TABLE):
            named = f"no option {unknown[0]!r}" if unknown else "an empty table"
            self._fail(f"color has {named}; it takes {TABLE}=FILE.npy")
        return options[TABLE]

    def _read_options(self, closers: str) -> str:
        """Read ``?key=value&key=value`` up to what ends a source."""
        start = self._position
        cuts = self._cuts(start + 1, closers)
        self._position = next(cuts, len(self._text))
        options = self._text[start : self._position]
        is_at_end = self._position == len(self._text)
        return options if is_at_end else options.rstrip()

    def _read_source(self, closers: str) -> Source:
        start = self._position
        end = self._argument_end(start, closers)
        self._position = end
        if start < end == len(self._text):
            return Source(self._text[start:])
        argument = self._text[start:end]
        options = self._read_options(closers) if self._next() == "?" else ""
        source = argument + options if options else argument.rstrip()
        if not source:
            self._fail("a concept set is missing")
        return Source(source)

    def _with_options(self, source: Source, closers: str) -> Source:
        if "?" in source.text:
            self._fail(f"{source.text!r} has options already")
        return Source(source.text + self._read_options(closers))

    def _argument_end(self, start: int, closers: str) -> int:
        """Return where the argument of a source ends; the longest one that exists wins."""
        scheme = SCHEME.match(self._text, start)
        argument_start = scheme.end() if scheme else start
        question_mark = self._text.find("?", start)
        limit = len(self._text) if question_mark < 0 else question_mark
        ends: list[int] = []
        for end in self._cuts(argument_start, closers):
            is_path = end - argument_start <= PATH_BYTES
            if end > limit or (ends and not is_path):
                break
            ends.append(end)
        ends.append(limit)
        existing = [
            end for end in ends if path_exists(self._text[argument_start:end])
        ]
        return existing[-1] if existing else ends[0]

    def _cuts(self, start: int, closers: str) -> Iterator[int]:
        """Yield the positions at which a source may end."""
        depth = 0  # of parentheses of the source's own
        for position in range(start, len(self._text)):
            character = self._text[position]
            is_closer = character in closers and not depth
            if is_closer or self._is_operator(position, closers):
                yield position
            depth = max(depth + (character == "(") - (character == ")"), 0)

    def _is_operator(self, position: int, closers: str) -> bool:
        """Return whether a plus or bracket joins or selects, and is not part of a source."""
        if self._text[position] == "+":
            return self._operand.match(self._text, position + 1) is not None
        if self._text[position] == "[":
            return self._is_selection(position, closers)
        return False

    def _is_selection(self, position: int, closers: str) -> bool:
        """Return whether a bracket is closed, and behind it follows what can follow a selection.

        Brackets with a colon are a slice, ``split=train[:10]``, and part of the source.
        """
        end = closing_bracket(self._text, position)
        if end is None or has_colon(self._text[position:end]):
            return False
        following = self._after_spaces(end + 1)
        if following == len(self._text):
            return True
        if self._text[following] == "+":
            return self._is_operator(following, closers)
        return self._text[following] in f"[?{closers}"

    def _count_step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            self._fail(f"more than {MOST_STEPS} sets, parentheses and brackets")

    def _after_spaces(self, position: int) -> int:
        spaces = SPACES.match(self._text, position)
        return spaces.end() if spaces else position

    def _skip_spaces(self) -> None:
        self._position = self._after_spaces(self._position)

    def _next(self) -> str:
        return self._text[self._position : self._position + 1]

    def _accept(self, character: str) -> bool:
        """Read a character behind spaces, if it is there."""
        position = self._after_spaces(self._position)
        is_there = self._text[position : position + 1] == character
        if is_there:
            self._position = position + 1
        return is_there

    def _expect(self, character: str) -> None:
        if not self._accept(character):
            self._fail(f"expected {character!r}")

    def _fail(self, problem: str) -> NoReturn:
        """Raise ConceptSetInvalid with the place up to which the text is read."""
        rest = self._text[self._position :].strip()
        place = f"at {rest[:SHOWN]!r}" if rest else "at its end"
        raise ConceptSetInvalid(
            f"{self._text[:SHOWN]!r}, {place}: {problem}; a source that holds such characters "
            'itself is written in double quotes, "masks:ROOT"'
        )
