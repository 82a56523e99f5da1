# The steps of deploy/quickstart, in their order. Sourced by it; uses its variables.
# shellcheck shell=bash disable=SC2154

step() { printf '\n── %s/6 %s\n' "$1" "$2"; }
say() { printf '   %s\n' "$*"; }
die() {
    printf 'quickstart: %s\n' "$*" >&2
    exit 1
}

# ── 1 Tools

# Debian package of each command that the build and this script use; the set-up scripts look after their own.
readonly TOOLS="cc:gcc c++:g++ make:make pkg-config:pkg-config curl:curl python3:python3"
# Headers and modules that no command stands for.
readonly LIBRARIES="zlib1g-dev libssl-dev ca-certificates"

install_tools() {
    local missing=() entry
    # First, because it is the one thing that only a person can bring.
    [[ -n "$bin_dir" ]] || check_cargo
    for entry in $TOOLS; do
        command -v "${entry%%:*}" >/dev/null || missing+=("${entry#*:}")
    done
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    if command -v dpkg-query >/dev/null; then
        for entry in $LIBRARIES; do
            dpkg-query -W -f '${Status}' "$entry" 2>/dev/null | grep -q 'ok installed' || missing+=("$entry")
        done
    fi
    if ((${#missing[@]})); then install_packages "${missing[@]}"; fi
    say "all there"
}

install_packages() {
    if [[ "$(id -u)" != 0 ]] || ! command -v apt-get >/dev/null; then
        die "please install these and run it again: $*"
    fi
    say "installing $*"
    {
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
    } >"$dir/logs/apt.log" 2>&1 || { tail -n 20 "$dir/logs/apt.log" >&2; die "apt-get could not install: $*"; }
}

check_cargo() {
    local need have
    need="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")"
    # rustup puts cargo where a fresh shell does not look yet.
    if ! command -v cargo >/dev/null && [[ -x "$HOME/.cargo/bin/cargo" ]]; then PATH="$HOME/.cargo/bin:$PATH"; fi
    command -v cargo >/dev/null || die "cargo is missing: install Rust $need or newer with rustup, then run this again"
    have="$(cargo --version | cut -d' ' -f2)"
    [[ "$(printf '%s\n%s\n' "$need" "$have" | sort -V | head -n 1)" == "$need" ]] \
        || die "cargo $have is too old: Rust $need or newer is needed (rustup update)"
}

# ── 2 Engines

install_engines() {
    local options=()
    if ((local_model)); then options=(--local-model); fi
    "$root/deploy/setup/all" "${options[@]}" 2>&1 | sed 's/^/   /' || die "the set-up failed, see above"
}

# ── 3 Programs

build_programs() {
    if [[ -n "$bin_dir" ]]; then
        say "from $bin_dir"
    else
        local arguments=(build --release --locked --manifest-path "$root/Cargo.toml"
            -p tollgate-standalone -p tollgate-accounting -p tollgate-tests
            --bin tollgate --bin tollgate-accounting --bin tollgate-sim)
        bin_dir="$CARGO_TARGET_DIR/release"
        if [[ -t 2 ]]; then
            cargo "${arguments[@]}" || die "the build failed, see above"
        else
            local total
            total="$(cargo tree --locked --manifest-path "$root/Cargo.toml" --workspace --edges normal,build \
                --prefix none 2>/dev/null | sed 's/ (\*)$//' | sort -u | wc -l)"
            { cargo "${arguments[@]}" 2>&1 | summarise_build "$total"; } \
                || { tail -n 40 "$dir/logs/build.log" >&2; die "the build failed; all of it is in $dir/logs/build.log"; }
        fi
        say "built in $bin_dir"
    fi
    local program
    for program in tollgate tollgate-accounting tollgate-sim; do
        [[ -x "$bin_dir/$program" ]] || die "$bin_dir/$program is missing"
    done
}

# A line every ten seconds instead of one for each crate; every thirty while nothing new begins.
summarise_build() {
    local total="$1" line code count=0 shown=0 begun=$SECONDS next=$((SECONDS + 10)) last=""
    : >"$dir/logs/build.log"
    while true; do
        code=0 line=""
        IFS= read -r -t 10 line || code=$?
        ((code == 0 || code > 128)) || break
        if ((code == 0)); then printf '%s\n' "$line" >>"$dir/logs/build.log"; fi
        if [[ "$line" == *" Compiling "* ]]; then
            count=$((count + 1))
            last="${line#*Compiling }"
        fi
        ((SECONDS >= next)) || continue
        if ((count > shown)); then
            say "compiled $count of about $total crates, now ${last%% *}"
            next=$((SECONDS + 10))
        else
            say "optimising and linking, $((SECONDS - begun)) s so far"
            next=$((SECONDS + 30))
        fi
        shown=$count
    done
}

# ── 4 Start

# The usual ports where they are free, any others where not.
choose_ports() {
    read -r port admin_port accounting_port cache_port < <(python3 - <<'PYTHON'
import socket
ports, held = [], []
for wanted in (8080, 8081, 8091, 8092):
    for port in (wanted, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        ports.append(str(listener.getsockname()[1]))
        held.append(listener)
        break
print(" ".join(ports))
PYTHON
    )
    [[ -n "${cache_port:-}" ]] || die "no free ports on loopback"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# background NAME COMMAND…: starts it apart from the terminal, so that Ctrl-C reaches only this script.
background() {
    local name="$1"
    shift
    setsid "$@" >"$dir/logs/$name.log" 2>&1 </dev/null &
    printf '%s\n' "$!" >"$dir/run/$name.pid"
}

alive() { kill -0 "$(cat "$dir/run/$1.pid")" 2>/dev/null; }

# wait_until NAME SECONDS COMMAND…: until the command succeeds; NAME must stay alive meanwhile.
wait_until() {
    local name="$1" deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ! alive "$name"; then
            tail -n 20 "$dir/logs/$name.log" >&2
            die "$name ended; its log is $dir/logs/$name.log"
        fi
        ((SECONDS < deadline)) || { tail -n 20 "$dir/logs/$name.log" >&2; die "$name is not ready after all this time"; }
        sleep 0.1
    done
}

start_backends() {
    if [[ -n "${OPENAI_API_KEY:-}" ]]; then
        backend_url="${OPENAI_BASE_URL:-https://api.openai.com/v1}" backend_model="${OPENAI_MODEL:-gpt-4o-mini}"
        provider=openai
        say "models: $backend_model at $backend_url, with OPENAI_API_KEY"
    else
        background tollgate-sim "$bin_dir/tollgate-sim" --listen 127.0.0.1:0 --tokens exact \
            --chunk-delay-ms 10
        wait_until tollgate-sim 20 grep -qE '127\.0\.0\.1:[0-9]+' "$dir/logs/tollgate-sim.log"
        local address
        address="$(grep -oE '127\.0\.0\.1:[0-9]+' "$dir/logs/tollgate-sim.log" | head -n 1)"
        backend_url="http://$address/v1" backend_model="sim-small" provider=sim
        say "models: simulated at $backend_url (set OPENAI_API_KEY for a real one)"
    fi
    if ((local_model)); then start_local_model; fi
}

start_local_model() {
    local model="$TOLLGATE_HOME/local-model" model_port
    model_port="$(free_port)"
    local_url="http://127.0.0.1:$model_port/v1"
    background llama_cpp.server "$model/venv/bin/python" -m llama_cpp.server --model "$model/model.gguf" \
        --model_alias SmolLM2-135M-Instruct --host 127.0.0.1 --port "$model_port" --n_ctx 2048
    wait_until llama_cpp.server 60 curl -fsS "$local_url/models"
    say "models: SmolLM2-135M-Instruct at $local_url"
}

# A key for each team, kept from run to run; the configuration has their hashes.
team_keys() {
    [[ -s "$dir/keys.json" ]] && return
    local team
    (
        umask 077
        {
            printf '{'
            for team in checkout search support; do
                [[ "$team" == checkout ]] || printf ', '
                printf '"%s": "%s"' "$team" "$("$bin_dir/tollgate" key new --bare)"
            done
            printf '}\n'
        } >"$dir/keys.json"
    )
}

key_of() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$dir/keys.json" "$1"; }
hash_of() { printf %s "$(key_of "$1")" | sha256sum | cut -d' ' -f1; }

write_configuration() {
    local fresh=true local_flag=false
    [[ -d "$dir/data" ]] && fresh=false
    ((local_model)) && local_flag=true
    team_keys
    gateway="http://127.0.0.1:$port/v1" accounting="http://127.0.0.1:$accounting_port"
    configuration >"$dir/tollgate.yaml"
    cat >"$dir/run.json" <<JSON
{"gateway": "$gateway", "accounting": "$accounting", "cache": "http://127.0.0.1:$cache_port",
 "fresh": $fresh, "local_model": $local_flag}
JSON
    "$bin_dir/tollgate" check --config "$dir/tollgate.yaml" >/dev/null || die "the configuration is refused"
    say "configuration: $dir/tollgate.yaml"
}

configuration() {
    local credentials="" local_backend="" local_alias="" models="chat, faq"
    if [[ -n "${OPENAI_API_KEY:-}" ]]; then
        # Only the reference is written; the key stays in the environment.
        # shellcheck disable=SC2016
        credentials='credentials: { header: { name: Authorization, value: "Bearer ${secret:env:OPENAI_API_KEY}" } }'
    fi
    if ((local_model)); then
        models="chat, faq, local"
        local_backend="local: { format: openai, provider: local, url: \"$local_url\" }"
        local_alias="local: { targets: [ { backend: local, model: SmolLM2-135M-Instruct } ] }"
    fi
    cat <<YAML
# Written by deploy/quickstart; its next run writes it again. Copy it to make it yours.
data_dir: $dir/data
gateway:
  listen: 127.0.0.1:$port
  admin_listen: 127.0.0.1:$admin_port
  backends:
    main:
      format: openai
      provider: $provider
      url: "$backend_url"
      $credentials
    $local_backend
  models:
    chat: { targets: [ { backend: main, model: $backend_model } ] }
    # Answers are used again within a team, for the same question and for one that means the same.
    faq:
      targets: [ { backend: main, model: $backend_model } ]
      cache: { semantic: { min_similarity: 0.9, ttl: 1h, scope: team } }
    $local_alias
  products:
    gold: { models: [$models], limits: [ { per: subscription, tokens_per_minute: 100k } ] }
    trial: { models: [$models], limits: [ { per: subscription, tokens_per_minute: 600 } ] }
  subscriptions:
    checkout:
      product: gold
      tenant: acme
      tags: { cost_center: "4711", team: checkout, app: shop }
      keys: [ { id: checkout-1, sha256: $(hash_of checkout) } ]
    search:
      product: gold
      tenant: acme
      tags: { cost_center: "4712", team: search, app: site-search }
      keys: [ { id: search-1, sha256: $(hash_of search) } ]
    support:
      product: trial
      tenant: acme
      tags: { cost_center: "4713", team: support, app: help-desk }
      keys: [ { id: support-1, sha256: $(hash_of support) } ]
accounting:
  listen: 127.0.0.1:$accounting_port
cache_service:
  listen: 127.0.0.1:$cache_port
YAML
}

start_tollgate() {
    background tollgate "$bin_dir/tollgate" serve --config "$dir/tollgate.yaml"
    wait_until tollgate 90 curl -fsS "http://127.0.0.1:$admin_port/readyz"
    wait_until tollgate 90 curl -fsS "$accounting/readyz"
    wait_until tollgate 90 curl -fsS "http://127.0.0.1:$cache_port/readyz"
    say "gateway: $gateway, accounting: $accounting"
}

# ── 6 Chargeback

print_report() {
    "$bin_dir/tollgate-accounting" report --month "$(date -u +%Y-%m)" --by cost_center,team,model_requested,outcome --url "$accounting" \
        | sed 's/^/   /' || die "there is no report"
}

print_next_steps() {
    local key
    key="$(key_of checkout)"
    cat <<TEXT

── Your turn

   curl $gateway/chat/completions -H 'Authorization: Bearer $key' \\
        -H 'Content-Type: application/json' \\
        -d '{"model":"chat","messages":[{"role":"user","content":"Hello!"}]}'

   from openai import OpenAI          # pip install openai
   client = OpenAI(base_url="$gateway", api_key="$key")
   print(client.chat.completions.create(
       model="chat", messages=[{"role": "user", "content": "Hello!"}]).choices[0].message.content)

   $bin_dir/tollgate-accounting report --month $(date -u +%Y-%m) --by cost_center,model --url $accounting

   Keys of the other teams: $dir/keys.json    Configuration: $dir/tollgate.yaml    Logs: $dir/logs

TEXT
}

# Until Ctrl-C, deploy/stop or the end of the process.
wait_for_end() {
    while alive tollgate; do sleep 0.5; done
    [[ -e "$dir/run/tollgate.pid" ]] || return 0
    tail -n 20 "$dir/logs/tollgate.log" >&2
    die "tollgate ended by itself; its log is $dir/logs/tollgate.log"
}
