"""Chunks of a sweep on the workers of a dask cluster."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from contracts.errors import BackendMissing, InvalidInput
from modelpact import sweep_results
from modelpact.sweep_results import Columns

CONNECT_SECONDS = 5
# A chunk is given up after so many workers died while they computed it.
LIVES = 5


def compute_on(
    scheduler: Any, sweep: str, chunks: Sequence[int], stated: Callable[[int], tuple[Any, int]]
) -> Iterator[tuple[int, Columns]]:
    """Compute chunks on a cluster and yield each as it finishes.

    Chunks are whole batches, so that every worker compiles once for each shape and never again. A chunk whose
    worker dies is computed by another one.

    Args:
        scheduler: an address or a `dask.distributed.Client`.
        sweep: the digest of the sweep, which names its tasks.
        chunks: the chunks to compute.
        stated: the arguments of `sweep_results.compute` for a chunk.

    Raises:
        InvalidInput: the scheduler does not answer, is lost on the way, or a chunk killed its workers.
    """
    try:
        from distributed import CancelledError, Client, KilledWorker, as_completed
    except ImportError as error:
        raise BackendMissing("distributed", "a sweep on a cluster", "sweeps") from error
    with _client(scheduler, Client) as client:
        futures = {
            client.submit(
                sweep_results.compute, *stated(k), key=f"sweep-{sweep[:16]}-{k:06d}", pure=False, retries=LIVES
            ): k
            for k in chunks
        }
        try:
            for future in as_completed(futures, loop=client.loop):
                yield futures[future], future.result()
                future.release()
        except (CancelledError, KilledWorker, OSError, TimeoutError) as error:
            raise InvalidInput(
                f"scheduler {client.scheduler.address if client.scheduler else scheduler}: the sweep stopped"
                f" ({type(error).__name__}: {error}); chunks that were stored are kept"
            ) from error
        finally:
            with contextlib.suppress(Exception):
                client.cancel(list(futures), force=True)


@contextlib.contextmanager
def _client(scheduler: Any, kind: Any) -> Iterator[Any]:
    if isinstance(scheduler, kind):
        yield scheduler
        return
    if not isinstance(scheduler, str):
        raise InvalidInput(
            f"scheduler = {scheduler!r:.60}: expected an address such as tcp://host:8786, or a Client"
        )
    with _quiet():
        try:
            client = kind(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise InvalidInput(
                f"scheduler = {scheduler!r}: no dask scheduler answers there within {CONNECT_SECONDS} s"
            ) from error
    try:
        yield client
    finally:
        with _quiet():
            client.close(timeout=CONNECT_SECONDS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without dask's own reports of a connection that fails: ours is one line."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
