"""What is installed, whether it goes together, and the command that mends it.

Nothing heavy is imported to find out: versions come from the installed distributions' metadata, so that a broken
package is reported instead of failing here. `uninas.engine.doctor` itself works without any of the packages.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from . import site_ops

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
    core: bool = False
    why: str = ""


NEEDS = (
    Need("torch", "torch>=2.6", core=True),
    Need("torchvision", "torchvision", core=True),
    Need("timm", "timm>=1.0.9", core=True),
    Need("mmengine", "mmengine>=0.10.7", ("onedl-mmengine", "mmengine-lite")),
    Need("mmcv", "mmcv-lite>=2.1,<2.2", ("mmcv", "onedl-mmcv", "mmcv-full")),
    Need("mmdet", "mmdet>=3.3", ("onedl-mmdetection",), why="detection and instance segmentation"),
    Need("mmseg", "mmsegmentation>=1.2.2", ("onedl-mmsegmentation",), why="semantic segmentation"),
    Need("pkg_resources", "setuptools<81", why="mmengine 0.10 imports pkg_resources"),
    Need("ftfy", "ftfy", why="mmsegmentation imports it without declaring it"),
    Need("regex", "regex", why="mmsegmentation imports it without declaring it"),
    Need("pycocotools", "pycocotools", why="COCO annotations"),
    Need("sklearn", "scikit-learn>=1.3", why="the digits data set"),
)


@dataclass
class Package:
    module: str
    distribution: str | None = None
    version: str | None = None
    detail: str = ""


@dataclass
class Report:
    """What `diagnose` found. `commands` mend every problem, in order; both empty when all is well."""

    python: str
    packages: list[Package] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_dict(self) -> dict:
        return {"ok": self.ok, **asdict(self)}

    def to_text(self) -> str:
        lines = [f"{'python':<15}{self.python}"]
        for p in self.packages:
            found = f"{p.version or '':<12}{p.distribution}" if p.distribution else "not installed"
            lines.append(f"{p.module:<15}{found}{f'  ({p.detail})' if p.detail else ''}")
        lines += [f"note: {note}" for note in self.notes]
        lines += [f"problem: {problem}" for problem in self.problems]
        if self.ok:
            lines.append("everything goes together")
        else:
            lines += ["this mends it:", *(f"  {command}" for command in self.commands)]
        return "\n".join(lines)


def diagnose(core_only: bool = False) -> Report:
    """Look at the running Python's packages.

    Args:
        core_only: leave out what only training through MMEngine needs.
    """
    report = Report(f"{platform.python_version()} {sys.executable}")
    install: list[str] = []
    remove: list[str] = []
    needs = [need for need in NEEDS if need.core or not core_only]
    found = {need.module: _installed(need) for need in needs}
    for need in needs:
        owners = found[need.module]
        package = Package(need.module, *(owners[0] if owners else (None, None)))
        report.packages.append(package)
        if not _needed(need, found):
            continue
        if not owners:
            report.problems.append(f"{need.requirement} is not installed{f' ({need.why})' if need.why else ''}")
            install.append(need.requirement)
            continue
        if len(owners) > 1:
            names = [name for name, _ in owners]
            report.problems.append(f"{' and '.join(names)} overwrite each other's files: keep one of them")
            remove += names
            install.append(need.requirement)
            continue
        wanted = Requirement(need.requirement)
        if wanted.name == owners[0][0] and not wanted.specifier.contains(owners[0][1], prereleases=True):
            reason = f" ({need.why})" if need.why else ""
            report.problems.append(f"{owners[0][0]} {owners[0][1]} is installed, {need.requirement} is needed{reason}")
            install.append(need.requirement)
    if not core_only:
        _check_mmcv(report, found, install, remove)
    _check_declared(report, found, install)
    if remove:
        report.commands.append(f"pip uninstall -y {' '.join(sorted(set(remove)))}")
    if install:
        report.commands.append(
            "pip install " + " ".join(f'"{r}"' if set("<>=") & set(r) else r for r in _once(install))
        )
    return report


def _installed(need: Need) -> list[tuple[str, str]]:
    owners = []
    for name in (Requirement(need.requirement).name, *need.others):
        try:
            owners.append((name, distribution(name).version))
        except PackageNotFoundError:
            continue
    return owners


def _needed(need: Need, found: dict[str, list[tuple[str, str]]]) -> bool:
    """The forks of mmengine import pkg_resources no longer."""
    return need.module != "pkg_resources" or not any(name == "onedl-mmengine" for name, _ in found["mmengine"])


def _check_mmcv(report: Report, found: dict[str, list[tuple[str, str]]], install: list[str], remove: list[str]) -> None:
    package = next(p for p in report.packages if p.module == "mmcv")
    if package.distribution is None or package.version is None:
        return
    if _compiled_operators():
        package.detail = "with compiled operators, which are used"
    else:
        package.detail = "without compiled operators: RoIAlign and NMS come from torchvision"
        report.notes.append(
            "models with deformable attention, deformable convolution or RoI pooling need compiled "
            "operators: `uninas doctor --compile-help`"
        )
        if found["mmdet"] and not site_ops.installed():
            report.notes.append(
                "mmdet's own tools import mmcv's operators before they read a config; to run an exported config with "
                "them: `uninas doctor --install-ops`, once"
            )
    strict = [name for module in ("mmdet", "mmseg") for name, _ in found[module] if not name.startswith("onedl-")]
    version = Version(package.version)
    fits = Version("2.0.0rc4") <= version < Version("2.2")
    if strict and not fits and package.distribution != "mmcv-lite":
        report.problems.append(
            f"{' and '.join(strict)} accept mmcv from 2.0.0 to below 2.2, and {package.distribution} "
            f"{package.version} is installed"
        )
        remove.append(package.distribution)
        install.append("mmcv-lite>=2.1,<2.2")
    forks = [name for owners in found.values() for name, _ in owners if name.startswith("onedl-")]
    if forks:
        report.notes.append(f"the maintained forks {', '.join(forks)} are used as they are")


def _compiled_operators() -> bool:
    """Looked up as a file, since importing mmcv may be the very thing that fails."""
    spec = find_spec("mmcv")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return any(next(Path(folder).glob("_ext.*"), None) is not None for folder in folders)


def _check_declared(report: Report, found: dict[str, list[tuple[str, str]]], install: list[str]) -> None:
    """What the packages themselves declare, e.g. the torch that a torchvision was built for."""
    for owners in found.values():
        for name, version in owners[:1]:
            for text in distribution(name).requires or ():
                try:
                    wanted = Requirement(text)
                except InvalidRequirement:
                    continue
                if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                    continue
                try:
                    present = distribution(wanted.name).version
                except PackageNotFoundError:
                    report.problems.append(f"{name} {version} needs {wanted}, which is not installed")
                    install.append(_plain(wanted))
                    continue
                if not wanted.specifier.contains(Version(present).base_version, prereleases=True):
                    report.problems.append(f"{name} {version} needs {wanted}, and {wanted.name} {present} is installed")
                    install += [name, _plain(wanted)]


def _plain(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def _once(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


def try_imports(report: Report) -> Report:
    """Import what training needs in a process of its own, and add what fails to `report.problems`. About 10 s."""
    installed = {p.module for p in report.packages if p.distribution}
    if not {"mmengine", "mmcv"} <= installed:
        return report
    modules = ["mmengine.runner", *(f"{name}.models" for name in ("mmdet", "mmseg") if name in installed)]
    for module in modules:
        code = f"from uninas.engine import compat; compat.prepare(); import {module}"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            report.problems.append(f"importing {module} fails: {last}")
            if "libGL" in last:
                report.commands.append("pip uninstall -y opencv-python && pip install opencv-python-headless")
    return report
