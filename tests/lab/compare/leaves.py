"""The numbers of a JSON document, each by its path, and the document with one of them wrong."""

import copy
from collections.abc import Collection, Iterator
from typing import Any

from tests.lab.compare.expected import Json

WRONG = 7.3


def leaves(document: Json, under: Collection[str]) -> list[str]:
    """The paths of all numbers under some places, such as `styles.saga.end_to_end_ms.p50`."""
    return [path for path in _paths(document) if any(path == one or path.startswith(f"{one}.") for one in under)]


def changed(document: Json, path: str) -> Json:
    """The document with another number at a path."""
    wrong = copy.deepcopy(document)
    *parents, last = _split(wrong, path)
    place: Any = wrong
    for name in parents:
        place = place[name]
    place[last] += type(place[last])(WRONG)
    return wrong


def _paths(node: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any part of the document
    if isinstance(node, dict):
        for name, child in node.items():
            yield from _paths(child, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from _paths(child, f"{path}.{index}")
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield path


def _split(document: Json, path: str) -> list[Any]:
    """The names of a path; some of them hold dots themselves."""
    names: list[Any] = []
    node: Any = document
    rest = path
    while rest:
        if isinstance(node, list):
            name, _, rest = rest.partition(".")
            names.append(int(name))
            node = node[int(name)]
        else:
            key = max((one for one in node if rest == one or rest.startswith(f"{one}.")), key=len)
            names.append(key)
            rest = rest.removeprefix(key).removeprefix(".")
            node = node[key]
    return names
