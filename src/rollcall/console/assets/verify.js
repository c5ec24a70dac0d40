"use strict";
// Verifies a receipt in the browser, so that it goes nowhere: by the same rules as the server, which does it where this
// can't run.

(() => {
  const form = document.querySelector("[data-verify]");
  const result = document.getElementById("result");
  if (!form || !crypto.subtle) return;
  const words = JSON.parse(form.dataset.words);
  const put = (sentence, facts) => sentence.replace(/%\((\w+)\)s/g, (_, name) => facts[name]);
  form.querySelector("[data-here]").textContent = words.here;

  class NotGenuine extends Error {}
  const said = ["iss", "jti", "tenant", "person", "reason", "request_id", "transaction_id", "arrived_at", "closed_at",
    "closed", "completed_at", "destinations"];
  const largest = 1048576;

  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // A part as it is written; null for one that is not written as we write it, though a lenient reader would take it.
  const decoded = (part) => {
    if (!/^[A-Za-z0-9_-]*$/.test(part) || part.length % 4 === 1) return null;
    const unused = { 2: 15, 3: 3 }[part.length % 4] || 0;
    if (alphabet.indexOf(part.slice(-1)) & unused) return null;
    const plain = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (each) => each.charCodeAt(0));
  };
  const object = (bytes, otherwise) => {
    try {
      const found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
      if (found && typeof found === "object" && !Array.isArray(found)) return found;
    } catch { /* said below */ }
    throw new NotGenuine(otherwise);
  };

  const statementIn = (text) => {
    const stripped = text.trim();
    if (stripped.length > largest) throw new NotGenuine(words.longer);
    if (!stripped.startsWith("{")) return stripped;
    const found = object(new TextEncoder().encode(stripped), words.no_json);
    if (typeof found.statement === "string") return found.statement;
    throw new NotGenuine(words.not_signed);
  };

  const rsa = { kty: "RSA", has: ["n", "e"], by: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } };
  const ec = { kty: "EC", has: ["crv", "x", "y"], by: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } };
  const kinds = new Map([["RS256", rsa], ["ES256", ec]]);

  const keyOf = async (header, kind, keys) => {
    const gone = (keys.revoked || []).find((each) => each.kid === header.kid);
    if (gone) throw new NotGenuine(put(words.revoked, { moment: gone.revoked_at }));
    const found = keys.keys.find((each) => each.kid === header.kid && each.kty === kind.kty);
    if (!found) throw new NotGenuine(words.no_key);
    const jwk = Object.fromEntries([["kty", kind.kty], ...kind.has.map((each) => [each, found[each]])]);
    return crypto.subtle.importKey("jwk", jwk, kind.by, false, ["verify"]);
  };

  const verify = async (text, keys) => {
    const parts = statementIn(text).split(".");
    const [head, payload, signature] = parts.map(decoded);
    if (!head) throw new NotGenuine(words.no_line);
    const header = object(head, words.no_head);
    const known = Object.keys(header).every((each) => ["alg", "typ", "kid"].includes(each));
    if (parts.length !== 3 || !known) throw new NotGenuine(words.cut_off);
    const kind = kinds.get(header.alg);
    if (!kind) throw new NotGenuine(words.algorithm);
    if (header.typ !== "receipt+jwt") throw new NotGenuine(words.type);
    const key = await keyOf(header, kind, keys);
    if (!payload || !signature) throw new NotGenuine(words.changed);
    const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
    if (!await crypto.subtle.verify(kind.by, key, signature, signed)) throw new NotGenuine(words.changed);
    const claims = object(payload, words.no_object);
    if (!said.every((each) => each in claims)) throw new NotGenuine(words.too_little);
    return claims;
  };

  const factsOf = (claims) => {
    const told = claims.destinations;
    const what = claims.closed.credentials.filter((each) => each.count).map((each) => `${each.count} ${each.class}`);
    return [
      [words.person, claims.person.user_name],
      [words.company, claims.tenant.slug],
      [words.asked, claims.arrived_at],
      [words.closed, put(words.later, { moment: claims.closed_at, seconds: claims.closed.seconds })],
      [words.what, what.join(", ") || words.nothing],
      [words.destinations, told.each.length
        ? put(told.met ? words.told : words.not_told, { number: told.each.length, seconds: told.bound_seconds }) : words.none],
      [words.reason, claims.reason],
      [words.signed, claims.iss],
      [words.receipt, claims.jti],
    ];
  };

  const show = (name, fill) => {
    const found = document.getElementById(name).content.cloneNode(true);
    fill(found);
    result.replaceChildren(found);
    result.hidden = false;
    result.focus();
  };
  const showGenuine = (claims) => show("genuine", (found) => {
    found.querySelector("[data-where]").textContent = words.was_here;
    for (const [name, value] of factsOf(claims)) {
      const row = document.createElement("div");
      const [term, about] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, about.textContent] = [name, value];
      row.append(term, about);
      found.querySelector("[data-facts]").append(row);
    }
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const file = form.elements.file.files[0];
      const text = file ? await file.text() : form.elements.statement.value;
      const answer = await fetch("/.well-known/receipt-keys.json");
      const keys = await answer.json();
      if (!text.trim()) return form.elements.statement.focus();
      showGenuine(await verify(text, keys));
    } catch (reason) {
      if (!(reason instanceof NotGenuine)) return form.submit(); // the server can do it
      show("not-genuine", (found) => (found.querySelector("[data-reason]").textContent = reason.message));
    }
  });
})();
