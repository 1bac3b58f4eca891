# Common to the shell tests: . "$WEIGHTFS_SOURCE/tests/lib/common.sh". The current directory is the test's own (tests/lib/run).
# Any command that fails ends the test with its place; assertions say what they saw.
set -eEu -o pipefail
trap 'echo "FAILED at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR

skip() {
    echo "SKIP: $*"
    trap - ERR
    exit 77
}

fail() {
    echo "FAILED: $*" >&2
    local frame
    for frame in $(seq 1 $((${#BASH_LINENO[@]} - 1))); do
        echo "  at ${BASH_SOURCE[$frame]##*/}:${BASH_LINENO[$((frame - 1))]}" >&2
    done
    trap - ERR
    exit 1
}

# requires fuse | python:MODULE | COMMAND ...
requires() {
    local need
    for need in "$@"; do
        case $need in
            fuse)
                [ "${WEIGHTFS_MOUNT:-ON}" = ON ] || skip "built without the mount"
                [ -c /dev/fuse ] || skip "no /dev/fuse"
                [ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "/dev/fuse cannot be opened by $(id -un)"
                ;;
            root) [ "$(id -u)" = 0 ] || skip "needs root" ;;
            python:*) python3 -c "import ${need#python:}" 2>/dev/null || skip "Python has no ${need#python:} (scripts/venv)" ;;
            *) command -v "$need" >/dev/null || skip "no $need" ;;
        esac
    done
}

cleanups=()
run_cleanups() {
    local i
    for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do eval "${cleanups[$i]}" || true; done
}
trap run_cleanups EXIT

# cleanup_fn COMMAND...: runs when the test ends, the last one first.
cleanup_fn() { cleanups+=("$(printf '%q ' "$@")"); }

# mount_model SRC DIR [OPTIONS...]: the directory is made when it is not there.
mount_model() {
    local source=$1 directory=$2
    shift 2
    [ -d "$directory" ] || mkdir "$directory"
    weightfs mount "$@" "$source" "$directory"
}

umount_model() { weightfs umount "$@"; }

daemon_pid() { jq -r .pid "$1/.weightfs/status.json"; }

is_mounted() { mountpoint -q "$1"; }

assert_eq() { [ "$1" = "$2" ] || fail "expected '$2', found '$1'${3:+ ($3)}"; }

assert_same() { cmp "$1" "$2" || fail "$1 and $2 differ"; }

# assert_contains TEXT PATTERN: an extended regular expression, in any line.
assert_contains() { grep -Eq -- "$2" <<<"$1" || fail "no match of /$2/ in: $1"; }

assert_lacks() { ! grep -Eq -- "$2" <<<"$1" || fail "unexpected match of /$2/ in: $1"; }

assert_missing() { [ ! -e "$1" ] || fail "$1 exists"; }

# assert_exit CODE COMMAND...: leaves its output in the files `out` and `err`.
assert_exit() {
    local expected=$1 found=0
    shift
    "$@" >"$TEST_TMP/out" 2>"$TEST_TMP/err" || found=$?
    [ "$found" = "$expected" ] || fail "exit code $found, expected $expected: $* / stdout: $(head -c 2000 "$TEST_TMP/out") / stderr: $(head -c 2000 "$TEST_TMP/err")"
}

# Models, and what is in them, told by Python (tests/lib/wfs.py).
small_model() { python3 -m wfs small "$1"; }
tensor_bytes() { python3 -m wfs cat "$1" "$2"; }

# The project's own files, NUL-separated: what git tracks, or everything outside build/ where there is no git.
project_files() (
    cd "$WEIGHTFS_SOURCE"
    if ! git -c safe.directory="$WEIGHTFS_SOURCE" ls-files -z 2>/dev/null; then
        find . \( -name .git -o -path ./build \) -prune -o -type f -print0
    fi
)

# Those that are bash, NUL-separated.
project_scripts() (
    cd "$WEIGHTFS_SOURCE"
    project_files | xargs -0 awk '(FNR == 1 && /^#!.*bash/) || FILENAME ~ /\.sh$/ {printf "%s%c", FILENAME, 0} {nextfile}'
)
