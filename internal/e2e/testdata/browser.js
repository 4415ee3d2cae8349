// A headless Chromium that a test drives: a request as JSON on each line of stdin, the
// answer on one of stdout. playwright-core is where NODE_PATH says.
"use strict";
const { chromium } = require("playwright-core");
const readline = require("readline");

// What the page did that no test asked for.
const seen = { requests: [], console: [], violations: [] };

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--force-color-profile=srgb"] });
  const pages = {};
  const fresh = async (r) => {
    const context = await browser.newContext({ viewport: { width: r.width, height: r.height }, colorScheme: r.dark ? "dark" : "light", locale: "en-GB", reducedMotion: "reduce" });
    await context.exposeFunction("reportViolation", (what) => { seen.violations.push(what); });
    await context.addInitScript(() => addEventListener("securitypolicyviolation", (e) => window.reportViolation(e.violatedDirective + " " + e.blockedURI)));
    const page = await context.newPage();
    page.on("request", (q) => seen.requests.push(q.url()));
    page.on("console", (m) => seen.console.push(m.type() + ": " + m.text()));
    page.on("pageerror", (e) => seen.console.push("uncaught: " + e.message));
    return page;
  };
  const does = {
    async open(r) {
      if (pages[r.page]) await pages[r.page].context().close();
      pages[r.page] = await fresh(r);
      await pages[r.page].goto(r.url);
    },
    eval: (r) => pages[r.page].evaluate(r.js),
    click: (r) => pages[r.page].click(r.js),
    fill: (r) => pages[r.page].fill(r.js, r.text),
    press: (r) => pages[r.page].keyboard.press(r.js),
    size: (r) => pages[r.page].setViewportSize({ width: r.width, height: r.height }),
    async shot(r) { await pages[r.page].screenshot({ path: r.js }); },
    seen: () => seen,
  };
  console.log(JSON.stringify({ value: browser.version() }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const r = JSON.parse(line);
    try {
      console.log(JSON.stringify({ value: await does[r.do](r) }));
    } catch (e) {
      console.log(JSON.stringify({ error: String(e.message || e) }));
    }
  }
  await browser.close();
}
main().catch((e) => { console.log(JSON.stringify({ error: String(e) })); process.exit(1); });
