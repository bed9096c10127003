#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Opens reports in headless Chromium and looks at them: light, dark and on a phone.

Usage: browser.py CHROMIUM PAGE...

Speaks the DevTools protocol over a pipe. COREFOLD_PICTURES=DIRECTORY keeps the pictures.
"""
import base64
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe"]

# (name, width, dark)
LOOKS = [("light", 1100, False), ("dark", 1100, True), ("phone", 360, False),
         ("phone-dark", 360, True), ("small-phone", 320, False)]

# What a page is asked: everything that would be ugly or unreadable, in words.
ASK = r"""
(() => {
  const bad = [];
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth)
    bad.push(`scrolls sideways: ${root.scrollWidth} px wide in ${innerWidth}`);
  for (const e of document.querySelectorAll('body *')) {
    const box = e.getBoundingClientRect();
    if (!e.closest('.scroll, pre') && box.width && box.right > innerWidth + 0.5)
      bad.push(`<${e.tagName}> "${e.textContent.slice(0, 30)}" ends at ${box.right}`);
  }
  for (const svg of document.querySelectorAll('svg')) {
    const title = svg.querySelector(':scope > title'), desc = svg.querySelector(':scope > desc');
    const name = title ? title.textContent : '(untitled)';
    if (svg.getAttribute('role') !== 'img' || !title || !title.textContent.trim())
      bad.push(`chart without a name: ${name}`);
    if (!desc || !desc.textContent.trim()) bad.push(`chart without a description: ${name}`);
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(t => [t, t.getBoundingClientRect()]);
    for (const [t, b] of texts) {
      if (b.left < frame.left - 1 || b.right > frame.right + 1 || b.top < frame.top - 1 ||
          b.bottom > frame.bottom + 1)
        bad.push(`${name}: "${t.textContent}" leaves the chart`);
      if (b.height < 8) bad.push(`${name}: "${t.textContent}" is ${b.height} px high`);
    }
    texts.forEach(([t, b], i) => texts.slice(i + 1).forEach(([u, c]) => {
      if (b.left < c.right - 1 && c.left < b.right - 1 && b.top < c.bottom - 3 && c.top < b.bottom - 3)
        bad.push(`${name}: "${t.textContent}" and "${u.textContent}" overlap`);
    }));
  }
  const light = (css) => {
    const c = css.match(/[\d.]+/g).map(Number);
    const f = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return { l: 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2], a: c.length > 3 ? c[3] : 1 };
  };
  const under = (e) => {
    for (; e; e = e.parentElement) {
      const c = light(getComputedStyle(e).backgroundColor);
      if (c.a > 0) return c.l;
    }
    return 1;
  };
  const seen = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, style = getComputedStyle(e);
    if (!walk.currentNode.data.trim() || e.closest('title, desc') || e.closest('i')) continue;
    const ink = light(e.closest('svg') ? style.fill : style.color).l, paper = under(e);
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    const key = `${e.tagName}.${e.className.baseVal ?? e.className}`;
    if (contrast < 4.5 && !seen.has(key))
      bad.push(`${key} "${e.textContent.slice(0, 20)}" has a contrast of ${contrast.toFixed(2)}`);
    seen.add(key);
  }
  return { bad, dark: under(document.body) < 0.2, charts: document.querySelectorAll('svg').length,
           bars: document.querySelectorAll('svg rect').length, charts_top: document.querySelector('svg')?.getBoundingClientRect().top ?? 0,
           details: document.querySelectorAll('details').length,
           requests: performance.getEntriesByType('resource').length };
})()
"""

UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"
UNFOLDED = "[...document.querySelectorAll('details > :not(summary)')].every(e => e.offsetHeight > 0)"


class Browser:
    """One Chromium, asked over its pipe."""

    def __init__(self, program, profile):
        to_read, self.to = os.pipe()
        self.back, from_write = os.pipe()
        self.number, self.rest, self.complaints = 0, b"", []

        def wire():
            os.dup2(os.dup(to_read), 63)
            os.dup2(os.dup(from_write), 64)
            os.dup2(63, 3)
            os.dup2(64, 4)

        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}"], preexec_fn=wire, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    session = None

    def receive(self):
        while b"\0" not in self.rest:
            more = os.read(self.back, 1 << 20)
            if not more:
                raise SystemExit("Chromium is gone")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def note(self, message):
        if message.get("method") == "Log.entryAdded":
            self.complaints.append(message["params"]["entry"]["text"])
        if message.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.complaints.append(json.dumps(message["params"])[:200])

    def ask(self, method, **params):
        self.number += 1
        request = {"id": self.number, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def open(self, url):
        self.ask("Page.navigate", url=url)
        while True:
            message = self.receive()
            self.note(message)
            if message.get("method") == "Page.loadEventFired":
                return

    def look(self, width, dark):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=800,
                 deviceScaleFactor=2 if width < 500 else 1, mobile=width < 500)
        self.ask("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def evaluate(self, expression):
        return self.ask("Runtime.evaluate", expression=expression,
                        returnByValue=True)["result"].get("value")

    def picture(self, **clip):
        if clip:
            clip = {"clip": clip}
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png",
                                         captureBeyondViewport=True, **clip)["data"])

    def close(self):
        os.close(self.to)
        os.close(self.back)
        self.process.kill()
        self.process.wait()


def colours(png):
    """How often each colour is in a picture (8 bits a channel, not interlaced)."""
    at, data, width, channels = 8, b"", 0, 0
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, _, _, colour = struct.unpack(">IIBB", body[:10])
            channels = {2: 3, 6: 4}[colour]
        elif kind == b"IDAT":
            data += body
        at += length + 12
    raw, stride = zlib.decompress(data), width * channels
    before, counts = bytearray(stride), {}
    for start in range(0, len(raw), stride + 1):
        row = unfilter(raw[start], bytearray(raw[start + 1:start + 1 + stride]), before, channels)
        for x in range(0, stride, channels * 2):
            pixel = bytes(row[x:x + 3])
            counts[pixel] = counts.get(pixel, 0) + 1
        before = row
    return counts


def unfilter(kind, row, before, channels):
    for i, value in enumerate(row):
        left = row[i - channels] if i >= channels else 0
        if kind == 1:
            row[i] = (value + left) & 255
        elif kind == 2:
            row[i] = (value + before[i]) & 255
        elif kind == 3:
            row[i] = (value + (left + before[i]) // 2) & 255
        elif kind == 4:
            corner = before[i - channels] if i >= channels else 0
            guess = left + before[i] - corner
            near = min((left, before[i], corner), key=lambda v: abs(guess - v))
            row[i] = (value + near) & 255
    return row


failures = []


def check(good, what):
    if not good:
        failures.append(what)


def check_picture(png, what, dark, bars):
    counts = colours(png)
    paper = max(counts, key=counts.get)
    check((sum(paper) < 128 * 3) == dark, f"{what}: the paper is {paper.hex()}")
    check(len(counts) > 16, f"{what}: only {len(counts)} colours")
    vivid = sum(n for c, n in counts.items() if max(c) - min(c) > 60)
    check(not bars or vivid > 40, f"{what}: {vivid} coloured points of {bars} bars")


def check_page(browser, path):
    name = pathlib.Path(path).stem
    keep = os.environ.get("COREFOLD_PICTURES")
    browser.open(pathlib.Path(path).resolve().as_uri())
    for look, width, dark in LOOKS:
        browser.look(width, dark)
        for folded in (True, False):
            what = f"{name}, {look}{'' if folded else ', unfolded'}"
            if not folded:
                browser.evaluate(UNFOLD)
                check(browser.evaluate(UNFOLDED), f"{what}: details stay folded")
            seen = browser.evaluate(ASK)
            for bad in seen["bad"][:8]:
                check(False, f"{what}: {bad}")
            check(seen["dark"] == dark, f"{what}: background")
            check(seen["requests"] == 0, f"{what}: loads other files")
            if folded:
                small = browser.picture(x=0, y=seen["charts_top"], width=width, height=1200,
                                        scale=0.5 if width < 500 else 0.4)
                check_picture(small, what, dark, seen["bars"])
            if keep:
                suffix = "" if folded else "-open"
                pathlib.Path(keep, f"{name}-{look}{suffix}.png").write_bytes(browser.picture())
        browser.evaluate(UNFOLD.replace("true", "false"))
    for complaint in browser.complaints:
        check(False, f"{name}: Chromium says {complaint}")
    browser.complaints.clear()
    print(f"{name}: {seen['charts']} charts, {seen['bars']} bars, {seen['details']} backtraces, "
          f"{len(LOOKS)} looks")


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(sys.argv[1], profile)
        try:
            for path in sys.argv[2:]:
                check_page(browser, path)
        finally:
            browser.close()
    for failure in failures[:40]:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


sys.exit(main())
