#!/bin/sh
# Serves one tenant over $DOCUMENTS, with the provider at $OPENAI_API_BASE for vectors and answers, from $STORAGE on $PORT.
# A bearer token for it is left in $STORAGE/token. CARREL names the program; the release build when unset.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
carrel=${CARREL:-$here/target/release/carrel}
mkdir -p "$STORAGE/tenants" "$STORAGE/documents"
cat > "$STORAGE/carrel.toml" <<TOML
[http]
bind = "127.0.0.1:$PORT"
max_connections = 4096
[providers.stub]
base_url = "$OPENAI_API_BASE"
api_key = "stub"
max_concurrent = 512
batch_size = 100
[log]
level = "warn"
TOML
cat > "$STORAGE/tenants/bench.toml" <<TOML
name = "Bench"
[limits]
queries_per_minute = 100000000
burst = 1000000
concurrent_queries = 1024
max_documents = 1000000
[retrieval]
embedder = "stub/text-embedding-3-small"
top_k = 3
[answer]
model = "stub/gpt-4"
TOML
if [ ! -e "$STORAGE/documents/bench" ]; then
  cp -r "$DOCUMENTS" "$STORAGE/documents/bench"
fi
if [ ! -s "$STORAGE/token" ]; then
  "$carrel" --root "$STORAGE" token mint -t bench --scope query,documents:read,documents:write,reindex > "$STORAGE/token"
fi
exec "$carrel" --root "$STORAGE" serve
