"""The page in a real browser: drawn, legible, and asking for nothing else."""

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, async_playwright

from lab.compare.comparison import Comparison, Timeline
from lab.compare.page import render_html
from orders.model import STYLES
from tests.lab.compare import samples
from tests.lab.compare.sample_orders import good_order, slow_order

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
A4_WITHOUT_MARGINS = 688
"""182 mm in CSS pixels."""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        found = map(shutil.which, (*CHROMIUM, playwright.chromium.executable_path))
        executable = next((path for path in found if path), None)
        if executable is None:
            pytest.skip("Chromium can't be had here")
        running = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield running
        await running.close()


async def opened(browser: Browser, directory: Path, comparison: Comparison, **options: Any) -> Page:  # noqa: ANN401 - playwright's
    """A page of its own, written to a file and opened from there."""
    file = directory / "compare.html"
    file.write_text(render_html(comparison), encoding="utf-8")
    page = await browser.new_page(**({"viewport": {"width": 1280, "height": 900}} | options))
    page.set_default_timeout(5_000)
    await page.goto(file.as_uri())
    return page


async def test_it_opens_without_errors_and_asks_for_nothing_else(browser: Browser, tmp_path: Path) -> None:
    page = await browser.new_page()
    errors, requests = list[str](), list[str]()
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    file = tmp_path / "compare.html"
    file.write_text(render_html(samples.evil()), encoding="utf-8")

    await page.goto(file.as_uri())

    assert errors == []
    assert {url for url in requests if not url.startswith("data:")} == {file.as_uri()}


async def test_all_plots_are_drawn(browser: Browser, tmp_path: Path) -> None:
    page = await opened(browser, tmp_path, samples.comparison())

    plots = await page.eval_on_selector_all(
        "svg[data-plot]",
        """plots => plots.map(plot => [plot.dataset.plot, plot.getBoundingClientRect().height,
            [...plot.querySelectorAll('.mark')].filter(mark => mark.getTotalLength() > 0).length])""",
    )

    assert {name for name, _, _ in plots} == samples.PLOTS
    assert all(height > 50 and marks >= 2 for _, height, marks in plots)


@pytest.mark.parametrize("width", [1280, 375])
async def test_nothing_sticks_out(browser: Browser, tmp_path: Path, width: int) -> None:
    page = await opened(browser, tmp_path, samples.comparison(), viewport={"width": width, "height": 800})

    sticking_out = await page.evaluate(
        """() => [...document.body.querySelectorAll('*')].filter(one => !one.closest('.scroll > *, figure > *')
            && one.getBoundingClientRect().right > document.documentElement.clientWidth).map(one => one.outerHTML)"""
    )

    assert sticking_out == []
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(
    "timelines",
    [
        samples.comparison().timelines,
        [*(good_order(style, 1 / 7) for style in STYLES), *(slow_order(style) for style in STYLES)],
    ],
    ids=["as measured", "5 ms and 10 s"],
)
async def test_no_label_lies_over_another(browser: Browser, tmp_path: Path, timelines: list[Timeline]) -> None:
    page = await opened(browser, tmp_path, samples.comparison(timelines=timelines))

    clashes = await page.evaluate(
        """() => [...document.querySelectorAll('svg[data-plot]')].flatMap(plot => {
            const texts = [...plot.querySelectorAll(':scope > text')].map(text => [text.textContent, text.getBBox()]);
            const over = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width
                && a.y + 3 < b.y + b.height - 3 && b.y + 3 < a.y + a.height - 3;
            const outside = box => box.x < -1 || box.x + box.width > plot.viewBox.baseVal.width + 1;
            return texts.flatMap(([text, box], i) => [
                ...(outside(box) ? [`${text} is cut`] : []),
                ...texts.slice(i + 1).filter(([, other]) => over(box, other)).map(([other]) => `${text} / ${other}`)]);
        })"""
    )

    assert clashes == []


def luminance(colour: str) -> float:
    """Relative luminance of an opaque CSS colour (WCAG 2)."""
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


async def test_text_can_be_read_in_light_and_dark(browser: Browser, tmp_path: Path) -> None:
    page = await opened(browser, tmp_path, samples.comparison(partial=True))

    async def computed(selector: str, name: str) -> float:
        return luminance(await page.eval_on_selector(selector, f"one => getComputedStyle(one).{name}"))

    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        paper, alarm = await computed("body", "backgroundColor"), await computed(".alarm", "backgroundColor")
        assert (paper < 0.2) is (scheme == "dark")
        for selector, ground in (("body", paper), (".soft", paper), ("nav a", paper), (".alarm", alarm)):
            ink = await computed(selector, "color")
            assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5, (scheme, selector)


async def test_on_paper_every_table_is_whole(browser: Browser, tmp_path: Path) -> None:
    page = await opened(browser, tmp_path, samples.comparison(), viewport={"width": A4_WITHOUT_MARGINS, "height": 990})
    await page.emulate_media(media="print")

    cut = await page.eval_on_selector_all(
        "table",
        """(tables, width) => tables.filter(one => one.getBoundingClientRect().right > width)
            .map(one => one.caption.textContent)""",
        A4_WITHOUT_MARGINS,
    )

    assert cut == []


async def test_it_prints_in_light_colours(browser: Browser, tmp_path: Path) -> None:
    page = await opened(browser, tmp_path, samples.comparison(), color_scheme="dark")

    assert (await page.pdf(format="A4", print_background=True)).startswith(b"%PDF")
    await page.emulate_media(media="print")
    style = await page.eval_on_selector(
        "body",
        """body => {
        const style = getComputedStyle(body);
        return [style.backgroundColor, style.color];
    }""",
    )
    assert style == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
