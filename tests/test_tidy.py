"""The habits of the house. A failure says how to mend it.

Not here: what ruff and mypy check (`make check`), and that the documentation is complete (tests/docs/).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from mintage.db.queries import Statement, all_statements
from mintage.rpcs import RPCS
from tests.embedded.support import needs

ROOT = Path(__file__).parents[1]
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
NAME_WORDS_MIN = 3
# Written in pieces, so that this file is not found by its own search.
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.~}])/(?:wo" + "rk|ro" + "ot|ho" + "me)/")
REGISTRY_HOSTS = re.compile(
    r"(?:py"
    + r"pi\.org|pythonho"
    + r"sted\.org|registry\.np"
    + r"mjs|np"
    + r"mjs\.com|crat"
    + r"es\.io"
    r"|dock" + r"er\.io|gh" + r"cr\.io|qu" + r"ay\.io|deb\.deb" + r"ian\.org)"
)
LOCKS = ("requirements.lock", "ops/container/run.lock", "ops/container/build.lock")
# Data of others, kept as it came.
FOREIGN = ("tests/vectors/", "src/mintage/rules/data/", "src/mintage/static/vendor/")
# Commands hand the environment to settings.py; the demo asks whether there is a display.
ENVIRONMENT_READERS = {
    "src/mintage/cli.py",
    "src/mintage/cli_backup.py",
    "src/mintage/cli_brands.py",
    "src/mintage/cli_rpc.py",
    "src/mintage/cli_secrets.py",
    "src/mintage/demo.py",
}
# They hand it on to programs of PostgreSQL.
PROGRAM_RUNNERS = ("src/mintage/backup/programs.py", "src/mintage/db/embedded")
NETWORK = {"aiohttp", "http", "httpx2", "obstore", "requests", "socket", "ssl", "urllib.request"}
RULES_MAY_IMPORT = {
    "__future__",
    "bisect",
    "calendar",
    "collections",
    "dataclasses",
    "decimal",
    "enum",
    "functools",
    "importlib",
    "ipaddress",
    "itertools",
    "json",
    "math",
    "mintage",
    "numpy",
    "operator",
    "re",
    "string",
    "types",
    "typing",
    "unicodedata",
    "urllib",
    "uuid",
}
KEYWORDS = (
    "select from where insert into update delete join left inner cross lateral on and or not null is in "
    "order group by having limit offset values set returning as with case when then else end exists "
    "distinct union all for using conflict do nothing any between array cast"
)
KEYWORD_IN_CAPITALS = re.compile(rf"\b(?:{'|'.join(KEYWORDS.upper().split())})\b")
LAST_OF_A_KEY = re.compile(
    r"(?:\w+\.)?(?:id|ref_id|brand_id|user_id|unit_id|unit_no|host|token)(?: desc)?"
)


@cache
def tracked_files() -> tuple[str, ...]:
    """The paths of all files that git keeps, relative to the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    needs(listed.returncode == 0, "a checkout of git")
    return tuple(path for path in listed.stdout.split("\0") if path and (ROOT / path).is_file())


@cache
def texts(*, foreign: bool = False) -> dict[str, str]:
    """Every tracked text file, without data of others unless they are asked for."""
    found = {}
    for path in tracked_files():
        if not foreign and path.startswith(FOREIGN):
            continue
        try:
            found[path] = (ROOT / path).read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found


@cache
def parsed(path: str) -> ast.Module:
    return ast.parse(texts()[path])


def modules(*folders: str) -> dict[str, ast.Module]:
    """The tracked Python modules in these folders, parsed."""
    return {
        path: parsed(path) for path in texts() if path.endswith(".py") and path.startswith(folders)
    }


def lines_with(pattern: re.Pattern[str], *, foreign: bool = False) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts(foreign=foreign).items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_a_module_begins_by_saying_what_lives_in_it() -> None:
    silent = [
        path
        for path, tree in modules("src/", "tests/", "bench/").items()
        if tree.body and not ast.get_docstring(tree)
    ]
    assert not silent, "begin the module with a docstring: what lives here, what does not"


