"""The layer tables of cpp/README.md and hz3py/README.md are the rule, and this test reads them."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
CPP_SUFFIXES = {".c", ".cc", ".cpp", ".h", ".hpp"}
STANDARD_LIBRARY = sys.stdlib_module_names | {"tomllib"}  # which Python 3.10 lacks
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
CONDITIONAL = re.compile(r"^\s*#\s*(?:if|ifdef|ifndef)\b", re.MULTILINE)
INCLUDE_GUARD = re.compile(r"^#ifndef (\w+)\n#define \1\n", re.MULTILINE)
ERRNO_HEADERS = {"errno.h", "cerrno"}
ERRNO_LAYERS = {"src/base", "src/os", "src/entry"}
CONDITIONAL_LAYERS = {"src/os", "src/entry"}


@dataclass(frozen=True)
class Layer:
    """One row of a layer table: what it may use of the project and of third parties."""

    name: str
    allowed: frozenset[str]
    third_party: frozenset[str] = frozenset()


def words(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"[\w./]+", cell)) - {"nothing", "none"}


def read_layers(readme: Path) -> dict[str, Layer]:
    """Read the table whose first heading is "layer"."""
    layers: dict[str, Layer] = {}
    lines = iter(readme.read_text(encoding="utf-8").splitlines())
    heading = next(line for line in lines if line.startswith("| layer "))
    has_third_party = "third party" in heading
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = cells[0].strip("`")
        allowed = frozenset(layers) if cells[1] == "all above" else words(cells[1])
        layers[name] = Layer(
            name, allowed | {name}, words(cells[2]) if has_third_party else frozenset()
        )
    return layers


def cpp_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in CPP_SUFFIXES)


def layer_of(path: Path, cpp: Path, layers: dict[str, Layer]) -> str | None:
    for name in layers:
        if path.is_relative_to((cpp / name).resolve()):
            return name
    return None


def include_violations(cpp: Path, layers: dict[str, Layer]) -> list[str]:
    """Return one line for each include that the table of `layers` forbids."""
    found = []
    for layer in layers.values():
        for path in cpp_files((cpp / layer.name).resolve()):
            for quote, target in INCLUDE.findall(path.read_text(encoding="utf-8")):
                where = f"{path.name} ({layer.name}) includes {target}"
                places = (path.parent, cpp / "src", cpp / "include")
                file = next((p / target for p in places if (p / target).is_file()), None)
                if file is not None:
                    used = layer_of(file.resolve(), cpp, layers)
                    if used not in layer.allowed:
                        found.append(f"{where}, which lies in {used}")
                elif quote == '"':
                    found.append(f"{where}, which is not a file of the project")
                elif (
                    target in ERRNO_HEADERS
                    and layer.name.startswith("src/")
                    and layer.name not in ERRNO_LAYERS
                ):
                    found.append(f"{where}; errno is not known there")
    return found


def imported_names(tree: ast.AST, package: str) -> list[str]:
    """Return every imported module, `from a import b` as "a.b"."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names


def python_layer(path: Path, package: Path) -> str:
    return path.relative_to(package).with_suffix("").parts[0]


def import_violations(package: Path, layers: dict[str, Layer]) -> list[str]:
    """Return one line for each import that the table of `layers` forbids."""
    found = []
    for path in sorted(package.rglob("*.py")):
        name = python_layer(path, package)
        relative = path.relative_to(package.parent)
        if name not in layers:
            found.append(f"{relative} is in no layer")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for module in imported_names(tree, ".".join(relative.parent.parts)):
            root, _, rest = module.partition(".")
            if root == package.name:
                part = rest.partition(".")[0]
                used = part if part in layers or part == "_core" else "__init__"
                if used not in layers[name].allowed:
                    found.append(f"{relative} imports {module}, which lies in {used}")
            elif root not in STANDARD_LIBRARY | layers[name].third_party:
                found.append(f"{relative} imports {module}, which {name} does not use")
    return found


