import pytest
import torch
from PIL import Image

from uninas.ranking import RankingError
from uninas.ranking.images import DEVIATION, MEAN, files_digest, load_images


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cats").mkdir()
    for i in range(6):
        Image.new("RGB", (40 + i, 30), (10 * i, 100, 200)).save(tmp_path / "cats" / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_different_images_normalised(folder):
    x = load_images(folder, 4, 16, generator())
    assert x.shape == (4, 3, 16, 16)
    pixels = x * torch.tensor(DEVIATION)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    torch.testing.assert_close(pixels[:, 1], torch.full((4, 16, 16), 100 / 255))
    reds = (pixels[:, 0, 0, 0] * 25.5).round().tolist()
    assert len(set(reds)) == 4
    assert torch.equal(x, load_images(folder, 4, 16, generator()))


def test_the_central_square(tmp_path):
    image = Image.new("RGB", (30, 10))
    image.paste((255, 255, 255), (10, 0, 20, 10))
    image.save(tmp_path / "a.png")
    pixels = load_images(tmp_path, 1, 8, generator()) * torch.tensor(DEVIATION)[:, None, None]
    assert (pixels + torch.tensor(MEAN)[:, None, None]).min() > 0.9  # bicubic


def test_digest_tells_folders_apart(folder):
    before = files_digest(folder)
    assert before == files_digest(folder)
    Image.new("L", (8, 8)).save(folder / "more.png")
    assert files_digest(folder) != before
    assert load_images(folder, 7, 8, generator()).shape[1] == 3  # grey becomes RGB


def test_one_channel(folder):
    x = load_images(folder, 4, 16, generator(), channels=1)
    assert x.shape == (4, 1, 16, 16)
    grey = (load_images(folder, 4, 16, generator()) * torch.tensor(DEVIATION)[:, None, None]).mean(1)
    assert torch.equal(x.mean((1, 2, 3)).argsort(), grey.mean((1, 2)).argsort())
    with pytest.raises(RankingError, match="take 2"):
        load_images(folder, 4, 16, generator(), channels=2)


def test_errors(folder):
    with pytest.raises(RankingError, match=r"holds 6 images .* expected at least 7"):
        load_images(folder, 7, 16, generator())
    with pytest.raises(RankingError, match="holds 0 images"):
        load_images(folder / "nope", 1, 16, generator())
    (folder / "cats" / "0.png").write_bytes(b"broken")
    with pytest.raises(RankingError, match=r"0\.png cannot be read as an image"):
        load_images(folder, 6, 16, generator())
