"""Parquet files, through pyarrow, which the extra `parquet` brings: rows in, rows out, some thousand at a time."""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

from statefun_runtime.core.moving.columns import Cell
from statefun_runtime.errors import ConfigError

_BATCH_ROWS = 10_000
# A group is what has to be in memory at once, when it is written and when it is read.
_GROUP_ROWS = 50_000


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigError(
            "Parquet needs a library that is not installed",
            code="SF1138",
            hint="pip install 'statefun-runtime[parquet]', or use lines of JSON",
        ) from None
    return pyarrow, parquet


class ParquetWriter:
    """Writes rows to a file; what is there of it when something fails is of no use."""

    def __init__(self, path: Path, columns: Mapping[str, Cell]) -> None:
        self._arrow, parquet = _pyarrow()
        sorts = {
            Cell.TEXT: self._arrow.string(),
            Cell.BYTES: self._arrow.binary(),
            Cell.NUMBER: self._arrow.int64(),
        }
        self._schema = self._arrow.schema([(name, sorts[cell]) for name, cell in columns.items()])
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Mapping[str, Any]] = []

    def __enter__(self) -> "ParquetWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._flush()
        self._file.close()

    def write(self, row: Mapping[str, Any]) -> None:
        """Write a row; cells that it does not have are empty."""
        self._rows.append(row)
        if len(self._rows) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        rows = self._rows
        present = dict.fromkeys(chain.from_iterable(rows))
        arrays = [
            self._arrow.array([row.get(field.name) for row in rows], field.type)
            if field.name in present
            else self._arrow.nulls(len(rows), field.type)
            for field in self._schema
        ]
        self._rows = []
        self._file.write_batch(self._arrow.record_batch(arrays, schema=self._schema))


def read_parquet(path: Path, *, columns: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file; raise ConfigError where it cannot be read.

    With `columns` a row has the cells of these, as far as the file has such columns; else those that are not empty.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            wanted = list(columns) or None
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                yield from _rows(batch) if wanted is None else batch.to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise ConfigError(
            f"{path} cannot be read as Parquet: {error}",
            code="SF1139",
            hint="nothing was imported; copy or write the file once more",
        ) from error


def _rows(batch: Any) -> Iterator[dict[str, Any]]:
    """Columns without a value, which most are in most batches, are passed over at once."""
    names = [
        name
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        if column.null_count < len(column)
    ]
    columns = [batch.column(name).to_pylist() for name in names]
    for cells in zip(*columns, strict=True):
        yield {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}
