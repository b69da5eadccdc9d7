// What the simulated phone does without asking the server: taps become actions, sounds play, pictures grow, words are copied.
// An element with `data-do` is an action of the page: its data (and a form's fields) go to the server as they are.
window.sim = (() => {
  "use strict";
  const closest = (event, selector) => event.target.closest?.(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const shown = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

  // --- actions -------------------------------------------------------------------------------------------------------

  function click(event, emit) {
    const stop = closest(event, "[data-copy],[data-jump],[data-enlarge],[data-play],[data-seek],[data-step],[data-pick],[data-local],[data-do]");
    if (!stop || stop.tagName === "FORM") return;
    const data = stop.dataset;
    if (data.copy !== undefined) return copy(stop);
    if (data.jump) return jump(data.jump);
    if (data.enlarge) return enlarge(data.enlarge);
    if (data.play) return play(data.play);
    if (data.seek !== undefined) return seek(event, stop);
    if (data.step) return step(stop);
    if (data.pick) return pick(stop);
    if (data.local) return local[data.local](stop);
    emit({ ...data });
    if (data.do === "tap" || data.do === "say") newest();
  }
  const newest = () => document.querySelector(".sim-talk")?.scrollTo({ top: 0 });

  function submit(event, emit) {
    event.preventDefault();
    const form = event.target;
    const fields = Object.fromEntries(new FormData(form));
    if (form.id === "sim-composer") {
      if (!fields.text.trim()) return;
      form.reset();
      typed(form.elements.text);
      newest();
    }
    emit({ ...form.dataset, ...fields });
  }

  function keydown(event, emit) {
    const box = closest(event, "textarea[name=text]");
    if (box && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      box.form.requestSubmit();
    } else if (event.key === "Escape") {
      emit({ do: "escape" });
    }
  }

  function input(event, emit) {
    if (event.target.name === "text") typed(event.target);
    else if (event.target.id === "sim-search") emit({ do: "search", words: event.target.value });
    else if (closest(event, ".sim-cart")) total(closest(event, ".sim-cart"));
  }

  // --- the message being written -------------------------------------------------------------------------------------

  function typed(box) {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 116)}px`;
    box.form.classList.toggle("typed", box.value.trim() !== "");
    const key = box.form.dataset.draft;
    if (box.value) drafts.set(key, box.value);
    else drafts.delete(key);
  }
  const drafts = new Map();

  function ready() {
    const form = document.getElementById("sim-composer");
    if (form && !form.dataset.ready) {
      form.dataset.ready = "yes";
      const box = form.elements.text;
      box.value = drafts.get(form.dataset.draft) ?? "";
      typed(box);
      if (matchMedia("(hover: hover)").matches) box.focus({ preventScroll: true });
    }
    for (const voice of all(".voice:not([data-ready])")) listen(voice);
    attend();
  }

  // A sheet takes the keyboard when it opens and gives it back when it closes; what is behind it is out of reach.
  let opener = null;
  function enter(head, behind, tries = 60) {
    const first = document.querySelector(".sim-sheet [autofocus]") ?? head.querySelector("button");
    if (!head.isConnected || !first) return;
    behind.inert = true;
    first.focus({ preventScroll: true });
    if (document.activeElement !== first && tries) requestAnimationFrame(() => enter(head, behind, tries - 1)); // not visible yet
  }
  function attend() {
    const head = document.querySelector(".sim-sheet .head");
    const behind = document.querySelector(".sim-place");
    if (head && !head.dataset.ready) {
      head.dataset.ready = "yes";
      if (!opener) opener = document.activeElement;
      enter(head, behind);
    } else if (!head && behind?.inert) {
      behind.inert = false;
      if (opener?.isConnected && (document.activeElement === document.body || !document.activeElement)) opener.focus({ preventScroll: true });
      opener = null;
    }
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement === document.body) document.querySelector(".sim.sheet .sim-sheet [data-do=close]")?.click();
  });

  function write(text) {
    const box = document.getElementById("sim-composer")?.elements.text;
    if (!box) return;
    box.value = text;
    typed(box);
    box.focus();
  }

  // --- messages ------------------------------------------------------------------------------------------------------

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    if ("closes" in button.dataset) document.querySelector(".sim-sheet [data-do=close]")?.click();
    toast("Copied");
  }

  function toast(words) {
    const box = document.getElementById("sim-toast");
    box.textContent = words;
    box.classList.add("on");
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => box.classList.remove("on"), 1800);
  }

  const find = (wamid) => document.querySelector(`.sim-flow [data-wamid="${CSS.escape(wamid)}"]`);

  function jump(wamid) {
    const row = find(wamid);
    if (!row) return toast("That message is no longer here");
    row.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    row.classList.remove("found");
    void row.offsetWidth;
    row.classList.add("found");
  }
  function later(wamid, tries = 40) {
    if (find(wamid)) jump(wamid);
    else if (tries) requestAnimationFrame(() => later(wamid, tries - 1));
  }
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  function enlarge(url) {
    const dialog = document.createElement("dialog");
    dialog.className = "sim-large";
    dialog.setAttribute("aria-label", "Picture");
    const picture = document.createElement("img");
    picture.src = url;
    picture.alt = "";
    const close = document.createElement("button");
    close.type = "button";
    close.ariaLabel = "Close";
    close.textContent = "✕";
    dialog.append(picture, close);
    dialog.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }

  // --- long press and right click open a message's menu --------------------------------------------------------------

  let press = 0;
  const row = (event) => {
    const bubble = closest(event, ".sim-bubble");
    return bubble && !closest(event, "a,input,textarea,video") ? bubble.closest("[data-wamid]:not(.gone)") : null;
  };
  function hold(event, emit) {
    const found = row(event);
    clearTimeout(press);
    if (!found || event.pointerType === "mouse") return;
    press = setTimeout(() => emit({ do: "menu", wamid: found.dataset.wamid }), 480);
  }
  const letGo = () => clearTimeout(press);
  function context(event, emit) {
    const found = row(event);
    if (!found || String(getSelection())) return;
    event.preventDefault();
    clearTimeout(press);
    emit({ do: "menu", wamid: found.dataset.wamid });
  }

  // --- sounds: one plays at a time, and goes on when its bubble is drawn anew ------------------------------------------

  const player = new Audio();
  const heard = new Map();
  const ear = () => (ear.made ??= new (window.AudioContext || window.webkitAudioContext)());

  function play(url) {
    if (player.dataset.url === url && !player.paused) return player.pause();
    if (player.dataset.url !== url) {
      player.dataset.url = url;
      player.src = url;
    }
    player.play().catch(() => toast("This browser cannot play that sound"));
  }

  function seek(event, wave) {
    const url = wave.closest(".voice").dataset.sound;
    const box = wave.getBoundingClientRect();
    const seconds = heard.get(url)?.seconds;
    if (!seconds) return;
    if (player.dataset.url !== url) play(url);
    player.currentTime = ((event.clientX - box.left) / box.width) * seconds;
    progress();
  }

  function progress() {
    for (const voice of all(".voice")) {
      const seconds = heard.get(voice.dataset.sound)?.seconds ?? 0;
      const on = voice.dataset.sound === player.dataset.url && player.currentTime > 0;
      const part = on && seconds ? player.currentTime / seconds : 0;
      const bars = all(".wave i", voice);
      bars.forEach((bar, index) => bar.classList.toggle("on", index < part * bars.length));
      voice.querySelector(".time").textContent = shown(on ? player.currentTime : seconds);
      const playing = on && !player.paused;
      const button = voice.querySelector(".play");
      button.classList.toggle("playing", playing);
      button.ariaPressed = String(playing);
    }
  }
  for (const name of ["timeupdate", "play", "pause", "seeked"]) player.addEventListener(name, progress);
  player.addEventListener("ended", () => {
    player.currentTime = 0;
    progress();
  });

  async function listen(voice) {
    voice.dataset.ready = "yes";
    const url = voice.dataset.sound;
    if (!heard.has(url)) {
      heard.set(url, null);
      try {
        const answer = await fetch(url);
        const sound = await ear().decodeAudioData(await answer.arrayBuffer());
        heard.set(url, { seconds: sound.duration, peaks: peaks(sound.getChannelData(0)) });
      } catch {
        heard.set(url, { seconds: 0, peaks: null }); // not a sound that this browser knows: the bars stay made up
      }
    }
    for (const one of all(".voice")) {
      const known = heard.get(one.dataset.sound);
      if (known?.peaks) all(".wave i", one).forEach((bar, index) => (bar.style.height = `${known.peaks[index]}%`));
    }
    progress();
  }

  function peaks(samples, count = 34) {
    const width = Math.max(1, Math.floor(samples.length / count));
    const found = Array.from({ length: count }, (_, index) => {
      let most = 0;
      for (let at = index * width; at < (index + 1) * width && at < samples.length; at += 16) most = Math.max(most, Math.abs(samples[at]));
      return most;
    });
    const top = Math.max(...found, 0.001);
    return found.map((one) => Math.round(14 + (one / top) * 82));
  }

  // --- files and the microphone --------------------------------------------------------------------------------------

  function uploader(name) {
    return getElement(document.querySelector(`[data-uploader=${name}]`).id.slice(1)).$refs.qRef;
  }

  function pick(button) {
    const chosen = document.getElementById("sim-files");
    chosen.accept = button.dataset.pick;
    chosen.onchange = () => {
      if (chosen.files.length) uploader(button.dataset.as ?? "file").addFiles([...chosen.files]);
      chosen.value = "";
    };
    chosen.click();
  }

  let recording = null;
  const local = {
    async record() {
      if (!navigator.mediaDevices || !window.MediaRecorder) return toast("No microphone here: attach an audio file");
      let stream;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      } catch {
        return toast("No microphone: allow it, or attach an audio file");
      }
      const kinds = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4"];
      const mimeType = kinds.find((kind) => MediaRecorder.isTypeSupported(kind));
      const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
      const parts = [];
      recorder.ondataavailable = (event) => parts.push(event.data);
      recording = { recorder, parts, stream, since: Date.now(), timer: setInterval(tick, 250) };
      recorder.start(500);
      document.getElementById("sim-composer").classList.add("recording");
      tick();
    },
    discard() {
      stop();
    },
    keep() {
      const { recorder, parts } = recording;
      recorder.onstop = () => {
        const type = recorder.mimeType.split(";")[0] || "audio/webm";
        uploader("voice").addFiles([new File(parts, `voice-note.${type.split("/")[1]}`, { type })]);
      };
      stop();
    },
    down() {
      document.querySelector(".sim-talk")?.scrollTo({ top: 0, behavior: calm() ? "auto" : "smooth" });
    },
    where() {
      if (!navigator.geolocation) return toast("This browser does not tell where it is");
      navigator.geolocation.getCurrentPosition(
        ({ coords }) => {
          const form = document.querySelector(".sim-sheet form[data-do=send-place]");
          if (!form) return;
          form.elements.latitude.value = coords.latitude.toFixed(6);
          form.elements.longitude.value = coords.longitude.toFixed(6);
        },
        () => toast("This browser may not tell where it is"),
      );
    },
  };

  function tick() {
    if (!recording) return;
    const clock = document.querySelector("#sim-composer .recorded");
    if (clock) clock.textContent = shown((Date.now() - recording.since) / 1000);
  }

  function stop() {
    clearInterval(recording.timer);
    recording.recorder.stop();
    recording.stream.getTracks().forEach((track) => track.stop());
    recording = null;
    document.getElementById("sim-composer")?.classList.remove("recording");
  }

  // --- a cart --------------------------------------------------------------------------------------------------------

  function step(button) {
    const count = button.parentElement.querySelector("input");
    count.value = Math.min(99, Math.max(0, Number(count.value || 0) + Number(button.dataset.step)));
    total(button.closest(".sim-cart"));
  }

  function total(cart) {
    let items = 0;
    let minor = 0;
    for (const count of all("input[type=number]", cart)) {
      const quantity = Math.max(0, Number(count.value) || 0);
      items += quantity;
      minor += quantity * Number(count.dataset.price);
      count.parentElement.classList.toggle("some", quantity > 0);
    }
    const button = cart.querySelector("button.sim-solid");
    button.disabled = items === 0;
    const money = new Intl.NumberFormat("pt-BR", { style: "currency", currency: "BRL" }).format(minor / 100);
    button.querySelector("[data-total]").textContent = items ? ` · ${items} · ${money}` : "";
  }

  // --- scrolling -----------------------------------------------------------------------------------------------------

  function scrolled(event) {
    const talk = event.target;
    if (talk.classList?.contains("sim-talk")) talk.parentElement.classList.toggle("scrolled", talk.scrollTop < -160);
  }

  document.addEventListener("scroll", scrolled, true);
  document.addEventListener("pointerup", letGo);
  document.addEventListener("pointercancel", letGo);
  document.addEventListener("pointermove", (event) => {
    if (Math.abs(event.movementX) + Math.abs(event.movementY) > 6) letGo();
  });
  const start = () => {
    new MutationObserver(ready).observe(document.body, { childList: true, subtree: true });
    ready();
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);

  return { click, submit, keydown, input, hold, context, toast, write, later };
})();
