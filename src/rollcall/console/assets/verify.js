"use strict";
// Verifies a receipt in the browser, so that it goes nowhere: by the same rules as the server, which does it where this
// can't run.

(() => {
  const form = document.querySelector("[data-verify]");
  const result = document.getElementById("result");
  if (!form || !crypto.subtle) return;
  form.querySelector("[data-here]").textContent = "It is verified in this browser, and sent nowhere.";

  class NotGenuine extends Error {}
  const changed = "The signature does not fit: the receipt has been changed after it was signed.";
  const noReceipt = "This is no receipt: a signed one is a line of letters, digits, dots, - and _.";
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
    if (stripped.length > largest) throw new NotGenuine("This is no receipt: it is longer than any.");
    if (!stripped.startsWith("{")) return stripped;
    const found = object(new TextEncoder().encode(stripped), "This is no receipt: it begins like JSON and is none.");
    if (typeof found.statement === "string") return found.statement;
    throw new NotGenuine("This receipt is not signed: it is not complete yet, or it is no receipt.");
  };

  const keyOf = async (header, keys) => {
    const gone = (keys.revoked || []).find((each) => each.kid === header.kid);
    if (gone) {
      throw new NotGenuine(`The key that signed it was revoked (${gone.revoked_at}): others may have had it, so what it `
        + "signed proves nothing, whichever day it names.");
    }
    const found = keys.keys.find((each) => each.kid === header.kid && each.kty === "RSA");
    if (!found) throw new NotGenuine("The key that signed it is none of this installation's: somebody else signed it.");
    const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return crypto.subtle.importKey("jwk", { kty: "RSA", n: found.n, e: found.e }, algorithm, false, ["verify"]);
  };

  const verify = async (text, keys) => {
    const parts = statementIn(text).split(".");
    const [head, payload, signature] = parts.map(decoded);
    if (!head) throw new NotGenuine(noReceipt);
    const header = object(head, "This is no receipt: it does not begin as a signed one does.");
    const known = Object.keys(header).every((each) => ["alg", "typ", "kid"].includes(each));
    if (parts.length !== 3 || !known) throw new NotGenuine("This is no receipt: it is cut off, or says too much.");
    if (header.alg !== "RS256") throw new NotGenuine("Not signed as receipts are: the algorithm has to be RS256.");
    if (header.typ !== "receipt+jwt") throw new NotGenuine("This is no receipt: its type has to be receipt+jwt.");
    const key = await keyOf(header, keys);
    if (!payload || !signature) throw new NotGenuine(changed);
    const signed = new TextEncoder().encode(`${parts[0]}.${parts[1]}`);
    if (!await crypto.subtle.verify(key.algorithm.name, key, signature, signed)) throw new NotGenuine(changed);
    const claims = object(payload, "This is no receipt: what was signed is no JSON object.");
    if (!said.every((each) => each in claims)) throw new NotGenuine("This is no receipt: it does not say what they say.");
    return claims;
  };

  const factsOf = (claims) => {
    const told = claims.destinations;
    const what = claims.closed.credentials.filter((each) => each.count).map((each) => `${each.count} ${each.class}`);
    return [
      ["Person", claims.person.user_name],
      ["Company", claims.tenant.slug],
      ["Asked for at", claims.arrived_at],
      ["Closed at", `${claims.closed_at}, ${claims.closed.seconds} s later`],
      ["What was closed", what.join(", ") || "nothing was open"],
      ["Destinations", told.each.length
        ? `${told.each.length}, ${told.met ? "" : "not "}all told within ${told.bound_seconds} s` : "none had to be told"],
      ["Reason", claims.reason],
      ["Signed by", claims.iss],
      ["Receipt", claims.jti],
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
    found.querySelector("[data-where]").textContent = "It was checked in this browser, and sent nowhere.";
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
