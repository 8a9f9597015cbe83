// Files go in parts from here to storage.  A part that fails is sent again; a file that was begun, here or
// on another day, is gone on with: the portal says which parts have arrived.
(() => {
  "use strict";
  const zone = document.querySelector("[data-uploads]");
  if (!zone) return;
  const api = zone.dataset.api, list = zone.querySelector("[data-list]"), sum = zone.querySelector("[data-sum]");
  // Told as the server tells it: its own badge of each state.
  const badges = new Map([...zone.querySelectorAll("[data-state]")].map((each) => [each.dataset.state, each.content.firstElementChild]));
  const token = zone.querySelector("[name=csrfmiddlewaretoken]").value;
  const MOVING = ["queued", "sending", "paused", "failed"];
  const FILES = 3, PARTS = 2, TRIES = 6, SOON = 1000;
  const all = [], waiting = [];
  let running = 0, paused = false;

  const size = (bytes) => bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  class Refused extends Error {}

  async function ask(method, path, body) {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await fetch(api + path, {
          method, credentials: "same-origin",
          headers: { "X-CSRFToken": token, ...(body && { "Content-Type": "application/json" }) },
          body: body && JSON.stringify(body),
        });
        if (answer.ok) return answer.status === 204 ? null : answer.json();
        const told = await answer.json().catch(() => ({}));
        if (answer.status < 500 && answer.status !== 429) throw new Refused([told.detail, told.remedy].filter(Boolean).join(" ") || `Refused (${answer.status}).`);
      } catch (error) {
        if (error instanceof Refused) throw error;
      }
      if (attempt === TRIES) throw new Refused("The portal does not answer. Try again later: what has arrived is kept.");
      await pause(SOON * 2 ** (attempt - 1));
    }
  }

  function send(job, url, blob, number) {
    return new Promise((done, fail) => {
      const call = new XMLHttpRequest();
      job.calls.add(call);
      const end = (settle, value) => { job.calls.delete(call); job.sent.delete(number); settle(value); };
      call.upload.onprogress = (event) => { job.sent.set(number, event.loaded); show(job); };
      call.onload = () => call.status < 300 ? end(done) : end(fail, new Error(`storage said ${call.status}`));
      call.onerror = () => end(fail, new Error("storage does not answer"));
      call.onabort = () => end(fail, new Error("paused"));
      call.open("PUT", url);
      call.send(blob);
    });
  }

  async function part(job, number) {
    const from = (number - 1) * job.upload.part_size, blob = job.file.slice(from, from + job.upload.part_size);
    for (let attempt = 1; ; attempt++) {
      if (job.stopped()) return;
      try {
        const { addresses } = await ask("POST", `/${job.upload.id}/addresses`, { parts: [number] });
        await send(job, addresses[number], blob, number);
        job.arrived += blob.size;
        return show(job);
      } catch (error) {
        if (job.stopped()) return;
        if (error instanceof Refused || attempt === TRIES) throw error;
        await pause(SOON * 2 ** (attempt - 1));
      }
    }
  }

  async function run(job) {
    job.state = "sending";
    show(job);
    try {
      const begun = await ask("POST", "", {
        organisation: zone.dataset.organisation, name: job.file.name, size: job.file.size, mark: String(job.file.lastModified),
      });
      job.upload = begun;
      const there = new Set(begun.arrived), missing = [];
      job.arrived = 0;
      for (let n = 1; n <= begun.parts; n++) {
        if (there.has(n)) job.arrived += Math.min(begun.part_size, job.file.size - (n - 1) * begun.part_size);
        else missing.push(n);
      }
      show(job);
      await Promise.all(Array.from({ length: PARTS }, async () => {
        while (missing.length && !job.stopped()) await part(job, missing.shift());
      }));
      if (job.stopped()) return void (job.state = "paused");
      await ask("POST", `/${job.upload.id}/completion`);
      job.state = "checking";
      show(job);
      watch(job);
    } catch (error) {
      job.state = "failed";
      job.told = error.message;
    }
  }

  // What becomes of it is asked now and then, until somebody has looked.
  async function watch(job) {
    for (let wait = 1000; job.state === "checking"; wait = Math.min(wait * 1.5, 15000)) {
      await pause(wait);
      try {
        const now = await ask("GET", `/${job.upload.id}`);
        if (now.state !== "checking") Object.assign(job, { state: now.state, told: now.message });
      } catch (error) {
        return;
      }
    }
    show(job);
  }

  function show(job) {
    const sent = job.arrived + [...job.sent.values()].reduce((a, b) => a + b, 0);
    const moving = MOVING.includes(job.state);
    job.bar.value = job.file.size ? sent / job.file.size : 0;
    job.bar.hidden = !moving;
    const told = [moving ? `${size(Math.min(sent, job.file.size))} of ${size(job.file.size)}` : "", job.told].filter(Boolean).join(" · ");
    job.words.replaceChildren(badges.get(job.state).cloneNode(true), ` ${told}`);
    const page = job.upload && `${location.pathname}${job.upload.id}/`;
    if (page && !moving) job.link.href = page;
    // The table was sent before: of a file that is in it too it does not go on telling what was so then.
    if (page) document.querySelector(`table a[href="${page}"]`)?.closest("tr").querySelector(".badge").replaceWith(badges.get(job.state).cloneNode(true));
    job.button.hidden = !moving;
    const go = job.state === "paused" || job.state === "failed";
    job.button.textContent = go ? "Go on" : "Pause";
    job.button.setAttribute("aria-label", `${job.button.textContent}: ${job.file.name}`);
    total();
  }

  function total() {
    const count = (...states) => all.filter((job) => states.includes(job.state)).length;
    const ways = [...badges].map(([state, badge]) => [badge.textContent, count(state)]).filter(([, n]) => n);
    const told = [`${all.length} file${all.length === 1 ? "" : "s"}`, ...ways.map((each) => each.join(" "))].join(" · ");
    if (all.length && sum.textContent !== told) sum.textContent = told;
    zone.querySelector("[data-all]").hidden = !count("queued", "sending", "paused");
    zone.querySelector("[data-end]").hidden = count(...MOVING, "checking") > 0;
  }

  function next() {
    while (!paused && running < FILES && waiting.length) {
      const job = waiting.shift();
      if (job.state !== "queued") continue;
      running++;
      job.busy = true;
      run(job).finally(() => { running--; job.busy = false; show(job); next(); });
    }
  }

  function stop(job) {
    job.halted = true;
    for (const call of job.calls) call.abort();
    if (job.state === "queued") job.state = "paused";
    show(job);
  }

  async function go(job) {
    while (job.busy) await pause(50);  // what was told to stop has not noticed yet
    Object.assign(job, { halted: false, told: "", state: "queued" });
    waiting.push(job);
    show(job);
    next();
  }

  function add(file) {
    if (/^(\.|Thumbs\.db$|desktop\.ini$)/.test(file.name)) return;
    if (all.some((job) => job.file.name === file.name && job.file.size === file.size && job.file.lastModified === file.lastModified && job.state !== "failed")) return;
    const row = document.createElement("li"), left = document.createElement("span");
    const job = {
      file, calls: new Set(), sent: new Map(), arrived: 0, told: "", state: "queued", halted: false,
      link: document.createElement("a"), words: document.createElement("span"), bar: document.createElement("progress"), button: document.createElement("button"),
      stopped() { return this.halted || paused; },
    };
    job.link.textContent = file.name;
    job.link.className = "row-title";
    job.words.className = "row-sub";
    job.bar.max = 1;
    job.bar.setAttribute("aria-label", file.name);
    job.button.type = "button";
    job.button.addEventListener("click", () => job.state === "paused" || job.state === "failed" ? go(job) : stop(job));
    left.append(job.link, job.words, job.bar);
    row.append(left, job.button);
    list.append(row);
    document.querySelector("main .empty")?.remove();
    all.push(job);
    waiting.push(job);
    show(job);
  }

  async function within(entry, found) {
    if (entry.isFile) return found.push(await new Promise((done, fail) => entry.file(done, fail)));
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const each of some) await within(each, found);
    }
  }

  function bring(files) {
    for (const file of files) add(file);
    next();
  }

  zone.querySelector("[data-choose]").hidden = false;
  for (const input of zone.querySelectorAll("[data-files]")) {
    input.addEventListener("change", () => { bring([...input.files]); input.value = ""; });
  }
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => { event.preventDefault(); zone.dataset.over = "yes"; });
  }
  zone.addEventListener("dragleave", (event) => { if (!zone.contains(event.relatedTarget)) delete zone.dataset.over; });
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    delete zone.dataset.over;
    const found = [], entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    for (const entry of entries) await within(entry, found);
    bring(found);
  });
  const button = zone.querySelector("[data-pause-all]");
  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Go on with all" : "Pause all";
    for (const job of all) {
      if (paused && ["queued", "sending"].includes(job.state)) stop(job);
      else if (!paused && job.state === "paused") go(job);
    }
  });
  addEventListener("beforeunload", (event) => {
    if (all.some((job) => ["queued", "sending"].includes(job.state))) event.preventDefault();
  });
})();
