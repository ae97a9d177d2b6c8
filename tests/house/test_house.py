"""The house checks itself: sizes, mirrored tests, banned calls, dead files, texts that must not be in the tree.

Each rule is a function from one source to the places that break it, stands beside an example that must break it, and
is run on every file it speaks of. What breaks a rule for a good reason is listed in `exceptions.yaml` with the reason;
the list may only shrink: an exception that is no longer needed fails too.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OURS = ("gateway", "guardrails", "pricing", "loadtest")
LONGEST_FUNCTION = 70
LONGEST_MODULE = 450
GUESSED_SLEEP = 0.1
HANG = 60
"""Seconds: a sleep this long stands for something that never answers, which the test itself ends."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file: its path from the root, with `/`, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree: found once for all rules, which is most of what they cost."""
        return list(ast.walk(self.tree))

    @cached_property
    def names(self) -> dict[str, str]:
        """What each imported name stands for: `{"now": "time.time"}` after `from time import time as now`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    found[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return found

    def dotted(self, node: ast.expr) -> str:
        """The full name an expression refers to, "" when it is not a plain dotted name of an import or builtin."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (base := self.dotted(node.value)):
            return f"{base}.{node.attr}"
        return ""

    def references(self) -> Iterator[tuple[int, str]]:
        """Line and full name of every dotted name used."""
        for node in self.nodes:
            if isinstance(node, ast.Attribute | ast.Name) and (name := self.dotted(node)):
                yield node.lineno, name


Check = Callable[[Source], Iterator[str]]


@dataclass(frozen=True)
class Rule:
    name: str
    why: str
    applies: Callable[[str], bool]
    check: Check
    bad: Source
    """An example that breaks it, so that a rule which finds nothing is known to look."""


def python_of(*places: str, but: tuple[str, ...] = ()) -> Callable[[str], bool]:
    """Python files under `places`, except those whose path starts with one of `but`."""
    under = tuple(f"{place}/" for place in places)
    return lambda path: path.endswith(".py") and path.startswith(under) and not path.startswith(but)


def everything(path: str) -> bool:
    return not path.startswith("tests/house/")


def qualified(tree: ast.Module) -> Iterator[tuple[str, FunctionNode]]:
    """Every function with its dotted name inside the module."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, FunctionNode]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FunctionNode):
                yield f"{prefix}{child.name}", child
            inner = f"{prefix}{child.name}." if isinstance(child, FunctionNode | ast.ClassDef) else prefix
            yield from walk(child, inner)

    return walk(tree, "")


def refers(*banned: str) -> Check:
    """Places that use one of the full names, or an attribute of them."""

    def check(source: Source) -> Iterator[str]:
        lines = {line for line, name in source.references() if name.startswith(banned) and _whole(name, banned)}
        yield from (f"{source.path}:{_inside(source, line)}" for line in sorted(lines))

    return check


def _whole(name: str, banned: tuple[str, ...]) -> bool:
    return any(name == word or name.startswith(f"{word}.") for word in banned)


def _inside(source: Source, line: int) -> str:
    """The innermost function around a line, or `module`: an exception that names it survives edits above it."""
    around = [(f.lineno, name) for name, f in qualified(source.tree) if f.lineno <= line <= (f.end_lineno or f.lineno)]
    return max(around)[1] if around else "module"


def bare_tasks(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else source.dotted(node.func).split(".")[-1]
            if name in {"create_task", "ensure_future"}:
                yield f"{source.path}:{_inside(source, node.lineno)}"


def bare_except(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{source.path}:{_inside(source, node.lineno)}"


def asserts(source: Source) -> Iterator[str]:
    """Assertions, but for those that only tell the type checker what is known (`is not None`, `isinstance`)."""
    for node in source.nodes:
        if isinstance(node, ast.Assert) and not re.search(r" is not None$|^isinstance\(", ast.unparse(node.test)):
            yield f"{source.path}:{_inside(source, node.lineno)}"


MUTABLE_CALLS = frozenset({"list", "dict", "set", "bytearray", "collections.defaultdict", "collections.deque",
                           "collections.OrderedDict", "collections.Counter"})  # fmt: skip
MUTATORS = frozenset({"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "popleft", "clear",
                      "remove", "discard", "appendleft"})  # fmt: skip


def module_state(source: Source) -> Iterator[str]:
    """Module-level containers that something changes, and `global` statements."""
    containers: set[str] = set()
    for node in source.tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        is_call = isinstance(value, ast.Call) and source.dotted(value.func) in MUTABLE_CALLS
        if is_call or isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[union-attr]
            containers |= {target.id for target in targets if isinstance(target, ast.Name)}
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield f"{source.path}:{node.names[0]}"
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            if isinstance(node.value, ast.Name) and node.value.id in containers:
                yield f"{source.path}:{node.value.id}"
        elif isinstance(node, ast.Attribute) and node.attr in MUTATORS and isinstance(node.value, ast.Name):
            yield from [f"{source.path}:{node.value.id}"] if node.value.id in containers else []


def long_functions(source: Source) -> Iterator[str]:
    for name, function in qualified(source.tree):
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION:
            yield f"{source.path}:{name}"


def long_modules(source: Source) -> Iterator[str]:
    if source.text.count("\n") > LONGEST_MODULE:
        yield source.path


def reason_to_exist(source: Source) -> Iterator[str]:
    """The docstring's first line must be there, on line 1, and say something."""
    if not source.tree.body:
        return
    docstring = ast.get_docstring(source.tree) or ""
    first = source.tree.body[0]
    if len(docstring.split("\n")[0].split()) < 3 or first.lineno != 1:
        yield source.path


