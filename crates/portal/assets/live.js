// Live numbers: the page is asked for again every few seconds while it is visible, and the elements
// marked data-live are replaced by their new selves. The server stays the only place that counts.

const EVERY_MS = 4000;
const LONGEST_MS = 60000;
let wait = EVERY_MS;

async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error("not the same page");
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-live][id]")) {
    const fresh = page.getElementById(old.id);
    if (fresh && fresh.innerHTML !== old.innerHTML && !old.contains(document.activeElement)) {
      old.replaceWith(document.adoptNode(fresh));
    }
  }
}

async function turn() {
  if (document.visibilityState === "visible") {
    wait = await refresh().then(() => EVERY_MS, () => Math.min(wait * 2, LONGEST_MS));
  }
  setTimeout(turn, wait);
}

if (document.querySelector("[data-live]")) setTimeout(turn, wait);
