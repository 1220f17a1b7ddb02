"""What `diagnose` says about installations, real and made up."""

import json

import pytest

from uninas.mm_compat import doctor

GOOD = {
    "torch": "2.14.1",
    "torchvision": "0.29.1",
    "timm": "1.0.9",
    "mmengine": "0.10.7",
    "mmcv-lite": "2.1.0",
    "mmdet": "3.3.0",
    "mmsegmentation": "1.2.2",
    "setuptools": "80.1",
    "ftfy": "6.3",
    "regex": "2026.1",
    "pycocotools": "2.0.8",
    "scikit-learn": "1.5",
}


class FakeDistribution:
    def __init__(self, version: str, requires: list[str]) -> None:
        self.version, self.requires = version, requires


@pytest.fixture
def installed(monkeypatch):
    """Pretend that exactly these distributions are there."""

    def pretend(versions: dict[str, str], requires: dict[str, list[str]] | None = None, compiled: bool = False):
        def find(name: str) -> FakeDistribution:
            if name not in versions:
                raise doctor.PackageNotFoundError(name)
            return FakeDistribution(versions[name], (requires or {}).get(name, []))

        monkeypatch.setattr(doctor, "distribution", find)
        monkeypatch.setattr(doctor, "_compiled_operators", lambda: compiled)
        return doctor.diagnose()

    return pretend


def test_the_plain_stack_is_fine(installed):
    report = installed(GOOD)
    assert report.ok and report.commands == []
    assert "RoIAlign, NMS and deformable convolution from torchvision" in report.to_text()


def test_what_runs_these_tests_is_fine():
    pytest.importorskip("mmengine")
    report = doctor.diagnose()
    assert report.ok, report.to_text()


@pytest.mark.slow
def test_what_runs_these_tests_can_be_imported():
    pytest.importorskip("mmdet")
    assert doctor.try_imports(doctor.diagnose()).ok


def test_missing_packages_are_installed_with_one_command(installed):
    report = installed({k: v for k, v in GOOD.items() if k in ("torch", "torchvision", "timm", "setuptools")})
    assert len(report.commands) == 1
    assert report.commands[0].startswith('pip install "mmengine>=0.10.7,<0.11" "mmcv-lite>=2.1,<2.2" "mmdet>=3.3,<3.4"')
    assert "mmengine     " not in report.commands[0] and "torch" not in report.commands[0]


def test_an_mmcv_that_is_too_new_is_replaced(installed):
    report = installed({**{k: v for k, v in GOOD.items() if k != "mmcv-lite"}, "mmcv": "2.2.0"}, compiled=True)
    assert "below 2.2" in report.problems[0] and "2.2.0" in report.problems[0]
    assert report.commands == ["pip uninstall -y mmcv", 'pip install "mmcv-lite>=2.1,<2.2"']


def test_a_compiled_mmcv_is_named_and_used(installed):
    report = installed({**{k: v for k, v in GOOD.items() if k != "mmcv-lite"}, "mmcv": "2.1.0"}, compiled=True)
    assert report.ok and "with compiled operators" in report.to_text()


def test_two_mmcv_over_each_other_are_reported(installed):
    report = installed({**GOOD, "mmcv": "2.1.0"})
    assert "overwrite each other" in report.problems[0]
    assert report.commands == ["pip uninstall -y mmcv mmcv-lite", 'pip install "mmcv-lite>=2.1,<2.2"']


def test_setuptools_without_pkg_resources(installed):
    report = installed({**GOOD, "setuptools": "84.0"})
    assert "pkg_resources" in report.problems[0] and report.commands == ['pip install "setuptools<81"']


def test_the_forks_are_taken_as_they_are(installed):
    forks = {
        "onedl-mmengine": "0.10.12",
        "onedl-mmcv": "2.3.6",
        "onedl-mmdetection": "3.5.1",
        "onedl-mmsegmentation": "1.4.2",
    }
    plain = ("mmengine", "mmcv-lite", "mmdet", "mmsegmentation")
    report = installed({**{k: v for k, v in GOOD.items() if k not in plain}, **forks, "setuptools": "84.0"})
    assert report.ok, report.problems
    assert "onedl-mmcv" in report.to_text()


def test_only_the_engine_of_the_forks(installed):
    versions = {k: v for k, v in GOOD.items() if k != "mmengine"}
    assert installed({**versions, "onedl-mmengine": "0.10.12", "setuptools": "84.0"}).ok


def test_the_fork_of_mmcv_under_the_original_mmdet(installed):
    versions = {k: v for k, v in GOOD.items() if k != "mmcv-lite"}
    report = installed({**versions, "onedl-mmcv": "2.3.6"})
    assert "mmdet and mmsegmentation accept mmcv" in report.problems[0]


def test_a_torchvision_built_for_another_torch(installed):
    report = installed({**GOOD, "torch": "2.13.0"}, {"torchvision": ["torch==2.14.1"]})
    assert "torchvision 0.29.1 needs torch==2.14.1, and torch 2.13.0" in report.problems[0]
    assert report.commands == ['pip install torchvision "torch==2.14.1"']


def test_markers_and_local_versions_are_understood(installed):
    requires = {"torchvision": ["torch==2.14.1", "gdown; extra == 'gdown'"]}
    assert installed({**GOOD, "torch": "2.14.1+cpu"}, requires).ok


def test_without_the_extra_only_the_core_is_asked_for(monkeypatch):
    report = doctor.diagnose(core_only=True)
    assert [p.module for p in report.packages] == ["torch", "torchvision", "timm"]


def test_json_round_trip(installed):
    told = json.loads(json.dumps(installed({"torch": "2.14.1"}).to_dict()))
    assert told["ok"] is False and told["commands"] and told["packages"][0]["module"] == "torch"
