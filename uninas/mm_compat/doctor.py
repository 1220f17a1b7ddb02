"""What is installed, whether it goes together, and the command that mends it.

Nothing heavy is imported to find out: versions come from the installed distributions' metadata, so that a broken
package is reported instead of failing here. `uninas doctor` itself works without any of the packages.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

COMPILE_HELP = """\
Every operator of mmcv, compiled here (about 9 minutes on 2 cores, 2.3 GB of memory a compiler). mmcv's build asks
for C++17 and a current torch needs C++20, hence the wrapper; the wheel can be kept and installed elsewhere.

  pip install "setuptools<81" wheel packaging ninja psutil
  printf '#!/bin/sh\\nexec g++ "$@" -std=c++20\\n' > /tmp/g++20 && chmod +x /tmp/g++20
  CXX=/tmp/g++20 CFLAGS="-O2 -g0" MAX_JOBS=2 MMCV_WITH_OPS=1 \\
    pip wheel --no-build-isolation --no-deps --no-cache-dir mmcv==2.1.0 -w wheels
  pip uninstall -y mmcv-lite && pip install --no-deps wheels/mmcv-2.1.0-*.whl
"""


@dataclass(frozen=True)
class Need:
    """One package: the name it is imported by, the distributions that may bring it, and the range that works."""

    module: str
    requirement: str
    others: tuple[str, ...] = ()
    """Other distributions of the same module: with operators compiled in, older, or maintained forks."""
    why: str = ""


CORE = (Need("torch", "torch>=2.6"), Need("torchvision", "torchvision"), Need("timm", "timm>=1.0.9"))
NEEDS = (
    *CORE,
    Need("mmengine", "mmengine>=0.10.7,<0.11", ("onedl-mmengine", "mmengine-lite")),
    Need("mmcv", "mmcv-lite>=2.1,<2.2", ("mmcv", "onedl-mmcv", "mmcv-full")),
    Need("mmdet", "mmdet>=3.3,<3.4", ("onedl-mmdetection",), "detection and instance segmentation"),
    Need("mmseg", "mmsegmentation>=1.2.2,<1.3", ("onedl-mmsegmentation",), "semantic segmentation"),
    Need("pkg_resources", "setuptools<81", why="mmengine 0.10 imports pkg_resources"),
    Need("ftfy", "ftfy", why="mmsegmentation imports it without declaring it"),
    Need("regex", "regex", why="mmsegmentation imports it without declaring it"),
    Need("pycocotools", "pycocotools", why="COCO annotations"),
    Need("sklearn", "scikit-learn>=1.3", why="the digits data set"),
)
OPERATORS = "RoIAlign, NMS and deformable convolution from torchvision, deformable attention from mmcv's PyTorch form"


@dataclass
class Package:
    module: str
    distribution: str | None = None
    version: str | None = None
    detail: str = ""


@dataclass
class Report:
    """What `diagnose` found; `install` and `remove` mend every problem."""

    python: str
    packages: list[Package] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    install: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def commands(self) -> list[str]:
        """What to type, in order; empty when all is well."""
        found = [f"pip uninstall -y {' '.join(sorted(set(self.remove)))}"] if self.remove else []
        wanted = (f'"{each}"' if set("<>=") & set(each) else each for each in dict.fromkeys(self.install))
        return [*found, "pip install " + " ".join(wanted)] if self.install else found

    def problem(self, text: str, install: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        self.problems.append(text)
        self.install += install
        self.remove += remove

    def to_dict(self) -> dict:
        found = asdict(self)
        del found["install"], found["remove"]
        return {"ok": self.ok, **found, "commands": self.commands}

    def to_text(self) -> str:
        lines = [f"{'python':<15}{self.python}"]
        for p in self.packages:
            found = f"{p.version or '':<12}{p.distribution}" if p.distribution else "not installed"
            lines.append(f"{p.module:<15}{found}{f'  ({p.detail})' if p.detail else ''}")
        lines += [f"note: {note}" for note in self.notes] + [f"problem: {problem}" for problem in self.problems]
        mend = ["this mends it:", *(f"  {command}" for command in self.commands)]
        return "\n".join([*lines, *(["everything goes together"] if self.ok else mend)])


def diagnose(core_only: bool = False) -> Report:
    """Look at the running Python's packages.

    Args:
        core_only: leave out what only training through MMEngine needs.
    """
    report = Report(f"{platform.python_version()} {sys.executable}")
    found = {need: _installed(need) for need in (CORE if core_only else NEEDS)}
    fork = any(name == "onedl-mmengine" for owners in found.values() for name, _ in owners)
    for need, owners in found.items():
        report.packages.append(Package(need.module, *(owners[0] if owners else ())))
        if fork and need.module == "pkg_resources":
            continue  # which the forks import no longer
        wanted, why = Requirement(need.requirement), f" ({need.why})" if need.why else ""
        if not owners:
            report.problem(f"{wanted} is not installed{why}", [need.requirement])
        elif len(owners) > 1:
            names = [name for name, _ in owners]
            told = f"{' and '.join(names)} overwrite each other's files: keep one of them"
            report.problem(told, [need.requirement], names)
        elif wanted.name == owners[0][0] and not wanted.specifier.contains(owners[0][1], prereleases=True):
            told = f"{owners[0][0]} {owners[0][1]} is installed, {need.requirement} is needed{why}"
            report.problem(told, [need.requirement])
    if not core_only:
        _check_mmcv(report)
    _check_declared(report)
    return report


def _installed(need: Need) -> list[tuple[str, str]]:
    owners = []
    for name in (Requirement(need.requirement).name, *need.others):
        with suppress(PackageNotFoundError):
            owners.append((name, distribution(name).version))
    return owners


def _check_mmcv(report: Report) -> None:
    package = next(p for p in report.packages if p.module == "mmcv")
    if package.distribution is None or package.version is None:
        return
    package.detail = "with compiled operators, which are used"
    if not _compiled_operators():
        package.detail = f"without compiled operators: {OPERATORS}"
        report.notes.append(
            "mmdet's own tools import mmcv's operators before they read a config: run them as `uninas mm train` and "
            "`uninas mm test`; the operators left over need a compiler: `uninas doctor --compile-help`"
        )
    names = {p.module: p.distribution for p in report.packages if p.distribution}
    strict = [names[k] for k in ("mmdet", "mmseg") if k in names and not names[k].startswith("onedl-")]
    fits = SpecifierSet(">=2.0.0rc4,<2.2").contains(package.version, prereleases=True)
    if strict and not fits and package.distribution != "mmcv-lite":
        report.problem(
            f"{' and '.join(strict)} accept mmcv from 2.0.0 to below 2.2, and {package.distribution} "
            f"{package.version} is installed",
            ["mmcv-lite>=2.1,<2.2"],
            [package.distribution],
        )
    forks = [name for name in names.values() if name.startswith("onedl-")]
    if forks:
        report.notes.append(f"the maintained forks {', '.join(forks)} are used as they are")


def _compiled_operators() -> bool:
    """Looked up as a file, since importing mmcv may be the very thing that fails."""
    spec = find_spec("mmcv")
    return any(next(Path(folder).glob("_ext.*"), None) for folder in (spec and spec.submodule_search_locations) or ())


def _check_declared(report: Report) -> None:
    """What the packages themselves declare, e.g. the torch that a torchvision was built for."""
    for package in report.packages:
        name = package.distribution
        for text in (distribution(name).requires or ()) if name else ():
            with suppress(InvalidRequirement):
                wanted = Requirement(text)
                if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                    continue
                plain, told = f"{wanted.name}{wanted.specifier}", f"{name} {package.version} needs {wanted}"
                try:
                    present = distribution(wanted.name).version
                except PackageNotFoundError:
                    report.problem(f"{told}, which is not installed", [plain])
                    continue
                if not wanted.specifier.contains(Version(present).base_version, prereleases=True):
                    report.problem(f"{told}, and {wanted.name} {present} is installed", [str(name), plain])


def try_imports(report: Report) -> Report:
    """Import what training needs in a process of its own, and add what fails to `report.problems`. About 10 s."""
    installed = {p.module for p in report.packages if p.distribution}
    if not {"mmengine", "mmcv"} <= installed:
        return report
    for module in ["mmengine.runner", *(f"{name}.models" for name in ("mmdet", "mmseg") if name in installed)]:
        code = f"from uninas import mm_compat; mm_compat.prepare(); import {module}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            headless = "libGL" in last
            told = f"importing {module} fails: {last}"
            report.problem(told, ["opencv-python-headless"] * headless, ["opencv-python"] * headless)
    return report
