"""`tollway guardrails`: try policies on a text, judge detectors on a corpus, see what a change would do."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import msgspec
import typer

from gateway.cli import guardrails_review, guardrails_why
from gateway.cli.asking import print_json
from gateway.cli.options import DEFAULT_CONFIG, ConfigOption

if TYPE_CHECKING:
    from gateway.settings.guardrail_programs import GuardrailPrograms
    from gateway.settings.load import Written
    from guardrails.comparison import Comparison
    from guardrails.corpus import Row
    from guardrails.engine import PolicyEngine
    from guardrails.interface import Direction

T = TypeVar("T")

DIRECTIONS = ("request", "response")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PolicyOption = Annotated[
    list[str] | None,
    typer.Option("--policy", "-p", help="A policy of the configuration (may be repeated: they compose)."),
]
DirectionOption = Annotated[str, typer.Option(help="request or response.")]

_HELP = """Try guardrail policies before they are live, and judge what they found.

test shows what a text meets and why, eval judges detectors on a corpus, diff shows what a change of the configuration
would do to texts, or to what was found on live traffic. review and mark go through the findings log.
"""
_TEST = """Examples:

  tollway guardrails test "mail me at jane@example.org"
  tollway guardrails test -p standard - < letter.txt
  tollway guardrails test -p standard --direction response "Call 202-555-0143."
"""
_EVAL = """Rows are JSON lines: text, and label (attack or benign), or spans ([{type, start, end}]), or categories;
source, role, and kind (a document, or indirect: role tool) are optional. Examples:

  tollway guardrails eval corpus.jsonl
  tollway guardrails eval corpus.jsonl -p standard --json
  tollway guardrails eval corpus.jsonl --html report.html
"""
_DIFF = """Examples:

  tollway guardrails diff config/gateway.yaml new.yaml --corpus traffic.jsonl
  tollway guardrails diff config/gateway.yaml new.yaml --shadow-log --since 7d --team search
"""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    guardrails = typer.Typer(name="guardrails", help=_HELP, no_args_is_help=True)
    guardrails.command("test", help=f"{cleandoc(try_text.__doc__ or '')}\n\n\b\n{_TEST}")(try_text)
    guardrails.command("eval", help=f"{cleandoc(evaluate.__doc__ or '')}\n\n\b\n{_EVAL}")(evaluate)
    guardrails.command("diff", help=f"{cleandoc(diff.__doc__ or '')}\n\n\b\n{_DIFF}")(diff)
    guardrails_review.register(guardrails)
    guardrails_why.register(guardrails)
    app.add_typer(guardrails)


def try_text(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(metavar="[TEXT or -]", help="The text; - reads standard input.")] = None,
    policy: PolicyOption = None,
    team: Annotated[str | None, typer.Option(help="The policies of this team, and rules made for it alone.")] = None,
    direction: DirectionOption = "request",
    role: Annotated[str, typer.Option(help="Whose text it is: system, user, assistant, tool, input, output.")] = "",
    operation: Annotated[str, typer.Option(help="Such as chat.completions.")] = "chat.completions",
    everything: Annotated[bool, typer.Option("--all", help="Also matches far below their threshold.")] = False,
    key: Annotated[str, typer.Option(help="Id of a virtual key, which decides rollouts in percent.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Show what would be found in a text, rewritten or blocked, and why.

    Without --policy or --team: every built-in detector at its own threshold. Exit code 0, also where the text would be
    blocked; 2 for wrong use.
    """
    from gateway.settings.schema_guardrails import ROLES
    from guardrails.explain import explain

    way = _direction(direction)
    role = role or ("user" if way == "request" else "assistant")
    if role not in ROLES:
        _wrong(f"--role {role!r} is not known; allowed are {', '.join(ROLES)}")
    _operation(operation)
    if not policy and team is None:
        _tell_unused(context, config)
    names, engine = _engine(config, policy, team)
    text = _text(text)
    explanation = explain(engine, text, way, role=role, operation=operation, key=key)
    if json:
        print_json({"policies": names, "direction": way, "role": role, **msgspec.to_builtins(explanation)})
        return
    from gateway.cli.guardrails_show import show_explanation

    show_explanation(explanation, text, f"policy {', '.join(names)}, {way}, role {role}", everything=everything)


