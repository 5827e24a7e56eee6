"use strict";

// One script for all pages. What is sent where, and the words for how it ended, stand in the page's form.
(() => {
  const PATIENCE = 20000;
  const BROKEN =
    "This page was opened without the link of a mail, or the link is not whole. Open the link in the mail once more.";

  const form = document.querySelector("form");
  const message = document.getElementById("message");
  const submit = form.querySelector("button[type=submit]");
  const show = document.getElementById("show");
  const inputs = Array.from(form.querySelectorAll("input"));
  const needsToken = "token" in form.dataset;

  let token = null;
  let busy = false;

  function say(text, kind = "") {
    message.textContent = text;
    message.className = kind;
    if (kind) {
      message.focus();
    }
  }

  function reveal(id, visible) {
    const element = document.getElementById(id);
    if (element) {
      element.hidden = !visible;
    }
  }

  function end(text, kind, more) {
    form.hidden = true;
    // Neither a password nor a token stays in a page that has no more use for it.
    form.reset();
    token = null;
    reveal(more, true);
    say(text, kind);
  }

  function wait(busyNow) {
    busy = busyNow;
    form.setAttribute("aria-busy", String(busyNow));
    submit.setAttribute("aria-disabled", String(busyNow));
  }

  function sentence(text) {
    const capital = text.charAt(0).toUpperCase() + text.slice(1);
    return /[.!?]$/.test(capital) ? capital : `${capital}.`;
  }

  function blame(input, reasons) {
    const list = document.getElementById(`${input.id}-errors`);
    list.replaceChildren(...reasons.map((reason) => {
      const item = document.createElement("li");
      item.textContent = sentence(reason);
      return item;
    }));
    if (reasons.length) {
      input.setAttribute("aria-invalid", "true");
    } else {
      input.removeAttribute("aria-invalid");
    }
  }

  function later(response) {
    const seconds = Number.parseInt(response.headers.get("Retry-After"), 10);
    if (!(seconds > 0)) {
      return "later";
    }
    if (seconds < 90) {
      return seconds === 1 ? "in a second" : `in ${seconds} seconds`;
    }
    const minutes = Math.ceil(seconds / 60);
    return minutes < 120 ? `in ${minutes} minutes` : `in ${Math.ceil(minutes / 60)} hours`;
  }

  async function json(response) {
    try {
      return await response.json();
    } catch {
      return {};
    }
  }

  function post(path, data, headers = {}) {
    return fetch(path, {
      method: "POST",
      headers: { Accept: "application/json", ...headers, ...(data && { "Content-Type": "application/json" }) },
      body: data && JSON.stringify(data),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE),
    });
  }

  // The answer to a claim signs somebody in, and a page is nobody who could stay signed in.
  async function signOut(answer) {
    if ("signOut" in form.dataset && answer.access_token) {
      try {
        await post("/api/v1/auth/logout", null, { Authorization: `Bearer ${answer.access_token}` });
      } catch {
        // The session ends by itself when nobody uses it.
      }
    }
  }

  async function succeed(response) {
    const answer = await json(response);
    await signOut(answer);
    const text = answer.status === "already_verified" ? form.dataset.already : form.dataset.done;
    // A function, because a text would have its dollar signs read as something else.
    end(text.replace("{email}", () => answer.email ?? ""), "good", "on-done");
  }

  async function fail(response) {
    const problem = await json(response);
    const errors = Array.isArray(problem.errors) ? problem.errors : [];
    if (problem.code === "invalid_or_expired_token" || errors.some((each) => each.pointer === "/token")) {
      end(form.dataset.expired, "bad", "on-expired");
    } else if (inputs.length && (errors.length || response.status === 422)) {
      say("");
      const [input] = inputs;
      const reasons = errors.map((each) => String(each.detail));
      blame(input, reasons.length ? reasons : [problem.detail ?? "this cannot be used"]);
      input.focus();
    } else if (response.status === 429) {
      say(`There were too many tries. Try again ${later(response)}.`, "bad");
    } else if (response.status === 503) {
      say(`We are very busy just now. Try again ${later(response)}.`, "bad");
    } else if (response.status >= 500) {
      say("Something went wrong on our side. Try again later.", "bad");
    } else {
      say(sentence(problem.detail ?? "this is not possible"), "bad");
    }
  }

  async function send() {
    const data = Object.fromEntries(inputs.map((input) => [input.name, input.value]));
    if (needsToken) {
      data.token = token;
    }
    let response;
    try {
      response = await post(form.dataset.post, data);
    } catch {
      say("We could not be reached. Check your connection and try again.", "bad");
      return;
    }
    await (response.ok ? succeed(response) : fail(response));
  }

  async function submitted() {
    if (show) {
      // Browsers offer to keep what stands in a password field.
      hidePassword(true);
    }
    inputs.forEach((input) => blame(input, []));
    wait(true);
    say("One moment …");
    try {
      await send();
    } finally {
      wait(false);
    }
  }

  // The token leaves the address bar, and with it the browser's history, before anybody can see or copy it.
  function start() {
    if (needsToken) {
      token = new URLSearchParams(location.hash.slice(1)).get("token");
      history.replaceState(null, "", location.pathname);
    }
    reveal("on-done", false);
    reveal("on-expired", false);
    form.hidden = needsToken && !token;
    say(form.hidden ? BROKEN : "", form.hidden ? "bad" : "");
  }

  function hidePassword(hidden) {
    inputs[0].type = hidden ? "password" : "text";
    show.textContent = hidden ? "Show password" : "Hide password";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy) {
      submitted();
    }
  });
  if (show) {
    show.addEventListener("click", () => hidePassword(inputs[0].type === "text"));
  }
  // The link of another mail, opened in the same tab, loads nothing new.
  window.addEventListener("hashchange", () => {
    if (location.hash) {
      start();
    }
  });
  start();
})();
