"""The sweeper removes files that no attempt will ever show; and no others."""

from pathlib import Path

import pytest

from jobstate import Asset, JobService, JobStatus, reporting, sweeping
from jobstate.assets import Content
from jobstate.attempts import ending
from jobstate.cleaning import REFUSALS
from jobstate.states import ErrorCode
from tests.assets.scene import FileScene
from tests.factories import hold_of, landed, released, take, together


def superseded(scene: FileScene) -> tuple[Asset, Asset]:
    """Let an attempt store a file and lose its job to another that stores one of the same name."""
    old = scene.held()
    first = scene.stored(old)
    released(scene.store, old)
    second = scene.stored(hold_of(take(scene.store, old.job_id, ticket=1).job))
    return first, second


def test_the_file_of_a_superseded_attempt_is_removed_and_the_newer_stays(scene: FileScene) -> None:
    first, second = superseded(scene)
    assert scene.sweep().cleaned == 1
    assert (scene.exists(first), scene.exists(second)) == (False, True)
    assert scene.rows() == {second.id}
    assert scene.sweep().cleaned == 0


def test_the_file_of_a_released_attempt_stays_until_another_takes_the_job(
    scene: FileScene,
) -> None:
    """It is the last attempt's, should there be no other."""
    hold = scene.held()
    asset = scene.stored(hold)
    released(scene.store, hold)
    scene.assets_are_due()
    assert scene.sweep().cleaned == 0
    assert scene.exists(asset)


def test_a_file_that_is_being_stored_stays(scene: FileScene) -> None:
    asset = scene.begun(scene.held())
    for _ in range(3):
        scene.assets_are_due()
        assert scene.sweep().cleaned == 0
    assert scene.exists(asset)


@pytest.mark.parametrize("end", ["landed", "released", "cancelled"])
def test_a_file_that_was_not_finished_when_its_attempt_ended_is_removed(
    scene: FileScene, end: str
) -> None:
    hold = scene.held()
    asset = scene.begun(hold)
    if end == "landed":
        assert landed(scene.store, hold)[0]
    else:
        released(scene.store, hold)
    if end == "cancelled":
        scene.store.run_all(sweeping.end_unheld(hold.job_id, 1, ending(ErrorCode.CANCELLED)))
    scene.assets_are_due()
    assert scene.sweep().cleaned == 0
    assert not scene.exists(asset)
    assert scene.rows() == {asset.id}, "it is looked for once more"
    scene.assets_are_due(late=True)
    assert scene.sweep().cleaned == 1
    assert scene.rows() == set()


@pytest.mark.parametrize("dropped", [True, False], ids=["dropped", "swept"])
def test_a_file_that_arrives_after_its_clean_up_is_removed_too(
    scene: FileScene, *, dropped: bool
) -> None:
    """The last request of an upload may be under way when its process is gone."""
    hold = scene.held()
    asset = scene.begun(hold)
    if dropped:
        scene.files.delete(asset.storage_path)
        scene.store.run(reporting.drop_asset(asset.id))
    released(scene.store, hold)
    scene.assets_are_due()
    scene.sweep()
    assert not scene.exists(asset)
    with scene.files.writer(asset.storage_path, None) as write:
        write(b"late")
    scene.assets_are_due()
    scene.sweep()
    assert scene.rows() == {asset.id}, "it may arrive later still"
    scene.assets_are_due(late=True)
    assert scene.sweep().cleaned == 1
    assert not scene.exists(asset)
    assert scene.rows() == set()


def test_a_job_is_not_purged_before_its_files_cannot_arrive_any_more(scene: FileScene) -> None:
    hold = scene.held()
    scene.begun(hold)
    landed(scene.store, hold)
    scene.landed_ago(60, hold.job_id)
    scene.assets_are_due()
    scene.sweep()
    assert scene.cleaner.purge({JobStatus.COMPLETED: 1}) == 0
    scene.assets_are_due(late=True)
    scene.sweep()
    assert scene.cleaner.purge({JobStatus.COMPLETED: 1}) == 1


def test_a_name_may_be_used_again_after_its_file_was_given_up(scene: FileScene) -> None:
    """And the newer file is not taken for the older one that may still arrive."""
    hold = scene.held()
    first = scene.begun(hold)
    scene.store.run(reporting.drop_asset(first.id))
    second = scene.stored(hold)
    landed(scene.store, hold)
    scene.assets_are_due(late=True)
    assert scene.sweep().cleaned == 1
    assert scene.exists(second)
    assert scene.rows() == {second.id}


def test_an_attempt_that_lost_its_job_cannot_show_its_file(scene: FileScene) -> None:
    hold = scene.held()
    new = scene.begun(hold)
    released(scene.store, hold)
    assert scene.store.run(reporting.finish_asset(hold, new, Content(4, "00"))) is None
    assert scene.store.run(reporting.begin_asset(hold, new, 5.0)) is None


