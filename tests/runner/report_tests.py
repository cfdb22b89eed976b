"""report.html as a reader meets it: laid out by headless Chromium on screens of two widths, in the dark and on paper, and as a screen reader is told of
it. What the page says is checked by tests/config (report_checks.py)."""

import os
import subprocess

import build
from browser import Browser
from common import ROOT
from harness import Test, need

GOOD = os.path.join(ROOT, "tests/config/good")
REPORTS = {
    "partitioned": ("qemu-q35", "partitioned"), "hybrid": ("qemu-q35", "hybrid"), "size": ("synthetic-16", "size"),
    "extended": (os.path.join(GOOD, "extended-board.xml"), os.path.join(GOOD, "extended-scenario.xml")),
}
WIDTHS = (1280, 480)
PAPER = 688  # CSS pixels between the margins of A4
AA = 4.5     # WCAG 2.1, success criterion 1.4.3

# Elements that reach out of the window; what lies in a box that scrolls may, the box may not.
OVERFLOW = """(() => {
  const wide = document.documentElement.scrollWidth > innerWidth ? ["the page: " + document.documentElement.scrollWidth] : [];
  for (const e of document.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect();
    if (box.width && box.right > innerWidth + 0.5 && !e.closest(".scroll *") && !e.closest(".defs") && !e.matches(".skip"))
      wide.push(e.tagName + " " + e.textContent.slice(0, 40) + ": " + box.right);
  }
  return wide.slice(0, 5);
})()"""

# On paper nothing scrolls: what does not fit is lost.
CLIPPED = """[...document.querySelectorAll(".scroll")].filter(e => e.scrollWidth > e.clientWidth + 1)
  .map(e => (e.querySelector("caption, title").textContent || "?") + ": " + e.scrollWidth + " in " + e.clientWidth).slice(0, 5)"""

# Texts of drawings: outside the drawing, across each other, or on a pattern.
TEXTS = """(() => {
  const wrong = [];
  let count = 0;
  for (const svg of document.querySelectorAll("svg.drawing")) {
    const view = svg.viewBox.baseVal, name = svg.querySelector("title").textContent + ": ";
    const boxes = [...svg.querySelectorAll("text")].map(e => ({text: e.textContent, e, b: e.getBBox()})).sort((x, y) => x.b.y - y.b.y);
    count += boxes.length;
    boxes.forEach((one, i) => {
      const b = one.b;
      if (!one.text || !b.width) wrong.push(name + "an empty text");
      if (b.x < -0.5 || b.y < -0.5 || b.x + b.width > view.width + 0.5 || b.y + b.height > view.height + 0.5)
        wrong.push(name + "'" + one.text + "' leaves the drawing");
      for (let j = i + 1; j < boxes.length && boxes[j].b.y < b.y + b.height - 0.5; j++) {
        const c = boxes[j].b;
        if (c.x < b.x + b.width - 0.5 && b.x < c.x + c.width - 0.5) wrong.push(name + "'" + one.text + "' and '" + boxes[j].text + "' overlap");
      }
      for (const p of svg.querySelectorAll("path")) {
        const q = p.getBBox();
        if (q.x < b.x + b.width - 1 && b.x + 1 < q.x + q.width && q.y < b.y + b.height - 1 && b.y + 1 < q.y + q.height)
          wrong.push(name + "'" + one.text + "' is crossed by a line");
      }
      const x = b.x + b.width / 2, y = b.y + b.height / 2;
      const under = [...svg.querySelectorAll("rect")].filter(r => {
        const q = r.getBBox();
        return x > q.x && x < q.x + q.width && y > q.y && y < q.y + q.height && getComputedStyle(r).fill != "none";
      }).pop();
      if (under && getComputedStyle(under).fill.startsWith("url")) wrong.push(name + "'" + one.text + "' stands on a pattern");
    });
  }
  return {count, wrong: wrong.slice(0, 8)};
})()"""

# [ratio, text] of every text below the least contrast.
CONTRAST = """(() => {
  const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = c => { const v = c.slice(0, 3).map(x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const ratio = (a, b) => { const x = light(a), y = light(b); return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
  const ground = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
    return parse(getComputedStyle(document.body).backgroundColor); };
  const low = [];
  let count = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || e.closest("title, desc, style") || !e.getClientRects().length) continue;
    const inSvg = e.closest("svg");
    const grounds = [ground(inSvg || e)];
    if (inSvg) grounds.push(...[...inSvg.querySelectorAll(".odd, .plate, .box")].slice(0, 3).map(r => parse(getComputedStyle(r).fill)));
    const colour = parse(inSvg ? getComputedStyle(e).fill : getComputedStyle(e).color);
    const least = Math.min(...grounds.map(g => ratio(colour, g)));
    count++;
    if (least < LEAST) low.push(least.toFixed(2) + " " + walk.currentNode.data.trim().slice(0, 40));
  }
  return {count, low: low.slice(0, 5), ground: parse(getComputedStyle(document.body).backgroundColor)};
})()"""


