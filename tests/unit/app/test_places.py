"""A folder for checkpoints that several processes write to, or that is away."""

from pathlib import Path

import pytest

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.app.build import machine_ports
from statefun_runtime.app.start.places import with_place
from statefun_runtime.config.settings import Settings
from statefun_runtime.core.checkpoints.manifest import StoredObject
from statefun_runtime.engine.beginning import Ports
from statefun_runtime.errors import CorruptionError, UnavailableError
from tests.support.loops import on_a_loop


class Folder:
    """A state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fresh_live_folder(self) -> Path:
        return self.folder / "live"

    def discard(self, live: Path) -> None:
        """Nothing was made."""


def ports(tmp_path: Path, workers: int) -> Ports:
    settings = Settings(checkpoints=tmp_path / "shared", workers=workers)
    return with_place(machine_ports(Folder(tmp_path / "state")), settings, tmp_path / "fetched")


async def stored(store: ObjectFolder) -> StoredObject:
    put = await store.put([b"a few bytes"])
    await store.sync()
    return put


@pytest.mark.parametrize(("workers", "is_alone"), [(1, False), (3, True)])
def test_an_object_of_one_of_several_workers_has_a_file_that_others_can_delete(
    tmp_path: Path, workers: int, is_alone: bool
):
    @on_a_loop
    async def story() -> None:
        store = ports(tmp_path, workers).checkpoints
        assert isinstance(store, ObjectFolder)
        assert await store.hold(b"a life", instead_of=None)
        put = await stored(store)
        assert (tmp_path / "shared" / "objects" / put.id).exists() == is_alone

    story()


@on_a_loop
async def test_a_folder_that_is_away_is_no_damage(tmp_path: Path):
    store = ObjectFolder(tmp_path / "objects", in_a_thread, small_bytes_max=0)
    put = await stored(store)
    (tmp_path / "objects").rename(tmp_path / "away")
    with pytest.raises(UnavailableError):
        await store.get(put.id)

    (tmp_path / "away").rename(tmp_path / "objects")
    assert await store.get(put.id) == b"a few bytes"
    (tmp_path / "objects" / put.id).unlink()
    with pytest.raises(CorruptionError):
        await store.get(put.id)
