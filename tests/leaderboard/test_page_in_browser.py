"""The leaderboard page as a browser shows it, from the disk and without a network."""

import shutil
from collections.abc import Iterator
from typing import Any, Final

import pytest
from page_results import make_figure, make_result

from easy_to_hard.leaderboard.page import write_site
from easy_to_hard.leaderboard.page.sections import row_id
from easy_to_hard.leaderboard.ranking import standings

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: pip install selenium")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

_BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _BROWSER or not _DRIVER, reason="Chromium or chromedriver is not installed"),
]

_EVIL: Final = "<img src=x onerror=document.title='broken'></script>"
_LONG: Final = "a preset with a name that does not end soon " * 3
# Ten results of a task, so that not all are drawn at first.
_RESULTS: Final = [
    *(
        make_result(f"net {letter}", {32: 95 - n, 48: 90 - n, 128: 9 * n}, seed=n)
        for n, letter in enumerate("abcdefgh")
    ),
    make_result(_EVIL, {32: 40}, provenance="re-scored", parameters=None, link="https://example.org/"),
    make_result("net z", {64: 100}, trained_iterations=None, parameters=7),
    make_result("walker", {9: 100, 13: 80, 59: 30}, task="mazes", preset=_LONG),
    make_result("walker", {9: 50, 13: 2}, task="mazes", data_seed=9, provenance="re-scored", preset=_LONG),
    make_result("player", {0: 70, 1200: 40, 2600: 3}, task="chess_puzzles"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with results of several kinds."""
    out = tmp_path_factory.mktemp("a folder with spaces")
    figures = [make_figure("DT", size, 0.5) for size in (13, 33, 59)]
    return write_site(_RESULTS, out, published=figures).as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests; nothing is fetched for it, nor by it."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(_BROWSER)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-sync"):
        options.add_argument(argument)
    options.add_argument("--disable-background-networking")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=str(_DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Any, page: str) -> Iterator[Any]:
    """The page, freshly opened in a wide window with the light theme; no error may have been logged at the end."""
    _resize(browser, 1280)
    _prefer(browser, "light")
    browser.get("about:blank")
    browser.get(page)
    browser.get_log("browser")
    # The charts are drawn once the browser knows how wide they are.
    _until(browser, "document.querySelectorAll('section .chart svg.plot').length === 3")
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def _resize(browser: Any, width: int) -> None:
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def _prefer(browser: Any, theme: str) -> None:
    # Without smooth scrolling, so that nothing moves away from the pointer.
    wishes = {"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"}
    media = {"features": [{"name": name, "value": value} for name, value in wishes.items()]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def _find(browser: Any, selector: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, selector)


def _column(browser: Any, place: int, section: str = "prefix-sums") -> list[str]:
    """The texts of a column of the rows that are shown, in the order on the page."""
    script = (
        "return [...document.querySelectorAll(`table[data-section='${arguments[0]}'] tr[data-id]`)]"
        ".filter(row => row.offsetParent).map(row => row.cells[arguments[1]].querySelector('a, b')?.textContent"
        " ?? row.cells[arguments[1]].textContent)"
    )
    return list(browser.execute_script(script, section, place))


def _heading(browser: Any, label: str, section: str = "prefix-sums") -> Any:
    buttons = browser.find_elements(By.CSS_SELECTOR, f"table[data-section='{section}'] thead button")
    (button,) = [button for button in buttons if button.text == label]
    return button


def _until(browser: Any, script: str) -> Any:
    return WebDriverWait(browser, 5, poll_frequency=0.02).until(
        lambda driver: driver.execute_script(f"return {script}")
    )


def _id(method: str) -> str:
    (name,) = [row_id(standing) for standing in standings(_RESULTS) if standing.result["method"] == method]
    return name


def test_sorting_by_click_and_by_keyboard(opened: Any) -> None:
    nets = _column(opened, 2)
    assert nets[0] == "net h"
    button = _heading(opened, "32")
    heading = button.find_element(By.XPATH, "..")
    button.click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert _column(opened, 9) == ["95.0", "94.0", "93.0", "92.0", "91.0", "90.0", "89.0", "88.0", "40.0", "–"]
    button.click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert _column(opened, 9)[0] == "40.0"
    assert _column(opened, 9)[-1] == "–", "what was not measured is last, either way"
    method = _heading(opened, "method")
    opened.execute_script("arguments[0].focus()", method)
    method.send_keys(Keys.ENTER)
    assert method.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    assert heading.get_attribute("aria-sort") is None
    assert _column(opened, 2)[1:4] == ["net a", "net b", "net c"]
    method.send_keys(Keys.SPACE)
    assert _column(opened, 2)[:2] == ["net z", "net h"]
    weights = _heading(opened, "weights")
    weights.click()
    assert _column(opened, 5)[0] == "7"
    assert _column(opened, 5)[-1] == "–"


def test_overview_is_sorted_too(opened: Any) -> None:
    button = _find(opened, "table.overview thead th:nth-child(2) button")
    button.click()
    button.click()
    names = opened.execute_script(
        "return [...document.querySelectorAll('table.overview tbody th')].map(x => x.innerText)"
    )
    assert names == sorted(names, reverse=True)


def test_filter(opened: Any) -> None:
    field, count = _find(opened, "#filter-text"), _find(opened, "#filter-count")
    assert count.text == "12 of 12 results"
    field.send_keys("NET c")
    assert count.text == "1 of 12 results"
    assert _column(opened, 2) == ["net c"]
    assert _find(opened, "table[data-section='mazes-depth-first'] .nothing").is_displayed()
    assert not _find(opened, "table[data-section='prefix-sums'] .nothing").is_displayed()
    assert _find(opened, ".chart[data-section='prefix-sums'] .legend").text == "net c · some-preset · seed 2"
    field.send_keys(" and nothing else")
    assert count.text == "none of 12 results"
    assert _find(opened, "table[data-section='prefix-sums'] .nothing").text == "No result here fits the filter."
    _find(opened, "#filter [type=reset]").click()
    _until(opened, "document.getElementById('filter-count').textContent === '12 of 12 results'")
    Select(_find(opened, "#filter-provenance")).select_by_visible_text("re-scored")
    assert _column(opened, 2) == [_EVIL]
    Select(_find(opened, "#filter-provenance")).select_by_visible_text("re-scored on a fresh seed")
    assert _column(opened, 2, "mazes-depth-first") == ["walker"]
    assert count.text == "1 of 12 results"


def test_names_are_text(opened: Any) -> None:
    assert opened.title == "easy-to-hard leaderboard"
    assert _EVIL in _column(opened, 2)
    opened.execute_script("document.querySelectorAll('a.open').forEach(link => link.click())")
    assert opened.title == "easy-to-hard leaderboard"


def test_permalink_opens_the_details(browser: Any, page: str) -> None:
    _resize(browser, 1280)
    browser.get("about:blank")
    browser.get(f"{page}#{_id('walker')}")
    dialog = _find(browser, "dialog")
    assert dialog.is_displayed()
    assert dialog.find_element(By.TAG_NAME, "h3").text.startswith("walker a preset with a name")
    assert "The frozen set against fresh instances, data seed 9" in dialog.text
    assert "Better on the frozen set" in dialog.text
    row = _find(browser, f"tr[data-id='{_id('walker')}']")
    assert "marked" in row.get_attribute("class")
    assert browser.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return b.top >= 0 && b.top < 800", row
    )
    assert _find(browser, "#window-link").get_attribute("value") == f"{page}#{_id('walker')}"
    _find(browser, "#window-copy").click()
    _until(browser, "['Copied', 'Press Ctrl+C'].includes(document.getElementById('window-copy').textContent)")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    # The address and the focus come after the window.
    _until(browser, "!location.hash && document.activeElement.matches('a.open')")
    assert not dialog.is_displayed()
    assert browser.current_url == page
    assert browser.switch_to.active_element.text == "walker", "the focus goes to the row"


def test_details_open_from_the_row_and_close_by_going_back(opened: Any, page: str) -> None:
    link = _find(opened, f"tr[data-id='{_id('net a')}'] a.open")
    opened.execute_script("arguments[0].focus()", link)
    link.send_keys(Keys.ENTER)
    assert _find(opened, "dialog").is_displayed()
    assert opened.current_url == f"{page}#{_id('net a')}"
    _until(opened, "document.querySelectorAll('dialog svg.plot .line').length === 3")
    opened.back()
    _until(opened, "!document.querySelector('dialog').open")
    assert opened.current_url == page
    opened.forward()
    _until(opened, "document.querySelector('dialog').open")
    _find(opened, "#window-close").click()
    _until(opened, "!location.hash")
    assert not _find(opened, "dialog").is_displayed()
    # It was put back whole, so it opens again.
    link.click()
    assert "net a" in _find(opened, "dialog h3").text
    assert len(opened.find_elements(By.ID, _id("net a"))) == 0, "the address does not scroll the window"


def test_chart_values_by_pointer(opened: Any) -> None:
    figure = _find(opened, ".chart[data-section='mazes-depth-first']")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", figure)
    tip = figure.find_element(By.CSS_SELECTOR, ".tip")
    assert not tip.is_displayed()
    points = figure.find_elements(By.CSS_SELECTOR, ".point")
    assert len(points) == 3
    assert len(figure.find_elements(By.CSS_SELECTOR, ".whisker")) == 3
    ActionChains(opened).move_to_element(points[1]).perform()
    # 80 of 100: Wilson 71.1 to 86.7.
    assert "size 13: 80.0 % (71.1 % to 86.7 %), 80 of 100" in tip.text
    assert tip.text.startswith("walker")


def test_chart_values_by_keyboard(opened: Any) -> None:
    chart = _find(opened, ".chart[data-section='prefix-sums'] svg.plot")
    tip = _find(opened, ".chart[data-section='prefix-sums'] .tip")
    opened.execute_script("arguments[0].focus()", chart)
    assert "net h" in tip.text
    assert "number of bits 32: 88.0 %" in tip.text
    chart.send_keys(Keys.ARROW_RIGHT)
    assert "number of bits 48: 83.0 %" in tip.text
    chart.send_keys(Keys.ARROW_DOWN)
    assert "net g" in tip.text
    assert "number of bits 48: 84.0 %" in tip.text
    chart.send_keys(Keys.END)
    assert "number of bits 128: 54.0 %" in tip.text
    chart.send_keys(Keys.TAB)
    assert not tip.is_displayed()


def test_rows_choose_what_is_drawn(opened: Any) -> None:
    def drawn() -> int:
        return len(opened.find_elements(By.CSS_SELECTOR, ".chart[data-section='prefix-sums'] .line"))

    assert drawn() == 8
    boxes = opened.find_elements(By.CSS_SELECTOR, "table[data-section='prefix-sums'] tbody input")
    assert [box.is_selected() for box in boxes] == [True] * 8 + [False] * 2
    boxes[9].click()
    assert drawn() == 9
    for box in boxes[:8]:
        box.click()
    assert drawn() == 1
    assert len(opened.find_elements(By.CSS_SELECTOR, ".chart[data-section='prefix-sums'] .direct")) == 1
    boxes[9].click()
    assert "no row is both shown and ticked" in _find(opened, ".chart[data-section='prefix-sums']").text


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_page_is_not_wider_than_the_window(opened: Any, width: int, theme: str) -> None:
    _resize(opened, width)
    _prefer(opened, theme)
    opened.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    _until(opened, f"document.querySelector('.chart svg.plot').getBoundingClientRect().right <= {width}")
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert opened.execute_script(overflow) == 0
    opened.execute_script(f"location.hash = '{_id('walker')}'")
    _until(opened, "document.querySelector('dialog').open")
    wide, inside = opened.execute_script(
        "const d = document.querySelector('dialog'); return [d.scrollWidth, d.clientWidth]"
    )
    assert wide == inside
    assert opened.execute_script(overflow) == 0


def test_theme(opened: Any, page: str) -> None:
    def background() -> str:
        return str(opened.execute_script("return getComputedStyle(document.body).backgroundColor"))

    light = background()
    button = _find(opened, "#theme")
    assert button.text == "Dark theme"
    button.click()
    dark = background()
    assert dark != light
    assert button.text == "Light theme"
    opened.get("about:blank")
    opened.get(page)
    assert background() == dark, "it is remembered"
    _find(opened, "#theme").click()
    assert background() == light
    opened.execute_script("localStorage.clear()")
    _prefer(opened, "dark")
    opened.get(page)
    assert background() == dark, "without a choice it is the system's"


def test_works_where_nothing_may_be_stored(opened: Any, page: str) -> None:
    script = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
    added = opened.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        opened.get("about:blank")
        opened.get(page)
        _find(opened, "#theme").click()
        assert opened.execute_script("return document.documentElement.dataset.theme") == "dark"
        assert _find(opened, "svg.plot").is_displayed()
    finally:
        opened.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_keyboard_reaches_everything(opened: Any) -> None:
    opened.execute_script("document.activeElement.blur()")
    _find(opened, "body").send_keys(Keys.TAB)
    skip = opened.switch_to.active_element
    assert skip.text == "Skip to the results"
    assert opened.execute_script("return arguments[0].getBoundingClientRect().top >= 0", skip)
    assert opened.execute_script("return getComputedStyle(arguments[0]).outlineStyle", skip) == "solid"
    unnamed = opened.execute_script(
        "return [...document.querySelectorAll('button, input, select, svg[tabindex], [role=region]')]"
        ".filter(x => !(x.innerText || x.labels?.length || x.ariaLabel || x.getAttribute('aria-label')))"
        ".map(x => x.outerHTML)"
    )
    assert unnamed == []


def test_without_javascript(browser: Any, page: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get(page)
        body = _find(browser, "body").text
        assert "Without JavaScript there are no charts" in body
        assert "net a" in body
        assert "95.0" in body
        assert not _find(browser, "#filter").is_displayed()
        assert not _find(browser, "#theme").is_displayed()
        assert not _find(browser, ".chart").is_displayed()
        _find(browser, f"tr[data-id='{_id('walker')}'] a.open").click()
        article = browser.find_element(By.ID, _id("walker"))
        assert article.is_displayed(), "the browser unfolds what the link leads to"
        assert "a preset with a name" in article.text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
