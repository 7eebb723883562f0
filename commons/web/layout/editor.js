// Comfort for texts in Markdown and forms with files: every form works without this. What a server or a person says becomes text and
// listed elements, never markup, as Trusted Types demand.

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const quiet = (words, act) => make("button", { type: "button", className: "button button-ghost button-small", textContent: words, onclick: act });
const megabytes = (bytes) => `${Math.floor(bytes / 2 ** 20)} MB`;
const reason = (said) => said.errors?.[0]?.detail ?? said.detail;

// ---- sending ----

const broken = "The connection broke off. Nothing is lost here; please try again.";

function line(form, words, ...more) {
  const item = make("li", { className: "sending-line" }, make("span", { className: "sending-name", textContent: words }), ...more);
  form.querySelector("[data-sending]").append(item);
  return item;
}

function complain(form, words) {
  const item = line(form, words, quiet("Dismiss", () => item.remove()));
  item.classList.add("sending-failed");
  item.role = "alert";
}

// busy keeps a form from being sent twice, or while a part of it is still under way.
const busy = (form, on) => (form.querySelector(".button-primary").disabled = on);

// transfer sends body and resolves when an answer has come; who cancels, rejects it without words.
function transfer(form, request, body, words) {
  const bar = make("progress", { max: 1, value: 0, ariaLabel: words });
  const item = line(form, words, bar, quiet("Cancel", () => request.abort()));
  return new Promise((done, fail) => {
    request.timeout = 900000; // as long as the server listens
    request.upload.onprogress = (event) => event.lengthComputable && (bar.value = event.loaded / event.total);
    request.upload.onload = () => bar.removeAttribute("value"); // it has all arrived, and is being looked at
    request.onload = () => done(request);
    request.onerror = request.ontimeout = () => fail(new Error(broken));
    request.onabort = () => fail(new Error(""));
    request.send(body);
  }).finally(() => item.remove());
}

// fits says before files are sent what the server would say of them.
function fits(input) {
  const { most, bytes } = input.dataset;
  const heavy = [...input.files].find((file) => file.size > bytes);
  const many = input.files.length > most ? `At most ${most} at once, please.` : "";
  input.setCustomValidity(heavy ? `“${heavy.name}” is larger than ${megabytes(bytes)}.` : many);
  return input.reportValidity();
}

// refused shows what our server's page says is wrong where all that was typed and chosen still stands. Nothing of that page has run.
function refused(page) {
  for (const old of document.querySelectorAll("[data-faults], .field-error")) old.remove();
  for (const theirs of page.querySelectorAll("[aria-invalid]")) {
    const ours = document.getElementById(theirs.id);
    const fault = page.getElementById(`${theirs.id}-error`);
    if (!ours || !fault) continue;
    for (const name of ["aria-invalid", "aria-describedby"]) ours.setAttribute(name, theirs.getAttribute(name));
    ours.closest(".field").append(document.importNode(fault, true));
  }
  const summary = document.importNode(page.querySelector("[data-faults]"), true);
  document.querySelector("main").prepend(summary);
  summary.focus();
}

// send is the form's own submission. What is not understood here, the plain form does, and explains itself.
async function send(form) {
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.responseType = "document";
  const { response: page, responseURL, status } = await transfer(form, request, new FormData(form), "Sending");
  const why = page?.querySelector("main h1 + p");
  if (status < 400) {
    const notice = page?.querySelector(".notice span")?.textContent;
    if (notice) sessionStorage.setItem("notice", notice); // app.js says it on the next page
    location.assign(responseURL);
  } else if (page?.querySelector("[data-faults]")) {
    refused(page);
  } else if (why) {
    complain(form, why.textContent);
  } else {
    form.submit();
  }
}

for (const form of document.querySelectorAll("form[enctype='multipart/form-data']")) {
  const input = form.querySelector("input[type=file]");
  input.onchange = () => fits(input);
  form.addEventListener("submit", async (event) => {
    if (!input.files.length) return;
    event.preventDefault();
    if (!fits(input)) return;
    busy(form, true);
    await send(form).catch((error) => error.message && complain(form, error.message));
    busy(form, false);
  });
}

// ---- the preview ----

const elements = new Set("p h3 h4 h5 h6 blockquote ul ol li pre hr a strong em del code img br".split(" "));
const attributes = { href: /^(https?:\/\/|mailto:)/, src: /^\/files\/[\w-]+$/, alt: /^/, start: /^\d{1,9}$/ };

function build(node) {
  if (!node.element) return node.text ?? "";
  if (!elements.has(node.element)) return "";
  const element = make(node.element, {}, ...(node.nodes ?? []).map(build));
  for (const [name, fitting] of Object.entries(attributes)) {
    const value = node.attributes?.[name];
    if (typeof value === "string" && fitting.test(value)) element.setAttribute(name, value);
  }
  return node.element === "a" ? Object.assign(element, { target: "_blank", rel: "noopener noreferrer" }) : element;
}

