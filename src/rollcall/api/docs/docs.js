// Sends the calls that the page describes. Without it the page can still be read.
"use strict";

document.documentElement.classList.add("scripted");

let key = "";

// ---- the key: kept in this variable alone

const authorize = document.getElementById("authorize");
const keyState = document.getElementById("key-state");
const forget = authorize.querySelector("[type=reset]");

function useKey(text) {
  key = text.trim().replace(/^Bearer\s+/i, "");
  authorize.elements.key.value = "";
  authorize.elements.key.placeholder = key ? key.slice(0, 9) + "…" : "rc_…";
  forget.hidden = !key;
  keyState.textContent = key ? "In use" : "";
}

authorize.addEventListener("submit", (event) => {
  event.preventDefault();
  if (authorize.elements.key.value.trim()) useKey(authorize.elements.key.value);
  else authorize.elements.key.focus();
});
authorize.addEventListener("reset", (event) => {
  event.preventDefault();
  useKey("");
  keyState.textContent = "Forgotten";
  authorize.elements.key.focus();
});

// ---- sending

function parameters(form) {
  return [...form.querySelectorAll("[data-place]")];
}

function addressOf(form) {
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const { name, value, dataset } of parameters(form)) {
    if (dataset.place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value.trim()));
    else if (dataset.place === "query" && value !== "") query.set(name, value);
  }
  return query.size ? `${path}?${query}` : path;
}

function headersOf(form) {
  const given = parameters(form).filter(({ value, dataset }) => dataset.place === "header" && value !== "");
  return Object.fromEntries(given.map(({ name, value }) => [name, value]));
}

function bodyOf(form) {
  const text = form.elements.body ? form.elements.body.value.trim() : "";
  if (text && form.dataset.type === "application/json") JSON.parse(text);
  return text || undefined;
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function asCurl(method, address, type, body, extra) {
  const lines = [`curl -X ${method} ${quoted(location.origin + address)}`];
  if (key) lines.push('-H "Authorization: Bearer $ROLLCALL_KEY"');
  for (const [name, value] of Object.entries(extra)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body) lines.push(`-H ${quoted(`Content-Type: ${type}`)}`, `--data-raw ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function block(title, text) {
  const made = element("pre", "block");
  made.tabIndex = 0;
  made.setAttribute("aria-label", title);
  made.append(element("code", "", text));
  return [element("h4", "", title), made];
}

async function answered(form, answer, milliseconds, curl) {
  const text = await answer.text();
  const line = element("p", "line");
  line.append(
    element("code", `status s${String(answer.status)[0]}`, String(answer.status)),
    ` ${answer.statusText} · ${Math.round(milliseconds)} ms`,
  );
  const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const more = element("details", "more");
  more.append(element("summary", "", "Headers, and the same call with curl"), ...block("Headers", headers), ...block("curl", curl));
  const parts = [line];
  if (text) parts.push(...block("Answer", pretty(text)));
  if (answer.status === 401 && !key) parts.push(element("p", "note", "No key was sent. Put yours in at the top of the page."));
  form.querySelector(".result").replaceChildren(...parts, more);
}

async function send(form) {
  const result = form.querySelector(".result");
  const button = form.querySelector("[type=submit]");
  const { method, type } = form.dataset;
  let body;
  try {
    body = bodyOf(form);
  } catch (error) {
    result.replaceChildren(element("p", "note", `Nothing was sent: the body is no JSON. ${error.message}`));
    form.elements.body.focus();
    return;
  }
  const address = addressOf(form);
  const extra = headersOf(form);
  const headers = { Accept: "application/json", ...extra };
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = type;
  button.disabled = true;
  const started = performance.now();
  try {
    const answer = await fetch(address, { method, headers, body, credentials: "omit", cache: "no-store" });
    await answered(form, answer, performance.now() - started, asCurl(method, address, type, body, extra));
  } catch (error) {
    result.replaceChildren(element("p", "note", `There was no answer: ${error.message}`));
  } finally {
    button.disabled = false;
    button.focus({ preventScroll: true });
  }
}

// What was put into one call's path is wanted in the next one's too.
function share(input) {
  for (const other of document.querySelectorAll('[data-place="path"]')) {
    if (other !== input && other.name === input.name && !other.dataset.typed) other.value = input.value;
  }
}

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
  form.addEventListener("change", (event) => {
    if (event.target.dataset.place !== "path") return;
    event.target.dataset.typed = event.target.value ? "yes" : "";
    share(event.target);
  });
}

// ---- finding

const filter = document.getElementById("filter");

filter.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  let found = 0;
  for (const call of document.querySelectorAll("details.call")) {
    const shown = call.querySelector("summary").textContent.toLowerCase().includes(wanted);
    call.hidden = !shown;
    document.querySelector(`.index a[href="#${call.id}"]`).parentElement.hidden = !shown;
    found += shown ? 1 : 0;
  }
  for (const group of document.querySelectorAll("main section")) group.hidden = !group.querySelector("details.call:not([hidden])");
  for (const group of document.querySelectorAll(".index-group")) group.hidden = !group.querySelector("li:not([hidden])");
  document.getElementById("none-found").hidden = found > 0;
});

function openNamed() {
  const named = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named && named.matches("details.call")) {
    named.open = true;
    named.scrollIntoView();
    named.querySelector("summary").focus({ preventScroll: true });
  }
}

window.addEventListener("hashchange", openNamed);
// The same link may be followed twice, which changes no hash.
document.querySelector(".index").addEventListener("click", (event) => {
  if (event.target.hash && event.target.hash === location.hash) openNamed();
});
openNamed();
