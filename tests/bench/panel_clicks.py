"""The panel as it is used: Chromium, JupyterLab and a real kernel, from a click to the state that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from tests.bench.fixtures import NAME, Bench
from tests.bench.measure import Row, duration, summary
from tests.bench.panel import VERSIONS, fill
from tests.browser.conftest import FLAGS, executable
from tests.browser.lab_server import Notebook, Server

_PAGE = """() => {
const panels = () => [...document.querySelectorAll('[data-lm-suppress-shortcuts]')].map(one => one.shadowRoot)
  .filter(Boolean);
window.bench = {
  get panel() { return panels().at(-1); },
  find: (where, text) => [...bench.panel.querySelectorAll(where)].find(one => !text || one.textContent.trim() === text),
  row: number => [...bench.panel.querySelectorAll('.row')].find(
    one => one.querySelector('.version b')?.textContent === String(number)),
  until: test => new Promise(done => {
    const look = () => { if (test()) { watch.disconnect(); done(); } };
    const watch = new MutationObserver(look);
    watch.observe(bench.panel, {subtree: true, childList: true, attributes: true, characterData: true});
    look(); }),
  drawn: () => new Promise(done => requestAnimationFrame(() => setTimeout(done))),
  // Nobody reads what is asked, and answers, in less.
  rest: () => new Promise(done => setTimeout(done, 150)),
  // Until what is there to see has a layout; the next click begins when it was drawn.
  took: async (act, test) => {
    const start = performance.now();
    act();
    await bench.until(test);
    bench.panel.host.getBoundingClientRect();
    const took = performance.now() - start;
    await bench.rest();
    return took; },
  // What JupyterLab needs to ask the kernel who it is: no click that asks the kernel takes less.
  floor: async () => {
    const start = performance.now();
    await jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestKernelInfo();
    const took = performance.now() - start;
    await bench.rest();
    return took; },
  opens: async () => {
    const before = panels().length;
    const start = performance.now();
    jupyterapp.commands.execute('notebook:run-cell');
    while (panels().length === before || !bench.panel.querySelector('.row')) await bench.drawn();
    return performance.now() - start; },
  planned: () => bench.find('dialog[open] [type=submit]')?.getAttribute('aria-disabled') !== 'true'
    && bench.find('dialog[open] .sentence')?.textContent,
  promoting: async n => {
    bench.row(n).querySelector('[data-do=menu]').click();
    await bench.rest();
    return () => bench.find('.item', 'Promote to Production…').click(); },
};
}"""
#: What a person clicks, and what there is to see when it is done.
_CLICKS = {
    "sort by a metric": """async n => {
      const took = await bench.took(() => bench.find('.head button', 'accuracy').click(),
        () => bench.find('.head [aria-sort]')?.textContent === 'accuracy');
      await bench.took(() => bench.find('.head button', 'Version').click(), () => bench.row(n));
      return took; }""",
    "open a version": """async n => {
      const took = await bench.took(() => bench.row(n).click(), () => bench.find('article h2')
        && !bench.find('article[aria-busy=true]'));
      await bench.took(() => bench.find('.tab', 'Versions').click(), () => bench.row(n));
      return took; }""",
    "Promote…, until it says what would happen": """async n => {
      const took = await bench.took(await bench.promoting(n), bench.planned);
      bench.find('dialog .buttons button', 'Cancel').click();
      await bench.until(() => !bench.find('dialog'));
      return took; }""",
    "Promote, until the row has its stage": """async n => {
      await bench.took(await bench.promoting(n), bench.planned);
      return bench.took(() => bench.find('dialog [type=submit]').click(), () => !bench.find('dialog')
        && bench.row(n).querySelector('.stage')?.textContent.includes('Production')); }""",
}


def clicking(bench: Bench) -> Iterator[Row]:
    """Open a panel of many versions in a notebook, and click."""
    from playwright.sync_api import sync_playwright

    registry = bench.new("clicks")
    fill(registry)
    server = Server(bench.folder / "lab")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            yield from _measured(bench, registry.uri, Notebook(page, server, server.write("clicks.ipynb", "")))
            browser.close()
    finally:
        server.close()


def _measured(bench: Bench, uri: str, notebook: Notebook) -> Iterator[Row]:
    notebook.ready()
    page = notebook.page
    page.evaluate(_PAGE)
    notebook.run_last(
        f"import registry_nb as rn\nregistry = rn.Registry({uri!r}, user='ada')\nregistry.model({NAME!r})"
    )
    times = []
    for _ in range(bench.times(10)):
        page.evaluate(
            """code => { const content = jupyterapp.shell.currentWidget.content;
            content.activeCellIndex = content.widgets.length - 1;
            content.activeCell.model.sharedModel.setSource(code); }""",
            f"panel = registry.panel({NAME!r}); panel",
        )
        times.append(page.evaluate("bench.opens()") / 1000)
        notebook.run_last("panel.close()")
    yield _row(f"a panel of {VERSIONS:,} versions, from the cell to its rows", 1.0, times, first=times[0])
    notebook.run_last(f"registry.panel({NAME!r})")
    page.wait_for_function("bench.panel?.querySelector('.row')")
    every, floor = list[float](), list[float]()
    for what, click in _CLICKS.items():
        times = []
        for n in range(bench.times(50)):
            times.append(page.evaluate(click, VERSIONS - n % 5) / 1000)
            floor.append(page.evaluate("bench.floor()") / 1000)
        every += times
        yield _row(f"click: {what}", 0.06, times)
    own = f"JupyterLab's own question to the kernel: {duration(median(floor))}"
    yield _row("a click", 0.06, every, own, floor=summary(floor))


def _row(what: str, bar: float, times: list[float], beside: str = "", **facts: Any) -> Row:
    value = median(times)
    measured = f"{duration(value)} ({beside})" if beside else duration(value)
    return Row(what, bar * 1000, value * 1000, measured, "ms", facts={**summary(times), **facts})