function edit(editor) {
  const area = editor.querySelector("textarea");
  const form = area.form;
  const [bar, preview, kept, status] = ["toolbar", "preview", "kept", "status"].map((part) => form.querySelector(`[data-${part}]`));
  const uploads = form.querySelector("input[type=file]");
  const token = form.elements._token.value;

  // put replaces what is selected, so that Ctrl+Z takes it back, and selects a part of that.
  function put(text, from = text.length, to = from) {
    const start = area.selectionStart;
    area.focus();
    if (!document.execCommand("insertText", false, text)) {
      area.setRangeText(text);
      area.dispatchEvent(new InputEvent("input", { bubbles: true }));
    }
    area.setSelectionRange(start + from, start + to);
  }
  const selected = () => area.value.slice(area.selectionStart, area.selectionEnd);

  function wrap(mark, words) {
    const { selectionStart: start, selectionEnd: end, value } = area;
    const inner = selected() || words;
    if (selected() && value.slice(0, start).endsWith(mark) && value.slice(end).startsWith(mark)) {
      area.setSelectionRange(start - mark.length, end + mark.length);
      put(inner, 0, inner.length);
    } else {
      put(mark + inner + mark, mark.length, mark.length + inner.length);
    }
  }

  // lead puts a mark before every selected line, or takes it away from all of them.
  function lead(mark) {
    const end = area.value.indexOf("\n", area.selectionEnd);
    area.setSelectionRange(area.value.lastIndexOf("\n", area.selectionStart - 1) + 1, end < 0 ? area.value.length : end);
    const lines = selected().split("\n");
    const all = lines.every((one) => one.startsWith(mark));
    put(lines.map((one) => (all ? one.slice(mark.length) : mark + one)).join("\n"));
  }

  const acts = {
    bold: () => wrap("**", "bold"),
    italic: () => wrap("_", "italic"),
    heading: () => lead("# "),
    quote: () => lead("> "),
    list: () => lead("- "),
    code: () => (selected().includes("\n") ? put("```\n" + selected() + "\n```\n") : wrap("`", "code")),
    link: () => {
      const words = selected() || "words";
      put(`[${words}](https://)`, words.length + 3, words.length + 11);
    },
    picture: () => make("input", { type: "file", multiple: true, accept: bar.dataset.pictures, onchange: (event) => take(event.target.files) }).click(),
    write: () => show(false),
    preview: () => show(true),
  };
  area.addEventListener("keydown", (event) => {
    const act = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && { b: "bold", i: "italic", k: "link" }[event.key];
    if (!act) return;
    event.preventDefault();
    acts[act]();
  });

  // The toolbar is one stop of the Tab key; arrows go on from there.
  const buttons = [...bar.querySelectorAll("button")];
  const stop = (at) => buttons.forEach((one, i) => (one.tabIndex = i === at ? 0 : -1));
  for (const one of buttons) one.onclick = acts[one.dataset.act];
  bar.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = (buttons.indexOf(document.activeElement) + by + buttons.length) % buttons.length;
    stop(at);
    buttons[at].focus();
  });
  stop(0);
  bar.hidden = false;

  let timer, asked;
  async function look() {
    asked?.abort();
    const mine = (asked = new AbortController());
    const ended = setTimeout(() => mine.abort(), 10000);
    try {
      const answer = await fetch("/api/v1/preview", { method: "POST", signal: mine.signal, headers: { "X-Redoubt-Token": token, "Content-Type": "application/json" }, body: JSON.stringify({ text: area.value }) });
      const said = await answer.json();
      preview.replaceChildren(...(answer.ok ? said.nodes.map(build) : [reason(said)]));
    } catch {
      if (mine === asked) preview.replaceChildren("There is no preview at the moment.");
    }
    clearTimeout(ended);
  }
  area.addEventListener("input", () => {
    clearTimeout(timer);
    if (!preview.hidden) timer = setTimeout(look, 400);
  });
  function show(on) {
    preview.hidden = !on;
    editor.classList.toggle("editor-previewing", on);
    for (const one of buttons) if (one.ariaPressed) one.ariaPressed = String((one.dataset.act === "preview") === on);
    status.textContent = on ? "The preview follows the text." : "The preview is hidden.";
    if (on) look();
  }

  // keep sends a file at once: a picture into the text, anything else below it.
  async function keep(file) {
    const name = file.name.replace(/[\p{C}/\\]/gu, "").slice(-100);
    if (file.size > uploads.dataset.bytes) throw new Error(`${name} is larger than ${megabytes(uploads.dataset.bytes)}.`);
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/files?name=" + encodeURIComponent(name));
    request.setRequestHeader("X-Redoubt-Token", token);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    await transfer(form, request, file, name);
    const said = JSON.parse(request.responseText);
    if (request.status !== 201) throw new Error(`${name}: ${reason(said)}`);
    if (file.type.startsWith("image/")) {
      put(`![${name.replace(/\.\w+$/, "").replace(/[^\p{L}\p{N} -]/gu, " ")}](/files/${said.id})\n`);
    } else {
      const box = make("input", { type: "checkbox", name: "files", value: said.id, checked: true });
      kept.append(make("label", { className: "kept" }, box, make("bdi", { textContent: name })));
      kept.hidden = false;
    }
    status.textContent = `${name} is added.`;
  }

  async function take(files) {
    busy(form, true);
    for (const file of [...files].slice(0, 20)) {
      await keep(file).catch((error) => error.message && complain(form, error.name === "SyntaxError" ? broken : error.message));
    }
    busy(form, false);
  }

  area.addEventListener("paste", (event) => {
    const { files, types } = event.clipboardData;
    if (!files.length || types.includes("text/plain")) return; // some programs copy a picture of their text along
    event.preventDefault();
    take(files);
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    editor.addEventListener(kind, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      editor.classList.toggle("editor-dropping", kind === "dragover");
      if (kind === "drop") take(event.dataTransfer.files);
    });
  }
}

for (const editor of document.querySelectorAll("[data-editor]")) edit(editor);
