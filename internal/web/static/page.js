"use strict";
// The page of the daemon. All that comes from outside - topics, names of operators,
// firmware, details of errors - is put in as text, never as markup.

const $ = (id) => document.getElementById(id);

// shown makes characters visible that would turn or hide text.
const shown = (s) => String(s).replace(/[\p{C}\u2028\u2029]/gu, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");

const put = (id, value) => {
  const text = value === null || value === undefined || value === "" ? "–" : shown(value);
  if ($(id).textContent !== text) $(id).textContent = text;
};

const make = (tag, text, kind) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = shown(text);
  if (kind) e.className = kind;
  return e;
};

// Times are the daemon's: its clock may differ from the one of who looks.
let skew = 0;
const now = () => Date.now() + skew;

const span = (ms) => {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 90) return s + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  if (s < 172800) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " days";
};
const ago = (at) => (at ? span(now() - Date.parse(at)) + " ago" : null);
const date = (at) => { // in the time of who looks, as 2026-11-30
  const d = new Date(at);
  return [d.getFullYear(), d.getMonth() + 1, d.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
};
const clock = (at) => new Date(at).toLocaleTimeString([], { hourCycle: "h23" });
const size = (n) => {
  let i = 0;
  for (; n >= 1024 && i < 4; i++) n /= 1024;
  return (i && n < 10 ? n.toFixed(1) : Math.round(n)) + " " + ["B", "KiB", "MiB", "GiB", "TiB"][i];
};

const states = {
  probing: ["Looking for the module", "The daemon opens the serial port and asks the module who it is."],
  attaching: ["Looking for the network", "The module looks for its SIM, the network and the data connection."],
  registering: ["Registering", "The device asks the cloud for its secret, once."],
  authenticating: ["Authenticating", "The device shows the cloud who it is."],
  connecting: ["Connecting", "The MQTT session with the cloud is being opened."],
  online: ["Online", "Messages go to the cloud and come from it."],
  recovering: ["Not online", "Something failed, and the daemon waits to try again by itself."],
  stopping: ["Stopping", "The daemon was asked to stop."],
};

let status = null; // the last one that came
let best = null;
const signals = []; // [time, dBm] of the last 2 minutes
const acked = []; // [time, messages that left the queue] of the last minute

function showState() {
  const s = status;
  const [word, text] = states[s.state] || [s.state, ""];
  const failing = s.cause !== "";
  const trouble = s.state === "recovering" || (failing && s.state !== "online");
  const word2 = trouble && s.state !== "recovering" ? word + ", after a failure" : word;
  put("state-word", word2);
  $("state").dataset.level = s.state === "online" ? "good" : trouble ? "bad" : "wait";
  put("state-text", trouble ? text + " The cause: " + (s.meaning ? s.meaning + " (" + s.cause + ")." : s.cause + ".") : text);
  $("state-hint").hidden = !s.hint;
  put("state-hint", s.hint ? "What to do: " + s.hint : "");
  put("since", clock(s.since) + ", " + ago(s.since));
  put("attempt", s.attempt);
  document.title = word2 + " – airbridged";
  const list = s.warnings.map((w) => {
    const li = make("li");
    li.append(make("strong", w.code), ": " + shown(w.detail));
    if (w.hint) li.append(make("div", "What to do: " + w.hint));
    return li;
  });
  const key = JSON.stringify(s.warnings);
  if ($("warnings").dataset.key !== key) {
    $("warnings").dataset.key = key;
    $("warnings").replaceChildren(...list);
  }
}

// tick shows what time alone changes.
function tick() {
  if (!status) return;
  const s = status;
  put("since", clock(s.since) + ", " + ago(s.since));
  let next = "–";
  if (s.next_attempt_at) {
    const left = Date.parse(s.next_attempt_at) - now();
    next = left > 0 ? "in " + span(left) : "now";
  } else if (s.state !== "online" && s.state !== "recovering" && s.state !== "stopping") {
    next = "under way";
  }
  put("next", next);
  put("oldest", ago(s.outbox.oldest_at));
  put("last-acked", ago(s.counters.last_acked_at));
}

// As in airbridgectl status: the least dBm, the color, the word.
const qualities = [[-70, "good", "excellent"], [-77, "good", "good"], [-91, "good", "fair"], [-112, "wait", "weak"]];
const quality = (dbm) => (qualities.find(([least]) => dbm >= least) || [0, "bad", "none"]).slice(1);

function showSignal() {
  const dbm = status.modem.signal_dbm;
  const meter = $("meter");
  put("dbm", dbm);
  if (dbm === null) {
    meter.removeAttribute("aria-valuenow");
    meter.setAttribute("aria-valuetext", "not known");
    $("bar").style.width = "0";
    put("signal-word", "not known");
  } else {
    const [level, word] = quality(dbm);
    meter.dataset.level = level;
    meter.setAttribute("aria-valuenow", dbm);
    meter.setAttribute("aria-valuetext", dbm + " dBm, " + word);
    $("bar").style.width = Math.min(100, Math.max(2, ((dbm + 113) / 62) * 100)) + "%";
    put("signal-word", word);
    if (best === null || dbm > best) best = dbm;
    put("best", best + " dBm");
    signals.push([Date.now(), dbm]);
  }
  while (signals.length && Date.now() - signals[0][0] > 120000) signals.shift();
  const points = signals.map(([t, v]) => (120 - (Date.now() - t) / 1000).toFixed(1) + "," + (29 - ((v + 113) / 62) * 28).toFixed(1));
  $("spark").firstElementChild.setAttribute("points", points.join(" "));
  put("operator", status.modem.operator);
  put("registered", status.modem.registered === null ? null : status.modem.registered ? "yes" : "no");
}

function showQueue() {
  const o = status.outbox, c = status.counters;
  put("waiting", o.messages);
  put("queue-bytes", size(o.bytes));
  put("inflight", o.inflight);
  put("acked", c.acked);
  acked.push([Date.now(), c.acked + c.sent]);
  while (acked.length > 1 && Date.now() - acked[0][0] > 60000) acked.shift();
  const seconds = (Date.now() - acked[0][0]) / 1000;
  const gone = c.acked + c.sent - acked[0][1];
  let text = o.messages === 0 ? "Nothing waits." : status.state === "online" ? "" : "Kept on disk until the device is online again.";
  if (gone > 0 && seconds >= 1) {
    const rate = gone / seconds;
    text = (rate >= 1 ? rate.toFixed(1) + " messages a second go out" : (rate * 60).toFixed(0) + " messages a minute go out") + (o.messages > 1 ? "; empty in about " + span((o.messages / rate) * 1000) : "") + ".";
  }
  if (status.data.holding) text += " Less important ones wait: the month's data budget is used up.";
  $("drain").textContent = text;
}

function showData() {
  const d = status.data;
  put("data-used", size(d.bytes));
  let text = d.since ? "since " + date(d.since) + ", estimated" : "estimated";
  $("data-meter").hidden = !d.budget_bytes;
  if (d.budget_bytes) {
    const percent = Math.round((d.bytes / d.budget_bytes) * 100);
    text = percent + " % of a budget of " + size(d.budget_bytes) + ", " + text;
    $("data-meter").setAttribute("aria-valuenow", Math.min(100, percent));
    $("data-meter").setAttribute("aria-valuetext", percent + " %");
    $("data-meter").dataset.level = percent >= 100 ? "bad" : percent >= 80 ? "wait" : "good";
    $("data-bar").style.width = Math.min(100, percent) + "%";
  } else {
    text += "; there is no budget (data.monthly_budget)";
  }
  if (d.forecast_bytes && d.until) text += "; about " + size(d.forecast_bytes) + " by " + date(d.until);
  $("data-text").textContent = text + ".";
}

function showModule() {
  const m = status.modem, id = status.identity;
  put("device", (id.device_name || "airbridged") + (id.product_key ? " · " + id.product_key : ""));
  put("model", m.model);
  put("firmware", m.firmware);
  put("imei", m.imei);
  put("iccid", m.iccid);
  put("host", status.cloud.host);
  put("version", status.version + ", up " + span(status.uptime_seconds * 1000));
}

function showDay(spans) {
  const end = now(), start = end - 86400000;
  const rects = [], outages = [];
  let down = 0, known = 0;
  spans.forEach((s, i) => {
    const from = Math.max(start, Date.parse(s.from));
    const to = i + 1 < spans.length ? Date.parse(spans[i + 1].from) : end;
    if (to <= start) return;
    known += to - from;
    const r = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    r.setAttribute("x", ((from - start) / 60000).toFixed(2));
    r.setAttribute("y", "0");
    r.setAttribute("height", "40");
    r.setAttribute("width", Math.max(2, (to - from) / 60000).toFixed(2));
    r.setAttribute("class", s.online ? "up" : "down");
    rects.push(r);
    if (!s.online) {
      down += to - from;
      const li = make("li");
      li.append(make("time", date(s.from) + " " + clock(s.from)), " " + span(to - from) + (i + 1 === spans.length ? " so far" : "") + (s.cause ? ": " + shown(s.cause) : ""));
      outages.unshift(li);
    }
  });
  $("day").replaceChildren(...rects);
  $("outages").replaceChildren(...outages);
  $("day-text").textContent = known > 0 ? "Online for " + (100 * (1 - down / known)).toFixed(1) + " % of the last " + span(known) + " that are known. The daemon remembers them since its start." : "";
}

// keep shows the newest first, and not more than so many.
function keep(list, rows, most) {
  for (const row of rows) list.prepend(row);
  while (list.children.length > most) list.lastElementChild.remove();
}

function showMessages(list) {
  $("no-messages").hidden = $("no-messages").hidden || list.length > 0;
  keep($("messages"), list.map((m) => {
    const tr = make("tr");
    tr.append(make("td", clock(m.at)), make("td", m.up ? "↑ up" : "↓ down"), make("td", m.topic), make("td", m.bytes), make("td", m.up ? m.result : "received"));
    return tr;
  }), 50);
}

function showEvents(list) {
  keep($("events"), list.map((e) => {
    const li = make("li");
    const text = e.type === "state"
      ? (e.from ? e.from + " → " : "") + e.to + (e.cause ? " (" + e.cause + ")" : "") + (e.wait_seconds >= 1 ? ", next try in " + span(e.wait_seconds * 1000) : "")
      : e.code + ": " + e.detail;
    li.append(make("time", clock(e.at)), " " + shown(text));
    return li;
  }), 64);
}

const arrows = { tx: "→", rx: "←", note: "·" };
let held = [];
function showTrace(list) {
  held.push(...list);
  if (held.length > 400) held = held.slice(-400);
  if ($("hold").getAttribute("aria-pressed") === "true") return;
  keep($("trace"), held.map((t) => {
    const li = make("li");
    li.append(make("time", clock(t.at)), " " + (arrows[t.dir] || "") + " " + shown(t.text));
    return li;
  }), 400);
  held = [];
}

$("hold").addEventListener("click", () => {
  const on = $("hold").getAttribute("aria-pressed") !== "true";
  $("hold").setAttribute("aria-pressed", on);
  if (!on) showTrace([]);
});

function forget() {
  for (const id of ["messages", "events", "trace"]) $(id).replaceChildren();
  held = [];
  acked.length = 0;
}

let spans = null;
function frame(f) {
  skew = Date.parse(f.at) - Date.now();
  for (const part of document.querySelectorAll("[data-needs]")) part.hidden = !f.sees[part.dataset.needs];
  if (f.status) {
    if (status && status.version !== f.status.version) return location.reload(); // the page has changed with it
    status = f.status;
    showState();
    showSignal();
    showQueue();
    showData();
    showModule();
    tick();
  }
  if (f.timeline) spans = f.timeline;
  if (spans) showDay(spans);
  if (f.messages) showMessages(f.messages);
  if (f.events) showEvents(f.events);
  if (f.traffic) showTrace(f.traffic);
}

// The stream breaks off when the daemon restarts, and for ever where nobody tells: it
// is opened again, less often each time.
let stream = null, pause = 1000, last = 0, timer = null;

function say(how, text) {
  $("link").dataset.link = how;
  $("link").textContent = text;
  document.body.classList.toggle("stale", how === "lost");
}

function lost(why) {
  if (stream) stream.close();
  stream = null;
  const until = Date.now() + pause;
  pause = Math.min(15000, pause * 2);
  clearInterval(timer);
  const count = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) return say("lost", why + " What is shown is old. Trying again in " + left + " s.");
    clearInterval(timer);
    open();
  };
  timer = setInterval(count, 1000);
  count();
}

function open() {
  last = Date.now();
  let fresh = true;
  stream = new EventSource("/page/live");
  stream.addEventListener("frame", (e) => {
    last = Date.now();
    pause = 1000;
    if (fresh) forget();
    fresh = false;
    frame(JSON.parse(e.data));
    say("live", "live");
  });
  stream.addEventListener("end", () => lost("The daemon stops."));
  stream.onerror = () => lost("The daemon does not answer.");
}

setInterval(() => {
  tick();
  if (stream && Date.now() - last > 20000) lost("Nothing came for 20 s.");
}, 1000);
open();
