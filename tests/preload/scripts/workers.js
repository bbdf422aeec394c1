// Worker threads, buffers, compression and a child process under Node.
const { execFileSync } = require('child_process');
const { createHash } = require('crypto');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const zlib = require('zlib');

function digestOfBuffers(factor) {
  const hash = createHash('sha256');
  for (let i = 0; i < 200; i++) hash.update(Buffer.alloc(1000 + i * factor, i));
  return hash.digest('hex');
}

function startWorker(factor) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: factor });
    worker.on('message', resolve);
    worker.on('error', reject);
  });
}

async function main() {
  console.log((await Promise.all([1, 2, 3, 4].map(startWorker))).join('\n'));
  const rows = [...Array(50000).keys()].map((i) => ({ i, text: `x${i}` }));
  const data = Buffer.from(JSON.stringify(rows));
  const packed = zlib.deflateSync(data);
  console.log(packed.length, zlib.inflateSync(packed).equals(data));
  console.log(execFileSync('/bin/echo', ['from a child']).toString().trim());
}

if (isMainThread) main();
else parentPort.postMessage(digestOfBuffers(workerData));
