"""Measures an index's life: boots, memory, what an empty tenant costs, and queries while it is built again and again.

usage: life.py PAGES [REINDEXES] [CHUNKS]      CARREL names the program; target/release/carrel when unset

PAGES is a folder of documents, one tenant's. Vectors come from a provider of this script's own (64 dimensions, made from
words at once), so that what is measured is Carrel and not a model. Memory is measured at CHUNKS chunks (20,000) of 384
dimensions. Queries come at a set rate whatever the answers do. Prints one JSON object.
"""
import base64
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

CARREL = os.environ.get("CARREL", str(pathlib.Path(__file__).parents[2] / "target/release/carrel"))
RATE = 50  # queries a second
SCOPE = "query,documents:read,documents:write,reindex"


class Provider(http.server.BaseHTTPRequestHandler):
    """Embeds over the OpenAI API: a word adds to one number of the vector."""
    protocol_version = "HTTP/1.1"
    texts = 0

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        Provider.texts += len(texts)
        dimension = 384 if asked["model"] == "wide" else 64
        data = [{"object": "embedding", "index": at, "embedding": self.vector(text, dimension, asked.get("encoding_format"))} for at, text in enumerate(texts)]
        body = json.dumps({"object": "list", "model": asked["model"], "data": data, "usage": {"prompt_tokens": 0, "total_tokens": 0}})
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    @staticmethod
    def vector(text, dimension, form):
        numbers = [0.0] * dimension
        for word in text.lower().split():
            seed = hashlib.blake2b(word.encode(), digest_size=4).digest()
            numbers[int.from_bytes(seed[:2], "little") % dimension] += 1.0
        numbers[0] += 0.01
        return base64.b64encode(struct.pack(f"<{dimension}f", *numbers)).decode() if form == "base64" else numbers

    def log_message(self, *_):
        pass


