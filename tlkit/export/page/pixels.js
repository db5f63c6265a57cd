'use strict';
// From the bytes of a picture file to the square of bytes that the network reads, as package
// transforms of tlkit does it: Pillow's fixed-point resizing, torchvision's crops, EXIF orientation.
// A picture is {width, height, data}: RGB, a byte each.

const PRECISION = 22; // fraction bits of a weight
const LARGEST = 178956970; // pixels

const filters = {
  box: [0.5, x => x > -0.5 && x <= 0.5 ? 1 : 0],
  bilinear: [1, x => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, x => {
    x = Math.abs(x);
    if (x === 0) return 1;
    if (x >= 1) return 0;
    x *= Math.PI;
    return Math.sin(x) / x * (0.54 + 0.46 * Math.cos(x));
  }],
  bicubic: [2, x => {
    x = Math.abs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0;
  }],
  lanczos: [3, x => x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0],
};

function sinc(x) {
  if (x === 0) return 1;
  x *= Math.PI;
  return Math.sin(x) / x;
}

// kernel gives for each of n output samples, from number first on, where its source samples begin
// and their weights.
function kernel(size, out, first, n, [support, weight]) {
  const scale = size / out;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const rows = [];
  for (let i = 0; i < n; i++) {
    const center = (first + i + 0.5) * scale;
    const start = Math.max(Math.trunc(center - reach + 0.5), 0);
    const end = Math.min(Math.trunc(center + reach + 0.5), size);
    const w = [];
    let sum = 0;
    for (let j = start; j < end; j++) {
      const v = weight((j - center + 0.5) * (1 / stretch));
      w.push(v);
      sum += v;
    }
    const weights = new Int32Array(w.length);
    for (let j = 0; j < w.length; j++) {
      const v = (sum !== 0 ? w[j] / sum : w[j]) * (1 << PRECISION);
      weights[j] = Math.trunc(v < 0 ? v - 0.5 : v + 0.5);
    }
    rows.push({ start, weights });
  }
  return rows;
}

const rounded = sum => {
  sum >>= PRECISION;
  return sum < 0 ? 0 : sum > 255 ? 255 : sum;
};

// horizontal resamples h rows of data, which are width pixels wide, along x.
function horizontal(data, width, h, rows) {
  const n = rows.length;
  const out = new Uint8Array(3 * n * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < n; x++) {
      const { start, weights } = rows[x];
      let p = 3 * (y * width + start);
      let r = 1 << (PRECISION - 1), g = r, b = r;
      for (let j = 0; j < weights.length; j++, p += 3) {
        const w = weights[j];
        r = r + data[p] * w | 0;
        g = g + data[p + 1] * w | 0;
        b = b + data[p + 2] * w | 0;
      }
      const o = 3 * (y * n + x);
      out[o] = rounded(r);
      out[o + 1] = rounded(g);
      out[o + 2] = rounded(b);
    }
  }
  return out;
}

// vertical resamples the columns of data, which is width pixels wide.
function vertical(data, width, rows) {
  const n = 3 * width;
  const out = new Uint8Array(n * rows.length);
  const sums = new Int32Array(n);
  rows.forEach(({ start, weights }, y) => {
    sums.fill(1 << (PRECISION - 1));
    for (let j = 0; j < weights.length; j++) {
      const w = weights[j];
      const row = (start + j) * n;
      for (let x = 0; x < n; x++) sums[x] += data[row + x] * w;
    }
    for (let x = 0; x < n; x++) out[y * n + x] = rounded(sums[x]);
  });
  return out;
}

function cut(pic, x, y, width, height) {
  if (x === 0 && y === 0 && width === pic.width && height === pic.height) return pic;
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < height; i++) {
    const from = 3 * ((y + i) * pic.width + x);
    data.set(pic.data.subarray(from, from + 3 * width), 3 * i * width);
  }
  return { width, height, data };
}

// resize makes of the picture one of w x h pixels and returns the window {x, y, w, h} of it.
function resize(pic, w, h, window, filter) {
  if (w === pic.width && h === pic.height) return cut(pic, window.x, window.y, window.w, window.h);
  const size = { width: window.w, height: window.h };
  if (filter === 'nearest') return { ...size, data: nearest(pic, w, h, window) };
  const f = filters[filter];
  const kx = w === pic.width ? null : kernel(pic.width, w, window.x, window.w, f);
  const ky = h === pic.height ? null : kernel(pic.height, h, window.y, window.h, f);
  let data;
  if (!kx) {
    const columns = cut(pic, window.x, 0, window.w, pic.height);
    data = vertical(columns.data, window.w, ky);
  } else if (!ky) {
    const rows = cut(pic, 0, window.y, pic.width, window.h);
    data = horizontal(rows.data, pic.width, window.h, kx);
  } else if (pic.height > h && pic.height - h > 2 * (pic.width - w)) {
    data = horizontal(vertical(pic.data, pic.width, ky), pic.width, window.h, kx);
  } else {
    // Only the rows that the second pass reads.
    const first = Math.min(...ky.map(r => r.start));
    const last = Math.max(...ky.map(r => r.start + r.weights.length));
    const rows = pic.data.subarray(3 * first * pic.width, 3 * last * pic.width);
    data = vertical(horizontal(rows, pic.width, last - first, kx), window.w,
      ky.map(r => ({ start: r.start - first, weights: r.weights })));
  }
  return { ...size, data };
}

