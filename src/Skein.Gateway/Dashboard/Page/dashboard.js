// Reads the gateway's overview once a second and shows it. Data goes into the page as text only, never as markup.
import { startPlayground } from "./playground.js";
import { rollout } from "./rollout.js";

const PERIOD_MS = 1000;
const TIMEOUT_MS = 5000;
const PROBE_TIMEOUT_MS = 60000;
const KEY_NAME = "skein-key";
const SVG = "http://www.w3.org/2000/svg";

const byId = id => document.getElementById(id);
let previous = null;
let wasRefused = false;

export function headers() {
  const key = sessionStorage.getItem(KEY_NAME);
  return key ? { authorization: `Bearer ${key}` } : {};
}

export function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function messageOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `status ${response.status}`;
  }
}

async function refresh() {
  try {
    const response = await fetch("/admin/v1/overview", { headers: headers(), signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (response.status === 401 || response.status === 403) {
      show("key needed", "bad");
      if (!wasRefused) openKeyDialog();
      wasRefused = true;
      return;
    }
    if (!response.ok) throw new Error(await messageOf(response));
    wasRefused = false;
    const overview = await response.json();
    render(overview);
    previous = overview;
    show("live", "good");
  } catch (error) {
    show(`not connected: ${error.message}`, "bad");
  } finally {
    setTimeout(refresh, PERIOD_MS);
  }
}

function show(text, className) {
  const line = byId("connection");
  if (line.textContent === text) return;
  line.textContent = text;
  line.className = className;
}

function render(overview) {
  byId("gateway").textContent = `seen by ${overview.gateway || "this gateway"}`;
  renderTiles(overview);
  const replicas = overview.members.filter(member => member.role === "replica" && member.state !== "left");
  const gateways = overview.members.filter(member => member.role === "gateway" && member.state !== "left");
  renderPicture(gateways, replicas);
  renderMembers([...gateways, ...replicas]);
  renderFailovers(overview.failovers);
  renderModels(overview.models);
}

function renderTiles(overview) {
  const alive = overview.members.filter(member => member.role === "replica" && member.state === "alive");
  const ready = alive.filter(member => !member.draining);
  const all = overview.members.filter(member => member.role === "replica" && member.state !== "left");
  const seconds = previous ? (Date.parse(overview.at) - Date.parse(previous.at)) / 1000 : 0;
  const rate = seconds > 0 ? (overview.outputTokens - previous.outputTokens) / seconds : 0;
  const busy = alive.reduce((sum, member) => sum + member.inFlight, 0);
  const slots = alive.reduce((sum, member) => sum + member.slots, 0);
  const tiles = {
    "Replicas ready": `${ready.length}/${all.length}`,
    "Slots busy": `${busy}/${slots}`,
    "Requests here": overview.sessions,
    "Waiting here": overview.waiting,
    "Tokens/s": Math.max(0, rate).toFixed(0),
    "First token p50": milliseconds(overview.firstToken.p50),
    "First token p99": milliseconds(overview.firstToken.p99),
    "Between tokens p50": milliseconds(overview.betweenTokens.p50),
    "Between tokens p99": milliseconds(overview.betweenTokens.p99),
    "Failovers": overview.failoverCount,
    "Failed requests": `${overview.failed}/${overview.requests}`,
  };
  const list = byId("tiles");
  if (list.childElementCount === 0) {
    for (const name of Object.keys(tiles)) {
      const tile = element("div");
      tile.append(element("dt", name), element("dd", ""));
      list.append(tile);
    }
  }
  Object.values(tiles).forEach((value, index) => setText(list.children[index].lastChild, String(value)));
}

function milliseconds(value) {
  return value === 0 ? "–" : value < 1000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function stateOf(member) {
  if (member.state !== "alive") return { text: member.state, level: member.state === "suspect" ? "warn" : "bad" };
  if (member.draining) return { text: "draining", level: "warn" };
  if (member.health && member.health !== "ok") return { text: member.health, level: member.health === "open" ? "bad" : "warn" };
  return { text: "alive", level: "good" };
}

function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function renderPicture(gateways, replicas) {
  const row = 58, width = 720, rows = Math.max(gateways.length, replicas.length, 1), height = rows * row + 10;
  const picture = byId("picture");
  const yOf = (index, count) => 5 + (rows * row) * (index + .5) / Math.max(1, count);
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const lines = [], nodes = [];
  gateways.forEach((gateway, g) => replicas.forEach((replica, r) => lines.push(svg("line", {
    class: gateway.inFlight > 0 && replica.inFlight > 0 && replica.state === "alive" ? "link busy" : "link",
    x1: 230, y1: yOf(g, gateways.length), x2: 470, y2: yOf(r, replicas.length),
  }))));
  const node = (member, x, y) => {
    const state = stateOf(member);
    nodes.push(svg("rect", { class: `node ${state.level}`, x, y: y - 22, width: 220, height: 44, rx: 8 }));
    nodes.push(svg("text", { x: x + 10, y: y - 4 }, shortened(member.name, 26)));
    const detail = member.role === "replica" ? `${state.text} · ${member.inFlight}/${member.slots}` : `${state.text} · ${member.queued} waiting`;
    nodes.push(svg("text", { class: "small", x: x + 10, y: y + 12 }, detail));
    if (member.role !== "replica" || member.slots === 0) return;
    nodes.push(svg("rect", { class: "load-back", x: x + 130, y: y + 5, width: 80, height: 6, rx: 3 }));
    nodes.push(svg("rect", { class: "load", x: x + 130, y: y + 5, width: 80 * Math.min(1, member.inFlight / member.slots), height: 6, rx: 3 }));
  };
  gateways.forEach((gateway, index) => node(gateway, 10, yOf(index, gateways.length)));
  replicas.forEach((replica, index) => node(replica, 470, yOf(index, replicas.length)));
  picture.replaceChildren(...lines, ...nodes);
}

function shortened(text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

// Rows are kept while their member is there: a button must not lose the focus once a second.
function renderMembers(members) {
  const body = byId("members");
  const rows = new Map([...body.children].map(row => [row.dataset.name, row]));
  members.forEach((member, index) => {
    const row = rows.get(member.name) ?? newRow(member);
    rows.delete(member.name);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
    const state = stateOf(member);
    const cells = row.children;
    setText(cells[1], state.text);
    cells[1].className = state.level;
    setText(cells[2], member.role === "replica" ? `${member.inFlight}/${member.slots}` : "");
    setText(cells[3], member.models.length > 0 ? member.models.join(", ") : member.reason);
    setText(cells[4], [member.version, member.revision].filter(text => text).join(" "));
    const [drain, undrain, restart] = cells[5].children;
    if (!drain) return;
    drain.disabled = member.state !== "alive" || member.draining;
    undrain.disabled = member.state !== "alive" || !member.draining;
    restart.disabled = member.state !== "alive";
  });
  for (const gone of rows.values()) gone.remove();
}

function newRow(member) {
  const row = element("tr");
  row.dataset.name = member.name;
  row.append(element("th", member.name), element("td"), element("td"), element("td"), element("td"), element("td", undefined, "actions"));
  row.firstChild.scope = "row";
  if (member.role !== "replica") return row;
  row.lastChild.append(
    action(member.name, "Drain", "drain", () => ({ graceSeconds: askSeconds(member.name) })),
    action(member.name, "Undrain", "undrain", () => ({})),
    action(member.name, "Restart", "restart", () => ({ revision: prompt(`Revision with which ${member.name} starts again:`) ?? undefined })));
  return row;
}

function askSeconds(name) {
  const answer = prompt(`Seconds in which the streams of ${name} may finish before they are moved:`, "30");
  return answer === null || answer.trim() === "" ? undefined : Number(answer);
}

function action(name, label, verb, body) {
  const button = element("button", label);
  button.type = "button";
  button.setAttribute("aria-label", `${label} ${name}`);
  button.addEventListener("click", async () => {
    const sent = body();
    if (Object.values(sent).some(value => value === undefined)) return;
    const result = byId("action-result");
    result.textContent = `${label} ${name} …`;
    try {
      const response = await fetch(`/admin/v1/replicas/${encodeURIComponent(name)}/${verb}`, {
        method: "POST", headers: { ...headers(), "content-type": "application/json" }, body: JSON.stringify(sent), signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      result.textContent = response.ok ? `${label} ${name}: done` : `${label} ${name}: ${await messageOf(response)}`;
      result.className = response.ok ? "good" : "bad";
    } catch (error) {
      result.textContent = `${label} ${name}: ${error.message}`;
      result.className = "bad";
    }
  });
  return button;
}

// A GET without a body.
async function ask(path, body) {
  const signal = AbortSignal.timeout(path.endsWith("/probe") ? PROBE_TIMEOUT_MS : TIMEOUT_MS);
  const sent = body === undefined ? { headers: headers(), signal }
    : { method: "POST", headers: { ...headers(), "content-type": "application/json" }, body: JSON.stringify(body), signal };
  const response = await fetch(path, sent);
  if (!response.ok) throw new Error(await messageOf(response));
  return response.json();
}

async function updateAll() {
  const revision = prompt("Revision to which all replicas are brought, one after the other:")?.trim();
  if (!revision) return;
  const [button, result] = [byId("rollout"), byId("action-result")];
  button.disabled = true;
  result.className = "";
  try {
    const updated = await rollout(revision, ask, text => setText(result, `Rollout to ${revision}: ${text}`));
    setText(result, `Rollout to ${revision}: done, ${updated} replicas updated`);
    result.className = "good";
  } catch (error) {
    setText(result, `Rollout to ${revision} stopped: ${error.message}`);
    result.className = "bad";
  } finally {
    button.disabled = false;
  }
}

function renderFailovers(failovers) {
  const list = byId("failovers");
  const newest = list.dataset.newest ? Number(list.dataset.newest) : 0;
  const last = failovers.at(-1)?.number ?? 0;
  // A gateway that was started again counts from the beginning.
  if (last < newest) list.replaceChildren();
  for (const failover of failovers.filter(each => last < newest || each.number > newest)) {
    const time = new Date(failover.at).toLocaleTimeString();
    list.prepend(element("li", `${time} – request ${failover.request} left ${failover.from} at token ${failover.token}: ${failover.reason}`));
  }
  list.dataset.newest = String(last);
  if (list.childElementCount === 0) list.append(element("li", "none yet", "quiet"));
  else if (last > 0) list.querySelector(".quiet")?.remove();
  while (list.childElementCount > 64) list.lastChild.remove();
}

function renderModels(models) {
  const select = byId("model");
  const known = [...select.options].map(option => option.value);
  if (known.join("\n") === models.join("\n")) return;
  const chosen = select.value;
  select.replaceChildren(...models.map(model => new Option(model, model)));
  if (models.includes(chosen)) select.value = chosen;
}

function openKeyDialog() {
  const dialog = byId("key-dialog");
  byId("key").value = "";
  dialog.showModal();
}

byId("open-key").addEventListener("click", openKeyDialog);
byId("rollout").addEventListener("click", updateAll);
byId("key-dialog").addEventListener("close", event => {
  if (event.target.returnValue !== "use") return;
  const key = byId("key").value.trim();
  if (key) sessionStorage.setItem(KEY_NAME, key);
  else sessionStorage.removeItem(KEY_NAME);
  wasRefused = false;
});
startPlayground();
refresh();
