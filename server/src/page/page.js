// The first page: prices and alerts as they come over the WebSocket, with what the API has before that.
"use strict";

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_ALERTS = 20;
const MAX_WAIT_MS = 30_000;
// The server says something at least every 30 s.
const SILENCE_MS = 75_000;

const byId = (id) => document.getElementById(id);
const cards = new Map();
const alerts = new Map();
let attempt = 0;

function price(value) {
  const digits = value >= 1000 ? 2 : value >= 1 ? 4 : 8;
  return value.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: digits });
}

function percent(value) {
  return `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(2)} %`;
}

function showSource(source) {
  if (source !== undefined) byId("simulated").hidden = source !== "simulated";
}

function showConnection(state, text) {
  const status = byId("connection");
  status.dataset.state = state;
  status.textContent = text;
}

function cardOf(symbol) {
  if (cards.has(symbol)) return cards.get(symbol);
  const element = byId("card").content.firstElementChild.cloneNode(true);
  element.querySelector("h3").textContent = symbol;
  const card = { element, base: null, since: "", time: 0 };
  cards.set(symbol, card);
  const after = [...cards.keys()].filter((other) => other > symbol).sort()[0];
  byId("prices").insertBefore(element, after === undefined ? null : cards.get(after).element);
  byId("empty").hidden = true;
  findBase(symbol, card);
  return card;
}

// The price a day ago, or the oldest there is; until it is known, the first price this page has seen.
async function findBase(symbol, card) {
  const start = Date.now() - DAY_MS;
  const query = `interval=15m&limit=1&order_by=asc&start_time=${start}`;
  const answer = await get(`/api/v1/historical/${encodeURIComponent(symbol)}?${query}`);
  if (!answer || answer.length === 0) return;
  const from = Date.parse(answer[0].window_start);
  card.base = answer[0].open_price;
  card.since = from - start < 30 * 60 * 1000 ? "24 h" : `since ${new Date(from).toLocaleTimeString()}`;
  showChange(card);
}

function showChange(card) {
  if (card.base === null || card.price === undefined) return;
  const change = (card.price / card.base - 1) * 100;
  const line = card.element.querySelector(".change");
  line.textContent = `${percent(change)} ${card.since}`;
  line.className = `change ${change >= 0 ? "up" : "down"}`;
}

function showPrice(symbol, close, time) {
  const card = cardOf(symbol);
  // A correction of an older candle says nothing of the price now.
  if (time < card.time) return;
  card.time = time;
  card.price = close;
  if (card.base === null) {
    card.base = close;
    card.since = "since this page was opened";
  }
  card.element.querySelector(".price").textContent = price(close);
  card.element.querySelector(".updated").textContent = `updated ${new Date(time).toLocaleTimeString()}`;
  showChange(card);
}

function showAlert(alert) {
  alerts.set(alert.alert_id, alert);
  const newest = [...alerts.values()].sort((a, b) => b.window_start.localeCompare(a.window_start));
  newest.slice(MAX_ALERTS).forEach((old) => alerts.delete(old.alert_id));
  byId("alerts").replaceChildren(...newest.slice(0, MAX_ALERTS).map(alertLine));
  byId("no-alerts").hidden = alerts.size > 0;
}

function alertLine(alert) {
  const line = document.createElement("li");
  const add = (name, text) => {
    const part = document.createElement(name);
    part.textContent = text;
    line.append(part);
    return part;
  };
  const time = add("time", new Date(alert.window_end).toLocaleTimeString());
  time.dateTime = alert.window_end;
  add("strong", alert.symbol);
  // The stored alert and the published one name the change differently.
  const change = alert.price_change_pct ?? alert.price_change_percent;
  const direction = alert.alert_type === "PRICE_SPIKE" ? "up" : "down";
  add("span", `${direction} ${percent(change)}`).className = direction;
  add("span", `z ${alert.z_score.toFixed(1)}, ${alert.severity.toLowerCase()}`);
  if (alert.status === "retracted") {
    line.className = "retracted";
    add("span", "retracted");
  }
  return line;
}

async function get(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

async function load() {
  const [latest, recent] = await Promise.all([get("/api/v1/latest/all"), get("/api/v1/alerts?limit=20")]);
  if (latest) {
    showSource(latest.source);
    Object.values(latest.prices).forEach((each) => {
      showPrice(each.symbol, each.close, Date.parse(each.event_time));
    });
  }
  if (recent) recent.alerts.forEach(showAlert);
}

function take(frame) {
  showSource(frame.source);
  if (frame.type === "initial_data" || frame.type === "price_update") {
    showPrice(frame.symbol, frame.data.close, frame.data.eventTime);
  } else if (frame.type === "alert") {
    showAlert(frame.data);
  } else if (frame.type === "resync_required") {
    load();
  }
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/prices/ALL`);
  let silence;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => socket.close(), SILENCE_MS);
  };
  heard();
  socket.addEventListener("open", () => {
    attempt = 0;
    showConnection("open", "live");
    load();
  });
  socket.addEventListener("message", (message) => {
    heard();
    take(JSON.parse(message.data));
  });
  socket.addEventListener("close", () => {
    clearTimeout(silence);
    const wait = Math.min(MAX_WAIT_MS, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
    attempt += 1;
    showConnection("waiting", `disconnected, trying again in ${Math.ceil(wait / 1000)} s`);
    setTimeout(() => {
      showConnection("connecting", "connecting …");
      connect();
    }, wait);
  });
}

load();
connect();
