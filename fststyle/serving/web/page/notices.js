/** What the page says: a quiet line of status that screen readers hear too, and problems with a way on. */

const status = document.getElementById("status");
const problem = document.getElementById("problem");
const retry = document.getElementById("problem-retry");
let again = null;

document.getElementById("problem-close").addEventListener("click", clearProblem);
retry.addEventListener("click", () => {
  const action = again;
  clearProblem();
  action?.();
});

export function say(text, { busy = false } = {}) {
  if (status.textContent !== text) status.textContent = text;
  document.body.classList.toggle("busy", busy);
}

/** `action` runs when the person tries again, if the error says that this makes sense. */
export function tell(error, action = null) {
  if (!(error?.name === "Problem")) console.error(error);
  document.getElementById("problem-text").textContent =
    error?.name === "Problem" ? error.message : "Something in this page went wrong. Loading it again may help.";
  again = action;
  retry.hidden = !(action && error?.again);
  problem.hidden = false;
}

export function clearProblem() {
  problem.hidden = true;
  again = null;
}
