"""The whole search: from a configuration to `study.sqlite`, `best.yaml` and `summary.json`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random

from .. import proxies
from ..errors import ProxyError, StudyError, UninasError
from ..genotype import Genotype
from .config import SearchConfig
from .constraints import Limits
from .executors import executor
from .explore import START, Search, State
from .finish import finish
from .fit import fit
from .schema import FILE, Candidate
from .scoring import derived_seed
from .space import Space
from .strategies import STRATEGIES
from .study import Study
from .summary import Progress, Summary

BEST, SUMMARY = "best.yaml", "summary.json"


class Interrupted(UninasError):
    """A search that KeyboardInterrupt ended; its study can be resumed."""


def search(config: SearchConfig, on_progress: Callable[[Progress], None] | None = None) -> Summary:
    """Searches, and writes `study.sqlite`, `best.yaml` and `summary.json` in `config.out`.

    Args:
        on_progress: called after every score.

    Raises:
        SpaceError: the space, the start or the limits cannot be used.
        StudyError: the folder cannot be written, holds a study already, or holds one with another configuration.
        ProxyError: an unknown proxy.
        Interrupted: by KeyboardInterrupt; the study is valid, and the message says how to go on.
    """
    proxy = proxies.get(config.proxy)
    if not proxy.higher_is_better:
        raise ProxyError(f"{proxy.name} is lower for better networks; a search maximises its proxy")
    space, limits = Space.load(config.space), config.limits
    asked = _start(config.start, space)
    start = fit(space, asked, limits, Random(derived_seed(config.seed, "fit")))
    with _open(config, config.fingerprint(space, asked.key)) as study:
        state = _state(study, config, start, limits)
        workers = executor(config.scorer, config.threads)
        current = Search(config, space, limits, study, workers, state, on_progress or (lambda _: None))
        try:
            strategy = STRATEGIES[config.strategy]()
            current.explore(strategy)
            best, summary = finish(current, strategy)
        except KeyboardInterrupt:
            done = study.count("scored", "failed")
            raise Interrupted(
                f"interrupted after {done} of {config.iterations} evaluations; all of them are in "
                f"{config.out / FILE}: the same command with --resume goes on from there"
            ) from None
        finally:
            workers.close()
        summary.start_shrunk = start is not asked
        summary.seconds = study.seconds
        summary.files = [str(config.out / name) for name in (FILE, BEST, SUMMARY)]
    best.save(config.out / BEST)
    _write(config.out / SUMMARY, summary.model_dump_json(indent=1) + "\n")
    return summary


def _start(name: str, space: Space) -> Genotype:
    """A start of the space, or a genotype file inside the space."""
    if name not in space.starts and Path(name).is_file():
        genotype = Genotype.load(name)
        space.check(genotype, name)
        return genotype
    return space.start(name)


def _open(config: SearchConfig, fingerprint: dict) -> Study:
    if config.resume:
        return Study.resume(config.out, fingerprint)
    leftovers = [name for name in (BEST, SUMMARY) if (config.out / name).exists()]
    if leftovers and not config.force and not (config.out / FILE).exists():
        raise StudyError(f"{config.out / leftovers[0]} is there already; --force replaces it")
    study = Study.create(config.out, fingerprint, config.force)
    for name in leftovers:  # of the study that was replaced
        (config.out / name).unlink()
    return study


def _state(study: Study, config: SearchConfig, start: Genotype, limits: Limits) -> State:
    """The stored state, or that of a search that begins."""
    stored = study.meta("state")
    if stored is not None:
        return State(**stored)
    state = State(random=list(Random(derived_seed(config.seed, "moves")).getstate()))
    cost = limits.cost(start)
    study.save(asdict(state), [Candidate(START, start, None, None, 0, cost.params, cost.macs)])
    return state


def _write(path: Path, text: str) -> None:
    """Through a temporary name, so that the file is never half there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise StudyError(f"{path}: cannot write: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
