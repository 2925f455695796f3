// The theme switch without a round trip: the same cookie that the form's answer would set.

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form.theme");
  const theme = event.submitter?.value;
  if (!form || !["light", "dark", "system"].includes(theme)) return;
  event.preventDefault();
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of document.querySelectorAll("form.theme button")) {
    button.setAttribute("aria-pressed", String(button.value === theme));
  }
});
