// A file is looked for by its hash, which is taken here: the file stays where it is.  Of a WAV file the hash
// of its samples is looked for too, so that a file with other notes in its header is found all the same.
(() => {
  "use strict";
  const zone = document.querySelector("[data-find]");
  if (!zone || !crypto.subtle) return;
  const input = zone.querySelector("input[type=file]"), button = zone.querySelector("[data-hash]"), told = zone.querySelector("[data-told]");
  const MOST = 2 ** 31;

  const hex = (hash) => [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  function samples(buffer) {
    const view = new DataView(buffer), name = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
    if (buffer.byteLength < 44 || name(0) !== "RIFF" || name(8) !== "WAVE") return null;
    for (let at = 12; at + 8 <= buffer.byteLength;) {
      const size = view.getUint32(at + 4, true);
      if (name(at) === "data") return buffer.slice(at + 8, Math.min(at + 8 + size, buffer.byteLength));
      at += 8 + size + size % 2;
    }
    return null;
  }

  async function find(file) {
    if (!file) return;
    if (file.size > MOST) return void (told.textContent = "The file is larger than a browser can hash at once. Use the API: GET /api/v1/certificates?sha256=…");
    told.textContent = `Taking the hash of ${file.name} …`;
    const buffer = await file.arrayBuffer(), pcm = samples(buffer);
    const hash = hex(await crypto.subtle.digest("SHA-256", pcm ?? buffer));
    location.assign(`?hash=${hash}`);
  }

  button.hidden = false;
  button.addEventListener("click", () => input.files[0] ? find(input.files[0]) : input.click());
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.dataset.over = ""; });
  zone.addEventListener("dragleave", () => delete zone.dataset.over);
  zone.addEventListener("drop", (event) => { event.preventDefault(); delete zone.dataset.over; find(event.dataTransfer.files[0]); });
})();
