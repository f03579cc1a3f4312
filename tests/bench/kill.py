"""Kills a Carrel at random moments under uploads and deletes, and counts what was lost and what came back.

usage: kill.py [ROUNDS] [SEED]          CARREL names the program; target/release/carrel when unset

Each round: start, upload and delete from a few threads, SIGKILL after 30 to 600 ms, start again, and compare. An upload
counts as acknowledged when its 202 was read whole, a delete when its 200 was. What was under way may have happened or not.
Prints one JSON object; exits 1 when something acknowledged was lost or something deleted came back.
"""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

CARREL = os.environ.get("CARREL", str(pathlib.Path(__file__).parents[2] / "target/release/carrel"))
rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
dice = random.Random(seed)
root = tempfile.mkdtemp(prefix="carrel-kill-")
pathlib.Path(root, "tenants").mkdir()
pathlib.Path(root, "tenants/t.toml").write_text(
    "[limits]\nqueries_per_minute = 100000000\nburst = 1000000\nconcurrent_queries = 64\n")


def start():
    begun = time.monotonic()
    server = subprocess.Popen([CARREL, "--root", root, "--json", "serve", "--bind", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = server.stdout.readline()
    if not line:
        raise SystemExit(f"it does not start again (seed {seed})")
    return server, json.loads(line)["address"], time.monotonic() - begun


def call(base, token, method, path, body=None, kind="application/json"):
    request = urllib.request.Request(base + path, body, {"authorization": f"Bearer {token}", "content-type": kind}, method=method)
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.loads(reply.read() or b"null")


def form(name, text):
    parts = f'--x\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n{text}\r\n--x--\r\n'
    return parts.encode()


class Worker(threading.Thread):
    """Uploads and deletes names of its own, and writes down what was acknowledged."""

    def __init__(self, number, base, known, stop):
        super().__init__(daemon=True)
        self.number, self.base, self.known, self.stop = number, base, known, stop
        self.dice = random.Random(dice.random())

    def run(self):
        while not self.stop.is_set():
            name = f"w{self.number}-{self.dice.randrange(12)}.txt"
            delete = self.dice.random() < 0.4
            text = None if delete else f"The marker of {name} is m{self.dice.randrange(10**9)}."
            before = self.known.get(name, ("settled", None))
            self.known[name] = ("open", {before[1], text} if before[0] == "settled" else before[1] | {text})
            try:
                if delete:
                    call(self.base, token, "DELETE", f"/api/v1/documents/{name}")
                else:
                    call(self.base, token, "POST", "/api/v1/documents", form(name, text), "multipart/form-data; boundary=x")
                self.known[name] = ("settled", text)
            except urllib.error.HTTPError as refused:
                if refused.code == 404 and delete:
                    self.known[name] = ("settled", None)
                elif refused.code >= 500:
                    continue
                else:
                    raise
            except OSError:
                return


def compare(base, known):
    """What is stored must be what was acknowledged; what was under way may be either."""
    lost = risen = 0
    settled_by = time.monotonic() + 30
    while time.monotonic() < settled_by:
        there = listed(base)
        if all(one["state"] not in ("queued", "working") for one in there.values()):
            break
        time.sleep(0.02)
    for name, (state, texts) in known.items():
        may = {texts} if state == "settled" else texts
        now = text_of(base, name) if name in there else None
        if now not in may:
            lost += now is None
            risen += now is not None
        found = call(base, token, "POST", "/api/v1/search", json.dumps({"query": f"marker of {name}", "mode": "bm25", "top_k": 50}).encode())
        hit = next((one["text"] for one in found["hits"] if one["document_id"] == name), None)
        risen += hit is not None and hit not in may
        known[name] = ("settled", now)
    return lost, risen


def listed(base):
    found, after = {}, ""
    while True:
        page = call(base, token, "GET", f"/api/v1/documents?limit=100{after}")
        found.update({one["id"]: one for one in page["data"]})
        if not page["has_more"]:
            return found
        after = "&after=" + page["last_id"]


def text_of(base, name):
    try:
        return call(base, token, "GET", f"/api/v1/documents/{name}/text")["text"]
    except urllib.error.HTTPError:
        return None


token = subprocess.run([CARREL, "--root", root, "token", "mint", "-t", "t", "--scope", "query,documents:read,documents:write,reindex"],
                       check=True, capture_output=True, text=True).stdout.strip()
known, lost, risen, boots = {}, 0, 0, []
for _ in range(rounds):
    server, base, _ = start()
    stop = threading.Event()
    workers = [Worker(number, base, known, stop) for number in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(dice.uniform(0.03, 0.6))
    server.send_signal(signal.SIGKILL)
    stop.set()
    for worker in workers:
        worker.join()
    server.wait()
    server, base, seconds = start()
    boots.append(seconds)
    a, b = compare(base, known)
    lost, risen = lost + a, risen + b
    server.send_signal(signal.SIGKILL)
    server.wait()
boots.sort()
print(json.dumps({"rounds": rounds, "seed": seed, "names": len(known), "acknowledged_lost": lost, "deleted_returned": risen,
                  "boot_p50_s": round(boots[len(boots) // 2], 3), "boot_max_s": round(boots[-1], 3)}))
sys.exit(1 if lost or risen else 0)