def test_a_public_function_says_what_it_does() -> None:
    silent = [
        f"{path}:{node.lineno}: {node.name}"
        for path, tree in modules("src/").items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert not silent, "give it a docstring: shapes, units, errors raised, source"


def test_a_module_has_at_most_five_hundred_lines() -> None:
    long = {
        path: count
        for path, text in texts().items()
        if path.endswith(".py") and (count := len(text.splitlines())) > MODULE_LINES_MAX
    }
    assert not long, "split the module by what it speaks of"


def test_a_function_has_at_most_sixty_lines() -> None:
    long = [
        f"{path}:{node.lineno}: {node.name}"
        for path, tree in modules("src/", "tests/", "bench/").items()
        for node in functions(tree)
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long, "split the function: one step of the story each"


@pytest.mark.parametrize(
    ("pattern", "found", "passed"),
    [
        (UNFINISHED, "# TO" + "DO: later", "XXXX"),
        (MACHINE_PATHS, '"/ho' + 'me/ann/x"', "https://example.com/ho" + "me/x"),
        (REGISTRY_HOSTS, "https://py" + "pi.org/simple", "pypi"),
        (KEYWORD_IN_CAPITALS, "SELECT 1", "select selected"),
    ],
)
def test_the_searches_find_what_they_look_for(
    pattern: re.Pattern[str], found: str, passed: str
) -> None:
    assert pattern.search(found)
    assert not pattern.search(passed)


def test_nothing_is_marked_as_unfinished() -> None:
    assert not lines_with(UNFINISHED), "do it now, or write an issue"


def test_no_file_names_a_path_of_one_machine() -> None:
    assert not lines_with(MACHINE_PATHS), "use a path relative to the checkout, or a setting"


def test_no_file_names_a_registry() -> None:
    assert not lines_with(REGISTRY_HOSTS), "whoever installs says where from"


def test_the_name_of_a_test_is_a_sentence() -> None:
    short = [
        f"{path}:{node.lineno}: {node.name}"
        for path, tree in modules("tests/").items()
        for node in functions(tree)
        if node.name.startswith("test_") and len(node.name.split("_")) - 1 < NAME_WORDS_MIN
    ]
    assert not short, "say what must hold: test_a_wrong_check_digit_is_refused"


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path
        for path, text in texts().items()
        if path.startswith("src/") and re.search(r"\bos\.(?:environ|getenv)\b", text)
    }
    passing_on = {path for path in readers if path.startswith(PROGRAM_RUNNERS)}
    assert readers - passing_on <= ENVIRONMENT_READERS, "make it a setting in settings.py"


def test_rules_need_no_database_network_clock_or_hidden_chance() -> None:
    foreign = [
        f"{path}: {name}"
        for path, tree in modules("src/mintage/rules/").items()
        for name in imported(tree)
        if name.partition(".")[0] not in RULES_MAY_IMPORT
    ]
    assert not foreign, (
        "give it to the rule as an argument, or add a pure module to RULES_MAY_IMPORT"
    )


def test_the_resolver_fetches_nothing() -> None:
    # Whatever a request says: nothing that the resolver is made of could call out, but to the database.
    files = {
        path.removeprefix("src/").removesuffix(".py").replace("/", "."): path
        for path in modules("src/mintage/")
    }
    reached: set[str] = set()
    waiting = {"mintage.resolver.app"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= {each for each in imported(parsed(files[name])) if each in files} - reached
    assert "mintage.operations.resolving" in reached
    calling = {
        f"{name}: {each}"
        for name in reached
        for each in imported(parsed(files[name]))
        if each in NETWORK or each.partition(".")[0] in NETWORK
    }
    # To the database, and for the name of this machine.
    may = {"mintage.db.connect: socket", "mintage.operations.leases: socket"}
    assert calling <= may, "a door that scans reach calls nobody: do it in the worker"


def imported(tree: ast.Module) -> list[str]:
    """Modules, and for `from a import b` both `a` and `a.b`: which one it is the source does not say."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def test_operations_never_commit() -> None:
    # Only what is several transactions opens them, through the platform's own.
    ending = [
        line
        for line in lines_with(re.compile(r"\"(?:commit|rollback|begin)\b"))
        if line.startswith("src/") and not line.startswith("src/mintage/db/")
    ]
    assert not ending, "a transaction is begun and ended in db/connection.py"


def test_statements_live_in_sql_files() -> None:
    written = [
        line
        for line in lines_with(re.compile(r"[\"'](?:select|insert into|update|delete from) .*\b"))
        if line.startswith("src/") and ".py:" in line and not line.startswith("src/mintage/db/")
    ]
    assert not written, "move the statement to sql/queries/<noun>.sql"


def test_a_test_that_looks_at_sessions_names_its_database() -> None:
    wide = [
        f"{path}:{node.lineno}"
        for path, tree in modules("tests/").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"\bfrom pg_(?:locks|stat_activity)\b", node.value)
        and "current_database()" not in node.value
    ]
    assert not wide, "other tests use the same server: where datname = current_database()"


def code_of(statement: Statement) -> str:
    """A statement without comments and texts."""
    return re.sub(r"'[^']*'", "''", re.sub(r"--.*", "", statement.text))


def named(statements: list[Statement]) -> list[str]:
    return [f"{each.noun}.{each.name}" for each in statements]


def test_keywords_are_in_lower_case() -> None:
    loud = [each for each in all_statements() if KEYWORD_IN_CAPITALS.search(code_of(each))]
    assert not named(loud), "write SQL in lower case"


def test_what_is_cut_off_is_ordered() -> None:
    cut = [
        each
        for each in all_statements()
        if (limit := re.search(r"^\s*limit\b", code_of(each), re.MULTILINE))
        and "order by" not in code_of(each)[: limit.start()]
    ]
    assert not named(cut), "a limit without an order takes any rows: add order by"


def test_a_list_is_ordered_by_a_key() -> None:
    loose = [
        each
        for each in all_statements()
        if each.name.startswith("list")
        and not (
            (orders := re.findall(r"order by ([^\n)]+)", code_of(each)))
            and LAST_OF_A_KEY.fullmatch(orders[-1].rsplit(",", 1)[-1].strip())
        )
    ]
    assert not named(loose), "let order by end in the primary key, or a page repeats and skips rows"


def test_a_statement_names_its_brand() -> None:
    from tests.schema.catalog import TABLES_WITHOUT_BRAND_CONTENT

    schema = (ROOT / "src/mintage/sql/schema.sql").read_text("utf-8")
    tables = set(re.findall(r"^create table (\w+)", schema, re.MULTILINE))
    secured = tables - TABLES_WITHOUT_BRAND_CONTENT
    silent = [
        each
        for each in all_statements()
        if re.search(rf"\b(?:from|join|update|into) (?:{'|'.join(secured)})\b", code_of(each))
        and "brand_id" not in code_of(each)
    ]
    assert not named(silent), "say brand_id = $1 in the statement: row-level security is the net"


def test_an_operation_bears_the_name_of_its_rpc() -> None:
    for name, rpc in RPCS.items():
        assert rpc.function.__module__.startswith("mintage.operations."), name
        source = (ROOT / "src" / f"{rpc.function.__module__.replace('.', '/')}.py").read_text(
            "utf-8"
        )
        assert re.search(rf"^async def {name}\(", source, re.MULTILINE), name


def test_every_statement_is_used() -> None:
    # On disk, as the statements are: a module may be new.
    python = "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py"))
    used = set(re.findall(r"query\(\s*\"(\w+)\",\s*\"(\w+)\"\s*\)", python))
    unused = [each for each in all_statements() if (each.noun, each.name) not in used]
    assert not named(unused), "remove the statement at its last use"


@pytest.mark.parametrize("path", LOCKS)
def test_the_lock_has_hashes_and_no_address(path: str) -> None:
    lock = (ROOT / path).read_text("utf-8")
    assert "://" not in lock, "make lock"
    assert not re.search(r"^\s*--?(?:i|index|extra|find|trusted)", lock, re.MULTILINE), "make lock"
    entries = [
        entry for entry in re.split(r"\n(?=\S)", lock) if entry and not entry.startswith("#")
    ]
    assert entries
    loose = [
        entry.splitlines()[0]
        for entry in entries
        if not re.match(r"[a-z0-9-]+(?:\[[a-z0-9,-]+\])?==\S", entry)
        or "--hash=sha256:" not in entry
    ]
    assert not loose, "make lock"


@pytest.mark.parametrize("path", LOCKS[1:])
def test_a_container_is_given_what_was_tested(path: str) -> None:
    versions = [
        dict(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE))
        for text in ((ROOT / each).read_text("utf-8") for each in (path, LOCKS[0]))
    ]
    assert versions[0].items() <= versions[1].items(), "make lock"


def test_the_lock_has_everything_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["demo"],
        *project["project"]["optional-dependencies"]["traces"],
        *project["dependency-groups"]["dev"],
    ]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = set(re.findall(r"^([a-z0-9-]+)(?:\[[^\]]*\])?==", lock, re.MULTILINE))
    names = {re.split(r"[\[<>=;~! ]", each, maxsplit=1)[0].lower() for each in wanted}
    assert names <= locked, "make lock"


def test_arrows_run_one_way() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    needs(program.exists(), "import-linter")
    checked = subprocess.run(
        [str(program), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("script", [".ci/run"])
def test_a_script_can_be_run(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o100, f"chmod +x {script}"
    assert path.read_text("utf-8").startswith("#!")
