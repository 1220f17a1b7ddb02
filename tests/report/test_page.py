"""The report in a browser: it opens from disk, asks for nothing, and what belongs together is chosen together."""

from __future__ import annotations

import base64
import time

import chromium
import pytest

from uninas.report.html.write import write
from uninas.search import Study
from uninas.search.study import NewCandidate
from uninas.units import parse_count

if not chromium.missing():
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "a browser is there")


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    write([study], path)
    return path


@pytest.fixture(scope="module")
def driver():
    with chromium.browser() as driver:
        yield driver


@pytest.fixture
def opened(driver, page):
    chromium.requests(driver, page)  # those of before
    chromium.load(driver, page)
    yield driver
    assert chromium.complaints(driver) == []
    assert chromium.requests(driver, page) == []


def script(driver, text: str):
    return driver.execute_script(text)


ROWS = "[...document.querySelectorAll('#candidates tbody tr')]"


def test_it_opens_without_a_complaint_or_a_request(opened):
    assert script(opened, "return document.getElementById('problem').hidden")
    assert script(opened, "return document.querySelectorAll('#winner-view .network').length") == 2
    assert script(opened, f"return {ROWS}.length") == 25


def test_a_block_unfolds_to_its_operations(opened):
    block = "document.querySelectorAll('#winner-view .stage')[1].querySelector('.block')"
    assert script(opened, f"return {block}.querySelectorAll('svg').length") == 0
    script(opened, f"{block}.querySelector('summary').focus()")
    opened.switch_to.active_element.send_keys(" ")
    assert script(opened, f"return {block}.open")
    # Drawn when the browser tells that it is open, which is after it is.
    WebDriverWait(opened, 10).until(lambda d: script(d, f"return {block}.querySelectorAll('svg').length"))
    drawn = script(opened, f"return {block}.querySelector('svg').getBoundingClientRect().height")
    texts = script(opened, f"return [...{block}.querySelectorAll('svg text')].map(t => t.textContent)")
    assert drawn > 50 and any("conv" in text for text in texts)


def test_all_unfold_and_what_is_new_is_marked(opened):
    script(opened, "document.getElementById('winner-other').value = 'parent'")
    script(opened, "document.getElementById('winner-other').dispatchEvent(new Event('change'))")
    script(opened, "document.getElementById('unfold').click()")
    folded = "return [...document.querySelectorAll('#winner-view .block')].filter(b => !b.open).length"
    assert script(opened, folded) == 0
    WebDriverWait(opened, 10).until(lambda d: script(d, "return document.querySelectorAll('svg.panel').length > 8"))
    changed = script(opened, "return document.querySelectorAll('#winner-view .block.changed').length")
    said = script(opened, "return document.querySelectorAll('#winner-view .changes li').length")
    assert changed and said


def test_the_table_sorts(opened):
    header = "[...document.querySelectorAll('#candidates thead button')].find(b => b.textContent === 'params')"
    place = script(opened, f"return {header}.closest('th').cellIndex")
    params = f"return {ROWS}.map(r => r.cells[{place}].textContent)"
    script(opened, f"{header}.click()")
    rising = [parse_count(text) for text in script(opened, params)]
    assert rising == sorted(rising)
    assert script(opened, f"return {header}.parentElement.getAttribute('aria-sort')") == "ascending"
    script(opened, f"{header}.click()")
    falling = [parse_count(text) for text in script(opened, params)]
    assert falling == sorted(falling, reverse=True) and falling[0] > rising[-1]
    assert script(opened, f"return {header}.parentElement.getAttribute('aria-sort')") == "descending"


def test_the_table_filters_by_words_and_numbers(opened):
    def filtered(text: str) -> int:
        script(opened, f"const f = document.getElementById('filter'); f.value = {text!r};")
        script(opened, "document.getElementById('filter').dispatchEvent(new Event('input'))")
        time.sleep(0.3)  # it waits for more letters
        return int(script(opened, "return document.getElementById('found').textContent").split()[0])

    everything = filtered("")
    header = "[...document.querySelectorAll('#candidates thead button')].find(b => b.textContent === 'params')"
    place = script(opened, f"return {header}.closest('th').cellIndex")
    values = sorted(
        parse_count(text) for text in script(opened, f"return {ROWS}.map(r => r.cells[{place}].textContent)")
    )
    middle = f"{values[len(values) // 2] / 1000:g}K"
    assert 0 < filtered(f"params<{middle}") < everything
    assert filtered(f"params<{middle}") + filtered(f"params>={middle}") == everything
    assert filtered("no-such-move") == 0
    assert filtered("synflow:") > 0, "reasons of failures are found too"
    assert filtered("") == everything