def test_a_shown_file_of_a_landed_job_stays(scene: FileScene) -> None:
    hold = scene.held()
    asset = scene.stored(hold)
    landed(scene.store, hold)
    scene.assets_are_due()
    assert scene.sweep().cleaned == 0
    assert scene.exists(asset)


def test_files_that_tasks_have_stored_themselves_are_never_touched(scene: FileScene) -> None:
    hold = scene.held()
    theirs = scene.root / "theirs"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("data")
    described = {"content_type": None, "sha256": None}
    added = reporting.add_asset(hold, "csv", theirs.as_uri(), "theirs", 4, **described)
    asset = scene.store.run(added)
    assert asset is not None
    released(scene.store, hold)
    landed(scene.store, hold_of(take(scene.store, hold.job_id, ticket=1).job))
    assert scene.sweep().cleaned == 0
    assert scene.rows() == {asset.id}
    scene.landed_ago(60, hold.job_id)
    assert scene.cleaner.purge({"completed": 1}) == 1  # type: ignore[dict-item]
    assert theirs.exists()


def test_a_file_that_another_asset_names_stays(scene: FileScene, service: JobService) -> None:
    first, _ = superseded(scene)
    other = scene.driven(started=True)
    service.create_asset(other.id, other.user_id, "csv", first.url, first.storage_path, 4)
    assert scene.sweep().cleaned == 1
    assert scene.exists(first)
    assert first.id not in scene.rows()


@pytest.fixture
def long_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine, a turn is not over before its work is done."""
    monkeypatch.setattr("jobstate.cleaning.TURN", 600.0)


@pytest.mark.usefixtures("long_turn")
def test_a_storage_that_is_down_is_asked_little_and_keeps_nobody_waiting(scene: FileScene) -> None:
    files = [superseded(scene)[0] for _ in range(REFUSALS + 2)]
    lost = scene.lost()
    scene.files.is_down = lambda _: True
    assert (scene.sweep().cleaned, len(scene.files.asked)) == (0, REFUSALS)
    assert scene.read(lost).worker_id is None
    scene.assets_are_due()
    scene.sweep()
    assert len(scene.files.asked) == REFUSALS, "it rests"
    scene.keep_files_in(scene.root)
    scene.assets_are_due()
    assert scene.sweep().cleaned == len(files)
    assert not any(map(scene.exists, files))


@pytest.mark.usefixtures("long_turn")
def test_a_storage_that_takes_the_whole_turn_to_refuse_a_file_rests_at_once(
    scene: FileScene,
) -> None:
    for _ in range(2):
        superseded(scene)
    cleaner = scene.sweeper._cleaner

    def hang(_: str) -> bool:
        cleaner._turn_ends_at = 0.0
        return True

    scene.files.is_down = hang
    for _ in range(2):
        scene.assets_are_due()
        assert (scene.sweep().cleaned, len(scene.files.asked)) == (0, 1)


@pytest.mark.usefixtures("long_turn")
def test_files_that_cannot_be_removed_keep_no_other(scene: FileScene) -> None:
    """As those that somebody has locked, in a bucket or by their owner in a folder."""
    stuck = [superseded(scene)[0] for _ in range(REFUSALS + 1)]
    others = [superseded(scene)[0] for _ in range(3)]
    scene.files.is_down = {file.storage_path for file in stuck}.__contains__
    for _ in range(2):
        scene.assets_are_due()
        scene.sweep()
        scene.sweeper._cleaner._rests_until = 0.0
    assert not any(map(scene.exists, others))
    assert all(map(scene.exists, stuck))
    assert len(scene.files.asked) == len(stuck) + len(others), "each is asked for once"


def test_without_a_storage_files_wait_for_one(scene: FileScene) -> None:
    first, second = superseded(scene)
    root = scene.root
    scene.keep_files_in(None)
    assert scene.sweep().cleaned == 0
    assert scene.rows() == {first.id, second.id}
    scene.keep_files_in(root)
    assert scene.sweep().cleaned == 1


def test_a_file_in_another_storage_than_the_one_set_now_is_left_there(
    scene: FileScene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = superseded(scene)
    scene.keep_files_in(tmp_path / "elsewhere")
    assert scene.sweep().cleaned == 0
    assert Path(first.url.removeprefix("file://")).exists()
    assert "is not in the storage that is set now" in caplog.text


def test_two_sweepers_remove_each_file_once(scene: FileScene) -> None:
    files = [superseded(scene)[0] for _ in range(20)]
    cleaned = together(scene.cleaner.clean_assets, scene.cleaner.clean_assets)
    assert sum(cleaned) == 20
    assert len(scene.files.asked) == 20
    assert not any(map(scene.exists, files))


def test_many_files_are_removed_in_one_round(
    scene: FileScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobstate.cleaning.TURN", 600.0)
    old = scene.held()
    for number in range(250):
        scene.stored(old, str(number))
    released(scene.store, old)
    take(scene.store, old.job_id, ticket=1)
    assert scene.sweep().cleaned == 250
    assert scene.rows() == set()
    assert list(scene.root.iterdir()) == []
