// Copy buttons: they are hidden without scripts, since nothing would happen.
// <button data-copy="ID"> copies the text of the element with that id.

const said = document.createElement("p");
said.className = "hush";
said.setAttribute("role", "status");
document.body.append(said);

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  const label = button.querySelector("span") ?? button;
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    label.textContent = said.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    label.textContent = said.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { label.textContent = before; said.textContent = ""; }, 2000);
}

for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
