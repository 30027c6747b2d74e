/** Every failure in words for the person in front of the page. */

/** A failure with a message to show; `again` says whether trying once more makes sense. */
export class Problem extends Error {
  constructor(message, { again = false } = {}) {
    super(message);
    this.name = "Problem";
    this.again = again;
  }
}

export const isAbort = (error) => error?.name === "AbortError";

const BY_STATUS = {
  401: () => new Problem("This server asks for a key, and paints nothing without it.", { again: true }),
  403: () => new Problem("This server does not take that key.", { again: true }),
  404: () => new Problem("This style is no longer on the server. Loading the page again shows those that are."),
  408: () => new Problem("The picture took too long to arrive. A smaller size travels faster.", { again: true }),
  413: (said) => new Problem(`This picture is too large for the server. ${said} Choose a smaller size.`),
  415: () => new Problem("The server does not read pictures of this kind. JPEG, PNG and WebP always work."),
  422: (said) => new Problem(`The server could not use this picture. ${said}`),
  429: () => new Problem("The server is busy with other pictures. Please try again in a moment.", { again: true }),
  503: (said) => new Problem(`The server cannot paint right now. ${said}`, { again: true }),
  504: () => new Problem("Painting took longer than the server allows. A smaller size is quicker.", { again: true }),
};

const asSentence = (text) => {
  const trimmed = (text ?? "").trim();
  return trimmed && trimmed[0].toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
};

/** What a response other than 2xx means; `said` is the server's own message. */
export function problemOf(status, said) {
  const known = BY_STATUS[status];
  if (known) return known(asSentence(said));
  if (status < 500) return new Problem(`The server refused this. ${asSentence(said)}`);
  return new Problem("Something went wrong on the server. Your picture is still here.", { again: true });
}

export const unreachable = () =>
  new Problem("The server cannot be reached. Is it still running? Your picture is still here.", { again: true });

const CAMERA = {
  NotAllowedError: "The browser may not use the camera. Allow it for this page, beside the address, and try again.",
  NotFoundError: "No camera was found. Connect one and try again, or choose a photo.",
  NotReadableError: "The camera is there, but another program may be using it. Close that program and try again.",
  OverconstrainedError: "This camera cannot give a picture of the kind that is needed.",
};

export const cameraProblem = (error) =>
  new Problem(CAMERA[error?.name] ?? "The camera could not be started.", { again: true });

export const noCameraHere = () =>
  new Problem("The browser gives the camera only to pages that come over https or from this computer itself.");
