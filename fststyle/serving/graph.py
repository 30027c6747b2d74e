"""An ONNX file's graph, read and changed without the package onnx: field numbers are those of onnx/onnx.proto."""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

from fststyle.errors import ModelError
from fststyle.protobuf import Value, fields, signed, varints
from fststyle.protobuf import field as encoded

FLOAT, UINT8, INT64 = 1, 2, 7
_INTEGER, _INTEGERS = 2, 7
"""Types of an attribute."""
_OPSET, _GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 8, 7, 1, 5, 11, 12, 13
_DOMAIN, _VERSION = 1, 2
_INPUTS, _OUTPUTS, _OPERATOR, _ATTRIBUTE = 1, 2, 4, 5
_NAMED = {_INITIALIZER: 8, _INPUT: 1, _OUTPUT: 1}
"""Where these have their names."""


@dataclass(frozen=True)
class Tensor:
    """An initialiser or a constant: its shape, and what is in it where that is integers."""

    message: memoryview

    @cached_property
    def dims(self) -> tuple[int, ...]:
        return _integers(value for number, value in fields(self.message) if number == 1)

    @cached_property
    def integers(self) -> tuple[int, ...] | None:
        """None for a tensor of another type."""
        stored = [*fields(self.message)]
        if (2, INT64) not in stored:
            return None
        for number, value in stored:
            if number == 9 and isinstance(value, memoryview):
                return struct.unpack(f"<{len(value) // 8}q", value)
        return _integers(value for number, value in stored if number == 7)

    @cached_property
    def floats(self) -> tuple[float, ...]:
        """Of a float32 tensor."""
        values: list[float] = []
        for number, value in fields(self.message):
            if number in (4, 9) and isinstance(value, memoryview):
                values += struct.unpack(f"<{len(value) // 4}f", value)
        return tuple(values)


@dataclass(frozen=True)
class Node:
    """One operator; an input that is left out is ``""``."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, memoryview]
    message: memoryview

    def integers(self, name: str) -> tuple[int, ...] | None:
        if name not in self.attributes:
            return None
        return _integers(value for number, value in fields(self.attributes[name]) if number in (3, 8))

    def integer(self, name: str, default: int) -> int:
        return (self.integers(name) or (default,))[0]

    def text(self, name: str, default: str) -> str:
        if name not in self.attributes:
            return default
        return next(_text(value) for number, value in fields(self.attributes[name]) if number == 4)

    @property
    def pads(self) -> bool:
        """Of a convolution: whether it has padding of its own."""
        return any(self.integers("pads") or ()) or self.text("auto_pad", "NOTSET") != "NOTSET"

    def tensor(self, name: str) -> Tensor | None:
        found = (value for number, value in fields(self.attributes.get(name, b"")) if number == 5)
        value = next(found, None)
        return Tensor(value) if isinstance(value, memoryview) else None


@dataclass(frozen=True)
class Graph:
    """``nodes`` in the order in which they are computed, ``tensors`` by name, and the names of the ``outputs``."""

    file: bytes = field(repr=False)
    nodes: list[Node]
    tensors: dict[str, Tensor]
    outputs: list[str]

    @property
    def opset(self) -> int:
        """Version of ONNX's own operators."""
        for number, value in fields(self.file):
            used = dict(fields(value)) if number == _OPSET and isinstance(value, memoryview) else {}
            if used and not used.get(_DOMAIN):
                version = used[_VERSION]
                assert isinstance(version, int)
                return version
        return 1

    def maker(self, name: str) -> Node | None:
        """None for an input or an initialiser."""
        return next((node for node in self.nodes if name in node.outputs), None)

    def takers(self, name: str) -> list[Node]:
        return [node for node in self.nodes if name in node.inputs]

    def changed(
        self,
        replace: Callable[[Node], Iterable[bytes]],
        *,
        tensors: Iterable[bytes] = (),
        inputs: Iterable[bytes] = (),
        outputs: Iterable[bytes] = (),
        without: Container[str] = (),
    ) -> bytes:
        """The file with each node replaced by what ``replace`` gives, with more initialisers, inputs and outputs, and
        ``without`` initialisers and inputs of these names.
        """
        changed = [encoded(_NODE, message) for node in self.nodes for message in replace(node)]
        for number, value in fields(_graph_of(self.file)):
            if number not in (_NODE, _VALUE_INFO) and not (number in _NAMED and _name(number, value) in without):
                changed.append(encoded(number, value))
        changed += [encoded(_INITIALIZER, tensor) for tensor in tensors]
        changed += [encoded(_INPUT, value) for value in inputs]
        changed += [encoded(_OUTPUT, value) for value in outputs]
        kept = [encoded(number, value) for number, value in fields(self.file) if number != _GRAPH]
        return b"".join([*kept, encoded(_GRAPH, b"".join(changed))])

    def replaced(
        self, nodes: Mapping[str, Iterable[bytes]], *, tensors: Iterable[bytes] = (), without: Container[str] = ()
    ) -> bytes:
        """As :meth:`changed`, with the nodes to be replaced given by the names of their first results."""
        return self.changed(
            lambda node: nodes.get(node.outputs[0], (bytes(node.message),)), tensors=tensors, without=without
        )


