"""Approximate nearest neighbours: inverted lists of product-quantised vectors (FAISS).

A `Coder` is what was learned from a sample of the library: centres, each with a list of the vectors
nearest to it, and a product quantiser that makes 32 bytes of a vector. A look-up reads a few lists
only. Lists are files that are mapped, never read as a whole; they are derived from the stored
vectors and can be made again at any time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from songid_desktop.types import FloatArray

IntArray = npt.NDArray[np.int64]
CodeArray = npt.NDArray[np.uint8]

CODE_BYTES = 32
SAMPLES_PER_LIST = 40
"""Vectors that a centre is learned from, on average."""
_TRAINING_ROUNDS = 6
_MOST_LISTS = 16_384
_BITS = 8
_THREADS_FROM = 2_000_000
"""Coded vectors from which a look-up is worth more than one thread."""
_THREADS_FROM_PRODUCTS = 1 << 28
"""Products of vectors and centres from which coding is. Threads wait for each other by spinning:
beside other work on the processor small jobs take ten times as long with two as with one."""


class ListsDamaged(Exception):
    """A file of lists or of a coder can't be used."""


def _faiss() -> Any:
    """The library, imported when the first index is opened: it takes 0.2 s."""
    import faiss

    return faiss


def list_count(n_vectors: int) -> int:
    """Lists for a library of so many coded vectors: a power of two, about twice the root."""
    wanted = 2.0 * max(n_vectors, 1) ** 0.5
    return int(np.clip(1 << round(np.log2(wanted)), 16, _MOST_LISTS))


def _sub_vectors(dim: int) -> int:
    """Pieces that a vector is quantised in: the most that divide it, up to `CODE_BYTES`."""
    return max(m for m in range(1, min(CODE_BYTES, dim) + 1) if dim % m == 0)


