# The environment below the checkout: made when first needed, brought up to its locks when they change.
#
# Sourced by ./run, ./test and scripts/lock with `root` set to the checkout. Everything is written below it:
#   .boot    a virtual environment with nothing but a hash-pinned uv (scripts/boot.lock)
#   .venv    the project's own: requirements.lock, and requirements-EXTRA.lock for each extra asked for
#   .cache   what can be thrown away: downloads, compiled kernels, the caches of the checks, temporary files, and the
#            journals of venues that nobody gave another place
# A warm start compares one stamp; it touches neither the network nor Python.

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

boot="$root/.boot"
venv="$root/.venv"
cache="$root/.cache"
stamp="$venv/solvent-sync" # one line: what the environment was made from, then the extras it holds

mkdir -p "$cache/tmp" "$cache/numba" || die "cannot write to $cache: the environment lives there"
# numba reads what it compiled earlier with pickle: who can write there can run code as you.
chmod 700 "$cache" "$cache/numba" || die "$cache must belong to you: compiled code is loaded from it"

# Journals of `solvent up`, unless somebody wants them elsewhere.
export SOLVENT_STATE="${SOLVENT_STATE:-$cache/state}"
export TMPDIR="$cache/tmp" NUMBA_CACHE_DIR="$cache/numba" PIP_CACHE_DIR="$cache/pip" UV_CACHE_DIR="$cache/uv"
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never
# Packages named here would be found before the locked ones.
unset PYTHONPATH PYTHONHOME

# need EXTRA...: see to it that the environment holds the core and these extras. `dev` holds all of them.
need() {
    for extra in "$@"; do
        [ -f "$root/requirements-$extra.lock" ] || die "no extra is called '$extra'; there are:$(extras)"
    done
    wanted=$(inputs)
    if warm "$@"; then return; fi
    find_python
    # The lock belongs to the open file, so a set-up that is killed lets go of it.
    exec 9>"$cache/setup.lock"
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null 9>&9 || {
        say "another set-up is at work in this folder: waiting for it"
        "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' 9>&9
    }
    warm "$@" || sync "$@"
    exec 9>&-
}

extras() { (cd "$root" && ls requirements-*.lock) | sed 's/^requirements-/ /; s/\.lock$//' | tr -d '\n'; }

# What the environment is made from, as one word: where the checkout lies, the locks, and the project's metadata,
# which stands before the settings of tools.
inputs() {
    {
        printf '%s\n' "$root"
        cat "$root"/requirements*.lock "$root/scripts/boot.lock"
        sed '/^\[tool\./,$d' "$root/pyproject.toml"
    } | cksum | tr ' ' '-'
}

# Whether the environment is as the locks say and holds these extras.
warm() {
    [ -f "$stamp" ] && [ -x "$venv/bin/solvent" ] && [ -x "$venv/bin/python" ] || return 1
    read -r found held <"$stamp" || return 1
    [ "$found" = "$wanted" ] || return 1
    case " $held " in *" dev "*) return 0 ;; esac
    for extra in "$@"; do
        case " $held " in *" $extra "*) ;; *) return 1 ;; esac
    done
}

# Set `python` to one that can carry the environment: SOLVENT_PYTHON, else python3, else by version.
find_python() {
    seen=""
    if [ -n "${SOLVENT_PYTHON:-}" ]; then
        fits "$SOLVENT_PYTHON" && return
    else
        for name in python3 python3.13 python3.12 python3.11 python3.14 python; do
            fits "$name" && return
        done
    fi
    die "Solvent needs CPython 3.11, 3.12, 3.13 or 3.14 with its venv module.
Found:${seen:- no Python}
Install one of these, or name the one to use: SOLVENT_PYTHON=/path/to/python3.12 $0"
}

fits() {
    version=$("$1" -c 'import sys; print("%s %d.%d" % ((sys.implementation.name,) + sys.version_info[:2]))' \
        2>/dev/null) || return 1
    case $version in
        "cpython 3.11" | "cpython 3.12" | "cpython 3.13" | "cpython 3.14") ;;
        *) seen="$seen $1 is $version;"; return 1 ;;
    esac
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 || {
        seen="$seen $1 is $version without venv (on Debian and Ubuntu: apt install python3-venv);"
        return 1
    }
    python=$1
}

# Bring the environment to its locks: these extras, and those that it already held.
sync() {
    if [ -f "$stamp" ]; then
        read -r found held <"$stamp" || held=""
        set -- $(printf '%s\n' "$@" $held | sort -u)
        rm -f "$stamp"
    fi
    locks="-r requirements.lock"
    for extra in "$@"; do
        [ ! -f "$root/requirements-$extra.lock" ] || locks="$locks -r requirements-$extra.lock"
    done
    say "setting up $venv with $python: core $*"
    (
        cd "$root" || exit
        boot_uv
        made_here || new_venv || exit
        if [ -x "$boot/bin/uv" ]; then with_uv; else with_pip; fi
    ) || die "the set-up failed for the reason above; start it again once that is mended"
    printf '%s %s\n' "$wanted" "$*" >"$stamp.new" && mv "$stamp.new" "$stamp"
}

# Whether .venv can be brought up to date: not if the checkout has moved or its Python is gone, and pip removes nothing.
made_here() {
    [ -x "$boot/bin/uv" ] && [ -x "$venv/bin/python" ] && [ "$(cat "$venv/solvent-root" 2>/dev/null)" = "$root" ]
}

new_venv() {
    rm -rf "$venv" && "$python" -m venv --without-pip "$venv" && printf '%s\n' "$root" >"$venv/solvent-root"
}

# Put the pinned uv into .boot; without it pip does the same work more slowly.
boot_uv() {
    pinned=$(cksum <scripts/boot.lock)
    [ -x "$boot/bin/uv" ] && [ -x "$boot/bin/python" ] && [ "$(cat "$boot/pinned" 2>/dev/null)" = "$pinned" ] && return
    rm -rf "$boot"
    "$python" -m venv "$boot" || return
    if "$boot/bin/python" -m pip install -q --require-hashes --no-deps --only-binary :all: -r scripts/boot.lock; then
        printf '%s\n' "$pinned" >"$boot/pinned"
    else
        say "uv cannot be installed here: going on with pip"
    fi
}

with_uv() {
    uv_follows_pip
    "$boot/bin/uv" pip sync --python "$venv/bin/python" --require-hashes $(printf '%s' "$locks" | sed 's/-r //g') &&
        "$boot/bin/uv" pip install --python "$venv/bin/python" --no-deps --no-build-isolation --offline -e .
}

with_pip() {
    pip() { "$boot/bin/python" -m pip --python "$venv/bin/python" install "$@"; }
    pip --require-hashes --no-deps $locks && pip --no-deps --no-build-isolation --no-index -e .
}

# uv does not read pip's settings: hand it the index and the certificates that pip was told to use.
uv_follows_pip() {
    settings=$("$boot/bin/python" -m pip config list)
    index=$(pip_setting index-url)
    cert=$(pip_setting cert)
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$cert" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$cert}"
}

# (`pip config get` reads one file only; `list` merges them all.)
pip_setting() {
    for section in :env: install global; do
        value=$(printf '%s\n' "$settings" | sed -n "s/^$section\.$1='\(.*\)'\$/\1/p")
        [ -z "$value" ] || { printf '%s\n' "$value"; return; }
    done
}
