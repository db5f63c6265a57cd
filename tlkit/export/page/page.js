'use strict';
// What people see. The worker computes; see engine.js.

const $ = id => document.getElementById(id);
const head = JSON.parse($('head').textContent);
const answers = []; // {file, url, card, out} or {file, url, card, error}, in the order in which they were given
const queue = []; // entries of answers that wait
let worker, ready = false;
let busy = null; // gets the answer that the worker is at
const asked = { keep: false }; // tests set it to get the prepared pixels too

const percent = p => `${(100 * p).toFixed(1)} %`;
const number = v => String(Number(v.toPrecision(4)));
const plural = (n, what) => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;

function element(name, { text, ...rest } = {}, ...children) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  for (const [key, value] of Object.entries(rest)) e[key] = value;
  e.append(...children);
  return e;
}

// Loading

// file gives the content of one of the files beside this page, or of one inside it.
async function file({ name, bytes, version }, progress) {
  const inside = document.querySelectorAll(`script[data-file="${name}"]`);
  if (inside.length) return unpack(inside, progress);
  const response = await fetch(`${name}?${version}`);
  if (!response.ok) throw new Error(`${name} cannot be loaded: ${response.status} ${response.statusText}`);
  const data = new Uint8Array(bytes);
  const reader = response.body.getReader();
  let at = 0;
  for (let part; !(part = await reader.read()).done; at += part.value.length) {
    if (at + part.value.length > bytes) throw new Error(`${name} is longer than it was when it was exported`);
    data.set(part.value, at);
    progress(part.value.length);
  }
  if (at !== bytes) throw new Error(`${name} has ${at} bytes, want ${bytes}: it is damaged or of another export`);
  return data.buffer;
}

// unpack joins what single-file.html holds of a file: base64, compressed or not.
async function unpack(elements, progress) {
  const parts = [];
  for (const e of elements) {
    const text = atob(e.textContent);
    const part = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) part[i] = text.charCodeAt(i);
    parts.push(part);
    progress(part.length);
    e.remove();
    await new Promise(done => setTimeout(done));
  }
  let blob = new Blob(parts);
  if (elements[0].dataset.packed) {
    blob = await new Response(blob.stream().pipeThrough(new DecompressionStream(elements[0].dataset.packed))).blob();
  }
  return blob.arrayBuffer();
}

async function start() {
  if (location.protocol === 'file:' && !document.querySelector('script[data-file]')) {
    if (head.single) {
      location.replace(head.single);
      return;
    }
    throw new Error('opened as a file, this page may not load its network: run python3 -m http.server in its folder and open http://localhost:8000');
  }
  const total = head.model.bytes + head.wasm.bytes;
  let done = 0;
  const progress = n => {
    if (document.documentElement.dataset.ready) return; // refused meanwhile
    done += n;
    $('progress').value = Math.min(done / total, 1);
    $('check').textContent = `Loading the network: ${(done / 1e6).toFixed(1)} of ${(total / 1e6).toFixed(1)} MB`;
  };
  const [wasm, model] = await Promise.all([file(head.wasm, progress), file(head.model, progress)]);
  $('check').textContent = 'Checking the network in this browser …';
  const code = URL.createObjectURL(new Blob([$('engine').textContent], { type: 'text/javascript' }));
  worker = new Worker(code);
  const checked = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => data.error ? reject(new Error(data.error)) : resolve(data.checked);
    worker.onerror = e => reject(new Error(e.message || 'the browser did not start it'));
    worker.postMessage({ load: { about: head, wasm, model } }, [wasm, model]);
  });
  URL.revokeObjectURL(code);
  verified(checked);
}

// verified says what the check found; only after a good one are pictures answered.
function verified(checked) {
  $('progress').hidden = true;
  document.documentElement.dataset.checked = JSON.stringify(checked);
  if (!(checked.off <= head.allowed)) {
    throw new Error(`computed here, the ${head.parity.length / head.labels.length} test pictures differ from what tlkit computed by ${checked.off.toExponential(1)} of the largest output, allowed are ${head.allowed.toExponential(0)}`);
  }
  if (!checked.resizing) throw new Error('this browser prepares the test pictures in another way than tlkit');
  const colours = checked.jpeg === null ? 'but JPEG files are not read'
    : checked.jpeg === 0 ? 'JPEG files too' : `JPEG files up to ${checked.jpeg} of 255 levels`;
  $('check').className = 'check good';
  $('check').textContent = `✓ verified here: largest difference ${checked.off.toExponential(1)} of the largest output; pixels equal tlkit’s byte for byte, ${colours}`;
  worker.onmessage = ({ data }) => answered(data);
  worker.onerror = e => refuse(new Error(e.message));
  ready = true;
  document.documentElement.dataset.ready = 'yes';
  next();
}

function refuse(error) {
  ready = false;
  worker?.terminate();
  $('progress').hidden = true;
  $('check').className = 'check bad';
  $('check').textContent = `This page gives no answers in this browser: ${error.message}.`;
  document.documentElement.dataset.ready = 'refused';
  stopCamera();
  for (const id of ['drop', 'setting', 'note', 'results']) $(id).hidden = true;
}

