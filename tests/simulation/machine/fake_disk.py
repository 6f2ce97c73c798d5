"""A disk that forgets at a loss of power what was not synced, can be full, and dies between any two writes.

It stands in for `pathlib.Path` and the `Disk` of the adapters, so that their own code runs on it. A write is in the page
cache at first: the end of the process does not touch it, the loss of power does.
"""

import io
from collections.abc import Callable, Iterator
from errno import EEXIST, EIO, ENOENT, ENOSPC
from random import Random
from types import SimpleNamespace

from tests.simulation.machine.loop import PROCESS


class Inode:
    """A file: its content as processes see it, and as the platter has it."""

    def __init__(self) -> None:
        self.live = b""
        self.synced = b""


class Disk:
    """Folders of names, names of inodes; `before_write` is told of every write and may raise, or kill."""

    def __init__(self, rng: Random, now_s: Callable[[], float]) -> None:
        self.rng = rng
        self._now_s = now_s
        self.live: dict[str, dict[str, Inode]] = {}
        self.synced: dict[str, dict[str, Inode]] = {}
        self.is_full = False
        self.sync_fails = False
        self.writes = 0
        # How often a process was told that something cannot be written.
        self.refusals = 0
        self.refused_s = 0.0
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None

    def folder(self, path: str) -> dict[str, Inode]:
        try:
            return self.live[path]
        except KeyError:
            raise FileNotFoundError(ENOENT, "no such folder", path) from None

    def write(self, path: str, *, needs_space: bool = True) -> None:
        """A process is about to change something."""
        _check()
        self.writes += 1
        self.before_write()
        if self.is_full and needs_space:
            self._refuse()
            raise OSError(ENOSPC, "No space left on device", path)

    def _refuse(self) -> None:
        self.refusals += 1
        self.refused_s = self._now_s()

    def sync(self, what: "Inode | str") -> None:
        """Make a file's content, or a folder's names, survive."""
        self.write("sync", needs_space=False)
        if self.sync_fails:
            self._refuse()
            raise OSError(EIO, "Input/output error")
        if isinstance(what, Inode):
            what.synced = what.live
        else:
            self.synced[what] = dict(self.live[what])
        self.after_write()

    def copy_tree(self, source: str, target: str) -> None:
        """Copy a folder as somebody would while a process works in it: files that change later are other files."""
        for path in [f for f in self.live if f == source or f.startswith(source + "/")]:
            names = {name: _copied(inode) for name, inode in self.live[path].items()}
            self.live[target + path[len(source) :]] = names
            self.synced[target + path[len(source) :]] = dict(names)

    def remove_tree(self, path: str) -> None:
        """Remove a folder with all that is in it; losing power brings nothing of it back."""
        _check()
        for folder in [f for f in self.live if f == path or f.startswith(path + "/")]:
            del self.live[folder]
            self.synced.pop(folder, None)

    def lose_power(self) -> None:
        """Names and contents that were not synced survive or not, each by itself; a content may be torn."""
        torn: dict[int, None] = {}
        for path, names in self.live.items():
            durable = self.synced.setdefault(path, {})
            for name in sorted({*names, *durable}):
                if names.get(name) is durable.get(name):
                    continue
                if self.rng.random() < 0.5:
                    _set(durable, name, names.get(name))
            for inode in durable.values():
                if id(inode) not in torn:
                    torn[id(inode)] = None
                    self._tear(inode)
            self.live[path] = dict(durable)

    def _tear(self, inode: Inode) -> None:
        if inode.live == inode.synced:
            return
        start = len(inode.synced)
        content = inode.synced
        if inode.live[:start] == inode.synced and self.rng.random() < 0.6:
            content = inode.live[: self.rng.randint(start, len(inode.live))]
            if self.rng.random() < 0.3:
                content += b"\x00" * self.rng.randint(1, 9)
        inode.live = inode.synced = content


def _copied(inode: Inode) -> Inode:
    copy = Inode()
    copy.live = copy.synced = inode.live
    return copy


def _set(names: dict[str, Inode], name: str, inode: Inode | None) -> None:
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


def _check() -> None:
    process = PROCESS.get()
    if process is not None:
        process.check()


class FakeFile(io.BytesIO):
    """An open file; what is written is in the page cache after `flush`."""

    def __init__(self, disk: Disk, inode: Inode, mode: str) -> None:
        super().__init__(inode.live)
        self._disk, self._inode, self._mode = disk, inode, mode

    def flush(self) -> None:
        if self._mode != "rb" and self.getvalue() != self._inode.live:
            self._disk.write("file")
            self._inode.live = self.getvalue()
            self._disk.after_write()

    def fileno(self) -> Inode:  # type: ignore[override]
        return self._inode

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.flush()
        super().close()

    def close(self) -> None:
        super().close()