def read_graph(model: Path | bytes) -> Graph:
    """The graph of an ONNX file, or of the bytes of one.

    :raises ModelError: it cannot be read or is damaged.
    """
    try:
        file = model if isinstance(model, bytes) else model.read_bytes()
        nodes, tensors, outputs = [], {}, []
        for number, value in fields(_graph_of(file)):
            if number == _NODE and isinstance(value, memoryview):
                nodes.append(_node(value))
            elif number == _INITIALIZER and isinstance(value, memoryview):
                tensors[_name(number, value)] = Tensor(value)
            elif number == _OUTPUT and isinstance(value, memoryview):
                outputs.append(_name(number, value))
    except OSError as error:
        raise ModelError(f"cannot read {model!s}: {error.strerror or error}") from error
    except (ValueError, StopIteration) as error:
        named = "the network" if isinstance(model, bytes) else model
        raise ModelError(f"{named} is damaged or not an ONNX file") from error
    for node in nodes:
        constant = node.tensor("value") if node.operator == "Constant" else None
        if constant is not None:
            tensors[node.outputs[0]] = constant
    return Graph(file, nodes, tensors, outputs)


def node_message(
    operator: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
    attributes: Mapping[str, int | Iterable[int]] | None = None,
) -> bytes:
    """A node whose attributes are integers from 0, or lists of them."""
    parts: list[tuple[int, str | bytes]] = [(_INPUTS, name) for name in inputs]
    parts += [(_OUTPUTS, name) for name in outputs]
    parts += [(_OPERATOR, operator)]
    parts += [(_ATTRIBUTE, _attribute_message(name, value)) for name, value in (attributes or {}).items()]
    return b"".join(encoded(number, value) for number, value in parts)


def altered(
    node: Node,
    *,
    operator: str | None = None,
    inputs: Iterable[str],
    integers: Mapping[str, Iterable[int]] | None = None,
) -> bytes:
    """``node`` with those inputs, as another operator, with attributes that are integers from 0 set; else the same."""
    integers = integers or {}
    attributes: list[bytes | memoryview] = [value for name, value in node.attributes.items() if name not in integers]
    attributes += [_attribute_message(name, values) for name, values in integers.items()]
    message = node_message(operator or node.operator, inputs, node.outputs)
    return b"".join([message, *(encoded(_ATTRIBUTE, attribute) for attribute in attributes)])


def _attribute_message(name: str, value: int | Iterable[int]) -> bytes:
    if isinstance(value, int):
        return encoded(1, name) + encoded(3, value) + encoded(20, _INTEGER)
    return b"".join([encoded(1, name), *(encoded(8, each) for each in value), encoded(20, _INTEGERS)])


def tensor_message(name: str, values: bytes, dims: Iterable[int], kind: int = FLOAT) -> bytes:
    """``values`` are little-endian and of that kind."""
    shape = [encoded(1, side) for side in dims]
    return b"".join([*shape, encoded(2, kind), encoded(8, name), encoded(9, values)])


def integers_message(name: str, values: Iterable[int]) -> bytes:
    """An initialiser that is a list of int64."""
    listed = tuple(values)
    return tensor_message(name, struct.pack(f"<{len(listed)}q", *listed), [len(listed)], INT64)


def value_message(name: str, dims: Iterable[int] | None = None, kind: int = FLOAT) -> bytes:
    """An input or output; ``dims`` None leaves its shape open."""
    shape = b"" if dims is None else encoded(2, b"".join(encoded(1, encoded(1, side)) for side in dims))
    return encoded(1, name) + encoded(2, encoded(1, encoded(1, kind) + shape))


def _graph_of(file: bytes) -> memoryview:
    for number, value in fields(file):
        if number == _GRAPH and isinstance(value, memoryview):
            return value
    raise ValueError("no graph")


def _node(message: memoryview) -> Node:
    stored = [*fields(message)]

    def texts(wanted: int) -> tuple[str, ...]:
        return tuple(_text(value) for number, value in stored if number == wanted)

    attributes = {}
    for number, value in stored:
        if number == _ATTRIBUTE and isinstance(value, memoryview):
            attributes[next(_text(inner) for key, inner in fields(value) if key == 1)] = value
    operator = next(iter(texts(_OPERATOR)), "")
    return Node(operator, texts(_INPUTS), texts(_OUTPUTS), attributes, message)


def _integers(values: Iterable[Value]) -> tuple[int, ...]:
    """Repeated integers, each a field of its own (proto2) or packed (proto3)."""
    each = ((signed(value),) if isinstance(value, int) else varints(value) for value in values)
    return tuple(chain.from_iterable(each))


def _name(number: int, value: Value) -> str:
    """Of an initialiser, input or output, by the number of its field in the graph."""
    assert isinstance(value, memoryview)
    return next(_text(found) for inner, found in fields(value) if inner == _NAMED[number])


def _text(value: Value) -> str:
    if isinstance(value, int):
        raise ValueError("a number where text should be")
    return bytes(value).decode()
