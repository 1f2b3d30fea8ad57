"""Takes the code apart: which definitions something needs, and what these name. It is read by `ast`, and never run."""

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

Symbol = tuple[str, str]
"""Module and name: `("services.shipping", "SHIPPING")`, `("workflows.saga", "Saga.step")`; a module alone has none."""

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One module."""

    path: str
    """From the top of the project."""
    imports: dict[str, Symbol]
    """Local name to what it stands for."""
    definitions: dict[str, tuple[ast.AST, ...]]
    """Name to the code: constants, functions, methods (`Class.method`), and classes without their methods.

    They are the smallest parts of a module that can be needed without the rest.
    """


class Code:
    """The modules of a project, and what refers to what in them."""

    def __init__(self, project: Path, *, without: Collection[str] = ()) -> None:
        """Read all packages and modules at the top of a project, but for the packages named in `without`."""
        files = sorted(
            file
            for package in project.glob("*/__init__.py")
            if package.parent.name not in without
            for file in package.parent.rglob("*.py")
        )
        paths = [file.relative_to(project) for file in (*files, *sorted(project.glob("*.py")))]
        names = {_module_name(path) for path in paths}
        self.sources = {
            _module_name(path): _source(ast.parse((project / path).read_text(encoding="utf-8")), path, names)
            for path in paths
        }
        self._activities = dict(self._find_activities())

    def needed_by(self, roots: Iterable[Symbol], packages: Collection[str]) -> set[Symbol]:
        """The definitions in these packages that the roots need, directly or by way of others in these packages.

        A class comes with its methods. A Temporal activity, though, is called by its name and not by its function: it
        comes with the constant that names it, as the one class may hold activities that somebody else calls.
        """
        waiting = list(roots)
        reached: set[Symbol] = set()
        while waiting:
            symbol = waiting.pop()
            if symbol not in reached:
                reached.add(symbol)
                waiting += [activity for activity, name in self._activities.items() if name == symbol]
                if self._is_in(symbol, packages):
                    waiting += [*self.references(symbol), *self._comes_with(symbol)]
        return {symbol for symbol in reached if self._is_in(symbol, packages)}

    def references(self, symbol: Symbol) -> set[Symbol]:
        """What a definition refers to in the project."""
        module, name = symbol
        attributes = {node.attr for node in self.nodes(symbol) if isinstance(node, ast.Attribute)}
        owner = name.partition(".")[0]
        found = set[Symbol]()
        for node in self.nodes(symbol):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found |= self._meant(module, node.id, attributes)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                found.add((module, f"{owner}.{node.attr}"))
        return {one for one in found if not one[1] or one[1] in self.sources[one[0]].definitions} - {symbol}

    def nodes(self, symbol: Symbol) -> Iterator[ast.AST]:
        """All syntax of a definition."""
        for part in self.sources[symbol[0]].definitions.get(symbol[1], ()):
            yield from ast.walk(part)

    def strings(self, symbol: Symbol) -> set[str]:
        """The texts in a definition, and in the constants that it refers to: `NAME = "…"`, `NAMES = (*OTHERS, "…")`."""
        texts = set(_texts(self.nodes(symbol)))
        return texts.union(*(self._texts_of_constant(one) for one in self.references(symbol)))

    def keys(self, symbol: Symbol) -> set[str]:
        """The texts that are keys of the dictionary that a constant holds."""
        keys = (key for node in self.nodes(symbol) if isinstance(node, ast.Dict) for key in node.keys)
        return set(_texts(keys))

    def identifiers(self, symbol: Symbol) -> set[str]:
        """The names in a definition: of variables, attributes and arguments."""
        nodes = list(self.nodes(symbol))
        return {node.id for node in nodes if isinstance(node, ast.Name)}.union(
            (node.attr for node in nodes if isinstance(node, ast.Attribute)),
            (node.arg for node in nodes if isinstance(node, ast.arg | ast.keyword) and node.arg is not None),
        )

    def calls(self, symbol: Symbol) -> Iterator[tuple[str, ast.Call]]:
        """The calls in a definition, each with the last part of the name of what is called."""
        for node in self.nodes(symbol):
            if isinstance(node, ast.Call):
                yield ast.unparse(node.func).rpartition(".")[2], node

    def _texts_of_constant(self, symbol: Symbol) -> set[str]:
        texts = set[str]()
        for part in self.sources[symbol[0]].definitions.get(symbol[1], ()):
            value = part.value if isinstance(part, ast.Assign | ast.AnnAssign) else None
            elements = value.elts if isinstance(value, ast.Tuple) else [value]
            texts.update(_texts(elements))
            starred = (one.value for one in elements if isinstance(one, ast.Starred))
            for name in (one.id for one in starred if isinstance(one, ast.Name)):
                texts |= self._texts_of_constant(self.sources[symbol[0]].imports.get(name, (symbol[0], name)))
        return texts

    def _meant(self, module: str, name: str, attributes: set[str]) -> set[Symbol]:
        """What a name stands for; of a module, whatever of it the attributes beside the name may mean."""
        source = self.sources[module]
        target = source.imports.get(name, (module, name))
        if target[1]:
            return {target}
        return {target, *((target[0], one) for one in attributes)}

    def _comes_with(self, symbol: Symbol) -> list[Symbol]:
        module, name = symbol
        owner, _, method = name.partition(".")
        if method:
            return [(module, owner)]
        others = [(module, other) for other in self.sources[module].definitions if other.startswith(f"{name}.")]
        return [other for other in others if other not in self._activities]

    def _find_activities(self) -> Iterator[tuple[Symbol, Symbol]]:
        """Each activity, and the constant that names it."""
        for module, source in self.sources.items():
            for name, parts in source.definitions.items():
                for part in parts:
                    decorators = part.decorator_list if isinstance(part, _Function) else []
                    for constant in filter(None, map(_name_of_activity, decorators)):
                        yield (module, name), source.imports.get(constant, (module, constant))

    def _is_in(self, symbol: Symbol, packages: Collection[str]) -> bool:
        return symbol[0].partition(".")[0] in packages and symbol[1] in self.sources[symbol[0]].definitions


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _source(tree: ast.Module, path: Path, modules: Collection[str]) -> Source:
    imports: dict[str, Symbol] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module in modules:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                imports[alias.asname or alias.name] = (whole, "") if whole in modules else (node.module, alias.name)
    definitions: dict[str, tuple[ast.AST, ...]] = {}
    for statement in tree.body:
        definitions |= _definitions(statement)
    return Source(path.as_posix(), imports, definitions)


def _definitions(statement: ast.stmt) -> dict[str, tuple[ast.AST, ...]]:
    if isinstance(statement, _Function):
        return {statement.name: (statement,)}
    if isinstance(statement, ast.ClassDef):
        methods = [part for part in statement.body if isinstance(part, _Function) and part.name != "__init__"]
        head: list[ast.AST] = [*statement.decorator_list, *statement.bases]
        for part in statement.body:
            if isinstance(part, _Function) and part.name == "__init__":
                # Without its signature: a class that serves several is handed by whoever puts it together what any of
                # them needs. Who needs it shows in the methods.
                head += part.body
            elif part not in methods:
                head.append(part)
        return {statement.name: tuple(head), **{f"{statement.name}.{one.name}": (one,) for one in methods}}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        return dict.fromkeys(names, (statement,))
    return {}


def _name_of_activity(decorator: ast.expr) -> str | None:
    """The constant in `@activity.defn(name=CONSTANT)`, `@activity.defn(name=CONSTANT.activity)`."""
    if not (isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "activity.defn"):
        return None
    for keyword in decorator.keywords:
        for node in ast.walk(keyword.value):
            if keyword.arg == "name" and isinstance(node, ast.Name):
                return node.id
    return None


def _texts(nodes: Iterable[ast.AST | None]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
