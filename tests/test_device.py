import pytest

from uninas import UninasError
from uninas.device import usable


def test_what_can_be_used_is_given_back():
    assert usable("cpu") == "cpu"


@pytest.mark.parametrize("device", ["abacus", "meta", "cuda:999", ""])
def test_what_cannot_be_used_is_named_in_one_line(device):
    with pytest.raises(UninasError, match="cannot be used") as caught:
        usable(device)
    assert repr(device) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_devices_that_torch_knows_are_not_all_listed():
    with pytest.raises(UninasError, match=r"'gpu' cannot be used: write cpu, cuda or cuda:1$"):
        usable("gpu")