def test_a_dot_opens_its_network_and_its_line(opened):
    script(opened, "document.getElementById('scatter').scrollIntoView()")
    place = script(
        opened,
        "const c = document.querySelector('#scatter .star'), a = c.getBoundingClientRect();"
        "const b = document.getElementById('scatter').getBoundingClientRect();"
        "return [a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2]",
    )
    scatter = opened.find_element("id", "scatter")
    chain = ActionChains(opened)
    chain.move_to_element_with_offset(scatter, round(place[0]), round(place[1])).perform()
    tip = script(opened, "return document.querySelector('.tip-box')?.textContent")
    assert tip and "parameters" in tip
    chain.click().perform()
    row = script(opened, "return document.getElementById('candidate').dataset.row")
    shown = script(opened, "return document.getElementById('candidate').textContent")
    assert row is not None and tip.split()[0] in shown
    selected = f"return {ROWS}.filter(r => r.getAttribute('aria-selected') === 'true').map(r => r.dataset.row)"
    assert script(opened, selected) == [row]
    assert script(opened, "return document.querySelectorAll('.plot .picked').length") >= 1


def test_a_line_of_the_table_opens_its_dot_and_its_network(opened):
    script(opened, f"{ROWS}[3].querySelector('button').click()")
    row = script(opened, f"return {ROWS}[3].dataset.row")
    assert script(opened, "return document.getElementById('candidate').dataset.row") == row
    assert script(opened, "return document.querySelectorAll('#scatter .picked').length") == 1
    parent = "document.querySelector('#candidate dl button')"
    if script(opened, f"return {parent} !== null"):
        key = script(opened, f"return {parent}.textContent")
        script(opened, f"{parent}.click()")
        assert key in script(opened, "return document.querySelector('#candidate .network').textContent")


def test_arrow_keys_go_from_dot_to_dot(opened):
    script(opened, "document.getElementById('scatter').focus()")
    rows = []
    for _ in range(3):
        opened.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        rows.append(int(script(opened, "return document.getElementById('candidate').dataset.row")))
    assert len(set(rows)) == 3


def test_a_correlation_opens_its_plot(opened):
    button = 'document.querySelector(\'.matrix button[data-x="synflow"][data-y="naswot"]\')'
    script(opened, f"{button}.click()")
    assert script(opened, "return document.getElementById('axis-x').value") == "synflow"
    labels = script(opened, "return [...document.querySelectorAll('#scatter text')].map(t => t.textContent)")
    assert {"synflow", "naswot"} <= set(labels)


def test_nothing_is_wider_than_the_page_on_a_small_screen(opened):
    opened.set_window_size(420, 900)
    wide = script(opened, "return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    opened.set_window_size(1280, 900)
    assert wide <= 0


def test_it_prints(opened):
    printed = opened.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_several_runs_and_the_dark(study, evolved, tmp_path):
    page = tmp_path / "both.html"
    write([study, evolved], page)
    with chromium.browser(dark=True) as driver:
        chromium.load(driver, page)
        assert script(driver, "return document.getElementById('winner-run').length") == 2
        assert script(driver, "return document.querySelectorAll('#best .step').length") == 2
        paper = script(driver, "return getComputedStyle(document.body).backgroundColor")
        assert max(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) < 60
        assert chromium.complaints(driver) == [] and chromium.requests(driver, page) == []


def test_a_search_that_has_just_begun(study, tmp_path):
    """Only starts, none of which has a score."""
    with Study.open(study) as opened:
        settings, start = opened.settings, opened.genotype(0)
    folder = tmp_path / "begun"
    with Study.create(folder, settings) as begun:
        begun.admit([NewCandidate(0, start, None, None, None, 0, 1000, 2000)], [], {"starts": 1, "first": 1})
        write([folder])  # while it is written
    with chromium.browser() as driver:
        chromium.load(driver, folder / "report.html")
        assert "No network has a score yet" in script(
            driver, "return document.getElementById('winner-view').textContent"
        )
        script(driver, f"{ROWS}[0].click()")
        assert script(driver, "return document.querySelectorAll('#candidate .stage').length") > 3
        assert chromium.complaints(driver) == []


def test_a_damaged_page_says_so(page, tmp_path):
    text = page.read_text()
    start = text.index('id="data">') + len('id="data">')
    broken = tmp_path / "broken.html"
    broken.write_text(text[: start + 40] + text[start + 80 :])
    with chromium.browser() as driver:
        chromium.load(driver, broken)
        assert "damaged" in script(driver, "return document.getElementById('problem').textContent")
