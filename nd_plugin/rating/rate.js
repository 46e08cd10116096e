/* Rating page: shows one question after the other, and sends each answer to the server or keeps it
   for a file. Answers are in the browser's storage until the server has saved them. */
const study = JSON.parse(document.getElementById("study").textContent);
const element = (id) => document.getElementById(id);
const RETRY_MILLISECONDS = 2000;
const SECOND_TAP_MILLISECONDS = 250; // a double tap is one answer
const questionOf = new Map(study.questions.map((question) => [question.id, question]));

let rater = "";
let order = []; // identifiers of questions, in this rater's order
let position = 0;
let answers = {}; // of this rater, by question: {answer, time}
let unsent = {}; // answers that the server has not saved yet
let isSending = false;

/* storage: an entry for each answer, of this study and rater */
const storageName = (kind, id = "") => `nd-rate/${study.study}/${encodeURIComponent(rater)}/${kind}/${id}`;
function store(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false; // full, or forbidden
  }
}
function forget(name) {
  try { localStorage.removeItem(name); } catch { /* forbidden */ }
}
function stored(name, otherwise) {
  try { return JSON.parse(localStorage.getItem(name)) ?? otherwise; } catch { return otherwise; }
}
function storedAnswers(kind) {
  const kept = {};
  for (const id of questionOf.keys()) {
    const vote = stored(storageName(kind, id), null);
    if (vote !== null) kept[id] = vote;
  }
  return kept;
}

/* order: by a hash of rater and question, so that it is random, and the same after a reload */
function hash(text) {
  let value = 2166136261;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 16777619);
  }
  value = Math.imul(value ^ (value >>> 16), 2246822507);
  value = Math.imul(value ^ (value >>> 13), 3266489909);
  return (value ^ (value >>> 16)) >>> 0;
}
function shuffled(identifiers) {
  const keys = new Map(identifiers.map((id) => [id, hash(`${rater}/${id}`)]));
  return [...identifiers].sort((a, b) => keys.get(a) - keys.get(b) || (a < b ? -1 : 1));
}

/* server */
async function post(path, content) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
    credentials: "same-origin",
  });
  if (!response.ok) {
    const reason = await response.text();
    throw Object.assign(new Error(reason), { status: response.status });
  }
  return response.json();
}

async function sendUnsent() {
  if (isSending || !study.served) return;
  isSending = true;
  try {
    for (let id = Object.keys(unsent)[0]; id; id = Object.keys(unsent)[0]) {
      const vote = unsent[id];
      await post("vote", { rater, question: id, answer: vote.answer });
      // an answer changed meanwhile stays to be sent
      if (unsent[id] === vote) {
        delete unsent[id];
        forget(storageName("unsent", id));
      }
    }
    say(count(answers) ? "All answers are saved." : "");
    showDoneText();
  } catch (error) {
    warn(reasonOf(error));
    setTimeout(sendUnsent, RETRY_MILLISECONDS);
  } finally {
    isSending = false;
  }
}

function reasonOf(error) {
  const waiting = count(unsent);
  const kept = `${waiting} answer${waiting === 1 ? " is" : "s are"} kept in this browser`;
  if (error.status === 403) return `The server asks for the address with its key: open it again. ${kept}.`;
  if (error.status) return `Not saved: ${error.message} ${kept}.`;
  return `The server does not answer. ${kept} and will be sent when it does.`;
}

/* what is shown */
const count = (things) => Object.keys(things).length;
function say(text) {
  element("status").textContent = text;
  element("status").classList.remove("is-warning");
}
function warn(text) {
  element("status").textContent = text;
  element("status").classList.add("is-warning");
}
function show(name) {
  for (const section of ["welcome", "rating", "done"]) element(section).hidden = section !== name;
}

function showPictures(question) {
  const images = question.pictures.map((url, index) => {
    const image = document.createElement("img");
    image.alt = `image ${index + 1} of ${question.pictures.length}, with highlighted patches`;
    image.decoding = "async";
    image.addEventListener("error", () => setTimeout(() => {
      if (image.isConnected) image.src = url; // the server may be back
    }, RETRY_MILLISECONDS));
    image.src = url;
    return image;
  });
  element("pictures").replaceChildren(...images);
  acceptAnswersWhenSeen(images);
}

/* Answers are taken when all pictures are there, and not from the second tap of a double one. */
async function acceptAnswersWhenSeen(images) {
  const section = element("rating");
  section.dataset.ready = "false";
  const loaded = images.map((image) => new Promise((resolve) => {
    if (image.complete && image.naturalWidth) resolve();
    else image.addEventListener("load", resolve, { once: true });
  }));
  const pause = new Promise((resolve) => setTimeout(resolve, SECOND_TAP_MILLISECONDS));
  await Promise.all([...loaded, pause]);
  if (images.every((image) => image.isConnected)) section.dataset.ready = "true";
}