// Pictures

function give(files) {
  const pictures = [...files];
  if (!pictures.length || document.documentElement.dataset.ready === 'refused') return;
  for (const f of pictures) {
    const entry = { file: f, url: URL.createObjectURL(f) };
    entry.card = element('li', {}, picture(entry), element('div', { className: 'text' },
      element('p', { className: 'answer unsure', text: '…' }), name(entry)));
    answers.push(entry);
    queue.push(entry);
    $('cards').append(entry.card);
  }
  $('results').hidden = false;
  count();
  next();
}

const picture = entry => entry.error ? element('div', { className: 'none', ariaHidden: 'true', text: '?' }) : element('img', { src: entry.url, alt: '', loading: 'lazy', decoding: 'async' });
const name = entry => element('p', { className: 'file', title: entry.file.name }, element('bdi', { text: entry.file.name }));

function next() {
  if (!ready || busy || !queue.length) return;
  const entry = queue.shift();
  busy = data => {
    if (!answers.includes(entry)) return; // cleared meanwhile
    if (data.error) entry.error = data.error; else entry.out = data;
    show(entry);
    count();
    say(entry);
  };
  worker.postMessage({ file: entry.file, keep: asked.keep });
}

function answered(data) {
  const use = busy;
  busy = null;
  use(data);
  next();
}

// say tells a screen reader the newest answer, or how many there are.
function say(entry) {
  const last = queue.length === 0;
  if (!last) return;
  $('said').textContent = answers.length === 1 || !entry.out
    ? `${entry.file.name}: ${entry.error ?? verdict(entry.out).words}`
    : `${entry.file.name}: ${verdict(entry.out).words}. ${$('count').textContent}`;
}

function count() {
  const done = answers.filter(a => a.out || a.error).length;
  const bad = answers.filter(a => a.error).length;
  $('count').textContent = (done < answers.length ? `${done} of ${plural(answers.length, 'picture')}` : plural(done, 'picture'))
    + (bad ? `, ${bad} unreadable` : '');
}

// Answers

const threshold = () => Number($('threshold').value) / 100;

// verdict says what the outputs of a picture mean: in words, which labels it gets, and whether it gets
// any.
function verdict({ logits, probabilities }) {
  const { labels, task, thresholds } = head;
  if (task === 'values') return { words: labels.map((l, i) => `${l} ${number(logits[i])}`).join(', '), sure: true, yes: new Set() };
  const best = probabilities.indexOf(Math.max(...probabilities));
  if (task === 'labels') {
    const yes = labels.map((_, i) => i).filter(i => sigmoid(logits[i]) >= thresholds[i]);
    return { words: yes.length ? yes.map(i => labels[i]).join(', ') : 'None of the labels', sure: yes.length > 0, yes: new Set(yes) };
  }
  const sure = probabilities[best] >= threshold();
  return { words: sure ? labels[best] : 'I don’t know', sure, yes: new Set(sure ? [best] : []) };
}

const sigmoid = x => 1 / (1 + Math.exp(-x));

const SHOWN = 5; // labels before the others are folded away

function rows({ logits, probabilities }, yes) {
  const { labels, task, thresholds, scales } = head;
  const order = labels.map((_, i) => i);
  if (task === 'values') return order.map(i => valueRow(labels[i], logits[i], scales[i]));
  if (task !== 'labels') order.sort((a, b) => probabilities[b] - probabilities[a]);
  return order.map(i => {
    const fill = element('i');
    fill.style.width = `${100 * probabilities[i]}%`;
    const track = element('div', { className: 'track', ariaHidden: 'true' }, fill);
    if (thresholds) {
      const mark = element('b', { title: `counts from ${percent(thresholds[i])} on` });
      mark.style.left = `${100 * thresholds[i]}%`;
      track.append(mark);
    }
    return element('li', { className: yes.has(i) ? 'yes' : '' }, element('bdi', { text: labels[i], title: labels[i] }),
      element('span', { text: percent(probabilities[i]) }), track);
  });
}

// valueRow shows where a value lies among those of the training pictures.
function valueRow(label, value, { min, max }) {
  const at = max > min ? (value - min) / (max - min) : 0.5;
  const mark = element('i');
  mark.style.left = `${100 * Math.min(Math.max(at, 0), 1)}%`;
  const row = element('li', { className: 'yes' }, element('bdi', { text: label, title: label }), element('span', { text: number(value) }),
    element('div', { className: 'track range', ariaHidden: 'true' }, mark));
  if (at < 0 || at > 1) row.append(element('span', { className: 'small', text: `outside of ${number(min)} to ${number(max)}, where the training pictures lie` }));
  return row;
}

