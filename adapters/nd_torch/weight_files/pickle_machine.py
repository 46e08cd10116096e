"""Reader of pickles that imports nothing and calls nothing.

A pickle is a program for a stack machine, whose opcodes may import and call anything. Here names of
functions and classes become `Reference`s, and calls become `Construction`s: records of what would
have been called. What these stand for is decided by a reader that knows a few of them by name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from nd_torch.weight_files.pickle_records import (
    BadPickle,
    BoundedReader,
    Construction,
    Reference,
)

# a state dict takes about forty a tensor
MOST_OPERATIONS = 1_000_000
LONGEST_REASON = 120  # characters of an error, which may quote the file

Operations = Iterator[tuple[str, Any]]
# of keys: tuples take exponential time to hash where they share parts
PLAIN_KEYS = (str, bytes, int, float, bool, type(None))
ORDERED_DICTS = ("collections.OrderedDict", "collections.defaultdict")
BUILTINS = ("__builtin__", "builtins")


def read_pickle(
    file: BinaryIO,
    load_persistent: Callable[[Any], Any] = lambda identity: identity,
) -> Any:
    """Read one pickle from a file, which is left behind its end.

    Strings of Python 2 are decoded as Latin-1. ``load_persistent`` returns what a persistent
    identity stands for. Raises BadPickle.
    """
    machine = _Machine(load_persistent)
    try:
        for number, (name, argument) in enumerate(_operations(file)):
            if number >= MOST_OPERATIONS:
                raise BadPickle(f"its pickle has more than {number} operations")
            machine.run(name, argument)
        return machine.result()
    except (
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        reason = str(error)[:LONGEST_REASON]
        raise BadPickle(f"its pickle is damaged ({reason})") from error


def _operations(file: BinaryIO) -> Operations:
    for opcode, argument, _ in pickletools.genops(BoundedReader(file)):  # type: ignore[arg-type]
        yield opcode.name, argument


class _Machine:
    """Stack machine of pickle."""

    def __init__(self, load_persistent: Callable[[Any], Any]) -> None:
        self._load_persistent = load_persistent
        self._stack: list[Any] = []
        self._outer_stacks: list[list[Any]] = []  # below each mark
        self._memo: dict[int, Any] = {}

    def result(self) -> Any:
        """Return what is on the stack at the end."""
        return self._stack[-1]

    def run(self, name: str, argument: Any) -> None:
        """Run one operation. Raises BadPickle for one that is not allowed."""
        if name in CONSTANTS:
            self._stack.append(CONSTANTS[name]())
        elif name in LITERALS:
            self._stack.append(argument)
        elif name in OPERATIONS:
            OPERATIONS[name](self, argument)
        elif name not in WITHOUT_EFFECT:
            raise BadPickle(
                f"its pickle has the operation {name}, which is not read"
            )

    def mark(self, _: Any) -> None:
        self._outer_stacks.append(self._stack)
        self._stack = []

    def pop_marked(self) -> list[Any]:
        items = self._stack
        self._stack = self._outer_stacks.pop()
        return items

    def pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.pop_marked()

    def discard_marked(self, _: Any) -> None:
        self.pop_marked()

    def duplicate(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def put(self, number: Any) -> None:
        self._memo[int(number)] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, number: Any) -> None:
        self._stack.append(self._memo[int(number)])

    def push_tuple(self, _: Any) -> None:
        items = self.pop_marked()
        self._stack.append(tuple(items))

    def push_list(self, _: Any) -> None:
        items = self.pop_marked()
        self._stack.append(items)

    def push_dict(self, _: Any) -> None:
        items = self.pop_marked()
        self._stack.append({})
        self._set_items(items)

    def push_last(self, count: int) -> None:
        """Put a tuple in the place of the last values."""
        if len(self._stack) < count:
            raise BadPickle("its pickle is damaged (too few values)")
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def append_one(self, _: Any) -> None:
        item = self._stack.pop()
        self._items_of(self._stack[-1]).append(item)

    def append_marked(self, _: Any) -> None:
        items = self.pop_marked()
        self._items_of(self._stack[-1]).extend(items)

    def set_one(self, _: Any) -> None:
        value = self._stack.pop()
        key = self._stack.pop()
        self._set_items([key, value])

    def set_marked(self, _: Any) -> None:
        self._set_items(self.pop_marked())

    def _items_of(self, target: Any) -> list[Any]:
        if isinstance(target, Construction):
            return target.items
        if not isinstance(target, list):
            raise BadPickle(f"its pickle appends to a {type(target).__name__}")
        return target

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        entries = target.entries if isinstance(target, Construction) else target
        if not isinstance(entries, dict) or len(items) % 2:
            raise BadPickle(f"its pickle sets items of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            entries[_hashable(key)] = value

    def push_reference(self, names: str) -> None:
        module, _, name = names.partition(" ")
        self._stack.append(Reference(module, name))

    def push_named_reference(self, _: Any) -> None:
        name = self._stack.pop()
        module = self._stack.pop()
        # a tuple that shares parts takes exponential time to print
        if not isinstance(name, str) or not isinstance(module, str):
            raise BadPickle("its pickle is damaged (a name that is no text)")
        self._stack.append(Reference(module, name))

    def record_call(self, _: Any) -> None:
        arguments = self._stack.pop()
        function = self._stack.pop()
        self._stack.append(_called(function, arguments))

    def record_call_with_names(self, _: Any) -> None:
        self._stack.pop()
        self.record_call(None)

    def record_marked_call(self, _: Any) -> None:
        function, *arguments = self.pop_marked()
        self._stack.append(_called(function, tuple(arguments)))

    def record_instance(self, names: str) -> None:
        arguments = tuple(self.pop_marked())
        module, _, name = names.partition(" ")
        self._stack.append(_called(Reference(module, name), arguments))

    def record_state(self, _: Any) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        # attributes of a dict, such as the versions in a state dict, are of no use here
        if isinstance(target, Construction):
            target.state = state

    def push_persistent(self, identity: Any) -> None:
        self._stack.append(self._load_persistent(identity))

    def push_persistent_of_stack(self, _: Any) -> None:
        self._stack.append(self._load_persistent(self._stack.pop()))


def _hashable(key: Any) -> Any:
    """Return a key of a dict; of a kind that costs much to hash only a stand-in."""
    return key if isinstance(key, PLAIN_KEYS) else object()


def _called(function: Any, arguments: Any) -> Any:
    """Return a call's record; a dict for the call of an ordered one, a list for that of a set.

    Their items are moved and not copied: calls with one list would fill the memory with copies.
    """
    if not isinstance(arguments, tuple):
        raise BadPickle("its pickle is damaged (arguments that are no tuple)")
    if not isinstance(function, Reference):
        return Construction(function, arguments)
    items = arguments[0] if arguments and isinstance(arguments[0], list) else []
    if function.path in ORDERED_DICTS:
        entries = {_hashable(key): value for key, value in items}
        items.clear()
        return entries
    if function.module in BUILTINS and function.name in ("set", "frozenset"):
        return items
    return Construction(function, arguments)


CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # hashed by nobody
}
LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8".split()
)
WITHOUT_EFFECT = ("PROTO", "FRAME", "STOP")
OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.discard_marked,
    "DUP": _Machine.duplicate,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "TUPLE": _Machine.push_tuple,
    "TUPLE1": lambda machine, _: machine.push_last(1),
    "TUPLE2": lambda machine, _: machine.push_last(2),
    "TUPLE3": lambda machine, _: machine.push_last(3),
    "LIST": _Machine.push_list,
    "FROZENSET": _Machine.push_list,
    "DICT": _Machine.push_dict,
    "APPEND": _Machine.append_one,
    "APPENDS": _Machine.append_marked,
    "ADDITEMS": _Machine.append_marked,
    "SETITEM": _Machine.set_one,
    "SETITEMS": _Machine.set_marked,
    "GLOBAL": _Machine.push_reference,
    "STACK_GLOBAL": _Machine.push_named_reference,
    "REDUCE": _Machine.record_call,
    "NEWOBJ": _Machine.record_call,
    "NEWOBJ_EX": _Machine.record_call_with_names,
    "OBJ": _Machine.record_marked_call,
    "INST": _Machine.record_instance,
    "BUILD": _Machine.record_state,
    "PERSID": _Machine.push_persistent,
    "BINPERSID": _Machine.push_persistent_of_stack,
}
