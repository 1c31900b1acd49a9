// Same-origin requests with the CSRF token set, and errors that carry what the server said.

export class RequestError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function csrfToken() {
  return document.querySelector("meta[name=csrf-token]")?.content ?? "";
}

async function errorFrom(response) {
  const body = await response.json().catch(() => ({}));
  const message = body.detail ?? body.error?.message ?? document.body.dataset.requestFailed ?? response.statusText;
  return new RequestError(response.status, body.code ?? body.error?.code ?? "", message);
}

/**
 * Send a request; resolves with the Response, rejects with a RequestError when it is not 2xx or the network is gone
 * (status 0). `json` is sent as JSON, `form` as a form (a FormData or a plain object). `keepalive`: it outlives the page.
 */
export async function request(url, { method, json, form, signal, keepalive, headers = {} } = {}) {
  const sent = { Accept: "application/json", "X-CSRFToken": csrfToken(), ...headers };
  let body;
  if (json !== undefined) {
    sent["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  } else if (form !== undefined) {
    body = form instanceof FormData ? form : new URLSearchParams(form);
  }
  let response;
  try {
    response = await fetch(url, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers: sent,
      body,
      signal,
      keepalive,
      credentials: "same-origin",
    });
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    throw new RequestError(0, "offline", document.body.dataset.offline ?? failure.message);
  }
  if (!response.ok) throw await errorFrom(response);
  // Whoever was signed out meanwhile is led to a page.
  if (response.redirected) throw new RequestError(response.status, "redirected", document.body.dataset.requestFailed);
  return response;
}