function nearest(pic, w, h, window) {
  const index = (size, out) => {
    const step = size / out, all = [];
    for (let i = 0, at = step * 0.5; i < out; i++, at += step) all.push(Math.min(Math.trunc(at), size - 1));
    return all;
  };
  const xs = index(pic.width, w), ys = index(pic.height, h);
  const out = new Uint8Array(3 * window.w * window.h);
  for (let y = 0, o = 0; y < window.h; y++) {
    for (let x = 0; x < window.w; x++, o += 3) {
      const p = 3 * (ys[window.y + y] * pic.width + xs[window.x + x]);
      out[o] = pic.data[p];
      out[o + 1] = pic.data[p + 1];
      out[o + 2] = pic.data[p + 2];
    }
  }
  return out;
}

const halfToEven = v => {
  const low = Math.floor(v);
  return v - low === 0.5 ? low + (low & 1) : Math.round(v);
};

// middle says which of n samples a crop of size keeps, and where they lie in it.
const middle = (n, size) => n < size
  ? { from: 0, to: Math.trunc((size - n) / 2), n }
  : { from: halfToEven((n - size) / 2), to: 0, n: size };

// square prepares a picture: preset.size x preset.size pixels.
function square(pic, preset) {
  const { size, geometry, filter, short, share } = preset;
  const whole = { x: 0, y: 0, w: size, h: size };
  if (geometry === 'squash') return resize(pic, size, size, whole, filter);
  const { width, height } = pic;
  if (geometry === 'crop') {
    const side = Math.min(Math.max(1, Math.trunc(share * Math.min(width, height) + 1e-6)), width, height);
    const part = cut(pic, Math.trunc((width - side + 1) / 2), Math.trunc((height - side + 1) / 2), side, side);
    return resize(part, size, size, whole, filter);
  }
  const w = width <= height ? short : Math.trunc(short * width / height);
  const h = width <= height ? Math.trunc(short * height / width) : short;
  const x = middle(w, size), y = middle(h, size);
  const got = resize(pic, w, h, { x: x.from, y: y.from, w: x.n, h: y.n }, filter);
  if (x.n === size && y.n === size) return got;
  const out = { width: size, height: size, data: new Uint8Array(3 * size * size) }; // a black border
  for (let i = 0; i < y.n; i++) {
    out.data.set(got.data.subarray(3 * i * x.n, 3 * (i + 1) * x.n), 3 * ((y.to + i) * size + x.to));
  }
  return out;
}

// upright turns a picture as EXIF's orientation says, 1 to 8.
function upright(pic, orientation) {
  const { width: w, height: h } = pic;
  const turn = { // output pixel (x, y) comes from start + x * dx + y * dy
    2: [w, h, w - 1, -1, w], 3: [w, h, w * h - 1, -1, -w], 4: [w, h, w * (h - 1), 1, -w],
    5: [h, w, 0, w, 1], 6: [h, w, w * (h - 1), -w, 1], 7: [h, w, w * h - 1, -w, -1], 8: [h, w, w - 1, w, -1],
  }[orientation];
  if (!turn) return pic;
  const [width, height, start, dx, dy] = turn;
  const data = new Uint8Array(pic.data.length);
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0, p = 3 * (start + y * dy); x < width; x++, o += 3, p += 3 * dx) {
      data[o] = pic.data[p];
      data[o + 1] = pic.data[p + 1];
      data[o + 2] = pic.data[p + 2];
    }
  }
  return { width, height, data };
}

const EXIF = 'Exif\0\0';

// exif returns where in a file its EXIF data lie, [start, end], or null.
function exif(b) {
  const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
  const text = (at, n) => String.fromCharCode(...b.subarray(at, at + n));
  if (b[0] === 0xff && b[1] === 0xd8) { // JPEG
    for (let at = 2; at + 4 <= b.length && b[at] === 0xff;) {
      const marker = b[at + 1];
      if (marker === 0xff) { at++; continue; }
      if (marker === 0xda || marker === 0xd9) return null;
      const n = view.getUint16(at + 2);
      if (marker === 0xe1 && text(at + 4, 6) === EXIF) return [at + 4, Math.min(at + 2 + n, b.length)];
      at += 2 + n;
    }
  } else if (text(1, 3) === 'PNG') {
    for (let at = 8; at + 12 <= b.length;) {
      const n = view.getUint32(at);
      if (n + 12 > b.length - at) return null;
      if (text(at + 4, 4) === 'eXIf') return [at + 8, at + 8 + n];
      at += 12 + n;
    }
  } else if (text(0, 4) === 'RIFF' && text(8, 4) === 'WEBP') {
    for (let at = 12; at + 8 <= b.length;) {
      const n = view.getUint32(at + 4, true);
      if (n > b.length - at - 8) return null;
      if (text(at, 4) === 'EXIF') return [at + 8, at + 8 + n];
      at += 8 + n + (n & 1);
    }
  }
  return null;
}