class Carrel:
    """A running server over `root`."""

    def __init__(self, root):
        self.root, begun, before = root, time.monotonic(), Provider.texts
        self.process = subprocess.Popen([CARREL, "--root", root, "--json", "serve", "--bind", "127.0.0.1:0"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ready = json.loads(self.process.stdout.readline())
        self.host = self.ready["address"].removeprefix("http://")
        self.boot = {"seconds": round(time.monotonic() - begun, 3), "texts_embedded": Provider.texts - before}

    def status(self, field):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(40)


class Client:
    """One connection with a token."""

    def __init__(self, host, token):
        self.connection = http.client.HTTPConnection(host, timeout=30)
        self.headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def call(self, method, path, body=None):
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        reply = self.connection.getresponse()
        return reply.status, json.loads(reply.read() or b"null")


class Asking(threading.Thread):
    """Queries at a set rate, each in the thread whose turn it is; a late answer does not hold the next one back."""

    def __init__(self, server, token, questions):
        super().__init__(daemon=True)
        self.server, self.token, self.questions = server, token, questions
        self.times, self.failed, self.generations, self.stop = [], 0, set(), threading.Event()

    def run(self):
        workers = [threading.Thread(target=self.ask, args=(number, time.monotonic()), daemon=True) for number in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def ask(self, number, start):
        client, turn = Client(self.server.host, self.token), number
        while not self.stop.is_set():
            due = start + turn / RATE
            time.sleep(max(0, due - time.monotonic()))
            try:
                status, answer = client.call("POST", "/api/v1/query", {"query": self.questions[turn % len(self.questions)]})
                self.failed += status != 200
                self.generations.add((answer.get("index") or {}).get("generation"))
            except OSError:
                self.failed += 1
                client = Client(self.server.host, self.token)
            self.times.append(time.monotonic() - due)
            turn += 8

    def end(self):
        self.stop.set()
        self.join()
        times = sorted(self.times)
        return {"queries": len(times), "failed": self.failed, "generations": len(self.generations - {None}),
                "p50_ms": round(times[len(times) // 2] * 1e3, 2), "p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 2)}


def lay(model, tenants):
    root = tempfile.mkdtemp(prefix="carrel-life-")
    pathlib.Path(root, "tenants").mkdir()
    pathlib.Path(root, "carrel.toml").write_text(
        f'[providers.own]\nbase_url = "http://127.0.0.1:{provider.server_port}/v1"\napi_key = "none"\n[log]\nlevel = "off"\n')
    for tenant in tenants:
        pathlib.Path(root, f"tenants/{tenant}.toml").write_text(
            "[limits]\nqueries_per_minute = 10000000\nburst = 100000\n" + (f'[retrieval]\nembedder = "own/{model}"\n' if model else ""))
    return root


def mint(root, tenant):
    command = [CARREL, "--root", root, "token", "mint", "-t", tenant, "--scope", SCOPE]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def chunks_of(client):
    status, generations = client.call("GET", "/api/v1/generations")
    assert status == 200, generations
    return generations["data"][0]["chunks"]


def reindex(client):
    status, job = client.call("POST", "/api/v1/reindex")
    assert status == 202, job
    while job.get("state") not in ("done", "done_with_warnings"):
        assert job.get("state") not in ("failed", "cancelled"), job
        time.sleep(0.02)
        job = client.call("GET", f"/api/v1/jobs/{job.get('job_id') or job['id']}")[1]
    return job


def life(pages, reindexes):
    """Boots over `pages`, then queries at rest and while the index is built again."""
    root = lay("narrow", ["pages"])
    shutil.copytree(pages, f"{root}/documents/pages")
    token = mint(root, "pages")
    server = Carrel(root)
    found = {"cold_boot": server.boot}
    server.end()
    server = Carrel(root)
    found["warm_boot"] = server.boot
    client = Client(server.host, token)
    found["chunks"] = chunks_of(client)
    questions = [path.stem.replace("-", " ") for path in sorted(pathlib.Path(pages).iterdir())][:500]
    for question in questions:  # so that the provider's time for their vectors is in no figure
        client.call("POST", "/api/v1/query", {"query": question})
    rest = Asking(server, token, questions)
    rest.start(), time.sleep(20)
    found["at_rest"] = rest.end()
    before, begun = Provider.texts, time.monotonic()
    busy = Asking(server, token, questions)
    busy.start()
    for _ in range(reindexes):
        reindex(client)
    seconds = time.monotonic() - begun
    found["while_reindexing"] = {**busy.end(), "reindexes": reindexes, "seconds_each": round(seconds / reindexes, 2),
                                 "documents_embedded_again": Provider.texts - before}
    # Each build is asked fifty golden questions, and so is the generation that serves.
    names = [document["id"] for document in client.call("GET", "/api/v1/documents?limit=50")[1]["data"]]
    for name in names:
        status, kept = client.call("POST", "/api/v1/golden", {"question": name.replace("-", " "), "expect": [{"document_id": name}]})
        assert status == 201, kept
    busy = Asking(server, token, questions)
    busy.start()
    for _ in range(reindexes):
        reindex(client)
    found["while_checking"] = {**busy.end(), "reindexes": reindexes, "golden_questions": len(names)}
    server.end()
    shutil.rmtree(root)
    return found


def memory(chunks):
    """Resident size over `chunks` chunks of 384 dimensions, in documents of some 200 each, beside that of a bare server."""
    root = lay("wide", ["none"])
    bare = Carrel(root)
    without = bare.status("VmRSS")
    bare.end()
    shutil.rmtree(root)
    root = lay("wide", ["many"])
    folder = pathlib.Path(root, "documents/many")
    folder.mkdir(parents=True)
    words = "index query tenant chunk vector recall passage answer source token limit window metric graph letter".split()
    for document in range(-(-chunks // 200)):
        sections = []
        for number in range(document * 200, min(chunks, document * 200 + 200)):
            text = " ".join(words[(number * step) % len(words)] + str((number * step) % 997) for step in range(1, 60))
            sections.append(f"## Part {number}\n\n{text}.\n")
        (folder / f"{document}.md").write_text("\n".join(sections))
    token = mint(root, "many")
    Carrel(root).end()
    warm = Carrel(root)
    client = Client(warm.host, token)
    there = chunks_of(client)
    opened = warm.status("VmRSS")
    for number in range(500):
        client.call("POST", "/api/v1/search", {"query": f"recall{number} passage"})
    used = warm.status("VmRSS")
    warm.end()
    shutil.rmtree(root)
    return {"chunks": there, "boot": warm.boot, "rss_without_mib": without // 1024, "rss_opened_mib": opened // 1024,
            "rss_after_500_queries_mib": used // 1024}


def empty_tenants(count=100):
    """What one tenant without documents costs, as the difference of `count` of them."""
    costs = []
    for tenants in (1, 1 + count):
        root = lay(None, [f"t{number}" for number in range(tenants)])
        server = Carrel(root)
        time.sleep(1)
        files = [path for path in pathlib.Path(root, "data").glob("t*/**/*") if path.is_file()]
        costs.append([server.status("Threads"), server.status("VmRSS"), len(files), sum(path.stat().st_size for path in files)])
        server.end()
        shutil.rmtree(root)
    threads, kib, files, size = [(more - one) / count for one, more in zip(*costs)]
    return {"threads": threads, "rss_kib": round(kib), "files": round(files, 1), "disk_bytes": round(size)}


provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=provider.serve_forever, daemon=True).start()
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
print(json.dumps({"life": life(sys.argv[1], rounds), "memory": memory(int(sys.argv[3]) if len(sys.argv) > 3 else 20_000),
                  "empty_tenant": empty_tenants()}, indent=1))
