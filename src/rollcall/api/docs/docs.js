// Lets Scalar live under the page's policy, which allows no inline styles and no eval. It has to run before Scalar.
"use strict";

// zod, in Scalar, tries whether eval is allowed unless it is told not to; each try would be a violation.
globalThis.__zod_globalConfig = { jitless: true };

// A stylesheet that a script makes carries the nonce of this answer.
const nonce = document.querySelector('meta[property="csp-nonce"]').content;
const createElement = Document.prototype.createElement;
Document.prototype.createElement = function (...given) {
  const made = createElement.apply(this, given);
  if (made instanceof HTMLStyleElement) made.nonce = nonce;
  return made;
};

// A style attribute is a violation; the same words given to the element's own style are not.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

// The same where the attribute stands in HTML, as in code with its lines numbered.
const innerHTML = Object.getOwnPropertyDescriptor(Element.prototype, "innerHTML");
Object.defineProperty(Element.prototype, "innerHTML", {
  ...innerHTML,
  set(html) {
    innerHTML.set.call(this, String(html ?? "").replace(/(<[a-z][^<>]*?\s)style="/g, '$1data-styled="'));
    for (const each of this.querySelectorAll("[data-styled]")) {
      each.style.cssText = each.dataset.styled;
      delete each.dataset.styled;
    }
  },
});
