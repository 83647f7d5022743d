"""A real browser for tests: Debian's chromium, started anew for every call, without a network of its own."""

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]
# Run in the page that holds the pages under test in frames: measures each, and leaves what it finds as JSON.
MEASURE = """
addEventListener("load", () => {
  const rgb = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const found = [...document.querySelectorAll("iframe")].map(frame => {
    const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
    const folded = page.body.innerText;
    page.querySelectorAll("details").forEach(e => e.open = true);
    const style = e => view.getComputedStyle(e);
    const behind = e => {
      for (; e; e = e.parentElement) {
        const colour = rgb(style(e).backgroundColor);
        if (colour.length < 4 || colour[3] > 0) return colour;
      }
      return [255, 255, 255];
    };
    const seen = [...page.body.querySelectorAll("*")].filter(e => e.getClientRects().length);
    const clipped = e => e.closest(".wide, pre, .unseen");
    const worst = seen
      .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
      .map(e => e.namespaceURI.endsWith("svg")
        ? [rgb(style(e).fill), e] : [rgb(style(e).color), e])
      .map(([ink, e]) => [contrast(light(ink), light(behind(e))), e.tagName + ": " + e.textContent.slice(0, 40)])
      .sort((a, b) => a[0] - b[0])[0];
    return {
      name: frame.title,
      width: root.clientWidth,
      needed: root.scrollWidth,
      beyond: seen.filter(e => !clipped(e))
        .filter(e => e.getBoundingClientRect().right > root.clientWidth + 0.5
          || e.getBoundingClientRect().left < -0.5)
        .map(e => e.tagName + ": " + e.textContent.slice(0, 40)),
      loaded: view.performance.getEntriesByType("resource").map(r => r.name),
      contrast: worst,
      folded: folded,
      text: page.body.innerText,
      scripts: page.scripts.length,
    };
  });
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = JSON.stringify(found);
  document.body.append(result);
});
"""


def browse(page: Path | str, *switches: str) -> tuple[str, list[str]]:
    """Open a page; what was printed on stdout, and the lines of the page's console."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on the path: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, *SWITCHES, f"--user-data-dir={profile}", *switches, str(page)]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return finished.stdout, [line for line in finished.stderr.splitlines() if "CONSOLE" in line]


def measure(
    folder: Path, pages: dict[str, str], widths: list[int], *, dark: bool = False
) -> tuple[list[dict], list[str]]:
    """Lay every page out at every width, in frames of one document: what was found in each, and the console."""
    frames = "".join(
        f'<iframe title="{name}" width="{width}" height="844" style="border:0"'
        f' srcdoc="{html.escape(text)}"></iframe>'
        for name, text in pages.items()
        for width in widths
    )
    scheme = '<meta name="color-scheme" content="light dark">'
    holder = folder / "frames.html"
    holder.write_text(f'<!DOCTYPE html><meta charset="utf-8">{scheme}<body>{frames}<script>{MEASURE}</script>')
    dumped, console = browse(
        holder.as_uri(), f"--blink-settings=preferredColorScheme={int(not dark)}", "--dump-dom"
    )
    match = re.search(r'<pre id="found">(.*?)</pre>', dumped, flags=re.S)
    assert match, dumped[-2000:]
    return json.loads(html.unescape(match.group(1))), console
