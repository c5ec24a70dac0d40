"use strict";
// What makes pages pleasanter where scripts run: times by the reader's clock, buttons that copy, parts that come anew by
// themselves, notices that go. Every page works without it.

(() => {
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
  const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  const distance = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
  const steps = [[60, 1, "second"], [3600, 60, "minute"], [86400, 3600, "hour"], [8640000, 86400, "day"]];

  const relative = (moment) => {
    const seconds = Math.round((moment - Date.now()) / 1000);
    const step = steps.find(([most]) => Math.abs(seconds) < most);
    if (Math.abs(seconds) < 5) return document.body.dataset.now;
    return step ? distance.format(Math.trunc(seconds / step[1]), step[2]) : short.format(moment);
  };

  const tellTimes = () => {
    for (const each of document.querySelectorAll("time[datetime]")) {
      const moment = new Date(each.dateTime);
      const said = "relative" in each.dataset ? relative(moment) : exact.format(moment);
      if (each.textContent !== said) each.textContent = said;
      each.title = exact.format(moment);
    }
  };

  const offerCopying = () => {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  };

  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }

  addEventListener("click", async (event) => {
    const button = event.target.closest && event.target.closest("[data-copy]");
    if (!button) return;
    const said = button.querySelector("[data-said]");
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    if (said.textContent === said.dataset.said) return;
    const before = said.textContent;
    said.textContent = said.dataset.said;
    setTimeout(() => (said.textContent = before), 2000);
  });

  // A part of a page that says how something stands now. It rests while nobody looks, and after an hour for good.
  const keepLive = (part) => {
    const until = Date.now() + 3600000;
    let shown = null;
    const look = async () => {
      if (Date.now() > until) return;
      if (!document.hidden) {
        const answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } }).catch(() => null);
        if (answer && (answer.status === 403 || answer.redirected)) return location.reload();
        if (answer && answer.ok) {
          const said = await answer.text();
          if (said !== shown) {
            part.replaceChildren(...new DOMParser().parseFromString(said, "text/html").body.childNodes);
            tellTimes();
          }
          shown = said;
        }
      }
      setTimeout(look, Number(part.dataset.every));
    };
    setTimeout(look, Number(part.dataset.every));
  };

  const letToastsGo = () => {
    for (const each of document.querySelectorAll("[data-toast]")) setTimeout(() => each.remove(), 8000);
    const here = new URL(location.href);
    if (here.searchParams.has("done")) {
      here.searchParams.delete("done");
      history.replaceState(null, "", here);
    }
  };

  tellTimes();
  setInterval(tellTimes, 15000);
  offerCopying();
  letToastsGo();
  document.querySelectorAll("[data-live]").forEach(keepLive);
  const showWhereOneIs = () => {
    const strip = document.querySelector("nav.main");
    const current = strip && strip.querySelector("[aria-current]");
    if (current) strip.scrollLeft = current.offsetLeft - (strip.clientWidth - current.offsetWidth) / 2;
  };
  showWhereOneIs();
  addEventListener("resize", showWhereOneIs);
  addEventListener("keydown", (event) => {
    const field = document.querySelector("[data-search]");
    if (event.key !== "/" || !field || /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) return;
    event.preventDefault();
    field.focus();
  });
})();
