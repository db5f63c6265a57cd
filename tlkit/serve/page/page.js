'use strict';

// Whatever comes from heads and files becomes text, never markup: el sets textContent only.
function el(tag, name, text) {
  const e = document.createElement(tag);
  if (name) e.className = name;
  if (text !== undefined) e.textContent = text;
  return e;
}

const $ = id => document.getElementById(id);
const shownBars = 5, mostResults = 60, atOnce = 4, mostTries = 8;

let heads = [], head = null, token = '';
const waiting = [];
let running = 0;

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token) headers.set('Authorization', 'Bearer ' + token);
  return fetch(path, { ...options, headers });
}

// reason returns why the server did not answer, in its own words.
async function reason(response) {
  try {
    const detail = (await response.json()).detail;
    if (detail) return detail;
  } catch { /* it is no JSON */ }
  return `the server answers ${response.status}`;
}

function say(text) {
  $('note').textContent = text;
  $('note').hidden = !text;
}

async function loadHeads() {
  let response;
  try {
    response = await ask('heads');
  } catch {
    return say('The server cannot be reached.');
  }
  $('ask').hidden = response.status !== 401;
  if (response.status === 401) return say(token ? 'That is not the token.' : '');
  if (!response.ok) return say(await reason(response));
  say('');
  heads = (await response.json()).heads;
  choose(heads[0]);
  while (waiting.length && running < atOnce) next();
}

function choose(chosen) {
  head = chosen;
  const words = { classes: 'one of', labels: 'any of', values: 'the values' }[head.task];
  const few = head.labels.slice(0, 6).join(', ') + (head.labels.length > 6 ? `, … (${head.labels.length})` : '');
  $('about').textContent = `${words} ${few} · ${head.backbone} · ${head.score_words}`;
  const row = $('heads');
  row.hidden = heads.length < 2;
  row.replaceChildren(...heads.map(h => {
    const b = el('button', '', h.name);
    b.type = 'button';
    b.setAttribute('aria-pressed', h === head);
    b.addEventListener('click', () => choose(h));
    return b;
  }));
}

// add queues a picture and shows its card at the top.
function add(blob, name) {
  const card = el('li', 'result pending');
  const shot = el('div', 'shot');
  const img = el('img');
  const url = URL.createObjectURL(blob);
  img.alt = '';
  img.addEventListener('error', () => shot.replaceChildren(el('span', '', 'no preview')));
  img.src = url;
  shot.append(img);
  const side = el('div', 'side');
  side.append(el('p', 'answer', 'looking'), el('p', 'file', name));
  card.append(shot, side);
  $('results').prepend(card);
  for (const old of [...$('results').children].slice(mostResults)) old.remove();
  img.addEventListener('load', () => URL.revokeObjectURL(url));
  waiting.push({ blob, name, card, side, head: head && head.name, tries: 0 });
  next();
}

async function next() {
  if (running >= atOnce || !waiting.length || !head) return;
  const job = waiting.shift();
  running++;
  try {
    await predict(job);
  } catch {
    fail(job, 'The server cannot be reached.');
  }
  running--;
  next();
}

async function predict(job) {
  const query = '?head=' + encodeURIComponent(job.head || head.name);
  const response = await ask('predict' + query, { method: 'POST', body: job.blob, headers: { 'Content-Type': 'application/octet-stream' } });
  if ((response.status === 429 || response.status === 503) && ++job.tries < mostTries) {
    await new Promise(go => setTimeout(go, 1000 * Number(response.headers.get('Retry-After') || 1)));
    return predict(job);
  }
  if (response.status === 401) {
    waiting.unshift(job);
    head = null;
    return loadHeads();
  }
  if (!response.ok) return fail(job, await reason(response));
  show(job, (await response.json()).predictions[0]);
}

function fail(job, why) {
  job.card.className = 'result failed';
  job.side.replaceChildren(el('p', 'answer', why), el('p', 'file', job.name));
}

const percent = p => (100 * p).toFixed(p > 0.9995 && p < 1 ? 2 : 1) + ' %';

