"""Where tasks may read, and where they make files."""

from contextlib import suppress
from pathlib import Path

import pytest

import jobstate
from tasks import files


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.setenv("JOBSTATE_DEMO_INPUT", str(tmp_path / "in"))


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


def test_what_was_made_on_the_way_is_gone_in_the_end() -> None:
    with suppress(KeyboardInterrupt), files.scratch() as folder:
        (folder / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert not folder.exists()
