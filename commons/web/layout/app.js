// Comfort only: every page works without this file. It writes text and attributes, never markup, as Trusted Types demand.

const find = (selector, root = document) => [...root.querySelectorAll(selector)];

// Like or bookmark without losing one's place. Any surprise (signed out, refused, offline) falls back to the plain form, which explains itself.
async function like(form) {
  const button = form.querySelector("button");
  const token = form.elements._token.value;
  const answer = await fetch(form.action, {
    method: "POST",
    headers: { "X-Redoubt-Token": token, Accept: "text/html" },
    body: new URLSearchParams(new FormData(form)),
  });
  if (!answer.ok || new URL(answer.url).pathname.startsWith("/sign-in")) throw new Error("refused");
  const liked = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(liked));
  const number = form.querySelector("[data-likes]");
  if (!number) return;
  const likes = Math.max(0, Number(number.textContent.replaceAll(",", "")) + (liked ? 1 : -1));
  number.textContent = likes.toLocaleString("en");
  form.querySelector("[data-likes-word]").textContent = likes === 1 ? "like" : "likes";
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-like]")) return;
  event.preventDefault();
  if (form.dataset.busy) return;
  form.dataset.busy = "true";
  try {
    await like(form);
  } catch {
    form.submit();
  } finally {
    delete form.dataset.busy;
  }
});

function say(words) {
  const live = document.querySelector("[data-live]");
  const line = document.createElement("p");
  line.className = "visually-hidden";
  line.textContent = words;
  live.append(line);
  setTimeout(() => line.remove(), 4000);
}

// What a form that was sent by script has to say, it leaves for the page that comes next.
const notice = sessionStorage.getItem("notice");
if (notice) {
  sessionStorage.removeItem("notice");
  const line = document.createElement("p");
  line.className = "notice";
  line.textContent = notice;
  document.querySelector("[data-live]").replaceChildren(line);
}

for (const button of find("[data-copy]")) {
  if (!navigator.clipboard) continue;
  const secret = document.getElementById(button.dataset.copy);
  const label = button.querySelector("span");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(secret.textContent);
      label.textContent = "Copied";
      say("Copied");
    } catch {
      getSelection().selectAllChildren(secret);
      label.textContent = "Press Ctrl+C";
    }
  });
}

// The counter appears when the limit comes near.
for (const input of find("[data-counter]")) {
  const limit = input.maxLength;
  const line = document.createElement("p");
  line.className = "counter";
  line.hidden = true;
  input.after(line);
  const count = () => {
    const left = limit - input.value.length;
    line.hidden = left > limit / 4;
    line.textContent = left === 1 ? "1 character left" : `${left} characters left`;
    line.classList.toggle("counter-near", left <= limit / 20);
  };
  input.addEventListener("input", count);
  count();
}

// Pointing at a time shows it in the reader's own zone.
const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });
for (const time of find("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (!isNaN(moment)) time.title = zone.format(moment);
}

// Open menus close on Escape and on a click elsewhere.
const closeMenus = (but) => find("details.menu[open]").forEach((menu) => menu !== but && (menu.open = false));
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.activeElement?.closest("details.menu[open]")?.querySelector("summary").focus();
  closeMenus(null);
});
