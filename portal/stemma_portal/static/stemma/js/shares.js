// The sheet of shares: the pies and what is missing follow what is written, as the server judges it.
// Without it the button "Preview" does the same.
(() => {
  "use strict";
  const form = document.querySelector("[data-shares]");
  if (!form) return;
  let waiting, asked = 0;

  async function judge() {
    const mine = ++asked, body = new FormData(form);
    body.set("step", "preview");
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "fetch" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine !== asked) return;
      for (const holder of form.querySelectorAll("[data-pies]")) {
        const fresh = page.querySelector(`[data-pies="${holder.dataset.pies}"]`);
        if (fresh) holder.replaceChildren(...document.importNode(fresh, true).childNodes);
      }
    } catch {
      // The sheet stays as it is; stating it says what is wrong.
    }
  }

  function another(row) {
    const rows = row.parentElement;
    if (row !== rows.lastElementChild || ![...row.querySelectorAll("input")].some((each) => each.name.startsWith("party") && each.value)) return;
    const fresh = row.cloneNode(true), number = rows.children.length + 1;
    for (const stale of fresh.querySelectorAll(".error, .row-sub, .swatch")) stale.remove();
    for (const each of fresh.querySelectorAll("input")) {
      each.value = each.name.startsWith("territory") ? "WORLD" : "";
      each.removeAttribute("aria-invalid");
      each.removeAttribute("aria-describedby");
      each.setAttribute("aria-label", each.getAttribute("aria-label").replace(/row \d+/, `row ${number}`));
    }
    rows.append(fresh);
  }

  form.addEventListener("input", (event) => {
    const row = event.target.closest("tbody tr");
    if (!row) return;
    another(row);
    clearTimeout(waiting);
    waiting = setTimeout(judge, 250);
  });
})();
