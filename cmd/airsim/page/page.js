"use strict";
// The page of the simulator: the line, the cloud behind it, and orders for both.

const $ = (id) => document.getElementById(id);
const shown = (s) => String(s).replace(/[^\P{C}\n]|[\u2028\u2029]/gu, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
const make = (tag, text, kind) => {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = shown(text);
  if (kind) e.className = kind;
  return e;
};

// What people try first. An order is what "airsim do" would give.
const groups = [
  ["Radio", [["SIM out", "sim removed"], ["SIM in", "sim inserted"], ["Antenna off", "csq 2"], ["Antenna on", "csq 24"], ["Network gone", "service lost"], ["Network back", "service back"]]],
  ["Cloud", [["Cloud away", "outage on"], ["Cloud back", "outage off"], ["Connection cut", "closed"], ["Dead path", "half-open"], ["Another twin logs in", "kick"]]],
  ["Answers", [["No PUBACK, 3 times", "puback never count=3"], ["Login refused", "connack refuse"], ["Registration refused", "register 401"], ["Bearer fails", "bearer fail"]]],
  ["Module", [["Restart", "reboot"], ["Hang", "hang"], ["Reset line", "reset"], ["Unplug for 3 s", "unplug 3s"], ["Noise on the line", "noise on"], ["Quiet again", "noise off"]]],
  ["All", [["What is still ordered", "faults"], ["Forget all orders", "clear"]]],
];

for (const [name, list] of groups) {
  const set = make("fieldset");
  set.append(make("legend", name));
  for (const [text, order] of list) {
    const b = make("button", text);
    b.type = "button";
    b.title = order;
    b.addEventListener("click", () => give(order));
    set.append(b);
  }
  $("groups").append(set);
}

// give gives an order. The header is one that no form of another site can send.
async function give(order) {
  try {
    const a = await fetch("/page/do", { method: "POST", headers: { "X-Airsim": "order" }, body: order });
    const text = (await a.text()).trim();
    $("answer").textContent = "airsim do " + shown(order) + "\n" + shown(text || (a.ok ? "done" : "refused"));
  } catch {
    $("answer").textContent = "airsim does not answer.";
  }
}

const ask = () => give($("order").value.trim() || "help");
$("give").addEventListener("click", ask);
$("order").addEventListener("keydown", (e) => { if (e.key === "Enter") ask(); });
const quote = (s) => '"' + s.replace(/["\\]/g, "\\$&") + '"';
const push = () => give("push " + quote($("topic").value) + " " + quote($("payload").value));
$("push").addEventListener("click", push);
$("payload").addEventListener("keydown", (e) => { if (e.key === "Enter") push(); });

$("hold").addEventListener("click", () => {
  const on = $("hold").getAttribute("aria-pressed") !== "true";
  $("hold").setAttribute("aria-pressed", on);
  if (!on) talk([]);
});

const clock = (at) => new Date(at).toLocaleTimeString([], { hourCycle: "h23" });
const signs = { ">": ["→", "tx"], ">>": ["⇒", "tx"], "<": ["←", "rx"], "!": ["!", "note"] };

// add puts lines at the end, and follows them unless somebody has scrolled back.
function add(list, rows, most) {
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(...rows);
  while (list.children.length > most) list.firstElementChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

let held = [];
function talk(list) {
  held = held.concat(list).slice(-500);
  if ($("hold").getAttribute("aria-pressed") === "true") return;
  add($("talk"), held.map((e) => {
    const [sign, kind] = signs[e.dir] || ["?", "note"];
    const li = make("li", undefined, kind);
    li.append(make("time", clock(e.at)), " " + sign + " " + shown(e.text));
    return li;
  }), 500);
  held = [];
}

function cloud(list) {
  add($("cloud"), list.map((m) => {
    const li = make("li");
    li.append(make("time", clock(m.at)), " ", make("span", m.topic, "tx"), " " + shown(m.payload));
    return li;
  }), 200);
}

function facts(list) {
  $("facts").replaceChildren(...list.map(([name, n]) => {
    const div = make("div");
    div.append(make("dt", name), make("dd", n));
    return div;
  }));
}

let stream = null, pause = 1000, timer = null;
function say(how, text) {
  $("link").dataset.link = how;
  $("link").textContent = text;
}

function lost() {
  if (stream) stream.close();
  stream = null;
  const until = Date.now() + pause;
  pause = Math.min(15000, pause * 2);
  clearInterval(timer);
  const count = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) return say("lost", "airsim does not answer. Trying again in " + left + " s.");
    clearInterval(timer);
    open();
  };
  timer = setInterval(count, 1000);
  count();
}

function open() {
  let fresh = true;
  stream = new EventSource("/page/live");
  stream.addEventListener("frame", (e) => {
    const f = JSON.parse(e.data);
    pause = 1000;
    if (fresh) {
      held = [];
      $("talk").replaceChildren();
      $("cloud").replaceChildren();
      $("what").textContent = shown(f.what);
      if (!$("topic").value) $("topic").value = f.topic;
    }
    fresh = false;
    if (f.talk) talk(f.talk);
    if (f.cloud) cloud(f.cloud);
    facts(f.facts);
    say("live", "live");
  });
  stream.addEventListener("end", lost);
  stream.onerror = lost;
}
open();
