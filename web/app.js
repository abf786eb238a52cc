// The page: lists what is live, plays one stream, and says in words what is wrong when something is.
//
// Names come from the network. They are shown by textContent and put into addresses by encodeURIComponent, and go
// nowhere else. For tests and curious scripts the root element's data-state says what the page is doing: "starting",
// "empty", "list", "loading", "playing", "blocked" (the browser wants a click), "ended" or "error"; data-via says how it
// plays.
"use strict";

const REFRESH_MS = 2000;
const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const video = byId("video");

const shown = {
  /** Of `/api/v1/server`. */
  server: null,
  /** Of `/api/v1/streams`, the live ones. */
  streams: [],
  /** `{app, name}` of what is to be played, or null. */
  wanted: null,
  /** "flv", "ws" (FLV over WebSocket; by address only) or "hls". */
  via: null,
  /** When the publication that is played began; a new one is a new stream. */
  since: null,
  /** What is loaded into the video element: `{kind, stop, delay}`. */
  player: null,
};

// --- words and numbers -----------------------------------------------------------------------------------------

function bits(rate) {
  if (!rate) return "0";
  if (rate >= 1e9) return `${(rate / 1e9).toFixed(2)} Gb/s`;
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(1)} Mb/s`;
  return `${Math.round(rate / 1e3)} kb/s`;
}

function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(whole % 60)}`;
  return `${minutes}:${two(whole % 60)}`;
}

const CODECS = { h264: "H.264", hevc: "HEVC", av1: "AV1", vp9: "VP9", aac: "AAC", mp3: "MP3", opus: "Opus" };
const codec = (track) => CODECS[track.codec] ?? track.codec;
const track = (stream, kind) => stream.tracks.find((known) => known.kind === kind);

function picture(stream) {
  const [pictures, sound] = [track(stream, "video"), track(stream, "audio")];
  const words = [];
  if (pictures) {
    words.push(`${pictures.width}×${pictures.height}`);
    if (pictures.fps) words.push(`${Math.round(pictures.fps * 100) / 100} fps`);
    words.push(codec(pictures));
  }
  if (sound) words.push(codec(sound));
  return words.length ? words.join(" · ") : "waiting for pictures and sound";
}

const viewers = (count) => (count === 1 ? "1 viewer" : `${count} viewers`);
const isSame = (a, b) => Boolean(a && b && a.app === b.app && a.name === b.name);
const label = (key) => `${key.app}/${key.name}`;
const path = (key) => `${encodeURIComponent(key.app)}/${encodeURIComponent(key.name)}`;

function rtmp(rest) {
  const port = shown.server?.rtmp_port;
  return `rtmp://${location.hostname}${port && port !== 1935 ? `:${port}` : ""}/${rest}`;
}

// --- what the server says --------------------------------------------------------------------------------------

