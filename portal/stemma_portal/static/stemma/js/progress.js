// Long work: its progress is fetched again every second; when the page becomes another one, it is loaded.
(() => {
  "use strict";
  const shown = document.querySelector("[data-progress]");
  if (!shown) return;
  const again = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector("[data-progress]");
      if (answer.ok && !fresh) return location.reload();
      if (fresh && fresh.innerHTML !== shown.innerHTML) shown.replaceChildren(...fresh.childNodes);
    } catch {
      // The server may be away for a moment: the next try tells.
    }
    setTimeout(again, 1000);
  };
  setTimeout(again, 1000);
})();
