// The worker: it checks the network in this browser, then answers one picture at a time. Before this
// text come onnxruntime-web, as ort, and pixels.js.

const TEST_PICTURES = 3;
let head, session;

self.onmessage = async ({ data: message }) => {
  try {
    if (message.load) {
      self.postMessage({ checked: await load(message.load) });
    } else {
      const begin = performance.now();
      const pic = message.bitmap ? pixels(message.bitmap) : await decode(new Uint8Array(await message.file.arrayBuffer()));
      const prepared = square(pic, head.preset);
      const out = await outputs(prepared.data);
      self.postMessage({
        ...out, width: pic.width, height: pic.height, milliseconds: performance.now() - begin,
        prepared: message.keep ? prepared.data : undefined, // what the network read, for tests
      });
    }
  } catch (error) {
    self.postMessage({ error: words(error) });
  }
};

const words = error => {
  if (error instanceof DOMException && /decoded|EncodingError|InvalidState/.test(error.name + error.message)) {
    return 'this browser cannot read it as a picture';
  }
  return String(error?.message ?? error);
};

async function load({ about, wasm, model }) {
  head = about;
  ort.env.wasm.numThreads = 1; // more need headers that a static server does not send
  ort.env.wasm.wasmBinary = wasm;
  ort.env.logLevel = 'error';
  session = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ['wasm'] });
  return { ...await replay(), resizing: resized(), jpeg: await jpeg(), runtime: ort.env.versions.web };
}

async function outputs(bytes) {
  const size = head.preset.size;
  const out = await session.run({ [session.inputNames[0]]: new ort.Tensor('uint8', bytes, [1, size, size, 3]) });
  const numbers = out[session.outputNames[0]];
  return { logits: numbers.data, probabilities: out.probabilities?.data };
}

// replay computes the test pictures and returns the largest difference to what tlkit computed, as a
// share of the largest number; real values count as deviations from their means.
async function replay() {
  const { size } = head.preset;
  const k = head.labels.length;
  let largest = 0, off = 0;
  for (let n = 0; n < TEST_PICTURES; n++) {
    const { logits } = await outputs(formula(size, size, n).data);
    if (logits.length !== k) return { off: Infinity };
    for (let i = 0; i < k; i++) {
      const scale = head.scales?.[i] ?? { mean: 0, sd: 1 };
      const want = (head.parity[n * k + i] - scale.mean) / scale.sd;
      const got = (logits[i] - scale.mean) / scale.sd;
      largest = Math.max(largest, Math.abs(want));
      if (!(Math.abs(got - want) <= off)) off = Math.abs(got - want); // NaN stays
    }
  }
  return { off: off / Math.max(largest, 1e-6) };
}

// resized reports whether test pictures are prepared here byte for byte as by tlkit.
const resized = () => head.squares.every(({ width, height, crc }, k) =>
  crc32(square(formula(width, height, k), head.preset).data) === crc);

// jpeg returns the largest difference of a level between a JPEG as this browser reads it and as tlkit
// does; null if this browser does not read it.
async function jpeg() {
  try {
    const got = await decode(unpacked(head.jpeg.file));
    const want = unpacked(head.jpeg.pixels);
    if (got.data.length !== want.length) return null;
    return want.reduce((most, v, i) => Math.max(most, Math.abs(v - got.data[i])), 0);
  } catch {
    return null;
  }
}

const unpacked = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));