async function ask(address) {
  const response = await fetch(address, { cache: "no-store" });
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).trim()}`);
  return response.json();
}

let refreshing = null;

async function refresh() {
  clearTimeout(refreshing);
  try {
    const [server, all] = await Promise.all([ask("/api/v1/server"), ask("/api/v1/streams")]);
    shown.server = server;
    shown.streams = all.streams.filter((stream) => stream.live);
    byId("offline").hidden = true;
    show();
  } catch (error) {
    byId("offline").textContent = `The server does not answer (${error.message}). Asking again.`;
    byId("offline").hidden = false;
  }
  if (!document.hidden) refreshing = setTimeout(refresh, REFRESH_MS);
}

function show() {
  showTotals();
  showList();
  const stream = shown.streams.find((known) => isSame(known, shown.wanted));
  const isEmpty = shown.streams.length === 0;
  byId("live").hidden = isEmpty;
  byId("empty").hidden = !isEmpty || shown.wanted !== null;
  byId("stage").hidden = shown.wanted === null;
  if (shown.wanted === null) {
    state(isEmpty ? "empty" : "list");
    return;
  }
  showStage(stream);
  if (!stream) {
    // What a player still holds is played to its end. FLV does not tell of it while the server waits for a return.
    if (shown.player && shown.player.kind !== "hls" && !(shown.player.delay() > 0.3)) stop();
    if (!shown.player) ended(`Nobody publishes ${label(shown.wanted)} at the moment. It starts here when someone does.`);
  } else if (shown.player?.kind === "hls" && root.dataset.state === "playing") {
    // A publisher that returns goes on in the same playlists, or the player will find that they are over.
    shown.since = stream.since;
  } else if (stream.since !== shown.since || (root.dataset.state === "ended" && !shown.player)) {
    play(stream);
  }
}

function showTotals() {
  const { server } = shown;
  byId("total-streams").textContent = server.streams;
  byId("total-viewers").textContent = server.viewers;
  byId("total-in").textContent = bits(server.bitrate_in);
  byId("total-out").textContent = bits(server.bitrate_out);
  byId("total-uptime").textContent = span(server.uptime_seconds);
  byId("version").textContent = `streammill ${server.version}`;
  byId("obs-server").value = rtmp("live");
  byId("ffmpeg-line").textContent = [
    "ffmpeg -re -f lavfi -i testsrc2=s=1280x720:r=30 \\",
    "  -f lavfi -i sine=r=48000 \\",
    "  -c:v libx264 -preset veryfast -g 60 \\",
    "  -pix_fmt yuv420p -c:a aac \\",
    `  -f flv ${rtmp("live/test")}`,
  ].join("\n");
}

const rows = new Map();

function showList() {
  const list = byId("streams");
  const gone = new Set(rows.keys());
  for (const stream of shown.streams) {
    const key = label(stream);
    gone.delete(key);
    let row = rows.get(key);
    if (!row) {
      row = byId("stream-template").content.firstElementChild.cloneNode(true);
      rows.set(key, row);
    }
    const link = row.querySelector("a");
    link.href = `/preview/${path(stream)}`;
    if (isSame(stream, shown.wanted)) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    link.onclick = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      go(stream, null);
    };
    row.querySelector(".stream-name").textContent = key;
    row.querySelector(".stream-viewers").textContent = viewers(stream.viewers);
    row.querySelector(".stream-picture").textContent = picture(stream);
    row.querySelector(".stream-rate").textContent = bits(stream.bitrate_in);
    row.querySelector(".stream-time").textContent = span(stream.uptime_seconds);
    list.append(row);
  }
  for (const key of gone) {
    rows.get(key).remove();
    rows.delete(key);
  }
}

function showStage(stream) {
  document.title = `${label(shown.wanted)} – streammill`;
  byId("title").textContent = label(shown.wanted);
  byId("subtitle").textContent = stream ? about(stream) : "";
  byId("figure-rate").textContent = stream ? bits(stream.bitrate_in) : "–";
  byId("url-rtmp").value = rtmp(label(shown.wanted));
  byId("url-flv").value = `${location.origin}/${path(shown.wanted)}.flv`;
  byId("url-hls").value = `${location.origin}/${path(shown.wanted)}.m3u8`;
  byId("row-hls").hidden = Boolean(stream && !hasHls(stream));
  for (const choice of document.getElementsByName("via")) {
    choice.checked = choice.value === shown.via;
    choice.disabled = choice.value === "hls" && Boolean(stream) && !hasHls(stream);
  }
}

/** A pipeline may still be starting; then HLS is to come. */
function hasHls(stream) {
  return Boolean(stream.play.hls) || stream.uptime_seconds < 10;
}

function about(stream) {
  const words = [picture(stream), viewers(stream.viewers), `live for ${span(stream.uptime_seconds)}`];
  if (stream.publisher?.encoder) words.push(`from ${stream.publisher.encoder}`);
  return words.join(" · ");
}

// --- playing ---------------------------------------------------------------------------------------------------

function state(name) {
  root.dataset.state = name;
}

function say(name, text, canRetry) {
  state(name);
  byId("veil-text").textContent = text;
  byId("retry").hidden = !canRetry;
}

function stop() {
  shown.player?.stop();
  shown.player = null;
  video.removeAttribute("src");
  video.load();
}

function ended(text) {
  stop();
  say("ended", text, false);
}

function failed(text) {
  stop();
  say("error", text, true);
}

const scripts = new Map();

/** Loads a player's script once, when it is first needed. */
function script(address) {
  if (!scripts.has(address)) {
    scripts.set(address, new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = address;
      element.onload = resolve;
      element.onerror = () => reject(new Error(`${address} cannot be loaded`));
      document.head.append(element);
    }));
  }
  return scripts.get(address);
}

async function play(stream) {
  stop();
  shown.since = stream.since;
  root.dataset.via = shown.via;
  say("loading", `Starting ${label(stream)}…`, false);
  const ticket = { kind: shown.via, stop() {}, delay: () => null };
  shown.player = ticket;
  try {
    if (shown.via !== "hls") await playFlv(stream, ticket);
    else await playHls(stream, ticket);
  } catch (error) {
    if (shown.player === ticket) failed(`${error.message}`);
    return;
  }
  if (shown.player !== ticket) return;
  video.muted = video.muted || !navigator.userActivation?.hasBeenActive;
  video.play().catch(() => {
    // Browsers that forbid even silent playback wait for the viewer's own click on the controls.
    if (shown.player === ticket && video.paused) state("blocked");
  });
}

async function playFlv(stream, ticket) {
  await script("/assets/vendor/mpegts.js");
  if (shown.player !== ticket) return;
  if (!mpegts.isSupported()) throw new Error("This browser cannot play FLV. Choose HLS.");
  const origin = shown.via === "ws" ? location.origin.replace(/^http/, "ws") : location.origin;
  const source = { type: "flv", isLive: true, url: `${origin}/${path(stream)}.flv` };
  source.hasVideo = stream.tracks.length ? Boolean(track(stream, "video")) : undefined;
  source.hasAudio = stream.tracks.length ? Boolean(track(stream, "audio")) : undefined;
  const player = mpegts.createPlayer(source, {
    enableStashBuffer: false,
    liveSync: true,
    liveSyncMaxLatency: 1.5,
    liveSyncTargetLatency: 0.7,
    autoCleanupSourceBuffer: true,
  });
  ticket.stop = () => player.destroy();
  ticket.delay = () => (video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : null);
  player.on(mpegts.Events.LOADING_COMPLETE, () => {
    if (shown.player === ticket) ended("The stream has ended. It goes on here when it comes back.");
  });
  player.on(mpegts.Events.ERROR, (kind, detail, info) => {
    if (shown.player === ticket) failed(`FLV playback failed: ${info?.msg ?? detail ?? kind}. HLS may work.`);
  });
  player.attachMediaElement(video);
  player.load();
}

async function playHls(stream, ticket) {
  const address = `/${path(stream)}.m3u8`;
  await script("/assets/vendor/hls.min.js");
  if (shown.player !== ticket) return;
  if (!Hls.isSupported()) {
    if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new Error("This browser cannot play HLS.");
    ticket.stop = () => video.removeAttribute("src");
    video.src = address;
    return;
  }
  const player = new Hls({ liveSyncDurationCount: 2, maxLiveSyncPlaybackRate: 1.1, backBufferLength: 30 });
  ticket.stop = () => player.destroy();
  ticket.delay = () => (player.latency > 0 ? player.latency : null);
  let recoveries = 0;
  player.on(Hls.Events.ERROR, (_, data) => {
    if (!data.fatal || shown.player !== ticket) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && recoveries < 3) {
      recoveries += 1;
      player.recoverMediaError();
    } else if (data.response?.code === 404 && data.details !== Hls.ErrorDetails.MANIFEST_LOAD_ERROR) {
      // The stream came back with other tracks; that is another presentation, which is looked for anew.
      ended("The stream has changed. Looking for it again…");
    } else {
      failed(hlsError(data));
    }
  });
  player.loadSource(address);
  player.attachMedia(video);
}

function hlsError(data) {
  switch (data.response?.code) {
    case 404: return "There is no HLS of this stream. Its app may have no HLS pipeline; FLV plays it all the same.";
    case 503: return "The stream has just begun and has no HLS segment yet. Try again in a moment.";
    default: return `HLS playback failed: ${data.details}. FLV may work.`;
  }
}

video.addEventListener("playing", () => {
  if (!shown.player) return;
  state("playing");
  byId("unmute").hidden = !video.muted;
});

video.addEventListener("ended", () => {
  if (shown.player) ended("The stream has ended. It goes on here when it comes back.");
});

video.addEventListener("volumechange", () => {
  byId("unmute").hidden = !video.muted;
});

setInterval(() => {
  if (root.dataset.state !== "playing") return;
  const delay = shown.player?.delay();
  byId("figure-delay").textContent = delay === null || delay === undefined ? "–" : `${delay.toFixed(1)} s`;
  byId("figure-size").textContent = video.videoWidth ? `${video.videoWidth}×${video.videoHeight}` : "sound only";
  const quality = video.getVideoPlaybackQuality();
  byId("figure-lost").textContent = `${quality.droppedVideoFrames} of ${quality.totalVideoFrames}`;
}, 500);

// --- where the page is -----------------------------------------------------------------------------------------

/** Reads the address: what is wanted, and how. */
function locate() {
  const parts = location.pathname.split("/").slice(1);
  shown.wanted = null;
  if (parts[0] === "preview" && parts.length >= 3) {
    try {
      shown.wanted = { app: decodeURIComponent(parts[1]), name: parts.slice(2).map(decodeURIComponent).join("/") };
    } catch {
      // An address that cannot be decoded names no stream.
    }
  }
  const via = new URLSearchParams(location.search).get("via");
  shown.via = ["flv", "ws", "hls"].includes(via) ? via : (shown.via ?? preferred());
}

/** FLV has the least delay; where the browser has no Media Source Extensions, as on iPhones, HLS plays by itself. */
function preferred() {
  return "MediaSource" in window ? "flv" : "hls";
}

function go(key, via) {
  const query = via ? `?via=${via}` : location.search;
  history.pushState(null, "", key ? `/preview/${path(key)}${query}` : "/");
  arrive();
}

function arrive() {
  stop();
  locate();
  shown.since = null;
  if (shown.wanted) {
    root.dataset.via = shown.via;
    say("loading", `Looking for ${label(shown.wanted)}…`, false);
  } else {
    document.title = "streammill";
  }
  if (shown.server) show();
}

for (const choice of document.getElementsByName("via")) {
  choice.addEventListener("change", () => go(shown.wanted, choice.value));
}

byId("retry").addEventListener("click", () => {
  shown.since = null;
  show();
});

byId("unmute").addEventListener("click", () => {
  video.muted = false;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = byId(button.dataset.copy);
  const text = source.value ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Without a secure context there is no clipboard: select it, and the reader's own keys do the rest.
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});

window.addEventListener("popstate", arrive);

arrive();
refresh();
