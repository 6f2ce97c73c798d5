"""`python -m tests.simulation.run --seeds 0:1000 [--jobs 2]`: plays histories, stops at the first that goes wrong."""

import argparse
import gc
import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation.world import World

_CHUNK = 50


def play(seed: int, *, verbose: bool = False, workers: int = 0, cluster: int = 0) -> World:
    """Play one history to its end.

    With `workers` several of them share the work, so many at most; with `cluster` processes of so many machines do.
    """
    if not verbose:
        logging.disable(logging.CRITICAL)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        world = World(seed, verbose=verbose, workers=workers, cluster=cluster)
        world.run()
        return world
    finally:
        logging.disable(logging.NOTSET)
        if was_enabled:
            gc.enable()


def play_range(
    first: int, end: int, workers: int = 0, cluster: int = 0
) -> tuple[int, list[tuple[int, str]]]:
    """Play some histories; return how many, and the seeds that failed with their first failure."""
    failed = []
    for seed in range(first, end):
        world = play(seed, workers=workers, cluster=cluster)
        if world.failures:
            failed.append((seed, world.failures[0]))
        if seed % 10 == 0:
            gc.collect()
    return end - first, failed


def play_until(first: int, end: int, workers: int = 0, cluster: int = 0) -> str:
    """Play histories until one goes wrong; return its seed and failure, or an empty text."""
    for seed in range(first, end):
        world = play(seed, workers=workers, cluster=cluster)
        if world.failures:
            return f"{seed} {world.failures[0]}"
        if seed % 10 == 0:
            gc.collect()
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0:1000", help="FIRST:END, or one seed with its trace")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="so many at most share the work (0: one that is alone)",
    )
    parser.add_argument(
        "--cluster",
        type=int,
        default=0,
        help="processes of so many machines at most are a cluster",
    )
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    arguments = parser.parse_args()
    if ":" not in arguments.seeds:
        return _show(int(arguments.seeds), arguments.workers, arguments.cluster)
    first, end = map(int, arguments.seeds.split(":"))
    return _sweep(
        first,
        end,
        jobs=arguments.jobs,
        keep_going=arguments.keep_going,
        workers=arguments.workers,
        cluster=arguments.cluster,
    )


def _show(seed: int, workers: int, cluster: int) -> int:
    world = play(seed, verbose=True, workers=workers, cluster=cluster)
    print(f"seed {seed}: {world.lives} lives, trace {world.trace_hash[:16]}")
    for failure in world.failures:
        print(f"  {failure}")
    return 1 if world.failures else 0


def _sweep(first: int, end: int, *, jobs: int, keep_going: bool, workers: int, cluster: int) -> int:
    began_s, done, failed = time.monotonic(), 0, []
    with ProcessPoolExecutor(jobs) as pool:
        futures = [
            pool.submit(play_range, start, min(start + _CHUNK, end), workers, cluster)
            for start in range(first, end, _CHUNK)
        ]
        for future in as_completed(futures):
            count, wrong = future.result()
            done += count
            failed += wrong
            for seed, failure in wrong:
                print(f"\rseed {seed}: {failure}", flush=True)
            rate = done / (time.monotonic() - began_s)
            print(f"\r{done} histories, {rate:.1f}/s, {len(failed)} failed", end="", flush=True)
            if failed and not keep_going:
                pool.shutdown(cancel_futures=True)
                break
    print()
    if failed:
        shared = f"--workers {workers} --cluster {cluster}"
        print(f"see: python -m tests.simulation.run --seeds {min(failed)[0]} {shared}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
