// The player: one sound at a time, a waveform that fills, a score that follows, parts that can be heard alone.
// Without it the page still has the browser's own player and the whole picture.
(() => {
  "use strict";
  const playing = new Set();
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  function score(holder) {
    const svg = holder?.querySelector("svg");
    if (!svg) return { show() {}, solo() {} };
    const scale = Number(svg.dataset.scale);
    const head = svg.querySelector("[data-playhead]");
    const notes = [...svg.querySelectorAll("g rect")].map((rect) => {
      const start = Number(rect.getAttribute("x")) / scale;
      return { rect, start, end: start + Number(rect.getAttribute("width")) / scale };
    });
    return {
      show(now, follow) {
        const x = now * scale;
        head.setAttribute("transform", `translate(${x} 0)`);
        for (const note of notes) note.rect.classList.toggle("sounding", note.start <= now && now < note.end);
        const left = holder.scrollLeft, width = holder.clientWidth;
        if (follow && (x < left || x > left + width * 0.75)) holder.scrollLeft = Math.max(0, x - width * 0.2);
      },
      solo(part) {
        for (const group of svg.querySelectorAll("g[data-part]")) group.classList.toggle("solo", group.dataset.part === part);
      },
    };
  }

  function start(player) {
    const audio = player.querySelector("[data-audio]");
    if (!audio || player.dataset.ready) return;
    player.dataset.ready = "yes";
    const button = player.querySelector("[data-play]"), seek = player.querySelector("[data-seek]");
    const now = player.querySelector("[data-now]"), problem = player.querySelector("[data-problem]");
    const played = player.querySelector("[data-played]"), parts = player.querySelector("[data-parts]");
    const notes = score(player.querySelector("[data-roll]"));
    const total = Number(seek.max) / 1000;
    let seeking = false;

    audio.controls = false;
    audio.hidden = true;
    player.querySelector("[data-controls]").hidden = false;
    if (parts) parts.hidden = false;

    const show = (follow) => {
      const at = audio.currentTime;
      if (!seeking) seek.value = at * 1000;
      seek.setAttribute("aria-valuetext", `${clock(at)} of ${clock(total)}`);
      now.textContent = clock(at);
      played?.setAttribute("width", total ? (1200 * at) / total : 0);
      notes.show(at, follow);
    };
    const step = () => {
      show(true);
      if (!audio.paused) requestAnimationFrame(step);
    };

    button.addEventListener("click", () => {
      if (!audio.paused) return audio.pause();
      audio.play().catch(() => { problem.hidden = false; });
    });
    audio.addEventListener("play", () => {
      for (const other of playing) if (other !== audio) other.pause();
      playing.add(audio);
      player.dataset.playing = player.dataset.started = "yes";
      button.setAttribute("aria-pressed", "true");
      step();
    });
    for (const name of ["pause", "ended"]) {
      audio.addEventListener(name, () => {
        playing.delete(audio);
        delete player.dataset.playing;
        button.setAttribute("aria-pressed", "false");
      });
    }
    audio.addEventListener("timeupdate", () => show(false));
    audio.addEventListener("error", () => { problem.hidden = false; });
    audio.addEventListener("loadeddata", () => { problem.hidden = true; });

    const go = (seconds) => {
      audio.currentTime = Math.min(Math.max(0, seconds), total);
      player.dataset.started = "yes";
      show(true);
    };
    seek.addEventListener("input", () => { seeking = true; go(seek.value / 1000); });
    seek.addEventListener("change", () => { seeking = false; });
    player.querySelector(".waveform")?.addEventListener("click", (event) => {
      const box = event.currentTarget.getBoundingClientRect();
      go(((event.clientX - box.left) / box.width) * total);
    });
    player.querySelector("[data-roll] svg")?.addEventListener("click", (event) => {
      const svg = event.currentTarget;
      go((event.clientX - svg.getBoundingClientRect().left) / Number(svg.dataset.scale));
    });

    parts?.addEventListener("change", (event) => {
      const at = audio.currentTime, run = !audio.paused;
      audio.src = event.target.value;
      audio.addEventListener("loadedmetadata", () => {
        audio.currentTime = at;
        if (run) audio.play().catch(() => { problem.hidden = false; });
      }, { once: true });
      if (event.target.dataset.part) player.dataset.solo = "yes"; else delete player.dataset.solo;
      notes.solo(event.target.dataset.part);
    });
  }

  const startAll = (within) => { for (const player of within.querySelectorAll("[data-player]")) start(player); };
  startAll(document);
  document.addEventListener("stemma:content", (event) => startAll(event.target));
})();
