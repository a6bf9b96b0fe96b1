"""A sweeper with files in a folder, which can be taken away and given back."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

from jobstate import Asset, StorageUnavailable, reporting
from jobstate.assets import Content, NewAsset, folder_of
from jobstate.attempts import Hold
from jobstate.cleaning import Cleaner
from jobstate.storage import Folder
from jobstate.sweeper import Sweeper
from tests.sweeping.scene import Scene


class FlakyFolder(Folder):
    """A folder that may be down, as a whole or for some files."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.is_down: Callable[[str], bool] = lambda _: False
        self.asked: list[str] = []

    def delete(self, path: str) -> None:
        """Delete a file, unless the folder is down."""
        self.asked.append(path)
        if self.is_down(path):
            raise StorageUnavailable("The storage is down.")
        super().delete(path)


class FileScene(Scene):
    """Jobs with files, a sweeper, and a clock that the test moves."""

    root: Path
    files: FlakyFolder

    def keep_files_in(self, root: Path | None) -> None:
        """Give the sweeper a storage, or none."""
        files = None
        if root is not None:
            self.root, self.files = root, FlakyFolder(root.as_uri())
            files = self.files
        self.sweeper = Sweeper(self.store, self.settings, publish=self.publish, files=files)
        self.cleaner = Cleaner(self.store, self.settings, files)

    def begun(self, hold: Hold, name: str = "x") -> NewAsset:
        """Announce a file, and write it."""
        owner = self.read(hold).user_id
        path = f"{folder_of(owner, hold.job_id, hold.attempt)}/{name}"
        new = NewAsset(uuid4(), "csv", self.files.url_of(path), path, None)
        assert self.store.run(reporting.begin_asset(hold, new, 5.0))
        with self.files.writer(path, None) as write:
            write(b"data")
        return new

    def stored(self, hold: Hold, name: str = "x") -> Asset:
        """Store a file."""
        new = self.begun(hold, name)
        asset = self.store.run(reporting.finish_asset(hold, new, Content(4, "00")))
        assert asset is not None
        return asset

    def exists(self, asset: Asset | NewAsset) -> bool:
        """Tell whether a file is there."""
        return (self.root / asset.storage_path).exists()

    def rows(self) -> set[UUID]:
        """Return the ids of all assets, shown or not."""
        return {found for (found,) in self.sql("select id from jobstate.assets")}

    def assets_are_due(self, *, late: bool = False) -> None:
        """Let the time pass after which the sweeper looks at files again; and that of late ones."""
        if late:
            self.sql("update jobstate.assets set cleaned_at = cleaned_at - interval '15 minutes'")
        self.sql("update jobstate.assets set next_check_at = now() where next_check_at is not null")

    def landed_ago(self, seconds: float, *jobs: UUID) -> None:
        """Let jobs have landed so many seconds ago."""
        self.sql(
            "update jobstate.jobs set completed_at = now() - make_interval(secs => %s) "
            "where id = any(%s)",
            seconds,
            list(jobs),
        )
