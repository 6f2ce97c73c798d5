"""Where a worker's checkpoints are: in its state folder, in a folder that others reach, or in a bucket.

STATE_DIR/checkpoints says where, if not in STATE_DIR/objects: nobody else could tell that a start looks elsewhere.
"""

import secrets
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from statefun_runtime.adapters.off_loop import in_a_thread
from statefun_runtime.adapters.storage.claimed_log import ClaimedLog
from statefun_runtime.adapters.storage.disk import MACHINE_DISK, MachineDisk
from statefun_runtime.adapters.storage.object_folder import ObjectFolder
from statefun_runtime.adapters.storage.object_store import ObjectStore
from statefun_runtime.adapters.storage.shared_credentials import SharedCredentials
from statefun_runtime.adapters.storage.state_folder import StateFolder
from statefun_runtime.app.build import founding_ports
from statefun_runtime.config.settings import Settings
from statefun_runtime.config.store_access import read_aws_access
from statefun_runtime.core.checkpoints.commits import History
from statefun_runtime.core.checkpoints.store_url import StoreUrl, is_store_url, parse_store_url
from statefun_runtime.engine.beginning import Ports
from statefun_runtime.errors import ConfigError

_KEPT_AT = "checkpoints"


def open_place(
    place: StoreUrl | Path, scratch: Path, *, has_one_writer: bool = True, is_new: bool = False
) -> ObjectStore | ObjectFolder:
    """Return the store at a place that others reach, too; raise ConfigError if it cannot be used at all.

    What is written to a folder before anybody holds it `is_new`; else one that is not there is not mounted.
    """
    if isinstance(place, StoreUrl):
        return ObjectStore(place, in_a_thread, scratch=scratch, options=_options(place))
    # A process has the same number as one on another machine.
    disk = MachineDisk(secrets.token_hex(8))
    try:
        objects = partial(
            ObjectFolder,
            place / "objects",
            in_a_thread,
            sweep=False,
            disk=disk,
            may_be_away=not is_new,
        )
        return objects() if has_one_writer else objects(small_bytes_max=0)
    except OSError as error:
        raise ConfigError(
            f"--checkpoints {place.as_uri()} cannot be used: {error.strerror or error}",
            code="SF1087",
            hint="see that the folder is mounted, and may be written to",
        ) from error


def with_place(ports: Ports, settings: Settings, scratch: Path, *, is_new: bool = False) -> Ports:
    """Return the ports of a worker with its checkpoints where the settings say."""
    if settings.checkpoints is None:
        return ports
    is_alone = settings.workers == 1 and settings.cluster is None
    store = open_place(settings.checkpoints, scratch, has_one_writer=is_alone, is_new=is_new)
    log = ClaimedLog(ports.commit_log, store, name_of(settings.checkpoints))
    return replace(ports, checkpoints=store, commit_log=log)


def founding_place(folder: StateFolder, settings: Settings) -> Ports:
    """Return the ports of an import, and have the folder say where its checkpoint will be."""
    keep_place(folder.folder, settings.checkpoints)
    fetched = folder.folder / "live" / "fetched"
    return with_place(founding_ports(folder), settings, fetched, is_new=True)


async def require_reachable(ports: Ports) -> None:
    """Raise StatefunError if a bucket gives no answer, or not what is needed."""
    if isinstance(ports.checkpoints, ObjectStore):
        await ports.checkpoints.check()


def require_same_place(settings: Settings, history: History) -> None:
    """Refuse to look for the checkpoints of a log elsewhere than they were kept; a savepoint begins anew."""
    kept, named = kept_at(settings.state_dir), name_of(settings.checkpoints)
    if kept == named or not history.entries or settings.from_savepoint is not None:
        return
    raise ConfigError(
        f"the checkpoints of {settings.state_dir} are kept in {kept or 'the folder itself'}, and this start looks "
        f"for them in {named or 'the folder itself'}",
        code="SF1083",
        hint=f"start with {f'--checkpoints {kept}' if kept else 'no --checkpoints'}; to move them, take a savepoint and "
        "start from it with --from-savepoint",
    )


def keep_place(state_dir: Path, place: StoreUrl | Path | None) -> None:
    """Have the state folder say where its checkpoints are."""
    path = state_dir / _KEPT_AT
    if kept_at(state_dir) == name_of(place):
        return
    if place is None:
        path.unlink(missing_ok=True)
    else:
        writing = path.with_suffix(".tmp")
        with writing.open("wb") as file:
            file.write(name_of(place).encode())
            file.flush()
            MACHINE_DISK.sync(file)
        writing.rename(path)
    MACHINE_DISK.sync_folder(state_dir)


def kept_at(state_dir: Path) -> str:
    """Return where the state folder says that its checkpoints are, as text; empty: in itself."""
    try:
        return (state_dir / _KEPT_AT).read_text().strip()
    except FileNotFoundError:
        return ""


def kept_place(state_dir: Path) -> StoreUrl | Path | None:
    """Return the same as what it says."""
    text = kept_at(state_dir)
    if not text:
        return None
    return parse_store_url(text) if is_store_url(text) else Path(text.removeprefix("file://"))


def name_of(place: StoreUrl | Path | None) -> str:
    """Return what people call a place; empty: the state folder."""
    if place is None:
        return ""
    return str(place) if isinstance(place, StoreUrl) else f"file://{place}"


def _options(url: StoreUrl) -> dict[str, Any]:
    if url.scheme != "s3":
        return {}
    access = read_aws_access()
    options: dict[str, Any] = {
        "endpoint": access.endpoint,
        "region": access.region,
        # The store compares what came in with what was sent.
        "checksum_algorithm": "sha256",
    }
    if access.keys_file is not None:
        options["credential_provider"] = SharedCredentials(access.keys_file, access.profile)
    return {name: value for name, value in options.items() if value is not None}
