"""Puts top-level `spaces/`, `protocols/` and `tables/` into the wheel, as `uninas/_data`; the rest: pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithData(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for kind in ("spaces", "protocols", "tables"):
                shutil.copytree(kind, Path(self.build_lib, "uninas", "_data", kind), dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithData})
