"""Where tasks may read and write."""

import hashlib
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import jobstate
from tasks import files


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.setenv("JOBSTATE_DEMO_INPUT", str(tmp_path / "in"))
    monkeypatch.setenv("JOBSTATE_DEMO_OUTPUT", str(tmp_path / "out"))


def job(user_id: object = 7) -> Any:
    return SimpleNamespace(id="1f2e", user_id=user_id, attempt=2)


def test_each_attempt_writes_to_a_folder_of_its_own(tmp_path: Path) -> None:
    assert files.output_path(job(), "a.csv") == tmp_path / "out" / "7" / "1f2e" / "2" / "a.csv"


@pytest.mark.parametrize("part", ["..", ".", "", "../admin", "a/b", "/etc"])
def test_neither_owner_nor_name_leads_out_of_the_folder(part: str) -> None:
    with pytest.raises(ValueError, match="cannot be part of a path"):
        files.output_path(job(user_id=part), "a.csv")
    with pytest.raises(ValueError, match="cannot be part of a path"):
        files.output_path(job(), part)


def test_an_owner_may_have_any_other_name(tmp_path: Path) -> None:
    path = files.output_path(job(user_id="Jörg ..@example.org"), "a.csv")
    assert path.is_relative_to(tmp_path / "out")


def test_input_is_found_by_its_name_and_by_its_whole_path(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "pictures"
    folder.mkdir()
    assert files.input_folder("pictures") == files.input_folder(str(folder)) == folder


@pytest.mark.parametrize("name", ["nowhere", "..", "../out", "/etc", "a\0b", "x" * 5000, "way_out"])
def test_a_folder_that_is_missing_or_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "way_out").symlink_to(tmp_path / "out")
    with pytest.raises(jobstate.JobFailed, match="There is no folder") as failed:
        files.input_folder(name)
    assert failed.value.code == "input_missing"


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "a.csv").touch()
    with pytest.raises(jobstate.JobFailed, match=r"There is no folder 'a\.csv'"):
        files.input_folder("a.csv")
    with pytest.raises(jobstate.JobFailed, match=r"There is no file '\.'"):
        files.input_file(".")


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with files.whole(path) as part:
        part.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), files.whole(tmp_path / "new" / "a.txt") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert not list((tmp_path / "new").iterdir())


def test_a_linked_file_has_its_size_and_checksum() -> None:
    linked: list[tuple[str, dict[str, object]]] = []
    writer = job()
    writer.add_asset = lambda asset_type, **facts: linked.append((asset_type, facts))
    path = files.output_path(writer, "a.csv")
    with files.whole(path) as part:
        part.write_bytes(b"id\n")

    files.link(writer, "csv", path, "text/csv")

    facts = {
        "url": path.as_uri(),
        "storage_path": "7/1f2e/2/a.csv",
        "file_size": 3,
        "content_type": "text/csv",
        "sha256": hashlib.sha256(b"id\n").hexdigest(),
    }
    assert linked == [("csv", facts)]