def print_violations(path: Path) -> list[str]:
    """Return the lines of a module that write to the terminal."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        prints = isinstance(node, ast.Name) and node.id == "print"
        streams = (
            isinstance(node, ast.Attribute)
            and node.attr in {"stdout", "stderr", "__stdout__", "__stderr__"}
            and isinstance(node.value, ast.Name)
            and node.value.id == "sys"
        )
        if (prints or streams) and isinstance(node, ast.expr):
            found.append(f"{path}:{node.lineno}")
    return found


def source_files() -> list[Path]:
    suffixes = CPP_SUFFIXES | {".py", ".pyi"}
    folders = [REPO / name for name in ("cpp", "hz3py", "benchmarks", "tests")]
    files = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return [path for path in files if path.suffix in suffixes and path.stat().st_size]


def test_cpp_includes_follow_the_table() -> None:
    assert include_violations(REPO / "cpp", read_layers(REPO / "cpp" / "README.md")) == []


def test_every_native_source_lies_in_a_layer() -> None:
    cpp = REPO / "cpp"
    layers = read_layers(cpp / "README.md")
    assert [path for path in cpp_files(cpp) if layer_of(path, cpp, layers) is None] == []


def test_python_imports_follow_the_table() -> None:
    assert import_violations(REPO / "hz3py", read_layers(REPO / "hz3py" / "README.md")) == []


def test_only_the_command_line_prints() -> None:
    package = REPO / "hz3py"
    sampler = package / "measure" / "sampler" / "main.py"  # a program of its own
    modules = {p for p in package.rglob("*.py") if python_layer(p, package) != "cli"} - {sampler}
    assert [line for path in sorted(modules) for line in print_violations(path)] == []


def test_conditional_compilation_is_rare() -> None:
    cpp = REPO / "cpp"
    layers = read_layers(cpp / "README.md")
    lines, conditionals = 0, []
    for path in cpp_files(cpp / "src"):
        if path.name == "compiler.h" or layer_of(path, cpp, layers) in CONDITIONAL_LAYERS:
            continue
        text = path.read_text(encoding="utf-8")
        lines += text.count("\n")
        conditionals += [path.name] * (
            len(CONDITIONAL.findall(text)) - len(INCLUDE_GUARD.findall(text))
        )
    assert len(conditionals) * 1000 <= 5 * lines, conditionals


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_bytes().splitlines()) for path in source_files()}
    assert {path: length for path, length in lengths.items() if length > 400} == {}


def test_every_file_says_what_lives_in_it() -> None:
    heads = ("//", "/*", '"""', 'r"""', "#!")
    silent = [p for p in source_files() if not p.read_text(encoding="utf-8").startswith(heads)]
    assert silent == []


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_forbidden_include_is_found(tmp_path: Path) -> None:
    write(tmp_path / "src/base/bits.h", '#include "span/span.h"\n#include <cerrno>\n')
    write(tmp_path / "src/span/span.h", '#include "base/bits.h"\n#include <cerrno>\n')
    write(tmp_path / "src/span/central.cpp", '#include "span.h"\n#include "absent.h"\n')
    rows = [
        "| layer | may include |",
        "|---|---|",
        "|`src/base`|nothing|",
        "|`src/span`|all above|",
    ]
    write(tmp_path / "README.md", "\n".join(rows))

    found = include_violations(tmp_path, read_layers(tmp_path / "README.md"))

    assert found == [
        "bits.h (src/base) includes span/span.h, which lies in src/span",
        "central.cpp (src/span) includes absent.h, which is not a file of the project",
        "span.h (src/span) includes cerrno; errno is not known there",
    ]


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    package = tmp_path / "hz3py"
    write(package / "errors.py", "def late():\n    from hz3py.cli import table\n    import numpy\n")
    write(package / "cli/table.py", "from ..errors import X\nfrom . import other\nimport rich\n")
    write(package / "cli/other.py", "import hz3py\nfrom hz3py import _core, errors\nprint(1)\n")
    write(package / "stray.py", "")
    table = (
        "| layer | may import | third party |\n|---|---|---|\n"
        "| `errors` | nothing | none |\n| `cli` | all above | rich |\n"
    )
    write(package / "README.md", table)

    found = import_violations(package, read_layers(package / "README.md"))

    assert found == [
        "hz3py/cli/other.py imports hz3py, which lies in __init__",
        "hz3py/cli/other.py imports hz3py._core, which lies in _core",
        "hz3py/errors.py imports hz3py.cli.table, which lies in cli",
        "hz3py/errors.py imports numpy, which errors does not use",
        "hz3py/stray.py is in no layer",
    ]
    assert print_violations(package / "cli/other.py") == [f"{package / 'cli/other.py'}:3"]