class FakePath:
    """A path on the disk, as far as the adapters use one."""

    def __init__(self, disk: Disk, path: str) -> None:
        self.disk, self.path = disk, path
        self.parent_path, _, self.name = path.rpartition("/")

    def __truediv__(self, name: str) -> "FakePath":
        return FakePath(self.disk, f"{self.path}/{name}")

    def __lt__(self, other: "FakePath") -> bool:
        return self.path < other.path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakePath) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        return self.path

    @property
    def parent(self) -> "FakePath":
        return FakePath(self.disk, self.parent_path)

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0] or self.name

    @property
    def suffix(self) -> str:
        return "." + self.name.rpartition(".")[2] if "." in self.name else ""

    def inode(self) -> Inode:
        try:
            return self.disk.folder(self.parent_path)[self.name]
        except KeyError:
            raise FileNotFoundError(ENOENT, "no such file", self.path) from None

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        # A folder itself is durable at once: losing one is not what is looked for here.
        _check()
        if self.path in self.disk.live and not exist_ok:
            raise FileExistsError(EEXIST, "folder exists", self.path)
        folders = [self.path]
        while parents and (parent := folders[-1].rpartition("/")[0]):
            folders.append(parent)
        for folder in folders:
            self.disk.live.setdefault(folder, {})
            self.disk.synced.setdefault(folder, {})

    def exists(self) -> bool:
        return self.name in self.disk.live.get(self.parent_path, {}) or self.path in self.disk.live

    def is_dir(self) -> bool:
        return self.path in self.disk.live

    def iterdir(self) -> "Iterator[FakePath]":
        _check()
        return iter([self / name for name in sorted(self.disk.folder(self.path))])

    def glob(self, pattern: str) -> "list[FakePath]":
        there = self.iterdir() if self.exists() else iter(())
        return [path for path in there if path.name.endswith(pattern.lstrip("*"))]

    def open(self, mode: str) -> FakeFile:
        _check()
        if mode in ("wb", "xb"):
            names = self.disk.folder(self.parent_path)
            if mode == "xb" and self.name in names:
                raise FileExistsError(EEXIST, "file exists", self.path)
            self.disk.write(self.path)
            names[self.name] = Inode()
            self.disk.after_write()
        return FakeFile(self.disk, self.inode(), mode)

    def touch(self) -> None:
        if not self.exists():
            self.open("wb")

    def stat(self) -> SimpleNamespace:
        return SimpleNamespace(st_size=len(self.inode().live))

    def read_bytes(self) -> bytes:
        _check()
        return self.inode().live

    def rename(self, target: "FakePath") -> None:
        self.disk.write(self.path)
        inode = self.inode()
        del self.disk.folder(self.parent_path)[self.name]
        self.disk.folder(target.parent_path)[target.name] = inode
        self.disk.after_write()

    def unlink(self, missing_ok: bool = False) -> None:
        self.disk.write(self.path, needs_space=False)
        process = PROCESS.get()
        if process is not None and process.is_zombie:
            # Two workers on one folder is what its lock forbids. What a zombie publishes is looked at, not what it
            # collects: nothing fences that.
            return
        names = self.disk.folder(self.parent_path)
        if self.name not in names:
            if missing_ok:
                return
            raise FileNotFoundError(ENOENT, "no such file", self.path)
        del names[self.name]
        self.disk.after_write()

    def rmdir(self) -> None:
        _check()
        self.disk.live.pop(self.path, None)


class DiskCalls:
    """The `Disk` of the storage adapters, on a simulated disk."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def sync(self, file: FakeFile) -> None:
        self._disk.sync(file.fileno())

    def sync_folder(self, folder: FakePath) -> None:
        _check()
        self._disk.sync(folder.path)

    def link(self, source: FakePath, target: FakePath) -> None:
        self._disk.write(target.path)
        names = self._disk.folder(target.parent_path)
        if target.name in names:
            raise FileExistsError(EEXIST, "file exists", target.path)
        names[target.name] = source.inode()
        self._disk.after_write()

    def lock(self, file: FakeFile) -> None:
        # What has it locked happens in one piece.
        _check()

    def writer(self) -> str:
        process = PROCESS.get()
        return str(process.number if process is not None else 0)

    def copy(self, source: FakePath, target: FakePath) -> None:
        with target.open("wb") as file:
            file.write(source.read_bytes())
