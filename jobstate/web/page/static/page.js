// Keeps the page up to date. Without it the page is complete, and as old as it is.
"use strict";

(() => {
  const SECOND = 1000;
  const main = document.getElementById("main");
  const live = document.getElementById("live");
  const announcer = document.getElementById("announcer");
  let source = null;
  let isRefreshing = false;
  let isStale = false;
  let lastRefresh = 0;
  const others = new Map();

  // Times, in the words and the zone of whoever reads them.

  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
  const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });

  function ago(at) {
    const seconds = Math.max(0, (Date.now() - at) / SECOND);
    if (seconds < 10) return "just now";
    const [unit, length] = units.find(([, length]) => seconds >= length);
    return relative.format(-Math.floor(seconds / length), unit);
  }

  function worded(at, style) {
    if (style === "ago") return ago(at);
    const isToday = at.toDateString() === new Date().toDateString();
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    if (style === "clock" && isToday) return at.toLocaleTimeString([], time);
    return at.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  }

  function wordTimes() {
    for (const element of document.querySelectorAll("time[data-style]")) {
      const at = new Date(element.dateTime);
      element.textContent = worded(at, element.dataset.style);
      element.title = at.toLocaleString([], { dateStyle: "full", timeStyle: "long" });
    }
  }

  function span(seconds) {
    if (seconds < 10) return `${Math.ceil(seconds)} s`;
    if (seconds < 90) return `${Math.round(seconds / 5) * 5} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    return `${Math.round(seconds / 3600)} h`;
  }

  // What changes within a job that goes on.

  function write(place, field, text) {
    const element = place.querySelector(`[data-field="${field}"]`);
    if (element && element.textContent !== text) element.textContent = text;
  }

  function amount(job) {
    if (job.progress_current === null) return "";
    const done = Math.round(job.progress_current).toLocaleString("en");
    return job.progress_total ? `${done} of ${Math.round(job.progress_total).toLocaleString("en")}` : done;
  }

  function show(place, job) {
    const bar = place.querySelector("progress");
    if (bar) {
      tell(place, bar.value, job);
      bar.value = job.progress;
      bar.textContent = `${job.progress} %`;
    }
    write(place, "percent", `${job.progress} %`);
    if (job.cancel_requested_at) write(place, "note", "Cancelling …");
    else if (!job.is_terminal) write(place, "note", job.progress_message ?? "");
    write(place, "amount", amount(job));
    write(place, "succeeded", job.items.succeeded.toLocaleString("en"));
    write(place, "skipped", job.items.skipped.toLocaleString("en"));
    write(place, "eta", job.eta_seconds == null ? "" : `about ${span(job.eta_seconds)} left`);
  }

  // Says what is worth an interruption: a landing, and the quarters of the job that is looked at.

  function tell(place, before, job) {
    const quarter = Math.floor(job.progress / 25);
    if (place === live && quarter > Math.floor(before / 25) && job.progress < 100) {
      announcer.textContent = `${quarter * 25} %`;
    }
  }

  function isOther(place, job) {
    const { status, attempt, failed, recorded } = place.dataset;
    const { items } = job;
    return (
      status !== job.status ||
      attempt !== String(job.attempt) ||
      (failed !== undefined && failed !== String(items.failed)) ||
      (recorded === "no" && items.succeeded + items.failed + items.skipped > 0)
    );
  }

  function receive(event) {
    const job = JSON.parse(event.data);
    const place = live.dataset.job === job.id ? live : live.querySelector(`[data-job="${job.id}"]`);
    if (place && !isOther(place, job)) {
      show(place, job);
      return;
    }
    if (job.is_terminal && place) {
      const name = place.dataset.name ?? place.querySelector(".name").textContent;
      announcer.textContent = `${name}: ${job.status}`;
    }
    if (place || isNew(job)) refresh();
  }

  // A job that the list does not show: it may have been added, or come to fit what is asked for.

  function isNew(job) {
    const { newest } = live.dataset;
    if (newest === undefined) return false;
    const moved = [job.created_at, job.started_at, job.completed_at].some((at) => at > newest);
    const before = others.get(job.id) ?? (moved ? null : job.status);
    others.set(job.id, job.status);
    return before !== job.status;
  }

  // Anything more is drawn by the server, which is the only one to know how.

  function refresh() {
    isStale = true;
    if (isRefreshing) return;
    isRefreshing = true;
    setTimeout(redraw, Math.max(0, lastRefresh + SECOND - Date.now()));
  }

  async function redraw() {
    isStale = false;
    lastRefresh = Date.now();
    try {
      const url = live.dataset.href ?? location.href;
      const answer = await fetch(url, { headers: { Accept: "text/html" } });
      if (answer.status >= 500) throw new Error("The server is away");
      if (!answer.ok || answer.redirected) return location.reload();
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      isStale = true; // The server or the network is away: the next try is not far.
      await new Promise((resolve) => setTimeout(resolve, 2 * SECOND));
    } finally {
      isRefreshing = false;
      if (isStale) refresh();
    }
  }

  function replace(page) {
    const fresh = page.getElementById("live");
    const focused = live.contains(document.activeElement) ? document.activeElement : null;
    const key = focused && keyOf(focused);
    for (const open of live.querySelectorAll("details[open][id]")) {
      fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
    }
    for (const name of Object.keys(live.dataset)) delete live.dataset[name];
    Object.assign(live.dataset, fresh.dataset);
    live.replaceChildren(...fresh.childNodes);
    document.title = page.title;
    wordTimes();
    if (focused) ((key && live.querySelector(key)) || main).focus({ preventScroll: true });
    listen();
  }

  function keyOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const link = element.getAttribute("href");
    return link && `a[href="${CSS.escape(link)}"]`;
  }

  // The stream. The browser connects again by itself, but for an answer that is none.

  function listen() {
    const url = live.dataset.events;
    hideAge(Boolean(url));
    if (source && source.url === (url && new URL(url, location).href)) return;
    source?.close();
    source = null;
    if (!url) return;
    source = new EventSource(url);
    source.addEventListener("job", receive);
    source.addEventListener("missed", refresh);
    source.addEventListener("open", () => hideAge(true));
    source.addEventListener("error", () => {
      hideAge(false);
      if (source?.readyState !== EventSource.CLOSED) return;
      source = null;
      setTimeout(refresh, 5 * SECOND);
    });
  }

  function hideAge(isLive) {
    for (const element of live.querySelectorAll(".stale")) element.hidden = isLive;
  }

  document.addEventListener("submit", (event) => {
    // A second click would ask for the same again.
    for (const button of event.target.querySelectorAll("button")) setTimeout(() => (button.disabled = true));
  });
  window.addEventListener("pagehide", () => { source?.close(); source = null; });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  setInterval(wordTimes, 30 * SECOND);
  wordTimes();
  listen();
})();
