"""Where the zeros of a matrix are, as a grid of cells that is read in one pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from inspector.examine import Known
from inspector.limits import Limits
from inspector.measure import is_nonzero
from inspector.model import Role, Tensor
from inspector.pictures.reading import all_readable, has_numbers
from inspector.report import HeatReport
from inspector.values import Array, slices

MOST_HEATS = 12
MOST_CELLS = 48  # of a side
LEAST_SIDE = 8  # less is no picture
# Shares of zeros between which they may lie in a pattern worth looking at.
LEAST_ZEROS, MOST_ZEROS = 0.01, 0.999
_ALIGN = 16  # the largest block that pruning works with


def heats_of(
    known: Known, limits: Limits, threads: int | None = None, most: int = MOST_HEATS
) -> tuple[tuple[HeatReport, ...], int]:
    """The heats of the largest kernels with some zeros; and of how many there could be one.

    Raises LimitExceeded where the time is up or the memory full.
    """
    tensors = sorted(_candidates(known), key=lambda one: -one.elements)
    convolutions = _convolutions(known)

    def draw(tensor: Tensor) -> HeatReport:
        return heat(tensor, limits, tensor.layer in convolutions)

    return tuple(all_readable(draw, tensors[:most], threads)), len(tensors)


def _candidates(known: Known) -> Iterator[Tensor]:
    for tensor in known.artifact.tensors:
        found = (known.measured or {}).get(tensor.name)
        role = known.classified.verdicts[tensor.name].role
        if found is None or role is not Role.WEIGHT or not has_numbers(tensor):
            continue
        if (
            min(sides(tensor)) >= LEAST_SIDE
            and LEAST_ZEROS <= found.zeros / tensor.elements <= MOST_ZEROS
        ):
            yield tensor


def _convolutions(known: Known) -> frozenset[str]:
    """Paths of the layers that move a window."""
    model = known.artifact.model
    layers = () if model is None else model.walk()
    return frozenset(one.path for one in layers if "conv" in one.class_name.lower())


def sides(tensor: Tensor) -> tuple[int, int]:
    """(rows, columns) of the matrix with the outputs as columns; (0, 0) of what is none."""
    shape = tensor.shape or ()
    if len(shape) < 2 or not tensor.elements:
        return 0, 0
    outputs = shape[0] if tensor.outputs_first else shape[-1]
    return tensor.elements // outputs, outputs


def heat(tensor: Tensor, limits: Limits, is_convolution: bool = False) -> HeatReport:
    """The heat of a tensor of rank 2 or more that has values. Raises ArtifactError."""
    rows, columns = sides(tensor)
    cell_rows, cell_columns = cell(rows), cell(columns)
    if tensor.outputs_first:  # as it is stored, its outputs are the rows
        zeros = _zeros(tensor, limits, (columns, rows), (cell_columns, cell_rows)).T
    else:
        zeros = _zeros(tensor, limits, (rows, columns), (cell_rows, cell_columns))
    sizes = np.outer(_lengths(rows, cell_rows), _lengths(columns, cell_columns))
    row_words, column_words = _words(tensor, is_convolution)
    return HeatReport(
        tensor=tensor.name,
        layer=tensor.layer,
        variable=tensor.variable,
        shape=tensor.shape or (),
        rows=rows,
        columns=columns,
        row_words=row_words,
        column_words=column_words,
        cell_rows=cell_rows,
        cell_columns=cell_columns,
        cells=tuple(tuple(row) for row in _shares(zeros, sizes).tolist()),
    )


def _shares(zeros: Array, sizes: Array) -> Array:
    """To four decimals, but 0 and 1 only of cells without any and with nothing else."""
    near: Array = (zeros / sizes).round(4).clip(1e-4, 1 - 1e-4)
    near[zeros == 0], near[zeros == sizes] = 0, 1
    return near


def cell(side: int) -> int:
    """Values of a side in a cell: few enough cells, each of which holds blocks whole."""
    least = -(-side // MOST_CELLS)
    if least > _ALIGN:
        return -(-least // _ALIGN) * _ALIGN
    return 1 << (least - 1).bit_length()


def _lengths(side: int, size: int) -> Array:
    """How many values of a side each of its cells has."""
    starts = np.arange(0, side, size)
    return np.minimum(starts + size, side) - starts


def _words(tensor: Tensor, is_convolution: bool) -> tuple[str, str]:
    """What the rows and the columns stand for."""
    if tensor.variable == "embeddings":
        return "entries", "dimensions"
    if len(tensor.shape or ()) == 2:
        return "inputs", "outputs"
    return ("window x inputs" if is_convolution else "all but the outputs"), "outputs"


def _zeros(
    tensor: Tensor, limits: Limits, matrix: tuple[int, int], cells: tuple[int, int]
) -> Array:
    """How many zeros each cell has, of the matrix as it is stored: rows of cells."""
    grid = _Grid(matrix, cells)
    payload = tensor.centred or tensor.payload
    for values, times in () if payload is None else slices(payload, limits.slice_bytes):
        zeros = ~is_nonzero(values)
        grid.add(zeros if times == 1 else np.broadcast_to(zeros, (times,)))
    return grid.cells


class _Grid:
    """Flags that come in C order, added up by cell."""

    def __init__(self, matrix: tuple[int, int], cells: tuple[int, int]) -> None:
        self.width = matrix[1]
        self.height, self.size = cells
        self.cells = np.zeros(
            [-(-side // one) for side, one in zip(matrix, cells, strict=True)], int
        )
        self.at = 0  # how many flags were added

    def add(self, flags: Array) -> None:
        while flags.size:
            row, column = divmod(self.at, self.width)
            if column == 0 and flags.size >= self.width:
                # Whole rows, as far as their row of cells goes.
                rows = min(flags.size // self.width, self.height - row % self.height)
                part, flags = flags[: rows * self.width], flags[rows * self.width :]
                counts = part.reshape(rows, self.width).sum(axis=0, dtype="i4")
            else:
                part, flags = flags[: self.width - column], flags[self.width - column :]
                counts = part
            self._add_row(row // self.height, column, counts)
            self.at += part.size

    def _add_row(self, row: int, column: int, counts: Array) -> None:
        """Take in numbers of zeros of columns that follow one another."""
        places = np.arange(column, column + counts.size) // self.size
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        self.cells[row, places[starts]] += np.add.reduceat(counts, starts, dtype="i8")
