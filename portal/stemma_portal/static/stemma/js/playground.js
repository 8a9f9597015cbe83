// The playground: asks without leaving the page, says how long it has been working, shows the answer in place.
// Without it the form is an ordinary one and the answer an ordinary page.
(() => {
  "use strict";
  const form = document.querySelector("[data-playground]");
  if (!form) return;
  const result = document.querySelector("[data-result]"), working = document.querySelector("[data-working]");
  const elapsed = working.querySelector("[data-elapsed]"), button = form.querySelector("button[type=submit]");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const begun = performance.now();
    const tick = setInterval(() => { elapsed.textContent = `${Math.round((performance.now() - begun) / 1000)} s`; }, 250);
    working.hidden = false;
    button.disabled = true;
    result.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "X-Requested-With": "fetch" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const part = page.querySelector("[data-answer]");
      if (!part) throw new Error("no answer");
      const fields = page.querySelector("[data-fields]");
      if (fields) form.querySelector("[data-fields]").replaceWith(document.importNode(fields, true));
      result.replaceChildren(document.importNode(part, true));
      result.dispatchEvent(new CustomEvent("stemma:content", { bubbles: true }));
      (form.querySelector("[aria-invalid]") ?? result.querySelector("h2"))?.focus();
    } catch {
      result.textContent = "The portal did not answer. Your request may still be working: look under Generations before you try again.";
    } finally {
      clearInterval(tick);
      working.hidden = true;
      button.disabled = false;
      result.removeAttribute("aria-busy");
    }
  });
})();