def evaluate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The corpus.")],
    policy: PolicyOption = None,
    html: Annotated[Path | None, typer.Option(help="Also write a report as a web page.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Judge detectors on a corpus: recall, false positives, precision of entities, latency; with 95 % intervals.

    Without --policy: every built-in detector at its own threshold. With one: the policy's detectors at the policy's
    thresholds, whatever its modes. Exit code 0; 1 when the corpus or the report cannot be used; 2 for wrong use.
    """
    from gateway.clock import timer_ns
    from guardrails.actions import Hasher
    from guardrails.evaluation import Evaluation

    rows = _some_rows(file, judged=True)
    if not policy:
        _tell_unused(context, config)
    programs, names = _programs(config, policy)
    _tell_unasked(programs, names)
    _tell_strangers(file, rows, programs, names)
    evaluation = Evaluation(
        programs.inside(*names),
        programs.scanner,
        programs.types,
        Hasher(programs.key, programs.previous),
        timer_ns,
    )
    for _, row in _watched(rows, "judging"):
        evaluation.add(row)
    report = evaluation.report()
    if html is not None:
        from gateway.cli.guardrails_html import page

        try:
            html.write_text(page(report, file.name, names, programs.backend), "utf-8")
        except OSError as error:
            _fail(f"{html} cannot be written: {error.strerror}")
    if json:
        print_json(msgspec.to_builtins(report))
        return
    from gateway.cli.guardrails_show import show_report

    show_report(report)


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The configuration as it is.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The configuration as it would be.")],
    corpus: Annotated[Path | None, typer.Option(help="Texts to try: JSON lines with text; role is optional.")] = None,
    shadow_log: Annotated[
        bool, typer.Option("--shadow-log", help="Replay what was found on live traffic: OLD's ledger, no text.")
    ] = False,
    since: Annotated[str, typer.Option(help="With --shadow-log, from: 12h, 7d, a UTC date or time.")] = "7d",
    team: Annotated[str | None, typer.Option(help="With --shadow-log: only this team.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", "-p", help="Only this policy (may be repeated). Default: all.")
    ] = None,
    direction: DirectionOption = "request",
    operation: Annotated[str, typer.Option(help="Such as chat.completions.")] = "chat.completions",
    show: Annotated[bool, typer.Option("--show", help="Print the texts that change; else only their numbers.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what a change of the configuration would do, without putting it in force.

    With --corpus: which texts are newly acted on, no longer, or otherwise, and counts for each rule; rules made for
    single teams are left out. With --shadow-log: the same of requests whose findings were logged (ledger.findings).
    Exit code 0, whatever changes; 1 when corpus or ledger cannot be used; 2 for wrong use.
    """
    if (corpus is None) != shadow_log:
        _wrong("give one of --corpus FILE and --shadow-log")
    if corpus is None:
        from gateway.cli.guardrails_replay import replay_log

        replay_log(old, new, since=since, team=team, policies=policy, json=json)
        return
    way = _direction(direction)
    _operation(operation)
    before, after = _configured(old), _configured(new)
    known = {name: None for programs in (before, after) if programs is not None for name in programs.policies}
    names = _chosen(policy, known)
    rows = [row for _, row in _some_rows(corpus, judged=False)]
    comparisons, texts = _compared(rows, before, after, names, way, operation)
    if not show:
        texts = {}
    from gateway.cli.guardrails_show import comparison_data, show_comparison

    if json:
        print_json({name: comparison_data(each, texts) for name, each in comparisons.items()})
        return
    for name, comparison in comparisons.items():
        show_comparison(name, comparison, texts)


def _compared(
    rows: list[Row],
    before: GuardrailPrograms | None,
    after: GuardrailPrograms | None,
    names: list[str],
    way: Direction,
    operation: str,
) -> tuple[dict[str, Comparison], dict[int, str]]:
    """By policy, what changes; and by number the texts that meet something else."""
    from guardrails.comparison import Comparison
    from guardrails.interface import ALLOWED, Segment

    sides = [{name: p.engine(name) for name in names if name in p.policies} if p else {} for p in (before, after)]
    comparisons = {name: Comparison() for name in names}
    texts: dict[int, str] = {}
    for number, row in enumerate(_watched(rows, "comparing"), 1):
        segment = Segment("text", row.spoken_by, row.text)
        for name, comparison in comparisons.items():
            was, would = (side[name].inspect([segment], way, operation) if name in side else ALLOWED for side in sides)
            if comparison.add(was, would) is not None:
                texts[number] = row.text
    return comparisons, texts


def _engine(config: Path, policy: list[str] | None, team: str | None) -> tuple[list[str], PolicyEngine]:
    if team is None:
        programs, names = _programs(config, policy)
        _tell_unasked(programs, names)
        return names, programs.engine(*names)
    written = _written(config)
    section = written.root.teams.get(team)
    if section is None:
        from gateway.settings.nearest import hint

        _wrong(f"unknown team {team!r}; {hint(team, written.root.teams)}")
    programs = _compiled(written)
    names = policy or list(section.policies)
    if not names or programs is None:
        _wrong(f"team {team!r} has no guardrails; name a policy with --policy")
    chosen = _chosen(names, programs.policies)
    _tell_unasked(programs, chosen)
    return names, programs.engine(*chosen, team=team)


def _tell_unasked(programs: GuardrailPrograms, names: list[str]) -> None:
    """A trial is quick and stays in the house: say which rules it leaves out."""
    unasked = programs.unasked(*names)
    if unasked:
        typer.echo(f"not asked here, because their detectors are outside: {', '.join(unasked)}", err=True)


def _tell_strangers(file: Path, rows: list[tuple[int, Row]], programs: GuardrailPrograms, names: list[str]) -> None:
    """Spans of a type that nobody reports are never found: say why, or a slip of the pen looks like a bad detector."""
    from gateway.inspection.ner.config import ENTITIES
    from gateway.settings.nearest import hint
    from guardrails import catalogue
    from guardrails.corpus import strangers

    judged = {rule.detector for each in programs.inside(*names) for rule in each.rules}
    reported = {type_ for name in judged for type_ in programs.types.get(name, ())}
    known = reported.union(ENTITIES, *programs.types.values(), *map(catalogue.types, catalogue.BUILTINS))
    for type_, (line, count) in strangers(rows, reported).items():
        spans = f"{count} span{'s' if count > 1 else ''}"
        if type_ in known:
            why = f"no detector that is judged here reports {type_} ({spans}): its recall is 0"
        else:
            why = f"span type {type_[:60]!r} is not known ({spans}); {hint(type_, known, 'known are')}"
        typer.echo(f"{file}: line {line}: {why}", err=True)


def _tell_unused(context: typer.Context, config: Path) -> None:
    """A configuration that is named and not used may be thought to be what was tried. Exits where it is not there."""
    source = context.get_parameter_source("config")
    if source is None or source.name != "COMMANDLINE":
        return
    if not config.is_file():
        _wrong(f"{config} is not there")
    typer.echo(f"every built-in detector is asked, and no policy of {config}: name one with --policy", err=True)


def _programs(config: Path, policy: list[str] | None) -> tuple[GuardrailPrograms, list[str]]:
    """What is to be tried, and the names of its policies."""
    if policy:
        programs = _configured(config)
        return _some(programs, config), _chosen(policy, _some(programs, config).policies)
    from gateway.settings.compile_guardrails import BUILT_IN, built_in
    from gateway.settings.workshop import PartError, Workshop

    try:
        return built_in(Workshop()), [BUILT_IN]
    except PartError as error:
        _fail(str(error))


def _some(programs: GuardrailPrograms | None, config: Path) -> GuardrailPrograms:
    if programs is None:
        _wrong(f"{config} has no guardrails")
    return programs


def _configured(config: Path) -> GuardrailPrograms | None:
    return _compiled(_written(config))


def _written(config: Path) -> Written:
    from gateway.errors import ConfigError
    from gateway.settings.load import load_config

    try:
        return load_config(config)
    except ConfigError as error:
        _wrong(str(error))


def _compiled(written: Written) -> GuardrailPrograms | None:
    from gateway.errors import ConfigError
    from gateway.settings.compile_guardrails import compile_guardrails
    from gateway.settings.gate_files import GateFiles
    from gateway.settings.reload import gates_of
    from gateway.settings.workshop import Workshop

    try:
        return compile_guardrails(written, Workshop(GateFiles(gates_of(written), write=False)))
    except ConfigError as error:
        _wrong(str(error))


def _chosen(policy: list[str] | None, known: Iterable[str]) -> list[str]:
    from gateway.settings.nearest import hint

    names = list(known)
    if not names:
        _wrong("there are no guardrails in these configurations")
    for name in policy or ():
        if name not in names:
            _wrong(f"unknown guardrail policy {name!r}; {hint(name, names)}")
    return list(dict.fromkeys(policy or names))


def _direction(text: str) -> Direction:
    if text == "request" or text == "response":
        return text
    _wrong(f"--direction {text!r} is not known; allowed are {', '.join(DIRECTIONS)}")


def _operation(text: str) -> None:
    from gateway.settings.schema_guardrails import OPERATIONS

    if text not in OPERATIONS:
        _wrong(f"--operation {text!r} is not known; allowed are {', '.join(OPERATIONS)}")


def _text(text: str | None) -> str:
    if text is not None and text != "-":
        return text
    if text is None and sys.stdin.isatty():
        _wrong("give a text, or - to read standard input")
    data = sys.stdin.buffer.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        typer.echo(f"standard input is not UTF-8 (byte {error.start + 1}): what is not stands as \ufffd", err=True)
        return data.decode("utf-8", "replace")


def _some_rows(file: Path, *, judged: bool) -> list[tuple[int, Row]]:
    """Rows with the numbers of their lines."""
    from guardrails.corpus import CorpusError, numbered

    try:
        found = list(numbered(file.read_bytes(), judged=judged))
    except OSError as error:
        _fail(f"{file} cannot be read: {error.strerror}")
    except CorpusError as error:
        _fail(f"{file}: {error}")
    return found or _fail(f"{file} holds no rows")


def _watched(items: list[T], what: str) -> Iterator[T]:
    """The items, with a progress bar on a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, console=Console(stderr=True), transient=True)


def _fail(message: str) -> NoReturn:
    print(f"tollway guardrails: {message}", file=sys.stderr)
    raise typer.Exit(1)


def _wrong(message: str) -> NoReturn:
    print(f"tollway guardrails: {message}", file=sys.stderr)
    raise typer.Exit(2)
