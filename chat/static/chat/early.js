// Enter sends from the first moment: this runs before the modules of the page, which take over by handling the key. What
// is sent before they do goes as the form that it is.

document.addEventListener("keydown", (event) => {
  const box = event.target;
  if (event.key !== "Enter" || event.defaultPrevented || box.id !== "message" || event.shiftKey) return;
  // 229: an input method is composing, in browsers that end the composition before they tell of the key.
  if (event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  if (box.value.trim()) box.form.requestSubmit();
});
