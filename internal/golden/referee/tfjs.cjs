// A small TensorFlow.js layers model and what TensorFlow.js itself reads from it, for
// tlkit/weights. Needs node 20 and two packages of version 4.22.0:
//
//     npm install --ignore-scripts @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0
//     NODE_PATH=node_modules node internal/golden/referee/tfjs.cjs tlkit/weights/testdata/tfjs
//
// With model.json files as further arguments it prints the CRC-32 of all values of each,
// decoded by TensorFlow.js; model.min.js (npm's nsfwjs) works as well.
const fs = require("fs"), path = require("path");
const tf = require("@tensorflow/tfjs-core");

function crc32(buf) {
  let c, crc = ~0;
  for (const b of buf) {
    c = (crc ^ b) & 0xff;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    crc = (crc >>> 8) ^ c;
  }
  return (crc ^ ~0) >>> 0;
}


async function decode(buffer, specs) {
  const named = tf.io.decodeWeights(buffer, specs), out = [];
  for (const s of specs) {
    const v = Float32Array.from(await named[s.name].data());
    out.push({ Name: s.name, Shape: s.shape, CRC32: crc32(new Uint8Array(v.buffer)) });
  }
  return out;
}

function concat(parts) {
  const b = Buffer.concat(parts);
  return b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength);
}

(async () => {
  require("@tensorflow/tfjs-backend-cpu");
  await tf.setBackend("cpu");
  const [out, ...models] = process.argv.slice(2);
  fs.mkdirSync(out, { recursive: true });
  let state = 12345;
  const byte = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 24;
  const bytes = (n) => Buffer.from(Array.from({ length: n }, byte));
  const floats = (n) => Buffer.from(Float32Array.from({ length: n }, () => (byte() - 128) / 37).buffer);
  const half = (n) => Buffer.from(Uint16Array.from({ length: n }, () => (byte() << 8 | byte()) & 0xbbff).buffer);
  const q = (dtype, min, scale) => ({ quantization: Object.assign({ dtype, original_dtype: "float32" }, min === undefined ? {} : { min, scale }) });
  const groups = [
    { shards: ["group1-shard1of2.bin", "group1-shard2of2.bin"], specs: [
      [{ name: "conv2d_2/kernel", shape: [3, 3, 2, 4], dtype: "float32" }, floats(72)],
      [{ name: "conv2d_2/bias", shape: [4], dtype: "float32", ...q("float16") }, half(4)],
      [{ name: "conv2d_10/kernel", shape: [1, 1, 4, 5], dtype: "float32", ...q("uint8", -1.3721, 0.010837) }, bytes(20)],
      [{ name: "conv2d_10/bias", shape: [5], dtype: "float32", ...q("uint16", -0.3, 0.0000321) }, bytes(10)],
    ] },
    { shards: ["group2-shard1of1.bin"], specs: [
      [{ name: "count", shape: [], dtype: "int32" }, Buffer.from(Int32Array.of(-7).buffer)],
      [{ name: "mask", shape: [3], dtype: "bool" }, Buffer.from([1, 0, 1])],
      [{ name: "steps", shape: [4], dtype: "int32", ...q("uint8", -100, 1.5) }, bytes(4)],
    ] },
  ];
  const manifest = [], golden = [];
  for (const g of groups) {
    const specs = g.specs.map((s) => s[0]), all = concat(g.specs.map((s) => s[1]));
    golden.push(...(await decode(all, specs)));
    const cut = g.shards.length > 1 ? 291 : all.byteLength; // in the middle of a number
    fs.writeFileSync(path.join(out, g.shards[0]), Buffer.from(all.slice(0, cut)));
    if (g.shards[1]) fs.writeFileSync(path.join(out, g.shards[1]), Buffer.from(all.slice(cut)));
    manifest.push({ paths: g.shards, weights: specs });
  }
  const layer = (class_name, name) => ({ class_name, config: { name } });
  const topology = { keras_version: "2.2.4", backend: "tensorflow", model_config: { class_name: "Model", config: { name: "m", layers: [
    { class_name: "InputLayer", config: { name: "in", batch_input_shape: [null, 8, 8, 2] } }, layer("Conv2D", "conv2d_10"), layer("Conv2D", "conv2d_2")] } } };
  fs.writeFileSync(path.join(out, "model.json"), JSON.stringify({ format: "layers-model", modelTopology: topology, weightsManifest: manifest }));
  fs.writeFileSync(path.join(out, "golden.json"), JSON.stringify(golden));
  for (const m of models) {
    const dir = path.dirname(m), wrapped = m.endsWith(".min.js");
    const model = wrapped ? require(path.resolve(m)) : JSON.parse(fs.readFileSync(m));
    for (const g of model.weightsManifest) {
      const all = concat(g.paths.map((p) => (wrapped ? Buffer.from(require(path.resolve(dir, p + ".min.js")), "base64") : fs.readFileSync(path.join(dir, p)))));
      const named = tf.io.decodeWeights(all, g.weights), parts = [];
      for (const s of g.weights) parts.push(Buffer.from(Float32Array.from(await named[s.name].data()).buffer));
      console.log(m, g.weights.length, crc32(Buffer.concat(parts)).toString(16));
    }
  }
})();
