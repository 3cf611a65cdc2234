// Comforts only: every page and form works without this file.
"use strict";

document.documentElement.classList.add("has-script");

// "/" and Ctrl-K lead to the search; arrows walk through what it has found; Escape closes it.
document.addEventListener("keydown", (event) => {
  const search = document.getElementById("search");
  if (!search) return;
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  const isAsked = (event.key === "/" && !isTyping) || (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey));
  if (isAsked) {
    event.preventDefault();
    search.focus();
    search.select();
    return;
  }
  const links = [...document.querySelectorAll("#found a")];
  const place = links.indexOf(document.activeElement);
  if (event.key === "Escape" && (document.activeElement === search || place >= 0)) {
    document.getElementById("found").replaceChildren();
    search.focus();
  } else if (event.key === "ArrowDown" && links.length && (document.activeElement === search || place >= 0)) {
    event.preventDefault();
    links[Math.min(place + 1, links.length - 1)].focus();
  } else if (event.key === "ArrowUp" && place >= 0) {
    event.preventDefault();
    (place === 0 ? search : links[place - 1]).focus();
  }
});

// A click elsewhere closes what was found, and open menus.
document.addEventListener("click", (event) => {
  const found = document.getElementById("found");
  if (found && !event.target.closest(".search")) found.replaceChildren();
  for (const menu of document.querySelectorAll("details.who[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// A choice that the rest of the form depends on is sent at once.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  if (event.target.matches("[data-shows]")) showChosen(event.target.form);
});

// Of several parts of a form only the chosen one's fields are shown.
function showChosen(form) {
  const chosen = form.querySelector("[data-shows]:checked");
  if (!chosen) return;
  for (const part of form.querySelectorAll(".for")) {
    part.hidden = !part.classList.contains(chosen.dataset.shows);
  }
}

for (const form of document.forms) showChosen(form);

// A button that was pressed is not pressed twice.
document.addEventListener("submit", (event) => {
  if (event.target.method === "post") {
    setTimeout(() => {
      for (const button of event.target.querySelectorAll("button")) button.disabled = true;
    });
  }
});

// A page that comes back from the browser's memory has its buttons again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button")) button.disabled = false;
});