def needs_nothing(wrong, what):
    need(not wrong, "%s:\n%s" % (what, "\n".join("    %s" % text for text in wrong)))


def check_screen(browser, path, width, dark):
    """One load of the page; the checks that passed."""
    where = "%d pixels, %s" % (width, "dark" if dark else "light")
    browser.open(path, width, dark=dark)
    needs_nothing(browser.complaints, where + ": the browser complains")
    need(browser.requests == ["file://" + path], "%s: the page wants more than itself: %s" % (where, browser.requests))
    needs_nothing(browser.run(OVERFLOW), where + ": wider than the window")
    texts = browser.run(TEXTS)
    need(texts["count"] > 10, "%s: the drawings have %d texts" % (where, texts["count"]))
    needs_nothing(texts["wrong"], where + ": texts of drawings")
    contrast = browser.run(CONTRAST.replace("LEAST", str(AA)))
    need(contrast["count"] > 100, "%s: the page has %d texts" % (where, contrast["count"]))
    needs_nothing(contrast["low"], where + ": contrast below %.1f" % AA)
    need((sum(contrast["ground"][:3]) < 200) == dark, "%s: the background is %s" % (where, contrast["ground"]))
    return 5


def check_paper(browser, path):
    browser.open(path, PAPER, dark=True, media="print")
    needs_nothing(browser.run(OVERFLOW) + browser.run(CLIPPED), "on paper: wider than the sheet")
    contrast = browser.run(CONTRAST.replace("LEAST", "7"))
    needs_nothing(contrast["low"], "on paper: contrast below 7")
    need(contrast["ground"][:3] == [255, 255, 255], "on paper: the background is %s" % contrast["ground"])
    pdf = browser.pdf()
    need(pdf.startswith(b"%PDF-") and b"%%EOF" in pdf[-32:], "no PDF comes of it")
    return 4


def check_names(browser, path):
    """What a screen reader is told."""
    browser.open(path)
    nodes = [node for node in browser.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]

    def names(*roles):
        return [node.get("name", {}).get("value", "") for node in nodes if node.get("role", {}).get("value") in roles]
    counts = browser.run('[document.querySelectorAll("svg.drawing").length, document.querySelectorAll("table").length, document.querySelectorAll("section").length]')
    images, tables, regions = names("img", "image", "graphics-document"), names("table"), names("region")
    need(len(images) == counts[0] > 0, "%d drawings, a screen reader finds %d" % (counts[0], len(images)))
    need(len(tables) == counts[1] > 0, "%d tables, a screen reader finds %d" % (counts[1], len(tables)))
    need(len(regions) == counts[2] > 0, "%d sections, a screen reader finds %d" % (counts[2], len(regions)))
    nameless = [role for role in ("img", "image", "graphics-document", "table", "region", "navigation", "group", "heading", "link", "rowheader", "columnheader")
                if not all(name.strip() for name in names(role))]
    needs_nothing(nameless, "roles without a name")
    described = [node for node in nodes if node.get("role", {}).get("value") in ("img", "image", "graphics-document") and node.get("description", {}).get("value")]
    need(len(described) == len(images), "%d of %d drawings are described" % (len(described), len(images)))
    for landmark in ("main", "banner", "contentinfo", "navigation"):
        need(len(names(landmark)) == 1, "there is no landmark %s" % landmark)
    return 6


def in_browser(board, scenario):
    def test():
        made = build.Build(board, scenario)
        made.describe(quiet=True)
        path = made.path("gen/config/report.html")
        with Browser() as browser:
            passed = sum(check_screen(browser, path, width, dark) for width in WIDTHS for dark in (False, True))
            return passed + check_paper(browser, path) + check_names(browser, path)
    return test


def command():
    """./bulkhead report: the text as it was built, the path of the page without --text."""
    script = os.path.join(ROOT, "tests/runner/main.py")

    def run(*arguments):
        return subprocess.run(["/usr/bin/python3", "-B", script, "report", *arguments], capture_output=True, timeout=1500, check=False)
    made = build.Build("qemu-q35", "hybrid")
    done = run("hybrid", "--text")
    with open(made.path("gen/config/report.txt"), "rb") as file:
        need(done.returncode == 0 and done.stdout == file.read() and done.stdout.startswith(b"Partition of board qemu-q35"),
             "report --text: status %d, %r, %r" % (done.returncode, done.stdout[:200], done.stderr[:500]))
    done = run("hybrid")
    path = done.stdout.decode().strip().split("\n")[-1]
    need(done.returncode == 0 and path.endswith("/report.html") and os.path.isfile(path), "report: status %d, %r, %r" % (done.returncode, done.stdout, done.stderr))
    done = run("no-such-scenario", "--text")
    need(done.returncode == 1 and b"no-such-scenario" in done.stderr and not done.stdout, "report of nothing: status %d, %r" % (done.returncode, done.stderr))
    return 3


def tests():
    return [Test("report.%s" % name, in_browser(*pair)) for name, pair in REPORTS.items()] + [Test("report.command", command)]
