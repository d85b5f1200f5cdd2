/** Google's Python client of Cloud Storage, unmodified, works with the sandbox: what a task in a container may bring. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { type TestCloud, testCloud } from '../sandbox/gcp/test_cloud.ts';

const python = process.env.BOREALIS_PYTHON;
const importable = python && Bun.spawnSync([python, '-c', 'import google.cloud.storage']).exitCode === 0;
const skipped = importable
  ? ''
  : ' (skipped: no Python with google-cloud-storage; see scripts/python_env.ts)';

const PROGRAM = `
import io, json
from google.api_core.exceptions import NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

client = storage.Client(project="sandbox", credentials=AnonymousCredentials())
told = {}

bucket = client.create_bucket("python", location="us-west1")
told["buckets"] = [b.name for b in client.list_buckets()]

small = bucket.blob("a/small.txt")
small.metadata = {"k": "v"}
small.upload_from_string("small", content_type="text/plain", checksum="crc32c")
large = bucket.blob("a/large", chunk_size=256 * 1024)
large.upload_from_file(io.BytesIO(b"abc" * 300_000), checksum="md5")
told["large"] = [large.size, large.md5_hash, large.download_as_bytes(checksum="md5") == b"abc" * 300_000]
told["range"] = small.download_as_bytes(start=1, end=3).decode()
small.reload()
told["small"] = [small.content_type, small.metadata, small.metageneration]
small.cache_control = "no-store"
small.patch()
told["patched"] = [small.cache_control, small.metageneration]

page = bucket.list_blobs(prefix="a/", delimiter="/", max_results=1)
told["list"] = [[b.name for b in bucket.list_blobs()], [b.name for b in page]]
folders = bucket.list_blobs(delimiter="/")
told["folders"] = [[b.name for b in folders], sorted(folders.prefixes)]

both = bucket.blob("both")
both.compose([small, small])
told["both"] = both.download_as_text()
copy = bucket.copy_blob(small, bucket, "copy")
told["copy"] = [copy.download_as_text(), copy.content_type]
token, done, total = bucket.blob("again").rewrite(small)
told["rewrite"] = [token, done, total]

try:
    small.upload_from_string("x", if_generation_match=0)
except PreconditionFailed as e:
    told["exists"] = e.code
try:
    bucket.blob("nothing").download_as_bytes()
except NotFound as e:
    told["nothing"] = e.code
told["there"] = [bucket.blob("nothing").exists(), small.exists(), client.bucket("nowhere").exists()]

with bucket.blob("stream").open("w") as out:
    for i in range(50_000):
        out.write(f"line {i}\\n")
with bucket.blob("stream").open("r") as lines:
    told["stream"] = sum(1 for _ in lines)

for blob in bucket.list_blobs():
    blob.delete()
bucket.delete()
told["gone"] = client.lookup_bucket("python")
print(json.dumps(told))
`;

let cloud: TestCloud;
beforeAll(async () => {
  cloud = await testCloud();
});
afterAll(() => cloud[Symbol.asyncDispose]());

test.skipIf(!importable)(
  `everything that a task does with a bucket${skipped}`,
  async () => {
    const child = Bun.spawn([python as string, '-c', PROGRAM], {
      env: { PATH: process.env.PATH, HOME: cloud.dir, STORAGE_EMULATOR_HOST: cloud.origin },
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(err);
    expect(JSON.parse(out)).toEqual({
      buckets: ['python', 'sandbox'],
      large: [900_000, createHash('md5').update('abc'.repeat(300_000)).digest('base64'), true],
      range: 'mal',
      small: ['text/plain', { k: 'v' }, 1],
      patched: ['no-store', 2],
      list: [['a/large', 'a/small.txt'], ['a/large']],
      folders: [[], ['a/']],
      both: 'smallsmall',
      copy: ['small', 'text/plain'],
      rewrite: [null, 5, 5],
      exists: 412,
      nothing: 404,
      there: [false, true, false],
      stream: 50_000,
      gone: null,
    });
  },
  60_000,
);
