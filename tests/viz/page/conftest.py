"""A browser for the tests of the page: Debian's Chromium, driven by the package playwright, without any network."""

import shutil

import pytest

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]


class Opened:
    """A page in the browser, and what it complained about or asked for."""

    def __init__(self, page):
        self.page = page
        self.errors = []
        self.requests = []
        self.refused = []
        page.on("console", lambda message: message.type in ("error", "warning") and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.refused.append(f"{request.url}: {request.failure}"))

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def numbers(self, selector):
        """The exact numbers of the tables that a selector finds."""
        titles = self.page.locator(f"{selector} td").evaluate_all("cells => cells.map((cell) => cell.title)")
        return [float(title.replace("−", "-").replace("∞", "inf")) for title in titles]


@pytest.fixture(scope="session")
def _chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested through the package playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("the page is tested in Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def browse(_chromium, tmp_path):
    """A function that opens a page of `viz.explore`, at a place of its walk, in a fresh profile."""
    contexts = []

    def browse(page, place="", width=1280, height=800, **settings):
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(page if isinstance(page, str) else page.html, encoding="utf-8")
        context = _chromium.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.goto(file.as_uri() + place)
        if settings.get("java_script_enabled", True):
            opened.page.wait_for_selector("html[data-ready]", state="attached")
        return opened

    yield browse
    for context in contexts:
        context.close()