function answer(out) {
  const { words, sure, yes } = verdict(out);
  const all = rows(out, yes);
  const parts = [element('p', { className: sure ? 'answer' : 'answer unsure' }, element('bdi', { text: words }))];
  if (head.task === 'values' && all.length > 1) parts.length = 0; // the rows say it
  parts.push(element('ul', { className: 'rows' }, ...all.slice(0, SHOWN)));
  if (all.length > SHOWN) {
    parts.push(element('details', { className: 'more' }, element('summary', { text: `${all.length - SHOWN} more` }),
      element('ul', { className: 'rows' }, ...all.slice(SHOWN))));
  }
  return parts;
}

function show(entry) {
  const text = entry.error
    ? [element('p', { className: 'answer error', text: 'No answer' }), name(entry), element('p', { className: 'small', text: entry.error })]
    : answer(entry.out).toSpliced(1, 0, name(entry));
  entry.card.replaceChildren(picture(entry), element('div', { className: 'text' }, ...text));
}

function csv() {
  const quote = v => /[",\r\n]/.test(v) ? `"${String(v).replaceAll('"', '""')}"` : String(v);
  const lines = [['path', head.task === 'values' ? null : 'answer', ...head.labels, 'error']];
  for (const { file: f, out, error } of answers.filter(a => a.out || a.error)) {
    const numbers = out ? (out.probabilities ?? out.logits) : [];
    lines.push([f.name, head.task === 'values' ? null : out ? verdict(out).words : '', ...head.labels.map((_, i) => numbers[i] ?? ''), error ?? '']);
  }
  return lines.map(l => l.filter(v => v !== null).map(quote).join(',') + '\r\n').join('');
}

// Camera

let stream = null, facing = 'environment';

async function startCamera() {
  stopCamera();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 } }, audio: false });
  } catch (error) {
    $('note').hidden = false;
    $('note').textContent = `No camera: ${error.message}.`;
    return;
  }
  $('video').srcObject = stream;
  await $('video').play();
  $('live').hidden = false;
  look();
}

// look asks for an answer about what the camera sees, and again when there is one.
async function look() {
  const current = stream;
  const again = () => { if (stream === current && current) setTimeout(look, 60); };
  if (!current || !ready || busy || document.hidden || !$('video').videoWidth) return void setTimeout(again, 200);
  const bitmap = await createImageBitmap($('video'));
  if (busy || stream !== current) {
    bitmap.close();
    return again();
  }
  busy = data => {
    if (data.error) $('liveAnswer').replaceChildren(element('p', { className: 'error', text: data.error }));
    else $('liveAnswer').replaceChildren(...answer(data));
    again();
  };
  worker.postMessage({ bitmap }, [bitmap]);
}

function stopCamera() {
  stream?.getTracks().forEach(t => t.stop());
  stream = null;
  $('video').srcObject = null;
  $('live').hidden = true;
}

function keepFrame() {
  const video = $('video');
  const canvas = element('canvas', { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext('2d').drawImage(video, 0, 0);
  canvas.toBlob(blob => give([new File([blob], `camera ${new Date().toLocaleTimeString()}.png`, { type: 'image/png' })]), 'image/png');
}

// Events

$('files').addEventListener('change', () => {
  give($('files').files);
  $('files').value = '';
});
addEventListener('dragover', e => {
  e.preventDefault();
  $('drop').classList.add('over');
});
addEventListener('dragleave', e => { if (!e.relatedTarget) $('drop').classList.remove('over'); });
addEventListener('drop', e => {
  e.preventDefault(); // or the browser leaves the page for the picture
  $('drop').classList.remove('over');
  give(e.dataTransfer.files);
});
addEventListener('paste', e => give(e.clipboardData.files));
$('threshold').addEventListener('input', () => {
  $('shown').textContent = `${$('threshold').value} %`;
  $('threshold').setAttribute('aria-valuetext', `${$('threshold').value} percent`);
  answers.filter(a => a.out).forEach(show);
});
$('clear').addEventListener('click', () => {
  answers.forEach(a => URL.revokeObjectURL(a.url));
  answers.length = queue.length = 0;
  $('cards').replaceChildren();
  $('results').hidden = true;
  $('said').textContent = 'Cleared.';
  $('files').focus();
});
$('save').addEventListener('click', () => {
  URL.revokeObjectURL($('save').href);
  $('save').href = URL.createObjectURL(new Blob([csv()], { type: 'text/csv' }));
});
$('camera').addEventListener('click', startCamera);
$('stop').addEventListener('click', () => {
  stopCamera();
  $('camera').focus();
});
$('keep').addEventListener('click', keepFrame);
$('turn').addEventListener('click', () => {
  facing = facing === 'user' ? 'environment' : 'user';
  startCamera();
});

$('camera').hidden = !navigator.mediaDevices?.getUserMedia; // absent on plain http from another machine
$('setting').hidden = head.task !== 'classes';
$('threshold').value = Math.round(100 * head.threshold);
$('threshold').dispatchEvent(new Event('input'));
if (head.task === 'labels') {
  $('note').hidden = false;
  $('note').textContent = 'A picture gets each label whose bar reaches the mark on it.';
}
start().catch(refuse);
