"""A headless Chromium that tells what went wrong and what it asked for: for tests and pictures of the report."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)


def missing() -> str:
    """What is not installed, or nothing."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt-get install chromium chromium-driver)"
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError:
        return "selenium is not installed"
    return ""


@contextmanager
def browser(width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Any]:
    """A driver of selenium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
            yield driver
        finally:
            driver.quit()


def load(driver: Any, page: Path) -> None:
    """Opens a report from disk and waits until it can be used."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(page.resolve().as_uri())
    done = "return document.documentElement.dataset.ready !== undefined || !document.getElementById('problem').hidden"
    WebDriverWait(driver, 60, 0.05).until(lambda d: d.execute_script(done))


def complaints(driver: Any) -> list[str]:
    """What the console holds since it was asked last."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] != "INFO"]


def requests(driver: Any, page: Path) -> list[str]:
    """Addresses that were asked for, besides the page itself and data that are in it."""
    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if url != page.resolve().as_uri() and not url.startswith(("data:", "blob:", "chrome")):
                found.append(url)
    return found


def picture(driver: Any, path: Path, top: float = 0, left: float = 0, width: float = 1280, height: float = 800) -> None:
    """Writes a part of the page, in CSS pixels from its beginning, as PNG."""
    clip = {"x": left, "y": top, "width": width, "height": height, "scale": 1}
    found = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(found["data"]))
