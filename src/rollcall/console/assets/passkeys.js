"use strict";
// Passkeys: the button that signs in or confirms, and the one that adds a passkey. Each asks us for a challenge, has the browser
// answer it, and brings us the answer. Without this script, or without passkeys, the rest of the page works as it is.

(() => {
  const part = document.querySelector("[data-passkeys]");
  const message = part.querySelector("[data-message]");
  const button = part.querySelector("[data-passkey-button]");
  const form = button.form;
  const words = JSON.parse(part.dataset.words);

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-")
      .replace(/\//g, "_")
      .replace(/=+$/, "");

  const say = (words, tone) => {
    message.textContent = words;
    message.className = `said ${tone}`;
  };

  const call = async (address, body) => {
    const answer = await fetch(address, {
      method: "POST",
      headers: {
        Accept: "application/json",
        "Content-Type": "application/json",
        "X-CSRFToken": form.elements._csrf_token.value,
      },
      body: JSON.stringify(body),
    });
    const told = await answer.json().catch(() => ({}));
    if (told.code === "not_fresh") location.assign(told.next);
    if (!answer.ok) {
      throw new Error(told.detail || words.answered.replace("%(status)s", answer.status));
    }
    return told;
  };

  const withBytes = (options) => {
    const given = { ...options, challenge: bytes(options.challenge) };
    if (options.user) given.user = { ...options.user, id: bytes(options.user.id) };
    for (const list of ["excludeCredentials", "allowCredentials"]) {
      if (options[list]) given[list] = options[list].map((each) => ({ ...each, id: bytes(each.id) }));
    }
    return given;
  };

  const withText = (credential) => {
    const made = credential.response;
    const response = { clientDataJSON: text(made.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (made[name]) response[name] = text(made[name]);
    }
    if (made.getTransports) response.transports = made.getTransports();
    return {
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      response,
      clientExtensionResults: {},
    };
  };

  const reasons = ["NotAllowedError", "InvalidStateError", "SecurityError"];

  // Where a passkey is added: for operators the page says where.
  const at = part.dataset.at;

  const ceremonies = {
    async get() {
      const begun = await call(part.dataset.begin, {});
      const credential = await navigator.credentials.get({ publicKey: withBytes(begun.options) });
      say(words.signing, "quiet");
      return call(part.dataset.finish, { challenge: begun.challenge, credential: withText(credential) });
    },
    async create() {
      const begun = await call(`${at ?? "/console/account/passkeys"}/begin`, {});
      const credential = await navigator.credentials.create({ publicKey: withBytes(begun.options) });
      say(words.adding, "quiet");
      return call(at ?? "/console/account/passkeys", {
        challenge: begun.challenge,
        credential: withText(credential),
        label: form.elements.label.value,
      });
    },
  };

  const go = (address) => {
    const next = new URL(address, location.href);
    const here = next.pathname === location.pathname && next.search === location.search;
    location.assign(next);
    if (here) location.reload();
  };

  const perform = async (event) => {
    event.preventDefault();
    button.disabled = true;
    say(words.asking, "quiet");
    try {
      const { next } = await ceremonies[button.name]();
      const begun = document.getElementById("go-on");
      if (begun) begun.submit();
      else go(next);
    } catch (wrong) {
      say(reasons.includes(wrong.name) ? words[wrong.name] : wrong.message, "bad");
      button.disabled = false;
      button.focus();
    }
  };

  if (location.origin !== part.dataset.origin) {
    say(words.elsewhere.replace("%(origin)s", part.dataset.origin), "notice");
  } else if (!window.PublicKeyCredential) {
    say(words.none, "notice");
  } else {
    part.querySelector("[data-needs-passkeys]").hidden = false;
    if (button.type === "submit") form.addEventListener("submit", perform);
    else button.addEventListener("click", perform);
    addEventListener("pageshow", () => (button.disabled = false));
  }
})();
