"""The page in a real browser, where one is installed."""

import re
import shutil
import subprocess

import pytest

from descend.draw import render_page

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--enable-logging=stderr"]

PROBE = """
<script>
const heads = document.querySelectorAll(".results thead button");
const names = () => [...document.querySelectorAll(".results tbody tr")].map((r) => r.cells[0].dataset.order).join();
heads[0].click(); const rising = names();
heads[0].click(); const falling = names();
const chip = document.querySelector('.chips button[data-series=adam]');
const hidden = () => document.querySelectorAll("figure .hidden").length;
chip.click(); const off = hidden();
chip.click(); const on = hidden();
document.body.dataset.probe = [
  rising, falling, off > 3, on, document.documentElement.scrollWidth <= innerWidth].join("|");
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("size", ["1280,900", "500,900"], ids=["laptop", "phone"])
def test_it_sorts_hides_fits_and_says_nothing_to_the_console(comparison, tmp_path, size):
    page = tmp_path / "page.html"
    page.write_text(render_page(comparison).replace("</body>", PROBE + "</body>"))
    command = [
        str(CHROMIUM),
        *FLAGS,
        f"--window-size={size}",
        f"--user-data-dir={tmp_path}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found is not None, done.stderr[-2000:]
    assert found[1] == "adam,sgd-momentum|sgd-momentum,adam|true|0|true"
    assert "CONSOLE" not in done.stderr