class Coder:
    """Centres and product quantiser.

    Parameters
    ----------
    index : faiss.IndexIVFPQ
        Trained, without vectors.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    @staticmethod
    def train(sample: FloatArray, n_lists: int) -> Coder:
        """Learn from vectors of length 1, float32, shape (n, dim); deterministic.

        The lists are fewer where the sample is too small for them.
        """
        dim = sample.shape[1]
        n_lists = max(1, min(n_lists, len(sample) // 8))
        quantizer = _faiss().IndexFlatIP(dim)
        index = _faiss().IndexIVFPQ(
            quantizer, dim, n_lists, _sub_vectors(dim), _BITS, _faiss().METRIC_INNER_PRODUCT
        )
        # One table of distances serves all lists of a query.
        index.by_residual = False
        index.cp.niter = _TRAINING_ROUNDS
        index.cp.min_points_per_centroid = 1
        index.cp.spherical = True
        index.pq.cp.niter = _TRAINING_ROUNDS
        index.pq.cp.min_points_per_centroid = 1
        _use_threads(len(sample) * n_lists)
        if len(sample) < 1 << _BITS:  # the quantiser wants as many vectors as it has codes
            sample = np.tile(sample, (-(-(1 << _BITS) // max(1, len(sample))), 1))
        index.train(np.ascontiguousarray(sample, np.float32))
        return Coder(index)

    @staticmethod
    def load(path: Path) -> Coder:
        """Raises `ListsDamaged` when the file is no coder."""
        try:
            index = _faiss().read_index(str(path))  # of its own type, and owner of its parts
        except RuntimeError as problem:
            raise ListsDamaged(f"{path.name} can't be read") from problem
        if not isinstance(index, _faiss().IndexIVFPQ) or not index.is_trained or index.ntotal:
            raise ListsDamaged(f"{path.name} is something else")
        return Coder(index)

    def save(self, path: Path) -> None:
        _faiss().write_index(self._index, str(path))
        _sync(path)

    @property
    def n_lists(self) -> int:
        return int(self._index.nlist)

    @property
    def dim(self) -> int:
        return int(self._index.d)

    @property
    def code_bytes(self) -> int:
        return int(self._index.code_size)

    def encode(self, vectors: FloatArray) -> tuple[IntArray, CodeArray]:
        """List and code of every vector: int64 (n,) and uint8 (n, code_bytes)."""
        _use_threads(len(vectors) * self.n_lists)
        vectors = np.ascontiguousarray(vectors, np.float32)
        lists = self._index.quantizer.assign(vectors, 1).reshape(-1)
        return lists, self._index.pq.compute_codes(vectors)

    def probe(self, queries: FloatArray, n_probe: int) -> tuple[FloatArray, IntArray]:
        """The lists nearest to every query, for any number of `Lists` of this coder."""
        _faiss().omp_set_num_threads(1)
        queries = np.ascontiguousarray(queries, np.float32)
        found: tuple[FloatArray, IntArray] = self._index.quantizer.search(
            queries, min(n_probe, self.n_lists)
        )
        return found

    def over(self, lists: Any) -> Any:
        """An index of this coder over some lists, which it takes over and lets go of with itself.

        FAISS hands out what it reads without an owner; told that Python owns it, it loses count of
        its own types (1.15).
        """
        index = _faiss().IndexIVFPQ(
            self._index.quantizer,
            self.dim,
            self.n_lists,
            int(self._index.pq.M),
            _BITS,
            _faiss().METRIC_INNER_PRODUCT,
        )
        index.by_residual = False
        index.pq = self._index.pq
        index.is_trained = True
        index.replace_invlists(lists, True)
        index.ntotal = lists.compute_ntotal()
        return index


@dataclass(slots=True)
class Entries:
    """Coded vectors on their way into lists: list, row and code of each."""

    lists: IntArray
    rows: IntArray
    codes: CodeArray

    @staticmethod
    def empty(code_bytes: int) -> Entries:
        nothing = np.zeros(0, np.int64)
        return Entries(nothing, nothing, np.zeros((0, code_bytes), np.uint8))

    def __len__(self) -> int:
        return len(self.rows)


def joined(parts: Sequence[Entries], code_bytes: int) -> Entries:
    if not parts:
        return Entries.empty(code_bytes)
    return Entries(
        np.concatenate([part.lists for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.codes for part in parts]),
    )


def write_lists(path: Path, coder: Coder, entries: Entries) -> None:
    """Write entries as a file of lists, and make it last."""
    order = np.argsort(entries.lists, kind="stable")
    rows = np.ascontiguousarray(entries.rows[order])
    codes = np.ascontiguousarray(entries.codes[order])
    edges = np.searchsorted(entries.lists[order], np.arange(coder.n_lists + 1))
    lists = _faiss().ArrayInvertedLists(coder.n_lists, coder.code_bytes)
    for number in np.flatnonzero(np.diff(edges)).tolist():
        begin, end = int(edges[number]), int(edges[number + 1])
        lists.add_entries(
            number,
            end - begin,
            _faiss().swig_ptr(rows[begin:end]),
            _faiss().swig_ptr(codes[begin:end]),
        )
    writer = _faiss().FileIOWriter(str(path))
    _faiss().write_InvertedLists(lists, writer)
    del writer  # closes the file
    _sync(path)


def _use_threads(products: int) -> None:
    _faiss().omp_set_num_threads((os.cpu_count() or 1) if products >= _THREADS_FROM_PRODUCTS else 1)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


class Lists:
    """A mapped file of lists.

    Raises
    ------
    ListsDamaged
        When the file is not one of this coder.
    """

    def __init__(self, path: Path, coder: Coder) -> None:
        self._coder = coder
        try:
            reader = _faiss().FileIOReader(str(path))
            lists: Any = _faiss().read_InvertedLists(
                reader, _faiss().IO_FLAG_MMAP | _faiss().IO_FLAG_READ_ONLY
            )
        except RuntimeError as problem:
            raise ListsDamaged(f"{path.name} can't be read") from problem
        self._lists = _faiss().downcast_InvertedLists(lists)
        if (lists.nlist, lists.code_size) != (coder.n_lists, coder.code_bytes):
            raise ListsDamaged(f"{path.name} belongs to another coder")
        self._index = coder.over(self._lists)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def code_bytes(self) -> int:
        return self._coder.code_bytes

    def nearest(
        self, queries: FloatArray, count: int, probes: tuple[FloatArray, IntArray]
    ) -> tuple[FloatArray, IntArray]:
        """Approximate cosines and rows of the `count` nearest vectors of each query, shape
        (n, count) each; row -1 where there are fewer."""
        threads = (os.cpu_count() or 1) if len(self) >= _THREADS_FROM else 1
        _faiss().omp_set_num_threads(threads)
        distance, lists = probes
        self._index.nprobe = lists.shape[1]
        found: tuple[FloatArray, IntArray] = self._index.search_preassigned(
            np.ascontiguousarray(queries, np.float32), count, lists, distance
        )
        return found

    def entries(self, keep: npt.NDArray[np.bool_] | None = None) -> Iterator[Entries]:
        """All that is in the lists, list by list; with `keep` only rows it is True for."""
        size = self._coder.code_bytes
        for number in range(self._coder.n_lists):
            count = int(self._lists.list_size(number))
            if not count:
                continue
            rows = _faiss().rev_swig_ptr(self._lists.get_ids(number), count).copy()
            codes = _faiss().rev_swig_ptr(self._lists.get_codes(number), count * size)
            codes = codes.reshape(count, size).copy()
            if keep is not None:
                inside = (rows >= 0) & (rows < len(keep))
                inside[inside] = keep[rows[inside]]
                rows, codes = rows[inside], codes[inside]
            yield Entries(np.full(len(rows), number, np.int64), rows, codes)

    def close(self) -> None:
        """Let go of the map."""
        with contextlib.suppress(AttributeError):
            del self._lists, self._index
