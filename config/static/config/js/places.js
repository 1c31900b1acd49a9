// Where the places of a page stand in one line that scrolls, as on a phone, the one that is open is in view.

function show() {
  for (const open of document.querySelectorAll(".side-nav [aria-current], .tabs [aria-current]")) {
    open.scrollIntoView({ block: "nearest", inline: "center" });
  }
}

show();
addEventListener("resize", show);
