// Makes the admin pages livelier. Every page works without it: links, forms, and a reload.
"use strict";

const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const say = (text) => { const status = find("#status"); if (status) status.textContent = text; };

// A note belongs to one visit: a reload or a bookmark shows the page without it.
const here = new URL(location.href);
if (here.searchParams.has("note") || here.searchParams.has("made")) {
  here.searchParams.delete("note");
  here.searchParams.delete("made");
  history.replaceState(null, "", here);
}

// A form is sent once: the second half of a double click is for nobody. A page that comes back may send its form again.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) return event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => all("[data-sent]").forEach((form) => delete form.dataset.sent));

// Live parts: elements with data-live-url are fetched again every two seconds while the page is seen and nobody paused it.
// The server leaves the attribute out once nothing moves any more, and the refreshing ends by itself.
const EVERY_MS = 2000;
const live = find("#live");
let paused = false;
let failures = 0;

function showLive() {
  if (!live) return;
  live.hidden = !find("[data-live-url]");
  live.setAttribute("aria-pressed", String(paused));
  live.textContent = paused ? "Paused" : failures ? "Reconnecting" : "Live";
}

async function refresh(part) {
  const answer = await fetch(part.dataset.liveUrl, { headers: { accept: "text/html" } });
  if (answer.redirected) return location.reload(); // signed out meanwhile
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.body.firstElementChild;
  if (!next || !part.isConnected || next.outerHTML === part.outerHTML) return;
  // Keeps the keyboard where it was: the same link or button in the new copy.
  const stops = (root) => all("a[href], button, input, summary", root);
  const at = stops(part).indexOf(document.activeElement);
  part.replaceWith(next);
  if (at >= 0) (stops(next)[at] ?? next).focus({ preventScroll: true });
  enliven(next);
  if (!next.dataset.liveUrl) say("Finished.");
}

async function tick() {
  const parts = all("[data-live-url]");
  if (parts.length && !paused && !document.hidden) {
    const done = await Promise.allSettled(parts.map(refresh));
    failures = done.some((one) => one.status === "rejected") ? failures + 1 : 0;
  }
  showLive();
  // Slower after failures, so that a server that comes back is not run over.
  if (find("[data-live-url]")) setTimeout(tick, EVERY_MS * Math.min(1 + failures, 8));
}

live?.addEventListener("click", () => { paused = !paused; showLive(); });

// Copy buttons: data-copy names the element whose text is taken.
function enliven(root) {
  for (const button of all("[data-copy]", root)) {
    button.hidden = false;
    const word = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(find(button.dataset.copy).textContent.trim());
        button.textContent = "Copied";
        say("Copied.");
      } catch {
        getSelection().selectAllChildren(find(button.dataset.copy)); // plain http: the person presses Ctrl C
        button.textContent = "Press Ctrl C";
      }
      setTimeout(() => { button.textContent = word; }, 2000);
    });
  }
  for (const button of all("[data-reveal]", root)) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const field = find(button.dataset.reveal);
      const shown = field.type === "text";
      field.type = shown ? "password" : "text";
      button.textContent = shown ? "Show" : "Hide";
      button.setAttribute("aria-pressed", String(!shown));
    });
  }
}

// A file that is dropped anywhere does not take the page's place.
const carriesFiles = (event) => Boolean(event.dataTransfer?.types.includes("Files"));
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => { if (carriesFiles(event)) event.preventDefault(); });

// Uploads: a drop is taken, choosing files sends them, and a bar shows how far they are.
const zone = find("[data-drop]");
if (zone) {
  const input = find("input[type=file]", zone);
  const words = find("[data-upload-words]", zone);
  const most = Number(zone.dataset.maxBytes);
  // The whole page takes a drop; beside the zone is as good as on it.
  addEventListener("dragover", (event) => zone.classList.toggle("over", carriesFiles(event)));
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("over"); });
  addEventListener("drop", (event) => {
    zone.classList.remove("over");
    if (!carriesFiles(event)) return;
    const folder = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).find((entry) => entry?.isDirectory);
    if (folder) return fail(`${folder.name} is a folder: drop the files in it. Nothing was sent.`);
    send([...event.dataTransfer.files]);
  });
  input.addEventListener("change", () => send([...input.files]));
  find("button[type=submit]", zone).hidden = true;

  const fail = (text) => { words.textContent = text; say(text); input.value = ""; input.disabled = false; };

  function send(files) {
    if (!files.length || input.disabled) return;
    const heavy = files.find((file) => file.size > most);
    if (heavy) return fail(`${heavy.name} is larger than ${zone.dataset.maxWords}. Nothing was sent.`);
    const form = new FormData();
    for (const file of files) form.append("file", file);
    const bar = find(".gauge", zone);
    const request = new XMLHttpRequest();
    request.open("POST", zone.action);
    request.responseType = "document";
    request.upload.addEventListener("progress", (event) => {
      const percent = Math.floor(100 * event.loaded / event.total);
      find("progress", bar).value = percent;
      find("span", bar).textContent = percent < 100 ? `${percent} %` : "Storing…";
    });
    request.addEventListener("load", () => {
      if (request.status < 400) return location.assign(request.responseURL);
      bar.hidden = true;
      fail(find("h1", request.response ?? document)?.textContent ?? "The upload failed.");
    });
    request.addEventListener("error", () => { bar.hidden = true; fail("The connection broke. Nothing more was stored; try again."); });
    input.disabled = true;
    bar.hidden = false;
    words.textContent = files.length === 1 ? `Sending ${files[0].name}` : `Sending ${files.length} files`;
    request.send(form);
  }
}

// "/" goes to the page's main field, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = find("[data-slash]");
  if (field) { event.preventDefault(); field.focus(); }
});

enliven(document);
showLive();
setTimeout(tick, EVERY_MS);