function fetchAhead() {
  const next = questionOf.get(order[position + 1]);
  for (const url of next ? next.pictures : []) new Image().src = url;
}

function showQuestion() {
  if (position >= order.length) { showDone(); return; }
  const question = questionOf.get(order[position]);
  show("rating");
  element("phrase").textContent = `“${question.phrase}”`;
  showPictures(question);
  const answer = answers[question.id]?.answer;
  element("yes").setAttribute("aria-pressed", String(answer === "yes"));
  element("no").setAttribute("aria-pressed", String(answer === "no"));
  element("back").disabled = position === 0;
  element("forward").disabled = answer === undefined;
  showProgress();
  fetchAhead();
}

function showProgress() {
  const answered = count(answers);
  element("progress").max = order.length;
  element("progress").value = answered;
  element("place").hidden = false;
  const place = Math.min(position + 1, order.length);
  element("place").textContent = `question ${place} of ${order.length}, ${answered} answered`;
  const saveText = element("save-text");
  if (saveText) {
    element("save-line").hidden = answered === 0;
    const latest = Object.values(answers).map((vote) => vote.time).sort().at(-1) ?? "";
    const isSaved = latest <= stored(storageName("saved"), "");
    saveText.textContent = isSaved ? "All are saved in the file." : "Not saved to a file yet.";
  }
}

function showDone() {
  show("done");
  showProgress();
  showDoneText();
  element("done-title").focus();
}

function showDoneText() {
  const served = count(unsent) === 0
    ? "Your answers are with the server; you can close this page."
    : "Your answers are on their way to the server.";
  const toFile = "Save your votes to a file now, and send it to those who asked you.";
  element("done-text").textContent = study.served ? served : toFile;
}

/* steps */
function firstOpen() {
  const open = order.findIndex((id) => answers[id] === undefined);
  return open < 0 ? order.length : open;
}

function answerWith(answer) {
  const id = order[position];
  const section = element("rating");
  if (section.hidden || section.dataset.ready !== "true") return;
  const vote = { answer, time: new Date().toISOString() };
  answers[id] = vote;
  const isKept = store(storageName(study.served ? "unsent" : "answers", id), vote);
  if (study.served) {
    unsent[id] = vote;
    if (!element("status").classList.contains("is-warning")) say("Saving …");
    sendUnsent();
  } else if (!isKept) {
    warn("This browser keeps no answers: save them to a file before you close the page.");
  }
  position += 1;
  showQuestion();
}

function move(step) {
  if (element("rating").hidden) return;
  if (step > 0 && answers[order[position]] === undefined) return;
  position = Math.max(0, position + step);
  showQuestion();
}

async function join(name) {
  rater = name;
  answers = storedAnswers("answers");
  unsent = storedAnswers("unsent");
  if (study.served) {
    try {
      const session = await post("session", { rater });
      for (const [id, answer] of Object.entries(session.answers)) answers[id] = { answer };
    } catch (error) {
      warn(error.status === 400 ? error.message : reasonOf(error));
      show("welcome");
      return;
    }
  }
  Object.assign(answers, unsent);
  store(`nd-rate/${study.study}/rater`, rater);
  element("rater-line").hidden = false;
  element("rater-name").textContent = rater;
  order = shuffled(study.questions.map((question) => question.id));
  position = firstOpen();
  showQuestion();
  sendUnsent();
}

/* file of votes */
function saveFile() {
  const votes = Object.entries(answers).map(([question, vote]) => ({ question, ...vote }));
  const content = { format: study.format, study: study.study, rater, votes };
  const file = new Blob([JSON.stringify(content, null, 1)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `votes-${rater.replace(/[^\p{L}\p{N}]+/gu, "-")}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
  store(storageName("saved"), new Date().toISOString());
  showProgress();
}

element("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = element("rater").value.trim();
  if (name) join(name);
});
element("yes").addEventListener("click", () => answerWith("yes"));
element("no").addEventListener("click", () => answerWith("no"));
element("back").addEventListener("click", () => move(-1));
element("forward").addEventListener("click", () => move(1));
element("review").addEventListener("click", () => { position = 0; showQuestion(); });
element("save")?.addEventListener("click", saveFile);
element("change-rater").addEventListener("click", () => {
  show("welcome");
  element("rater-line").hidden = true;
  element("place").hidden = true;
  element("rater").value = "";
  element("rater").focus();
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, textarea, select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const steps = {
    y: () => answerWith("yes"),
    n: () => answerWith("no"),
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
  };
  const step = steps[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (step) { event.preventDefault(); step(); }
});

const known = stored(`nd-rate/${study.study}/rater`, "");
if (known) join(known); else show("welcome");
