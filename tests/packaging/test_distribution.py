"""What is built holds what it must and nothing else, and works without the source tree."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
import redis
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from jobstate import __name__ as package
from tests.cli.programs import ROOT, environment
from tests.examples import blocks
from tests.worker.process import eventually

IN_SDIST = {
    *("jobstate", "benchmarks", "docs", "examples", "tasks", "tests", "web", "workers"),
    *(".ci", "Makefile"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "Dockerfile"),
    *("constraints.txt", "docker-compose.yml", "mkdocs.yml", "pyproject.toml", "PKG-INFO"),
    ".gitignore",  # hatchling's own, to build a wheel of the same files
}


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build a distribution with what is installed here."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", folder]
    subprocess.run(command, cwd=source, check=True, capture_output=True, env=environment())
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution."""
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution alone."""
    source = tmp_path_factory.mktemp("source")
    with tarfile.open(sdist) as archive:
        archive.extractall(source, filter="data")
    (unpacked,) = source.iterdir()
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the wheel, what it depends on, and nothing else."""
    return isolated(wheel, tmp_path_factory.mktemp("environment"), {"binary"})


def isolated(wheel: Path, folder: Path, extras: set[str]) -> Path:
    """Make a Python that has the wheel, what it depends on with these extras, and nothing else."""
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202 - built a moment ago
    for needed in needed_by(distribution(package), extras):
        for name in {file.parts[0] for file in needed.files or () if file.parts[0] != ".."}:
            if not (site / name).exists():
                (site / name).symlink_to(needed.locate_file(name))
    return folder / "bin" / "python"


def needed_by(installed: Distribution, extras: set[str]) -> Iterator[Distribution]:
    """List what a distribution depends on, with these extras, as it is installed here."""
    found: dict[str, Distribution] = {}
    asked: list[tuple[Distribution, set[str]]] = [(installed, extras)]
    while asked:
        each, wanted = asked.pop()
        for text in each.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            applies = marker is None or any(
                marker.evaluate({"extra": extra}) for extra in {"", *wanted}
            )
            if applies and (requirement.name not in found or requirement.extras):
                found[requirement.name] = distribution(requirement.name)
                asked.append((found[requirement.name], requirement.extras))
    return iter(found.values())


def run(python: Path, *arguments: str, cwd: Path, **variables: str) -> str:
    """Run the isolated Python, away from the source tree."""
    done = subprocess.run(
        [python, "-I", *arguments],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_of_the_package() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    about = {name for name in names if ".dist-info/" in name}
    assert names - about == files_of_the_package()
    assert {name.partition("/")[2] for name in about} == {
        *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"),
    }
    assert {
        "jobstate/py.typed",
        "jobstate/store/queries.sql",
        "jobstate/store/migrations/versions/0001_jobs.sql",
        "jobstate/web/page/templates/base.html",
        "jobstate/web/page/static/page.css",
    } <= names


def test_the_source_distribution_has_what_it_takes_to_test_it(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [Path(name).parts[1:] for name in archive.getnames()]
    assert {name[0] for name in names} == IN_SDIST
    assert not [name for name in names if "__pycache__" in name or name[-1].endswith(".pyc")]
    assert ("tests", "packaging", "test_distribution.py") in names


def test_the_base_installation_is_small() -> None:
    names = {each.metadata["Name"].lower() for each in needed_by(distribution(package), set())}
    assert {"celery", "sqlalchemy", "psycopg", "alembic", "redis", "click"} <= names
    assert not names & {"rich", "flask", "django", "fastapi", "flower", "fsspec", "jinja2"}
    assert len(names) <= 28, sorted(names)


def test_what_is_pinned_installs_on_the_oldest_python_that_is_supported() -> None:
    oldest = distribution(package).metadata["Requires-Python"].removeprefix(">=")
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    installed = {
        f"{canonicalize_name(each.name)}=={each.version}": each for each in distributions()
    }
    pinned = {
        pin: each.metadata["Requires-Python"] for pin, each in installed.items() if pin in pins
    }
    assert len(pinned) > 100
    newer = {pin for pin, needed in pinned.items() if oldest not in SpecifierSet(needed or "")}
    assert newer == set()


def test_it_imports_with_its_dependencies_alone(python: Path, tmp_path: Path) -> None:
    told = run(python, "-c", "import jobstate; print(jobstate.__file__)", cwd=tmp_path)
    assert Path(told.strip()).is_relative_to(python.parents[1])


def test_its_commands_run_with_its_dependencies_alone(
    python: Path, tmp_path: Path, database_url: str
) -> None:
    def jobstate(*arguments: str) -> str:
        main = ("-c", "from jobstate.cli import main; main()")
        return run(python, *main, *arguments, cwd=tmp_path, JOBSTATE_DATABASE_URL=database_url)

    assert jobstate("--version") == f"jobstate {distribution(package).version}\n"
    assert "  doctor " in jobstate("--help")
    assert "create table" in jobstate("migrate", "--sql")
    assert "is now at version" in jobstate("migrate")
    assert jobstate("list") == "No jobs yet.\n"


def test_it_is_a_command_of_celery(python: Path, tmp_path: Path, jobs_url: str) -> None:
    told = run(
        *(python, "-m", "celery", "jobstate", "stats"),
        cwd=tmp_path,
        JOBSTATE_DATABASE_URL=jobs_url,
    )
    assert told.startswith("TYPE")


def test_the_readme_can_be_followed_with_the_dependencies_alone(
    python: Path, tmp_path: Path, database_url: str, broker_url: str
) -> None:
    for example, name in zip(blocks("README.md", "python"), ("shop", "order"), strict=True):
        example.replace("postgresql+psycopg://localhost/shop", database_url)
        example.replace("redis://localhost/0", broker_url)
        (tmp_path / f"{name}.py").write_text(example.code)

    def jobstate(*arguments: str) -> str:
        main = ("-c", "from jobstate.cli import main; main()", "--app", "shop")
        return run(python, *main, *arguments, cwd=tmp_path)

    assert "is now at version" in jobstate("migrate")
    assert run(python, "-c", "import sys; sys.path.append('.'); import order", cwd=tmp_path)
    with redis.Redis.from_url(broker_url) as client:
        assert client.llen("celery") == 1
    worker = subprocess.Popen(
        [python, "-I", "-m", "celery", "--app", "shop", "worker", "--pool", "solo"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: "completed" in jobstate("list"), "the landing")
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.parametrize(
    ("extras", "code"),
    [
        ("cli", "import rich.live"),
        ("django", "import jobstate.django.task, jobstate.web.django"),
        ("embedded", "from jobstate.embedded import binaries; binaries.redis_server()"),
        ("fastapi", "import jobstate.web.fastapi"),
        ("flask", "import jobstate.web.flask"),
        ("flower", "import jobstate.flower"),
        ("metrics", "import jobstate.metrics"),
        ("otel", "import opentelemetry.trace, jobstate.tracing"),
        ("page", "import jobstate.web.page.pages"),
    ],
)
def test_an_extra_brings_what_it_is_for(
    wheel: Path, tmp_path: Path, extras: str, code: str
) -> None:
    python = isolated(wheel, tmp_path / "environment", {"binary", *extras.split(",")})
    assert run(python, "-c", code, cwd=tmp_path) == ""


def test_every_extra_is_documented() -> None:
    extras = {
        extra
        for extra in distribution(package).metadata.get_all("Provides-Extra") or []
        if extra != "binary"
    }
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert {extra for extra in extras if f"| `{extra}` |" not in page} == set()
