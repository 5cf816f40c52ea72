// Streams one chat and gives each token the colour of the replica that generated it.
import { element, headers } from "./dashboard.js";

const COLOURS = 8;
const byId = id => document.getElementById(id);

export function startPlayground() {
  let running = null;
  byId("playground").addEventListener("submit", async event => {
    event.preventDefault();
    running?.abort();
    const own = running = new AbortController();
    byId("stop").disabled = false;
    try {
      await answer(own.signal);
    } catch (error) {
      say(own.signal.aborted ? "stopped" : error.message, own.signal.aborted ? "quiet" : "bad");
    } finally {
      if (running === own) byId("stop").disabled = true;
    }
  });
  byId("stop").addEventListener("click", () => running?.abort());
}

function say(text, className) {
  const line = byId("answer-state");
  line.textContent = text;
  line.className = className ?? "";
}

async function answer(signal) {
  const out = new ColouredAnswer();
  say("waiting for the first token …");
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { ...headers(), "content-type": "application/json", "x-skein-show-replica": "1" },
    body: JSON.stringify({
      model: byId("model").value, stream: true, max_tokens: Number(byId("max-tokens").value),
      messages: [{ role: "user", content: byId("prompt").value }],
    }),
    signal,
  });
  if (!response.ok) {
    const problem = await response.json().catch(() => null);
    throw new Error(problem?.error?.message ?? `status ${response.status}`);
  }
  let finish = null;
  for await (const line of linesOf(response.body)) {
    if (line.startsWith(": skein replica=")) {
      out.replica(line.slice(": skein replica=".length));
    } else if (line.startsWith("data: ") && line !== "data: [DONE]") {
      const chunk = JSON.parse(line.slice(6));
      if (chunk.error) throw new Error(chunk.error.message);
      const choice = chunk.choices?.[0];
      const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning;
      if (reasoning) out.text(reasoning, true);
      if (choice?.delta?.content) out.text(choice.delta.content, false);
      finish = choice?.finish_reason ?? finish;
      say(`${out.pieces} pieces`);
    }
  }
  say(finish ? `finished (${finish}), ${out.pieces} pieces, ${out.changes} failovers` : "the stream ended without a finish", finish ? "good" : "bad");
}

async function* linesOf(body) {
  const decoder = new TextDecoder();
  let rest = "";
  for (const reader = body.getReader(); ;) {
    const { done, value } = await reader.read();
    rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
    const lines = rest.split("\n");
    rest = done ? "" : lines.pop();
    yield* lines;
    if (done) return;
  }
}

class ColouredAnswer {
  pieces = 0;
  changes = 0;
  #colours = new Map();
  #current = null;
  #isSeam = false;

  constructor() {
    byId("answer").replaceChildren();
    byId("legend").replaceChildren();
  }

  replica(name) {
    if (this.#current !== null && name !== this.#current) {
      this.changes++;
      this.#isSeam = true;
    }
    this.#current = name;
    if (this.#colours.has(name)) return;
    this.#colours.set(name, this.#colours.size % COLOURS);
    byId("legend").append(element("li", `■ ${name}`, `r${this.#colours.get(name)}`));
  }

  text(text, isReasoning) {
    this.pieces++;
    const box = byId("answer");
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    const piece = element("span", text, `r${this.#colours.get(this.#current) ?? 0}${isReasoning ? " reasoning" : ""}${this.#isSeam ? " seam" : ""}`);
    piece.title = this.#current ?? "";
    this.#isSeam = false;
    box.append(piece);
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }
}