def guessed_sleeps(source: Source) -> Iterator[str]:
    for node in source.nodes:
        if isinstance(node, ast.Call) and source.dotted(node.func) in {"time.sleep", "asyncio.sleep"} and node.args:
            seconds = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            if isinstance(seconds, int | float) and GUESSED_SLEEP <= seconds < HANG:
                yield f"{source.path}:{_inside(source, node.lineno)}"


def text(pattern: str) -> Check:
    """Lines that match; reported as the file and what matched."""
    compiled = re.compile(pattern)

    def check(source: Source) -> Iterator[str]:
        yield from sorted({f"{source.path}:{match.group(0)}" for match in compiled.finditer(source.text)})

    return check


PRODUCT = ("gateway", "guardrails", "pricing")
RULES = [
    Rule("owned-tasks", "a bare task can be collected while it runs, and nobody sees its exception: gateway/tasks.py",
         python_of(*PRODUCT, but=("gateway/tasks.py",)), bare_tasks,
         Source("gateway/x.py", "from asyncio import create_task as go\ndef f(): go(g())\n")),
    Rule("clock", "time is an argument (gateway.seams.Clock): a failure is then a seed one can replay",
         python_of(*PRODUCT, but=("gateway/clock.py", "gateway/cli/")),
         refers(*(f"time.{name}" for name in ("time", "time_ns")),
                *(f"datetime.{name}" for name in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today"))),
         Source("gateway/x.py", "from datetime import datetime\nNOW = datetime.now\n")),
    Rule("no-print", "the gateway speaks through the journal, metrics and the log",
         python_of(*PRODUCT, but=("gateway/cli/",)), refers("print"), Source("gateway/x.py", "print(1)\n")),
    Rule("environment", "the environment is read where configuration is made, and nowhere else",
         python_of(*PRODUCT, but=("gateway/settings/", "gateway/cli/", "gateway/server.py")),
         refers("os.environ", "os.getenv", "os.environb"), Source("gateway/x.py", "import os\nos.environ.get('A')\n")),
    Rule("module-state", "state belongs to the World, or to an object with an owner",
         python_of(*OURS), module_state, Source("gateway/x.py", "SEEN = {}\ndef f(k): SEEN[k] = 1\n")),
    Rule("no-bare-except", "it catches cancellation and exit too",
         python_of(*OURS, "tests"), bare_except, Source("gateway/x.py", "try:\n    f()\nexcept:\n    pass\n")),
    Rule("no-assert", "`python -O` removes it: raise an error of the family",
         python_of(*PRODUCT), asserts, Source("pricing/x.py", "def f(x):\n    assert x\n")),
    Rule("possessive-groups", "before Python 3.11.5 a group that fails half-way leaves its place behind when repeated "
         "possessively: an atomic group around a greedy repeat, (?>(?:...)*), is the same and right everywhere",
         python_of(*OURS), text(r'(?<!\]\*\+)\)(?:[*+?]|\{+[\d,]+\}+)\+'),
         Source("gateway/x.py", "X = re.compile('(?:a+b)*' " + "'+')\nY = '(?:a+b)*" + "+'\n")),
    Rule("function-length", f"at most {LONGEST_FUNCTION} lines: watch the longest thing, not the average",
         python_of(*OURS, but=("gateway/ledger/migrations/",)), long_functions,
         Source("gateway/x.py", "class A:\n  def f():\n" + "    x = 1\n" * 70)),
    Rule("module-length", f"at most {LONGEST_MODULE} lines: is it still one room?",
         python_of(*OURS), long_modules, Source("gateway/x.py", "x = 1\n" * 451)),
    Rule("reason-to-exist", "the first line of a module says why it exists",
         python_of(*OURS), reason_to_exist, Source("gateway/x.py", "import os\n")),
    Rule("no-guessed-sleep", "a test waits for a condition, never for a guessed time",
         python_of("tests"), guessed_sleeps, Source("tests/x.py", "from time import sleep\nsleep(0.5)\n")),
    Rule("no-skipped-test", "a test that does not run proves nothing",
         python_of("tests", but=("tests/house/",)), text(r"pytest\.(mark\.)?(skip(if)?|xfail)\b|importorskip"),
         Source("tests/x.py", "@pytest.mark." + "skip\n")),
    Rule("nothing-left-open", "what is not finished is not in the tree",
         lambda path: everything(path) and path.endswith((".py", ".yaml", ".yml", "Makefile", "run")),
         text(r"\b(TODO|FIXME|XXX|NotImplementedError)\b"), Source("gateway/x.py", "# FIX" + "ME later\n")),
    Rule("no-machine-paths", "a path of one machine is wrong on every other",
         everything, text(r"(?<![\w.:/-])/(work|root|home|Users)/[\w.-]+"),
         Source("docs/x.md", "see /wor" + "k/main\n")),
    Rule("no-registry-hosts", "where packages come from is the installer's own configuration",
         everything,
         text(r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|(deb|security)\.debian\.org|(archive|security)\.ubuntu\.com)"),
         Source("x.md", "https://pypi" + ".org/simple\n")),
    Rule("no-credentials", "what looks like a secret is treated as one",
         lambda path: everything(path) and not path.startswith("tests/"),
         text(r"sk-(ant-|proj-)?[A-Za-z0-9_]{24,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}|xox[abp]-[\w-]{10,}|"
              r"AIza[\w-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY-----|://[\w.-]+:(?![A-Z]+@)[\w.-]{3,}@[\w.-]+"),
         Source("x.md", "AKIA" + "A" * 16 + "\n")),
]  # fmt: skip


def tracked() -> list[str]:
    """Files of the project: what git tracks, and what is new and not ignored."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(name for name in set(names) if name and (ROOT / name).is_file())


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    found: list[Source] = []
    for path in tracked():
        try:
            found.append(Source(path, (ROOT / path).read_text("utf-8")))
        except UnicodeDecodeError:
            continue  # not a text
    return found


@pytest.fixture(scope="module")
def exceptions() -> dict[str, dict[str, str]]:
    loaded = yaml.safe_load((ROOT / "tests/house/exceptions.yaml").read_text("utf-8"))
    return {rule: places or {} for rule, places in loaded.items()}


def compare(found: set[str], excused: dict[str, str], why: str) -> None:
    """Fail on what breaks a rule without an exception, and on an exception that nothing needs."""
    assert not (found - excused.keys()), f"{why}; breaking it: {sorted(found - excused.keys())}"
    stale = sorted(excused.keys() - found)
    assert not stale, f"no longer needed, remove from tests/house/exceptions.yaml: {stale}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule(rule: Rule, sources: list[Source], exceptions: dict[str, dict[str, str]]) -> None:
    found = {place for source in sources if rule.applies(source.path) for place in rule.check(source)}
    compare(found, exceptions.get(rule.name, {}), rule.why)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_sees_what_it_forbids(rule: Rule) -> None:
    assert rule.applies(rule.bad.path)
    assert list(rule.check(rule.bad))


def test_every_exception_belongs_to_a_rule(exceptions: dict[str, dict[str, str]]) -> None:
    assert exceptions.keys() <= {rule.name for rule in RULES} | {"mirrored-tests", "dead-files"}
    assert all(reason for places in exceptions.values() for reason in places.values()), "say why"


def has_code(source: Source) -> bool:
    """Whether a module does anything but import, re-export and explain itself."""
    plain = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign)
    return not all(isinstance(node, plain) for node in source.tree.body)


def mirrors(path: str) -> re.Pattern[str]:
    """Where tests of a module live: `gateway/settings/schema_base.py` → `tests/gateway/settings/test_schema_base.py`,
    or `test_schema_base_….py`, or with those it belongs to `test_schema.py`, or a directory `schema_base/` of tests;
    or the same below `tests/conformance/` without `gateway/`."""
    room, _, name = path.removesuffix(".py").rpartition("/")
    if name == "__init__":
        room, _, name = room.rpartition("/")
    words = name.strip("_").split("_")
    shorter = "|".join("_".join(words[:count]) for count in range(1, len(words)))
    names = rf"test_({'_'.join(words)}(_\w+)?{'|' + shorter if shorter else ''})\.py"
    places = rf"({re.escape(room)}|conformance/{re.escape(room.removeprefix('gateway/'))})"
    return re.compile(rf"tests/{places}/({names}|{re.escape(name)}/(.+/)?test_\w+\.py)")


def test_every_module_has_tests_where_one_looks_for_them(
    sources: list[Source], exceptions: dict[str, dict[str, str]]
) -> None:
    tests = "\n".join(source.path for source in sources if source.path.startswith("tests/"))
    applies = python_of(*OURS, but=("gateway/ledger/migrations/",))
    modules = [s for s in sources if applies(s.path) and not s.path.endswith("__main__.py") and has_code(s)]
    alone = {s.path for s in modules if not mirrors(s.path).search(tests)}
    elsewhere = exceptions.get("mirrored-tests", {})
    compare(alone, elsewhere, "tests mirror the source, so that one finds them")
    for module, where in elsewhere.items():
        named = re.findall(r"tests/[\w/.]+", where)
        assert named, f"{module}: say where its tests are"
        assert [place for place in named if not (ROOT / place).exists()] == [], module


def test_no_module_is_dead(sources: list[Source], exceptions: dict[str, dict[str, str]]) -> None:
    """Something of ours imports or starts every module, but for entry points: commands, `__main__`, migrations."""
    used: set[str] = set()
    for source in sources:
        if not python_of(*OURS)(source.path):
            continue
        for node in source.nodes:
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = _absolute(source.path, node)
                used |= {base} | {f"{base}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)  # `python -m` of a process of ours
    entry = ("gateway/cli/", "gateway/ledger/migrations/")
    named = [s.path for s in sources if python_of(*OURS, but=entry)(s.path)]
    unused = {p for p in named if not p.endswith(("__init__.py", "__main__.py")) and _module(p) not in used}
    compare(unused, exceptions.get("dead-files", {}), "nothing imports it")


def _module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _absolute(path: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = _module(path).split(".")[: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def test_who_may_import_whom() -> None:
    """The layers and purity contracts of pyproject.toml hold."""
    done = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
