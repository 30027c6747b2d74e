/** Asks for the server's key. */

const dialog = document.getElementById("key-dialog");
const field = document.getElementById("key");
const NOTE = document.getElementById("key-note").textContent;

/** Resolves to what was typed, or to null; `wrong` when a key was tried and not taken. */
export function askForKey(wrong) {
  document.getElementById("key-note").textContent = wrong ? "The server does not take that key. Try another." : NOTE;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const answer = () => resolve(dialog.returnValue === "typed" ? field.value : null);
    dialog.addEventListener("close", answer, { once: true });
  });
}

document.getElementById("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  dialog.close("typed");
});
document.getElementById("key-cancel").addEventListener("click", () => dialog.close(""));