// orientation reads the orientation of a picture file and where it is written: {value, at, little}.
// It is 1 (as stored) if anything is wrong.
function orientation(b) {
  const as = { value: 1, at: -1, little: false };
  const found = exif(b);
  if (found && String.fromCharCode(...b.subarray(found[0], found[0] + 6)) === EXIF) found[0] += 6;
  if (!found || found[1] - found[0] < 8) return as;
  const t = new DataView(b.buffer, b.byteOffset + found[0], found[1] - found[0]);
  const magic = t.getUint32(0);
  if (magic !== 0x49492a00 && magic !== 0x4d4d002a) return as;
  const little = magic === 0x49492a00;
  let at = t.getUint32(4, little);
  if (at < 8 || at + 2 > t.byteLength) return as;
  const n = t.getUint16(at, little);
  at += 2;
  for (let i = 0; i < n && at + 12 <= t.byteLength; i++, at += 12) {
    if (t.getUint16(at, little) !== 0x0112 || t.getUint16(at + 2, little) !== 3) continue;
    const value = t.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? { value, at: found[0] + at + 8, little } : as;
  }
  return as;
}

// decode lets the browser read a picture file. It turns no pictures and converts no colours: what it
// is told about orientation is overwritten, and done here.
async function decode(bytes) {
  const { value, at, little } = orientation(bytes);
  if (at >= 0 && value !== 1) {
    bytes = bytes.slice();
    bytes[at] = little ? 1 : 0;
    bytes[at + 1] = little ? 0 : 1;
  }
  const bitmap = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  return upright(pixels(bitmap), value);
}

// pixels reads RGB from an ImageBitmap, and closes it.
function pixels(bitmap) {
  const { width, height } = bitmap;
  if (width * height > LARGEST) throw new Error(`${width} x ${height} pixels are too many`);
  const data = new Uint8Array(3 * width * height);
  const strip = Math.max(1, Math.min(height, Math.floor((1 << 22) / width))); // canvases have a largest area
  const canvas = new OffscreenCanvas(width, strip);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.globalCompositeOperation = 'copy';
  for (let y = 0; y < height; y += strip) {
    const rows = Math.min(strip, height - y);
    context.drawImage(bitmap, 0, y, width, rows, 0, 0, width, rows);
    const rgba = context.getImageData(0, 0, width, rows).data;
    for (let p = 0, o = 3 * y * width; p < rgba.length; p += 4, o += 3) {
      if (rgba[p + 3] !== 255) {
        // A canvas multiplies colours by their opacity, so that those of transparent pixels are lost.
        unmultiplied(bitmap, data);
        bitmap.close();
        return { width, height, data };
      }
      data[o] = rgba[p];
      data[o + 1] = rgba[p + 1];
      data[o + 2] = rgba[p + 2];
    }
  }
  bitmap.close();
  return { width, height, data };
}

// unmultiplied reads the colours of a picture with transparent pixels, which only WebGL tells.
function unmultiplied(bitmap, data) {
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  if (!gl || Math.max(bitmap.width, bitmap.height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) {
    throw new Error('it has transparent pixels, whose colours this browser does not tell');
  }
  const { width, height } = bitmap;
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const rgba = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
  gl.getExtension('WEBGL_lose_context')?.loseContext();
  for (let p = 0, o = 0; p < rgba.length; p += 4, o += 3) {
    data[o] = rgba[p];
    data[o + 1] = rgba[p + 1];
    data[o + 2] = rgba[p + 2];
  }
}

// formula is test picture number k, as package golden makes it.
function formula(width, height, k) {
  const data = new Uint8Array(3 * width * height);
  const half = v => Math.trunc(v / 2), part = v => Math.trunc(v / 3);
  const r = Math.trunc(Math.min(width, height) / (4 + k));
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const dx = x - part(width), dy = y - half(height);
      for (let c = 0; c < 3; c++, o++) {
        let v = x * (7 + 2 * c) + y * (11 - 3 * c) + Math.trunc(x * y * (c + 1 + k) / 32);
        if (dx * dx + dy * dy < r * r) v = 255 - (v >> 3);
        data[o] = v & 255;
      }
    }
  }
  return { width, height, data };
}

// crc32 of bytes, as zlib computes it.
function crc32(bytes) {
  crc32.table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ n >>> 1 : n >>> 1;
    return n;
  });
  let c = 0xffffffff;
  for (const b of bytes) c = crc32.table[(c ^ b) & 255] ^ c >>> 8;
  return (c ^ 0xffffffff) >>> 0;
}
