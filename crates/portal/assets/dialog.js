// Confirmation pages as dialogs: <a data-dialog href> fetches the page it links to and shows its
// element #ask in a modal dialog. The form inside is the page's own, so it works the same way.

async function open(link) {
  const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const ask = page.getElementById("ask");
  if (!answer.ok || !ask) throw new Error("no question on that page");
  const dialog = document.createElement("dialog");
  const title = ask.querySelector("h1, h2");
  if (title) {
    title.id = "ask-title";
    dialog.setAttribute("aria-labelledby", title.id);
  }
  dialog.append(document.adoptNode(ask));
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]") || event.target === dialog) {
      event.preventDefault();
      dialog.close();
    }
  });
  document.body.append(dialog);
  dialog.showModal();
  // Enter must not do the dangerous thing.
  dialog.querySelector("[data-close]")?.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  open(link).catch(() => { location.href = link.href; });
});