function show(job, p) {
  const of = heads.find(h => h.name === p.head) || head;
  job.card.className = 'result' + (p.unknown ? ' unsure' : '');
  const file = el('p', 'file', heads.length > 1 ? `${job.name} · ${p.head}` : job.name);
  job.side.replaceChildren(...answer(p, of), file);
  if (p.probabilities) job.side.append(...bars(p, of));
  if (p.values) job.side.append(values(p, of));
}

// answer returns the line that is read first.
function answer(p, of) {
  if (p.values) return [];
  if (p.labels) {
    if (!p.labels.length) return [el('p', 'answer', 'none of the labels')];
    const row = el('p', 'chips');
    row.append(...p.labels.map(l => el('span', 'chip', l)));
    return [row];
  }
  if (p.unknown) return [el('p', 'answer', 'I don’t know'), el('span', 'why', p.familiar === false ? 'it is unlike the training pictures' : `no label reaches ${percent(of.threshold)}`)];
  const line = el('p', 'answer', p.label + ' ');
  line.append(el('span', 'share', percent(p.probability)));
  return [line];
}

// bars returns the most probable labels as bars, with a mark where a label begins to count.
function bars(p, of) {
  const sorted = Object.entries(p.probabilities).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const list = el('ul', 'bars');
  for (const [label, share] of sorted.slice(0, Math.max(shownBars, p.labels ? p.labels.length : 0))) {
    const row = el('li', (p.labels ? p.labels.includes(label) : label === p.label) ? 'got' : '');
    const name = el('span', 'name', label);
    name.title = label;
    const track = el('div', 'track'), fill = el('div', 'fill');
    fill.style.width = (100 * share) + '%';
    track.append(fill);
    const limit = p.labels ? (of.thresholds || [])[of.labels.indexOf(label)] : list.children.length ? 0 : of.threshold;
    if (limit > 0) {
      const mark = el('div', 'mark');
      mark.style.left = (100 * limit) + '%';
      mark.title = `counts from ${percent(limit)}`;
      track.append(mark);
    }
    row.append(name, el('span', 'share', percent(share)), track);
    list.append(row);
  }
  return sorted.length > list.children.length ? [list, el('p', 'more', `and ${sorted.length - list.children.length} more`)] : [list];
}

function values(p, of) {
  const list = el('dl', 'values');
  for (const name of of.labels.filter(n => n in p.values)) list.append(el('dt', '', name), el('dd', '', Number(p.values[name].toPrecision(5)).toString()));
  return list;
}

function addAll(files) {
  const pictures = [...files].filter(f => f instanceof Blob);
  for (const f of pictures) add(f, f.name || 'pasted picture');
}

$('file').addEventListener('change', e => { addAll(e.target.files); e.target.value = ''; });
document.addEventListener('paste', e => addAll(e.clipboardData.files));
for (const type of ['dragenter', 'dragover']) document.addEventListener(type, e => { e.preventDefault(); $('drop').classList.add('over'); });
for (const type of ['dragleave', 'drop']) document.addEventListener(type, e => { e.preventDefault(); if (type === 'drop' || !e.relatedTarget) $('drop').classList.remove('over'); });
document.addEventListener('drop', e => addAll(e.dataTransfer.files));

let stream = null;
$('camera').addEventListener('click', async () => {
  say('');
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  } catch (e) {
    return say(navigator.mediaDevices ? `The camera cannot be used: ${e.message}` : 'The camera needs https, or the address localhost.');
  }
  $('video').srcObject = stream;
  $('live').hidden = false;
});
$('close').addEventListener('click', () => {
  for (const t of stream ? stream.getTracks() : []) t.stop();
  $('live').hidden = true;
});
$('shoot').addEventListener('click', () => {
  const v = $('video');
  if (!v.videoWidth) return;
  const c = el('canvas');
  c.width = v.videoWidth;
  c.height = v.videoHeight;
  c.getContext('2d').drawImage(v, 0, 0);
  c.toBlob(b => b && add(b, new Date().toLocaleTimeString()), 'image/jpeg', 0.95);
});

$('ask').addEventListener('submit', e => {
  e.preventDefault();
  token = $('token').value.trim();
  $('token').value = '';
  loadHeads();
});

$('where').textContent = new URL('predict', location.href).href;
loadHeads();
